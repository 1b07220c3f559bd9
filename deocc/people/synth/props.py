"""Background objects of a scene, such as furniture or passers-by, placed from a stock of meshes."""

from functools import lru_cache

import numpy as np

from deocc.people.synth.character import build_character
from deocc.people.synth.household import chair
from deocc.people.synth.kit import Kit
from deocc.people.synth.mesh import Mesh, placed
from deocc.people.synth.objects import build_object
from deocc.people.synth.plants import bush
from deocc.people.synth.pose import Z_AXIS, unit
from deocc.people.synth.shading import Camera

VARIANTS = 5  # meshes a kind; tints, scales and views multiply them
FREQUENT: dict[str, dict[str, float]] = {
    "street": {
        "car": 3, "passer-by": 2, "leafy tree": 1.5, "post": 2, "sign": 1.5, "bicycle": 1,
        "bench": 0.7, "bucket": 1, "traffic cone": 0.4, "railing": 1, "carton": 0.4, "potted plant": 0.7,
        "barrier": 0.3,
    },
    "park": {
        "leafy tree": 4, "tree": 1, "bush": 2.5, "bench": 1, "passer-by": 1.2, "furry animal": 0.5,
        "bicycle": 0.5, "flowers": 0.8, "picket fence": 0.7, "post": 0.6,
    },
    "square": {
        "passer-by": 2.5, "leafy tree": 2, "post": 2, "bench": 1.2, "car": 1.2, "sign": 0.8,
        "bucket": 0.7, "umbrella": 0.6, "potted plant": 0.6, "table": 0.5, "chair": 0.7,
    },
    "room": {
        "chair": 2.5, "table": 1.5, "sofa": 1.5, "shelf": 1.5, "lamp": 1, "potted plant": 1.5,
        "carton": 0.8, "screen": 0.7, "suitcase": 0.4, "bag": 0.4, "passer-by": 0.4, "cloth": 0.5,
        "bucket": 0.4, "board": 0.3,
    },
    "studio": {
        "chair": 0.5, "carton": 0.5,
    },
    "beach": {
        "umbrella": 2, "board": 1, "passer-by": 1.5, "chair": 0.5, "balloons": 0.3, "bush": 0.5,
        "bag": 0.5,
    },
    "yard": {
        "bush": 2, "leafy tree": 1.5, "picket fence": 1, "railing": 0.8, "potted plant": 1.2,
        "bicycle": 0.8, "car": 0.8, "bucket": 0.8, "ladder": 0.4, "chair": 0.8, "flowers": 0.6,
        "furry animal": 0.4,
    },
}  # fmt: skip
COUNTS = {
    "street": (1, 6),
    "park": (3, 8),
    "square": (2, 7),
    "room": (1, 6),
    "studio": (0, 2),
    "beach": (0, 5),
    "yard": (2, 6),
}
FACING = (
    "shelf",
    "screen",
    "picket fence",
    "railing",
    "sofa",
    "cloth",
    "sign",
    "board",
)  # turn to the camera


@lru_cache(maxsize=160)
def _prop(kind: str, variant: int) -> Mesh:
    """A mesh that depends only on the arguments."""
    rng = np.random.default_rng([variant, *kind.encode()])
    if kind == "passer-by":
        while True:
            mesh, figure, _ = build_character(rng)
            if figure.pose.lift == 0 and not figure.pose.name.startswith("sit"):
                return mesh
    if kind == "leafy tree":
        kit = Kit(rng)
        bush(kit, trunk=True)
        return placed(kit.builder.build(), 0.0, np.zeros(3), rng.uniform(2.2, 4.5), np.ones(3))
    return build_object(kind, rng)


def _spot(rng: np.random.Generator, camera: Camera, size: int, near: float, far: float) -> np.ndarray:
    """A point on the ground that the camera sees, `near` to `far` metres along its view."""
    ahead = unit(camera.axes[2] * [1, 1, 0])
    depth = near + (far - near) * rng.random() ** 1.3
    pixel = rng.uniform(-0.1, 1.1) * size
    side = (pixel - camera.centre[0]) / camera.focal * depth
    point = camera.eye + ahead * depth + np.cross(ahead, Z_AXIS) * side
    return np.array([point[0], point[1], 0.0])


def draw_props(
    rng: np.random.Generator, scene_kind: str, camera: Camera, size: int, behind: float, room: float
) -> list[Mesh]:
    """Things for the background of a scene.

    Args:
        size: side of the picture in pixels.
        behind: depth at which the person ends; everything stands beyond it.
        room: metres behind that before a wall stands.
    """
    kinds = list(FREQUENT[scene_kind])
    odds = np.array([FREQUENT[scene_kind][kind] for kind in kinds])
    meshes = []
    for _ in range(rng.integers(*COUNTS[scene_kind])):
        kind = str(rng.choice(kinds, p=odds / odds.sum()))
        mesh = _prop(kind, int(rng.integers(VARIANTS * (2 if kind == "passer-by" else 1))))
        half = float(np.abs(mesh.vertices[:, :2]).max())
        if half + 0.1 > room and kind not in FACING:
            continue
        spot = _spot(rng, camera, size, behind + min(half, room) + 0.1, behind + max(room - 0.3, 0.3))
        toward = np.arctan2(-camera.axes[2, 0], camera.axes[2, 1])
        if kind == "car":  # parked along the street
            turn = toward + rng.choice([0, np.pi]) + rng.normal(0, 0.2)
        else:
            turn = toward + rng.normal(0, 0.25) if kind in FACING else rng.uniform(0, 2 * np.pi)
        tint = np.clip(rng.lognormal(0, 0.25) * rng.lognormal(0, 0.12, 3), 0.4, 1.8)
        meshes.append(
            placed(mesh, -turn, spot, rng.uniform(0.9, 1.15), tint if kind != "passer-by" else np.ones(3))
        )
    return meshes


def seat_under(rng: np.random.Generator, pelvis: np.ndarray) -> list[Mesh]:
    """A chair (two times of three; else nothing) below a person who sits with the pelvis at `pelvis`."""
    if rng.random() < 0.35:
        return []
    kit = Kit(rng)
    chair(kit, float(max(pelvis[2] - 0.13, 0.2)))
    return [placed(kit.builder.build(), 0.0, np.array([pelvis[0], pelvis[1] + 0.02, 0.0]), 1.0, np.ones(3))]
