"""`TrainingMix`: the random choices of the online training set."""

from dataclasses import dataclass

from deocc.checks import ANY, check_config
from deocc.errors import DeoccError
from deocc.occlusion.case import PasteOptions
from deocc.occlusion.placement import RatioDensity
from deocc.occlusion.priors import PLACEMENTS, Placement


@dataclass(frozen=True)
class TrainingMix:
    """What the online training set draws, case by case."""

    density: RatioDensity | str = "train"  # of occlusion ratios
    unoccluded: float = 0.04  # share of people with nothing in front
    second_occluder: float = 0.2  # share of cases with two occluders
    person_occluder: float = 0.25  # share of occluders that are other people
    true_mask: float = 0.25  # share of M_i that is the true visible mask
    box_mask: float = 0.05  # share of M_i that is only the visible mask's filled box
    segmented: float = 0.0  # share of M_i that a real segmenter makes from the occluded picture
    segmenter: str = "pose"  # which, see deocc.segmenters
    severity: tuple[float, float] = (0.2, 1.5)  # of the segmenter-error model, for the others
    frame_scale: tuple[float, float] = (1.4, 2.6)  # side of the frame over the box's longer side
    frame_shift: float = 0.2  # largest shift, in longer sides of the box
    rotation: float = 8.0  # largest turn of the frame, degrees
    stretch: float = 0.10  # largest log aspect change
    colour: float = 0.2  # strength of brightness, contrast and saturation jitter
    mirror: bool = True  # half of the items are mirrored, left and right labels swapped
    paste: PasteOptions = PasteOptions()
    placement: Placement = Placement()  # shares of where and how large occluders are
    behind: float = 0.0  # share of people with another thing or person pasted behind them
    degrade: float = 0.0  # share of items that are blurred, noised and JPEG-compressed as a whole
    cut: float = 0.0  # share of people whom the photo's border cuts
    neighbour: float = 0.0  # share of people with others beside or behind them
    counter: float = 0.0  # share of occluders that are tables or counters
    hand_mask: float = 0.0  # share of M_i that is the visible mask as drawn by hand
    swallow: float = 0.0  # share of the wrong M_i that take in a part of a neighbour, where there is one
    box_slack: float = 0.0  # deviation of the sides of box masks, in sides of the box

    def __post_init__(self) -> None:
        free = ("severity", "frame_scale", "frame_shift", "rotation", "stretch", "colour", "box_slack")
        check_config(self, "training mix", dict.fromkeys(free, (0, ANY)), others=(0, 1))


NATURAL_PASTE = PasteOptions(edge_spread=0.5, colour_match=0.9, match_sharpness=True, shadow=0.45)
"""Pasting that blends cut-outs into the photo."""

PLAIN = TrainingMix()
"""Plain pasting: occluders land anywhere."""

MIXES: dict[str, TrainingMix] = {
    "anywhere": PLAIN,
    "natural": TrainingMix(placement=PLACEMENTS["natural"], paste=NATURAL_PASTE, behind=0.25, degrade=0.4),
}
"""Named mixes: plain pasting, and occluders with the places, looks and sizes of real photos."""


def named_mix(name: str) -> TrainingMix:
    """One of `MIXES`. Raises: DeoccError: unknown name."""
    if name not in MIXES:
        raise DeoccError(f"training mix {name!r} is unknown; choose from {', '.join(MIXES)}")
    return MIXES[name]
