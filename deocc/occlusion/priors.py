"""Natural places and sizes of occluders.

Pasting anywhere at any size teaches a network to find pasted objects, not people behind objects. Natural
occluders stand on the ground before a person, are ridden, sat on or held, are other people, or reach in over
the photo's border, at realistic sizes. A `Placement` gives the share of each kind. `draw_plan` draws size,
turn and the offsets that a kind admits. The occlusion ratio stays exact: a kind only restricts the offsets.

Source: ours. The paper pastes without saying where (Sec. 4.1).
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields

import numpy as np

from deocc.errors import DeoccError
from deocc.masks import Box
from deocc.people import Occluder

PERSON_METRES = 1.7  # longer side of a person's box
MOST_ENLARGED = 2.5  # photo pixels a cut-out pixel; more would show
EYE_LEVEL = 0.9  # of a person's height: the horizon of a photo that another person took

_METRES = {
    "grounded": {
        "airplane": 8.0, "barrier": 1.5, "bars": 2.2, "bear": 1.6, "bench": 1.6, "bicycle": 1.75,
        "board": 1.2, "boat": 4.0, "bucket": 0.4, "bus": 9.0,
        "bush": 1.3, "car": 4.2, "carton": 0.6, "cat": 0.5,
        "chair": 1.0, "couch": 2.0, "cow": 2.3, "dog": 0.9, "elephant": 4.0, "fire hydrant": 0.8,
        "flowers": 0.5, "furry animal": 0.8, "giraffe": 4.5, "horse": 2.4, "ladder": 2.5, "lamp": 1.6,
        "motorcycle": 2.1, "oven": 0.9, "parking meter": 1.4, "picket fence": 2.0, "post": 2.5,
        "potted plant": 0.9, "railing": 2.0, "refrigerator": 1.75, "screen": 1.7, "sheep": 1.2, "shelf": 1.8,
        "sign": 2.2, "sofa": 2.0, "stroller": 1.1, "suitcase": 0.75, "table": 1.4, "toilet": 0.8,
        "traffic cone": 0.7, "train": 8.0, "tree": 4.0, "truck": 6.0, "wall": 2.0, "zebra": 2.3,
    },
    "ridden": {
        "bench": 1.6, "bicycle": 1.75, "chair": 1.0, "couch": 2.0, "elephant": 4.0, "horse": 2.4,
        "motorcycle": 2.1, "skateboard": 0.8, "sofa": 2.0, "stroller": 1.1, "suitcase": 0.75, "toilet": 0.8,
        "zebra": 2.3,
    },
    "held": {
        "apple": 0.09, "backpack": 0.5, "bag": 0.45, "balloons": 0.9, "banana": 0.22, "baseball bat": 0.85,
        "baseball glove": 0.3, "bird": 0.3, "board": 0.8, "book": 0.28, "bottle": 0.28, "bowl": 0.28,
        "bucket": 0.35, "carrot": 0.22, "carton": 0.5, "cat": 0.5, "cell phone": 0.15, "cloth": 1.0,
        "cup": 0.14, "flowers": 0.5, "frisbee": 0.28, "handbag": 0.42, "keyboard": 0.45, "kite": 1.2,
        "laptop": 0.4, "orange": 0.09, "remote": 0.2, "skateboard": 0.8, "snowboard": 1.5, "suitcase": 0.7,
        "surfboard": 2.0, "teddy bear": 0.5, "tennis racket": 0.7, "umbrella": 1.1, "vase": 0.35,
        "wine glass": 0.22,
    },
    "person_in_front": {"person": PERSON_METRES},
}  # fmt: skip
"""Longer side in metres by kind and category (COCO's and the renderer's names); rough."""

OVERHEAD = frozenset({"umbrella", "balloons", "kite"})  # held above the shoulders


@dataclass(frozen=True)
class Placement:
    """Shares of the cases by how the occluder stands to the person; they need not sum to 1."""

    anywhere: float = 1.0  # any offset and size, as in plain pasting
    grounded: float = 0.0  # real size, upright, on the ground at the feet or nearer to the camera
    ridden: float = 0.0  # ridden, pushed or sat on: around the lower body's middle, at the feet
    held: float = 0.0  # small things before the trunk; umbrellas and balloons above it
    person_in_front: float = 0.0  # another person of like height, feet level or lower
    border: float = 0.0  # large and near: leaves the photo at its lower, left or right border
    surface: float = 0.0  # a wall, post, fence or hedge with another photo's background as texture

    def __post_init__(self) -> None:
        shares = astuple(self)
        if min(shares) < 0 or not any(shares):
            raise DeoccError(f"{self}: shares must be >= 0 and not all 0")

    @classmethod
    def named(cls, name: str) -> "Placement":
        """One kind alone, or a mix of `PLACEMENTS`. Raises: DeoccError: unknown name."""
        if name in PLACEMENTS:
            return PLACEMENTS[name]
        if name not in KINDS:
            known = ", ".join((*PLACEMENTS, *KINDS))
            raise DeoccError(f"placement {name!r} is unknown; choose from {known}")
        return cls(**{"anywhere": 0.0, name: 1.0})

    def draw(self, rng: np.random.Generator) -> str:
        """A kind. If only one has a share, `rng` is not used."""
        shares = np.array([getattr(self, kind) for kind in KINDS])
        if np.count_nonzero(shares) == 1:
            return KINDS[int(shares.argmax())]
        return KINDS[int(np.searchsorted(np.cumsum(shares) / shares.sum(), rng.random(), side="right"))]


KINDS = tuple(field.name for field in fields(Placement))
PLACEMENTS: dict[str, Placement] = {
    "natural": Placement(0.15, 0.2, 0.15, 0.1, 0.2, 0.1, 0.1),
}
"""Named mixes. "natural": what hides people in everyday photos, with some plain pasting for variety."""


@dataclass(frozen=True)
class Zone:
    """The offsets that a kind admits: where the occluder's box may lie, photo pixels, closed intervals."""

    bottom: tuple[float, float] = (-np.inf, np.inf)  # y of the box's lower side
    middle_x: tuple[float, float] = (-np.inf, np.inf)
    middle_y: tuple[float, float] = (-np.inf, np.inf)
    leaves: bool = False  # a tenth of the box must lie beyond the lower, left or right border

    def admits(self, y: np.ndarray, x: np.ndarray, box: Box, photo: tuple[int, int]) -> np.ndarray:
        """Which offsets lie inside.

        Args:
            y, x: top-left corners of the cut-out, equal shapes.
            box: the occluder's box in its cut-out.
            photo: (height, width).

        Returns:
            bool, as `y`.
        """
        left, top, right, bottom = x + box[0], y + box[1], x + box[2], y + box[3]
        inside = (self.bottom[0] <= bottom) & (bottom <= self.bottom[1])
        for low, high, middle in (
            (*self.middle_x, (left + right) / 2),
            (*self.middle_y, (top + bottom) / 2),
        ):
            inside &= (low <= middle) & (middle <= high)
        if self.leaves:
            part_x, part_y = (box[2] - box[0]) / 10, (box[3] - box[1]) / 10
            beyond = (bottom > photo[0] + part_y) | (left < -part_x) | (right > photo[1] + part_x)
            inside &= beyond
        return inside


@dataclass(frozen=True)
class Plan:
    """How a cut-out is fitted for one try."""

    scale: float  # photo pixels a cut-out pixel
    angle: float  # degrees
    zone: Zone | None = None  # None: any offset


def real_metres(kind: str, category: str) -> float | None:
    """Longer side of such an object in metres; None if it does not suit `kind`, or the kind needs no size."""
    return _METRES.get(kind, {}).get(category)


def suits_by_name(kind: str, category: str) -> bool:
    """Whether things of a category suit a kind at all, at some size."""
    return kind not in _METRES or category in _METRES[kind]


def suits(kind: str, occluder: Occluder, person: Box, hidden: float) -> bool:
    """Whether a cut-out suits a kind by category and size.

    Args:
        kind: one of `KINDS`.
        occluder: the cut-out.
        person: the person's box.
        hidden: pixels to hide.
    """
    if kind not in _METRES:
        return True
    metres = real_metres(kind, occluder.category)
    if metres is None:
        return False
    longer_side = max(occluder.mask.shape)
    pixels = metres / PERSON_METRES * max(person[2] - person[0], person[3] - person[1])
    enough = occluder.mask.sum() * (1.4 * pixels / longer_side) ** 2 > 1.15 * hidden
    return bool(enough) and pixels < MOST_ENLARGED * longer_side


def draw_plan(kind: str, attempt: int, occluder: Occluder, person: Box, rng: np.random.Generator) -> Plan:
    """Size, turn and zone of a try for kinds with real sizes; later tries are nearer and larger.

    An object whose foot is d person heights below the feet (in front of them) appears larger by
    d / EYE_LEVEL: on flat ground, sizes grow in proportion to the distance below the horizon.

    Args:
        kind: "grounded", "ridden", "held" or "person_in_front".
        attempt: 0 for the first try.
        occluder: the cut-out.
        person: the person's box.
        rng: source of the draws.
    """
    x0, y0, x1, y1 = person
    unit = float(max(x1 - x0, y1 - y0))
    metres, longer_side = real_metres(kind, occluder.category) or 1.0, max(occluder.mask.shape)
    scale = metres / PERSON_METRES * unit / longer_side * np.exp(rng.normal(0, 0.12)) * 1.12**attempt
    if kind == "held":
        low, high = (-0.35, 0.3) if occluder.category in OVERHEAD else (0.15, 0.75)
        across = (x0 - 0.05 * unit, x1 + 0.05 * unit)
        zone = Zone(middle_x=across, middle_y=(y0 + low * unit, y0 + high * unit))
        return Plan(scale, rng.uniform(-30, 30), zone)
    if kind == "ridden":
        middle, reach = (x0 + x1) / 2, 0.2 * unit
        zone = Zone((y1 - 0.1 * unit, y1 + 0.12 * unit), (middle - reach, middle + reach))
        return Plan(scale, rng.uniform(-4, 4), zone)
    deep = 0.1 * attempt + 0.45 * rng.beta(1, 2)
    foot = y1 + deep * unit
    zone = Zone((foot - 0.06 * unit, foot + 0.06 * unit))
    return Plan(scale * (1 + deep / EYE_LEVEL), rng.uniform(-4, 4), zone)


def border_plan(plan: Plan, attempt: int, size: Sequence[int], person: Box, photo: tuple[int, int]) -> Plan:
    """Enlarges a plain plan until the cut-out (height, width) reaches from the person over a border."""
    x0, _y0, x1, y1 = person
    gaps = np.array([photo[0] - y1, x0, photo[1] - x1]) / np.array([size[0], size[1], size[1]])
    needed = 1.25 * float(gaps.min()) * 1.2**attempt
    return Plan(max(plan.scale, needed), plan.angle, Zone(leaves=True))
