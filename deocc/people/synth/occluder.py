"""Occluders: cut-outs of rendered things and people, with soft borders."""

from dataclasses import replace

import numpy as np

from deocc.people.folder import Occluder
from deocc.people.synth.character import build_character
from deocc.people.synth.mesh import Mesh
from deocc.people.synth.objects import KINDS, build_object
from deocc.people.synth.person import LICENCE, develop, draw_light, metered_gain
from deocc.people.synth.pose import unit
from deocc.people.synth.shading import Camera, cast_shadows, draw, resolve, shade

SUPERSAMPLING = 3
CATEGORIES = (*KINDS, "person")
PERSON_SHARE = 0.15
LONGER_SIDE = (110, 200)  # pixels
LARGE, LARGER_SIDE = ("picket fence", "railing", "bars", "tree", "post", "lamp", "ladder", "sign"), (160, 240)
FLAT = (
    "picket fence",
    "railing",
    "bars",
    "ladder",
    "cloth",
    "sign",
    "board",
    "barrier",
    "screen",
    "wall",
    "wheel",
)


def _draw_view(rng: np.random.Generator, mesh: Mesh, kind: str) -> tuple[Camera, tuple[int, int]]:
    """A camera that shows the whole mesh, and the height and width of its picture."""
    turn = (
        rng.normal(0, 22)
        if kind in FLAT
        else rng.normal(0, 50)
        if kind == "person"
        else rng.uniform(-180, 180)
    )
    yaw, pitch = np.radians(turn), np.radians(np.clip(rng.normal(8, 7), -5, 30))
    forward = -np.array([np.sin(yaw) * np.cos(pitch), -np.cos(yaw) * np.cos(pitch), np.sin(pitch)])
    right = unit(np.cross(forward, [0, 0, 1.0]))
    points = mesh.visible
    centre = (points.min(0) + points.max(0)) / 2
    distance = float(np.linalg.norm(np.ptp(points, axis=0))) * rng.uniform(1.3, 4)
    camera = Camera(
        centre - forward * distance, np.stack([right, np.cross(forward, right), forward]), 1.0, (0.0, 0.0)
    )
    spread = camera.project(points)[:, :2]
    extent = np.ptp(spread, axis=0)
    focal = float(rng.uniform(*(LARGER_SIDE if kind in LARGE else LONGER_SIDE)) / extent.max())
    width, height = (np.ceil(focal * extent) + 4).astype(int)
    corner = 2 - focal * spread.min(0)
    return Camera(camera.eye, camera.axes, focal, (corner[0], corner[1])), (int(height), int(width))


def render_occluder(seed: int, category: str | None = None) -> Occluder:
    """Renders a random thing or person, cut out; the same arguments give the same bytes on one machine.

    Args:
        seed: >= 0.
        category: one of `CATEGORIES`, or None for a random one.

    Returns:
        Occluder with image H x W x 3 uint8 (longer side about 110-240 pixels), mask, and soft alpha.
    """
    rng = np.random.default_rng([seed, 1])  # another stream than the person of this seed
    if category is None:
        category = "person" if rng.random() < PERSON_SHARE else str(rng.choice(list(KINDS)))
    mesh = build_character(rng)[0] if category == "person" else build_object(category, rng)
    camera, shape = _draw_view(rng, mesh, category)
    light = replace(draw_light(rng, camera), haze=0.0)  # close things
    fine = (shape[0] * SUPERSAMPLING, shape[1] * SUPERSAMPLING)
    wrinkles = (rng.uniform(0, 60), rng.uniform(0.014, 0.034), rng.normal(0, 0.5))
    view = camera.scaled(SUPERSAMPLING)
    drawn = draw(mesh, view, fine, wrinkles=wrinkles)
    colours = shade(drawn.fragments, view, light, cast_shadows([mesh], light))
    share = resolve(np.zeros((*shape, 3)), drawn.index, np.ones((len(colours), 3)))[..., 0]
    image = resolve(np.zeros((*shape, 3)), drawn.index, colours) / np.maximum(share, 1e-3)[..., None]
    photo = develop(image, rng, metered_gain(image[share > 0], rng), lens=False)
    photo[share == 0] = 0
    mask = share >= 0.5
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    crop = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    return Occluder(
        f"rendered_{category.replace(' ', '_')}_{seed:06d}",
        np.ascontiguousarray(photo[crop]),
        np.ascontiguousarray(mask[crop]),
        category,
        licence=LICENCE,
        alpha=(share[crop] * 255 + 0.5).astype(np.uint8),
    )
