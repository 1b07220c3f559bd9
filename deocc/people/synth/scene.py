"""Photo-like surroundings: sky, ground, walls, furniture and buildings, ray-traced as textured rectangles."""

from dataclasses import dataclass, field

import numpy as np
from numba import njit

from deocc.people.synth.materials import (
    ASPHALT, BRICK, CARPET, CURTAIN, FACADE, FOLIAGE, GRASS, LETTERS, PLAIN, PLANK, PLASTER, POSTER, SAND, SHELVES,
    SIDING, TILE, Material, cloth_colour, grey, hsv, linear,
)  # fmt: skip
from deocc.people.synth.noise import fractal, noise_volume, smoothstep
from deocc.people.synth.pose import Z_AXIS, rotation, unit
from deocc.people.synth.shading import Camera, Fragments, Light, Shadows, shade

KINDS = ("street", "park", "square", "room", "studio", "beach", "yard")
ODDS = (0.26, 0.17, 0.12, 0.22, 0.07, 0.05, 0.11)


@dataclass
class Scene:
    """Rectangles with materials around a person who stands at the origin.

    Attributes:
        kind: one of `KINDS`.
        planes: rows of origin 3, normal 3, u axis 3, v axis 3, u and v bounds 4; materials: a row each.
        sky: two RGB colours (horizon, zenith), cloud cover and noise phase, 8 numbers.
        skyline: height (tangent of elevation), roughness, phase and RGB of distant woods or houses, 6 numbers.
    """

    kind: str
    planes: list[np.ndarray] = field(default_factory=list)
    materials: list[np.ndarray] = field(default_factory=list)
    sky: np.ndarray = field(default_factory=lambda: np.zeros(8))
    skyline: np.ndarray = field(default_factory=lambda: np.zeros(6))

    def plane(
        self,
        origin: np.ndarray,
        normal: np.ndarray,
        u_axis: np.ndarray,
        v_axis: np.ndarray,
        material: Material,
        bounds: tuple[float, float, float, float] = (-60.0, 60.0, -60.0, 60.0),
    ) -> None:
        """Adds a rectangle: origin + u * u_axis + v * v_axis for (u0, u1, v0, v1) = bounds."""
        self.planes.append(np.concatenate([origin, normal, u_axis, v_axis, bounds]))
        self.materials.append(material.row())

    def box(self, foot: np.ndarray, turn: float, size: tuple[float, float, float], side: Material, top: Material) -> None:
        """Adds a box standing at `foot`, turned by `turn` radians about z; size along its axes and up."""
        ahead = np.array([np.cos(turn), np.sin(turn), 0.0])
        across = np.cross(Z_AXIS, ahead)
        width, depth, height = size
        for normal, axis, reach, half in (
            (ahead, across, width, depth / 2), (-ahead, across, width, depth / 2),
            (across, ahead, depth, width / 2), (-across, ahead, depth, width / 2),
        ):  # fmt: skip
            self.plane(foot + normal * reach / 2, normal, axis, Z_AXIS, side, (-half, half, 0, height))
        bounds = (-width / 2, width / 2, -depth / 2, depth / 2)
        self.plane(foot + Z_AXIS * height, Z_AXIS, ahead, across, top, bounds)


@njit(cache=True, fastmath=True)
def _trace(eye: np.ndarray, axes: np.ndarray, focal: float, cx: float, cy: float, planes: np.ndarray,
           nearest: np.ndarray, hit: np.ndarray) -> None:
    """Nearest rectangle per pixel: 1 / depth and its number (-1 = none)."""
    height, width = hit.shape
    for j in range(height):
        for i in range(width):
            px, py = (i + 0.5 - cx) / focal, (j + 0.5 - cy) / focal
            dx = px * axes[0, 0] + py * axes[1, 0] + axes[2, 0]
            dy = px * axes[0, 1] + py * axes[1, 1] + axes[2, 1]
            dz = px * axes[0, 2] + py * axes[1, 2] + axes[2, 2]
            best = 1e9
            for k in range(planes.shape[0]):
                p = planes[k]
                slope = dx * p[3] + dy * p[4] + dz * p[5]
                if abs(slope) < 1e-7:
                    continue
                t = ((p[0] - eye[0]) * p[3] + (p[1] - eye[1]) * p[4] + (p[2] - eye[2]) * p[5]) / slope
                if t <= 0.05 or t >= best:
                    continue
                x, y, z = eye[0] + t * dx - p[0], eye[1] + t * dy - p[1], eye[2] + t * dz - p[2]
                u = x * p[6] + y * p[7] + z * p[8]
                v = x * p[9] + y * p[10] + z * p[11]
                if p[12] < u < p[13] and p[14] < v < p[15]:
                    best = t
                    hit[j, i] = k
            nearest[j, i] = 1 / best if hit[j, i] >= 0 else 0.0


@njit(cache=True, fastmath=True)
def _plane_points(eye: np.ndarray, axes: np.ndarray, focal: float, cx: float, cy: float, planes: np.ndarray,
                  rows: np.ndarray, columns: np.ndarray, nearest: np.ndarray, hit: np.ndarray) -> np.ndarray:
    """Position 3, normal 3, uv 2 and edge distance 1 of each pixel's rectangle, N x 9."""
    out = np.empty((rows.shape[0], 9))
    for i in range(rows.shape[0]):
        j, c = rows[i], columns[i]
        p = planes[hit[j, c]]
        px, py, t = (c + 0.5 - cx) / focal, (j + 0.5 - cy) / focal, 1 / nearest[j, c]
        facing = 0.0
        for k in range(3):
            step = t * (px * axes[0, k] + py * axes[1, k] + axes[2, k])
            out[i, k] = eye[k] + step
            facing -= step * p[3 + k]
        for k in range(3):
            out[i, 3 + k] = p[3 + k] if facing > 0 else -p[3 + k]
        u, v = 0.0, 0.0
        for k in range(3):
            u += (out[i, k] - p[k]) * p[6 + k]
            v += (out[i, k] - p[k]) * p[9 + k]
        out[i, 6], out[i, 7] = u, v
        out[i, 8] = min(min(u - p[12], p[13] - u), min(v - p[14], p[15] - v))
    return out


@njit(cache=True, fastmath=True)
def _sky(volume: np.ndarray, axes: np.ndarray, focal: float, cx: float, cy: float, sky: np.ndarray, line: np.ndarray,
         rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """Sky gradient with clouds, and a distant skyline, N x 3."""
    out = np.empty((rows.shape[0], 3))
    for i in range(rows.shape[0]):
        px, py = (columns[i] + 0.5 - cx) / focal, (rows[i] + 0.5 - cy) / focal
        dx = px * axes[0, 0] + py * axes[1, 0] + axes[2, 0]
        dy = px * axes[0, 1] + py * axes[1, 1] + axes[2, 1]
        dz = px * axes[0, 2] + py * axes[1, 2] + axes[2, 2]
        level = np.sqrt(dx * dx + dy * dy) + 1e-9
        slope = dz / level
        azimuth = np.arctan2(dy, dx)
        top = line[0] * (1 + line[1] * fractal(volume, azimuth * 4 + line[2], line[2], 0.3, 4))
        if line[0] > 0 and slope < top:
            texture = 1 + 0.2 * fractal(volume, azimuth * 40, slope * 40, line[2], 3)
            for k in range(3):
                out[i, k] = line[3 + k] * max(texture, 0.2)
            continue
        lift = abs(dz) + 0.15 * level
        cloud = smoothstep(-0.3, 1.2, fractal(volume, 0.7 * dx / lift + sky[7], 0.7 * dy / lift + sky[7], sky[7], 4))
        rise = smoothstep(0.0, 0.6, slope)
        for k in range(3):
            clear = sky[k] + (sky[3 + k] - sky[k]) * rise
            out[i, k] = clear + (0.9 - clear) * cloud * sky[6]
    return out


def contact_shadow(points: np.ndarray, spots: np.ndarray) -> np.ndarray:
    """Darkening of the ground at N x 3 points by things close above it (M x 3 vertices); N in [0.25, 1]."""
    low = spots[spots[:, 2] < 0.5]
    if not len(low):
        return np.ones(len(points))
    cells, margin = 56, 0.35
    origin = low[:, :2].min(0) - margin
    scale = cells / float((low[:, :2].max(0) + margin - origin).max())
    grid = np.zeros((cells, cells))
    index = ((low[:, :2] - origin) * scale).astype(int)
    np.maximum.at(grid, (index[:, 1], index[:, 0]), np.exp(-low[:, 2] / 0.1))
    from scipy.ndimage import gaussian_filter

    grid = np.clip(gaussian_filter(grid, 0.045 * scale) + 0.8 * gaussian_filter(grid, 0.14 * scale), 0, 1)
    place = ((points[:, :2] - origin) * scale).astype(int)
    inside = (place >= 0).all(1) & (place < cells).all(1) & (points[:, 2] < 0.05)
    shadow = np.zeros(len(points))
    shadow[inside] = grid[place[inside, 1], place[inside, 0]]
    return 1 - 0.75 * shadow


def render_scene(
    scene: Scene, camera: Camera, size: int, light: Light, shadows: Shadows, feet: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Linear RGB (size x size x 3) and 1 / depth (size x size; 0 = sky) of a scene.

    Args:
        feet: M x 3 vertices of the person, for the contact shadow.
    """
    planes = np.stack(scene.planes)
    nearest, hit = np.zeros((size, size)), np.full((size, size), -1, np.int32)
    view = (camera.axes, camera.focal, *camera.centre)
    _trace(camera.eye, *view, planes, nearest, hit)
    image = np.zeros((size, size, 3))
    rows, columns = np.nonzero(hit < 0)
    image[rows, columns] = _sky(noise_volume(), *view, scene.sky, scene.skyline, rows, columns)
    rows, columns = np.nonzero(hit >= 0)
    at = _plane_points(camera.eye, *view, planes, rows, columns, nearest, hit)
    position = at[:, :3].copy()
    fragments = Fragments(
        position, at[:, 3:6].copy(), position, at[:, 6:8].copy(), at[:, 8].copy(), contact_shadow(position, feet),
        hit[rows, columns], np.stack(scene.materials),
    )  # fmt: skip
    image[rows, columns] = shade(fragments, camera.eye, light, shadows, radius=3)
    return image, nearest


def _ground_material(kind: str, rng: np.random.Generator) -> Material:
    phase = rng.uniform(0, 50)
    stone = hsv(rng.uniform(0.02, 0.15), rng.uniform(0, 0.25), rng.uniform(0.35, 0.75))
    asphalt = Material(ASPHALT, grey(rng.uniform(0.28, 0.55)), grey(0.12), phase=phase, extra=rng.uniform(0, 1))
    tiles = Material(TILE, stone, tuple(0.5 * c for c in stone), phase=phase, duty=rng.choice([0.25, 0.4, 0.6]))
    grass = Material(
        GRASS, hsv(rng.uniform(0.2, 0.3), rng.uniform(0.35, 0.65), rng.uniform(0.25, 0.45)),
        hsv(0.13, 0.4, rng.uniform(0.35, 0.6)), phase=phase,
    )  # fmt: skip
    sand = Material(SAND, hsv(rng.uniform(0.07, 0.12), rng.uniform(0.15, 0.45), rng.uniform(0.45, 0.85)), phase=phase)
    wood = Material(PLANK, hsv(rng.uniform(0.05, 0.1), rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.7)), grey(0.1), phase=phase)
    carpet = Material(
        CARPET, cloth_colour(rng), cloth_colour(rng), frequency=rng.uniform(10, 50), phase=phase, duty=rng.choice([0, 0, 1])
    )
    plain = Material(PLASTER, linear(np.full(3, rng.uniform(0.35, 0.92)) + rng.normal(0, 0.02, 3)), phase=phase)
    options = {
        "street": (asphalt, tiles, tiles), "square": (asphalt, tiles, tiles), "park": (grass, grass, sand, asphalt),
        "room": (wood, wood, tiles, carpet, plain), "studio": (plain,), "beach": (sand,),
        "yard": (grass, asphalt, wood, tiles),
    }[kind]  # fmt: skip
    return options[rng.integers(len(options))]


def _wall_material(kind: str, rng: np.random.Generator) -> Material:
    phase = rng.uniform(0, 50)
    paint = hsv(rng.random(), rng.choice([0, 0.05, 0.12, 0.3]), rng.uniform(0.3, 0.95))
    plaster = Material(PLASTER, paint, phase=phase)
    brick = Material(
        BRICK, hsv(rng.uniform(0.01, 0.08), rng.uniform(0.2, 0.6), rng.uniform(0.35, 0.8)), grey(rng.uniform(0.4, 0.75)),
        phase=phase,
    )  # fmt: skip
    front = Material(
        FACADE, hsv(rng.uniform(0, 0.15), rng.uniform(0, 0.4), rng.uniform(0.4, 0.9)), grey(rng.choice([0.15, 0.8])),
        third=hsv(0.6, rng.uniform(0, 0.3), rng.uniform(0.12, 0.45)), phase=phase, duty=rng.uniform(0.4, 0.9),
    )  # fmt: skip
    siding = Material(rng.choice([SIDING, PLANK]), paint, tuple(0.4 * c for c in paint), phase=phase)
    tiles = Material(TILE, paint, grey(0.7), phase=phase, duty=rng.choice([0.15, 0.3]))
    hedge = Material(FOLIAGE, hsv(rng.uniform(0.2, 0.36), 0.5, rng.uniform(0.2, 0.45)), hsv(0.2, 0.5, 0.6), phase=phase)
    shelves = Material(SHELVES, paint, hsv(0.07, 0.5, rng.uniform(0.2, 0.6)), phase=phase)
    curtain = Material(CURTAIN, cloth_colour(rng), frequency=rng.uniform(20, 60), phase=phase)
    options = {
        "street": (plaster, brick, front, front, front, siding), "square": (front, front, plaster),
        "room": (plaster, plaster, plaster, tiles, brick, shelves, curtain), "studio": (plaster,),
        "yard": (brick, siding, hedge, hedge, plaster), "park": (hedge,), "beach": (plaster,),
    }[kind]  # fmt: skip
    return options[rng.integers(len(options))]


def _add_wall(scene: Scene, rng: np.random.Generator, foot: np.ndarray, ahead: np.ndarray, height: float) -> None:
    """A wall across the view with doors, windows, posters and a skirting board."""
    normal = -(rotation(Z_AXIS, rng.normal(0, 16)) @ ahead)
    along = np.cross(Z_AXIS, normal)
    material = _wall_material(scene.kind, rng)
    scene.plane(foot, normal, along, Z_AXIS, material, (-40, 40, 0, height))
    if scene.kind == "studio" or material.pattern in (FACADE, FOLIAGE, SHELVES, CURTAIN):
        return
    for _ in range(rng.integers(0, 5)):
        left, low = rng.uniform(-3, 2.4), float(rng.choice([0, rng.uniform(0.6, 1.4)]))
        width, tall = rng.uniform(0.4, 1.4), rng.uniform(0.4, 1.4) if low else 2.05
        pattern = int(rng.choice([PLAIN, POSTER, POSTER, LETTERS, PLANK, SHELVES, FACADE]))
        picture = Material(
            pattern, cloth_colour(rng), cloth_colour(rng), cloth_colour(rng), rng.uniform(8, 30), rng.uniform(0, 50),
            specular=0.1,
        )  # fmt: skip
        frame = Material(PLAIN, grey(rng.choice([0.1, 0.3, 0.85])))
        bounds = (left, left + width, low, low + tall)
        wider = (left - 0.04, left + width + 0.04, max(low - 0.04, 0), low + tall + 0.04)
        scene.plane(foot + normal * 0.02, normal, along, Z_AXIS, frame, wider)
        scene.plane(foot + normal * 0.03, normal, along, Z_AXIS, picture, bounds)
    skirting = Material(PLAIN, tuple(0.6 * c for c in material.colour))
    scene.plane(foot + normal * 0.015, normal, along, Z_AXIS, skirting, (-40, 40, 0, 0.1))


def _add_boxes(scene: Scene, rng: np.random.Generator, ahead: np.ndarray, right: np.ndarray) -> None:
    """Furniture in rooms, houses and stalls outdoors."""
    outdoors = scene.kind in ("street", "park", "square", "beach", "yard")
    for _ in range(rng.integers(1, 6)):
        distance = rng.uniform(5, 30) if outdoors else rng.uniform(0.6, 3)
        foot = ahead * distance + right * rng.uniform(-1, 1) * (1 + 0.6 * distance)
        house = outdoors and distance > 12
        if house:
            size = (rng.uniform(5, 12), rng.uniform(5, 12), rng.uniform(3, 14))
            side = _wall_material("square", rng)
        elif outdoors:
            size = (rng.uniform(0.4, 2), rng.uniform(0.4, 2), rng.uniform(0.4, 2.2))
            side = _wall_material("yard", rng)
        else:
            size = (rng.uniform(0.3, 1), rng.uniform(0.3, 0.7), rng.uniform(0.3, 1.8))
            colour = cloth_colour(rng)
            side = Material(int(rng.choice([PLAIN, PLANK, PLANK, SHELVES, POSTER])), colour, tuple(0.5 * c for c in colour),
                            phase=rng.uniform(0, 50))  # fmt: skip
        scene.box(foot, rng.uniform(0, 3.14), size, side, Material(PLASTER, tuple(0.8 * c for c in side.colour)))


def draw_scene(rng: np.random.Generator, camera: Camera, seat: np.ndarray | None) -> Scene:
    """A random scene around a person at the origin. Args: seat: 3, top of what the person sits on, or None."""
    scene = Scene(str(rng.choice(KINDS, p=ODDS)))
    ahead = unit(camera.axes[2] * [1, 1, 0])
    right = np.cross(ahead, Z_AXIS)
    zenith = hsv(rng.normal(0.58, 0.03), rng.uniform(0.1, 0.6), rng.uniform(0.55, 0.95))
    horizon = hsv(rng.normal(0.57, 0.06), rng.uniform(0, 0.2), rng.uniform(0.75, 1))
    scene.sky = np.array([*horizon, *zenith, rng.uniform(0, 1), rng.uniform(0, 50)])
    if scene.kind in ("park", "square", "street", "yard") or rng.random() < 0.3:
        far = hsv(rng.uniform(0.2, 0.4) if rng.random() < 0.6 else rng.uniform(0.55, 0.65), 0.35, rng.uniform(0.15, 0.5))
        hazy = rng.uniform(0.1, 0.7)
        far = tuple((1 - hazy) * f + hazy * 0.8 * h for f, h in zip(far, horizon, strict=True))
        scene.skyline = np.array([rng.uniform(0.02, 0.3), rng.uniform(0.15, 0.5), rng.uniform(0, 50), *far])
    turn = rng.uniform(0, 2 * np.pi)
    first = np.array([np.cos(turn), np.sin(turn), 0.0])
    scene.plane(np.zeros(3), Z_AXIS, first, np.cross(Z_AXIS, first), _ground_material(scene.kind, rng))
    if scene.kind in ("street", "room", "studio", "yard"):
        distance = rng.uniform(1.2, 7) if scene.kind in ("street", "yard") else rng.uniform(0.7, 2.8)
        height = 3.2 if scene.kind == "room" else rng.uniform(1.5, 2.5) if scene.kind == "yard" else 20.0
        _add_wall(scene, rng, ahead * distance, ahead, height)
    if scene.kind != "studio":
        _add_boxes(scene, rng, ahead, right)
    if seat is not None:
        colour = tuple(0.6 * c + 0.03 for c in cloth_colour(rng))
        side = Material(int(rng.choice([PLAIN, PLANK, TILE])), colour, tuple(0.6 * c for c in colour), duty=0.3)
        foot = np.array([seat[0], seat[1] + 0.06, 0.0])
        scene.box(foot, 0.0, (rng.uniform(0.32, 0.6), rng.uniform(0.3, 0.42), seat[2]), side, side)
    return scene
