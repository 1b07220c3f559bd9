"""One rendered person with exact image, parsing and amodal mask."""

import numpy as np
from scipy.ndimage import gaussian_filter

from deocc.people.folder import Person
from deocc.people.synth.figure import Figure, draw_figure
from deocc.people.synth.garments import draw_outfit, dress
from deocc.people.synth.head import add_head
from deocc.people.synth.mesh import Mesh
from deocc.people.synth.pose import draw_pose, unit
from deocc.people.synth.raster import majority_labels
from deocc.people.synth.scene import draw_scene, render_scene
from deocc.people.synth.shading import Camera, Light, cast_shadows, draw, shade

SUPERSAMPLING = 2
SHARE = (0.46, 0.59)  # longer side of the person over the side of the picture; pixels round it to 0.45-0.60
LICENCE = "CC0 (rendered from CC0 MakeHuman data)"


def build_person(rng: np.random.Generator) -> tuple[Mesh, Figure]:
    """A random clothed person standing on z = 0 (or jumping above it)."""
    pose = draw_pose(rng)
    figure = draw_figure(rng, pose)
    outfit = draw_outfit(rng, figure.female, pose, figure.asset.suit.arm_lengths[1])
    dress(figure, outfit)
    add_head(figure, outfit)
    mesh = figure.mesh.build()
    lowest = mesh.visible[:, 2].min()
    mesh.vertices[:, 2] += pose.lift - lowest
    figure.skeleton.position[:, 2] += pose.lift - lowest
    return mesh, figure


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
    centre = (points.min(0) + points.max(0)) / 2
    distance = float(np.ptp((points - centre) @ axes.T, axis=0)[:2].max() * rng.uniform(1.5, 4))
    camera = Camera(centre - forward * distance, axes, 1.0, (0.0, 0.0))
    spread = camera.project(points)[:, :2]
    low, high = spread.min(0), spread.max(0)
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
    return Light(direction, key, sky, ground, np.array([0.75, 0.8, 0.85]), float(rng.choice([0.0, 1 / 150, 1 / 60])))


def tone_curve(image: np.ndarray, contrast: float = 1.0) -> np.ndarray:
    """Linear RGB to sRGB in [0, 1] with a soft shoulder."""
    return np.clip(np.clip(image / (1 + 0.30 * image) * 1.22, 0, None) ** contrast, 0, 1) ** (1 / 2.2)


def develop(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Linear RGB to an 8-bit photo: metered exposure, soft shoulder, lens blur, vignette, grain."""
    size = image.shape[0]
    metered = 0.26 * rng.lognormal(0, 0.18) / (np.minimum(image, 1.2).mean() + 1e-6)
    image = image * np.clip(metered, 0.5, 2.2) ** 0.8
    if rng.random() < 0.6:
        image = gaussian_filter(image, (*[rng.uniform(0.2, 0.5)] * 2, 0))
    photo = tone_curve(image, rng.uniform(1.0, 1.15))
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
    photo *= (1 - rng.uniform(0, 0.12) * (x * x + y * y) / 2)[..., None]
    photo += rng.normal(0, rng.uniform(0.003, 0.014), photo.shape)
    return (np.clip(photo, 0, 1) * 255 + 0.5).astype(np.uint8)


def _composite(background: np.ndarray, drawn: np.ndarray, colours: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    factor = drawn.shape[0] // background.shape[0]
    size = background.shape[0]
    fine = background.repeat(factor, 0).repeat(factor, 1)
    fine[rows, columns] = colours
    return fine.reshape(size, factor, size, factor, 3).mean((1, 3))


def render_person(seed: int, size: int = 256) -> Person:
    """Renders a random clothed person in a photo-like scene; the same seed gives the same bytes on one machine.

    Args:
        seed: >= 0; every choice derives from it.
        size: side of the square picture in pixels.

    Returns:
        Person with image size x size x 3 uint8 RGB, amodal mask, and parsing (0..19, no 255) whose left and right
        are the person's own. The person is whole, its longer side 45-60 % of the picture's, at a random place.
    """
    rng = np.random.default_rng(seed)
    mesh, figure = build_person(rng)
    seated = figure.pose.name.startswith("sit")
    camera = draw_camera(rng, mesh.visible, size, seated)
    light = draw_light(rng, camera)
    shadows = cast_shadows([mesh], light)
    wrinkles = (rng.uniform(0, 60), rng.uniform(0.014, 0.034), rng.normal(0, 0.5))
    grid = (size * SUPERSAMPLING, size * SUPERSAMPLING)
    drawn = draw(mesh, camera.scaled(SUPERSAMPLING), grid, wrinkles=wrinkles)
    colours = shade(drawn.fragments, camera.eye, light, shadows)
    seat = figure.skeleton.position[0] + [0, 0.02, -0.11] if seated else None
    scene = draw_scene(rng, camera, seat)
    background, _ = render_scene(scene, camera, size, light, shadows, mesh.visible)
    background = gaussian_filter(background, (*[rng.choice([0.45, 0.8, 1.4, 2.4])] * 2, 0))
    photo = develop(_composite(background, drawn.triangle, colours, drawn.rows, drawn.columns), rng)
    parsing = majority_labels(drawn.triangle, mesh.labels, SUPERSAMPLING)
    return Person(
        f"rendered_{seed:06d}", photo, parsing > 0, parsing, source="rendered", true_sides=True, licence=LICENCE
    )
