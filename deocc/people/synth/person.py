"""One rendered person with exact image, parsing and amodal mask."""

import cv2
import numpy as np

from deocc.compiled import compiled
from deocc.people.folder import Person
from deocc.people.synth.character import build_character
from deocc.people.synth.pose import unit
from deocc.people.synth.raster import bounds, majority_labels
from deocc.people.synth.scene import draw_scene, render_scene
from deocc.people.synth.shading import Camera, Light, cast_shadows, draw, resolve, shade

SUPERSAMPLING = 2
SHARE = (0.46, 0.59)  # longer side of the person over the side of the picture; pixels round it to 0.45-0.60
LICENCE = "CC0 (rendered from CC0 MakeHuman data)"


def draw_camera(rng: np.random.Generator, points: np.ndarray, size: int, seated: bool) -> Camera:
    """A camera that shows N x 3 points at `SHARE` of the picture, whole, at a random place."""
    yaw = rng.normal(0, 40) if rng.random() < 0.65 else rng.uniform(-180, 180)
    if seated:
        yaw = np.clip(rng.normal(0, 45), -100, 100)
    yaw, pitch = np.radians(yaw), np.radians(np.clip(rng.normal(6, 6), -6, 24))
    forward = -np.array([np.sin(yaw) * np.cos(pitch), -np.cos(yaw) * np.cos(pitch), np.sin(pitch)])
    roll = np.radians(rng.normal(0, 1.5))
    right = unit(np.cross(forward, [0, 0, 1.0]))
    down = np.cross(forward, right)
    right, down = np.cos(roll) * right + np.sin(roll) * down, np.cos(roll) * down - np.sin(roll) * right
    axes = np.stack([right, down, forward])
    everywhere = np.zeros(len(points))
    centre = sum(bounds(points, everywhere)) / 2
    low, high = bounds(points @ axes.T, everywhere)
    distance = float((high - low)[:2].max() * rng.uniform(1.5, 4))
    camera = Camera(centre - forward * distance, axes, 1.0, (0.0, 0.0))
    low, high = (corner[:2] for corner in bounds(camera.project(points), everywhere))
    focal = rng.uniform(*SHARE) * size / (high - low).max()
    free = size - focal * (high - low) - 4
    corner = 2 + rng.uniform(0, 1, 2) * free
    return Camera(camera.eye, axes, focal, tuple(corner - focal * low))


def draw_light(rng: np.random.Generator, camera: Camera) -> Light:
    """Sun, lamp or overcast sky; the sun stands mostly behind the camera's shoulder."""
    facing = np.arctan2(-camera.axes[2, 0], camera.axes[2, 1])
    azimuth, elevation = facing + np.radians(rng.normal(0, 70)), np.radians(rng.uniform(22, 70))
    direction = np.array(
        [np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), np.sin(elevation)]
    )
    hard, warm = rng.uniform(0.15, 1.0), rng.normal(0, 0.06)
    key = np.array([1 + warm, 1.0, 1 - warm]) * 1.9 * hard
    sky = np.array([0.92, 0.98, 1.06]) * (1.12 - 0.6 * hard)
    ground = np.array([0.5, 0.45, 0.4]) * (0.9 - 0.4 * hard)
    return Light(
        direction, key, sky, ground, np.array([0.75, 0.8, 0.85]), float(rng.choice([0.0, 1 / 150, 1 / 60]))
    )


@compiled(fastmath=True)
def _finish(image: np.ndarray, grain: np.ndarray, contrast: float, vignette: float) -> np.ndarray:
    """Soft shoulder, sRGB curve bent into an S by `contrast` in [0, 1], darker corners, grain; -> uint8."""
    height, width = image.shape[:2]
    out = np.empty(image.shape, np.uint8)
    for j in range(height):
        for i in range(width):
            x, y = 2 * i / width - 1, 2 * j / height - 1
            dim = 1 - vignette * (x * x + y * y) / 2
            for k in range(3):
                value = max(image[j, i, k], 0.0)
                value = min(min(value / (1 + 0.30 * value) * 1.22, 1.0) ** (1 / 2.2), 1.0)
                value += contrast * (value * value * (3 - 2 * value) - value)
                out[j, i, k] = int(min(max(value * dim + grain[j, i, k], 0.0), 1.0) * 255 + 0.5)
    return out


def develop(image: np.ndarray, rng: np.random.Generator, gain: float, lens: bool = True) -> np.ndarray:
    """Linear RGB (H x W x 3 float32) to an 8-bit photo: exposure, white balance, tone curve, grain.

    Args:
        gain: exposure; lens: blur a little and darken the corners.
    """
    balance = rng.lognormal(0, 0.04, 3)  # of a camera that guesses the white
    image = image * (gain * balance).astype(np.float32)
    if lens and rng.random() < 0.6:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.25, 0.5))
    grain = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0.003, 0.014))
    return _finish(image, grain, rng.uniform(0.2, 1.0), rng.uniform(0, 0.2) * lens)


def metered_gain(values: np.ndarray, rng: np.random.Generator) -> float:
    """Exposure that brings the mean of linear values near middle grey, with a light meter's random error."""
    wanted = 0.24 * rng.lognormal(0, 0.32)
    return float(np.clip(wanted / (np.minimum(values, 1.2).mean() + 1e-6), 0.3, 2.5) ** 0.85)


def render_person(seed: int, size: int = 256) -> Person:
    """Renders a clothed person in a photo-like scene; the same seed gives the same bytes on one machine.

    Args:
        seed: >= 0; every choice derives from it.
        size: side of the square picture in pixels.

    Returns:
        Person with image size x size x 3 uint8 RGB, amodal mask, and parsing (0..19, no 255) whose left and
        right are the person's own. The person is whole, its longer side 45-60 % of the picture's, at a random
        place.
    """
    rng = np.random.default_rng(seed)
    mesh, figure, pelvis = build_character(rng)
    seated = figure.pose.name.startswith("sit")
    camera = draw_camera(rng, mesh.visible, size, seated)
    light = draw_light(rng, camera)
    wrinkles = (rng.uniform(0, 60), rng.uniform(0.014, 0.034), rng.normal(0, 0.5))
    fine = camera.scaled(SUPERSAMPLING)
    drawn = draw(mesh, fine, (size * SUPERSAMPLING, size * SUPERSAMPLING), wrinkles=wrinkles)
    shadows = cast_shadows([mesh], light)
    colours = shade(drawn.fragments, fine, light, shadows)
    scene = draw_scene(rng, camera, size, mesh, pelvis, seated)
    background = render_scene(scene, camera, size, light, mesh, shadows)
    background = cv2.GaussianBlur(background, (0, 0), rng.choice([0.5, 0.8, 1.3, 2.2]) * size / 256)
    image = resolve(background, drawn.index, colours)
    photo = develop(image, rng, metered_gain(image, rng))
    parsing = majority_labels(drawn.triangle, mesh.labels, SUPERSAMPLING)
    return Person(
        f"rendered_{seed:06d}",
        photo,
        parsing > 0,
        parsing,
        source="rendered",
        true_sides=True,
        licence=LICENCE,
    )
