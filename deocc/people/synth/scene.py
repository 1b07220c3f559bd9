"""Photo-like surroundings: sky, ground, walls, furniture and buildings, ray-traced as textured rectangles."""

from dataclasses import dataclass, field

import cv2
import numpy as np

from deocc.compiled import compiled
from deocc.people.synth.materials import (
    ASPHALT,
    BRICK,
    CARPET,
    CURTAIN,
    FACADE,
    FOLIAGE,
    GRASS,
    LETTERS,
    PLAIN,
    PLANK,
    PLASTER,
    POSTER,
    SAND,
    SHELVES,
    SIDING,
    TILE,
    Material,
    cloth_colour,
    grey,
    hsv,
    linear,
)  # fmt: skip
from deocc.people.synth.mesh import Mesh, merged
from deocc.people.synth.noise import fractal, noise_volume, smoothstep
from deocc.people.synth.pose import Z_AXIS, rotation, unit
from deocc.people.synth.props import draw_props, seat_under
from deocc.people.synth.raster import bounds, pixels
from deocc.people.synth.shading import (
    Camera,
    Fragments,
    Light,
    Shadows,
    cast_shadows,
    draw,
    joined_shadows,
    shade,
)

KINDS = ("street", "park", "square", "room", "studio", "beach", "yard")
ODDS = (0.26, 0.17, 0.12, 0.22, 0.07, 0.05, 0.11)


@dataclass
class Scene:
    """Rectangles with materials around a person who stands at the origin.

    Attributes:
        kind: one of `KINDS`.
        planes: rows of origin 3, normal 3, u axis 3, v axis 3, u and v bounds 4; materials: a row each.
        sky: two RGB colours (horizon, zenith), cloud cover and noise phase, 8 numbers.
        skyline: height (tangent of elevation), roughness, phase and RGB of distant hills, 6 numbers.
        props: meshes of things and passers-by.
    """

    kind: str
    planes: list[np.ndarray] = field(default_factory=list)
    materials: list[np.ndarray] = field(default_factory=list)
    sky: np.ndarray = field(default_factory=lambda: np.zeros(8))
    skyline: np.ndarray = field(default_factory=lambda: np.zeros(6))
    props: list[Mesh] = field(default_factory=list)

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

    def box(
        self, foot: np.ndarray, turn: float, size: tuple[float, float, float], side: Material, top: Material
    ) -> None:
        """Adds a box standing at `foot`, turned by `turn` radians about z; size along its axes and up."""
        ahead = np.array([np.cos(turn), np.sin(turn), 0.0])
        across = np.cross(Z_AXIS, ahead)
        width, depth, height = size
        for normal, axis, reach, half in (
            (ahead, across, width, depth / 2),
            (-ahead, across, width, depth / 2),
            (across, ahead, depth, width / 2),
            (-across, ahead, depth, width / 2),
        ):
            self.plane(foot + normal * reach / 2, normal, axis, Z_AXIS, side, (-half, half, 0, height))
        bounds = (-width / 2, width / 2, -depth / 2, depth / 2)
        self.plane(foot + Z_AXIS * height, Z_AXIS, ahead, across, top, bounds)


@compiled(fastmath=True)
def _trace(
    eye: np.ndarray,
    axes: np.ndarray,
    focal: float,
    cx: float,
    cy: float,
    planes: np.ndarray,
    nearest: np.ndarray,
    hit: np.ndarray,
) -> None:
    """Nearest rectangle per pixel: 1 / depth and its number (-1 = none).

    Along the ray of pixel offsets (px, py), the slope against a normal, u and v are linear in px and py.
    """
    height, width = hit.shape
    count = planes.shape[0]
    linear = np.zeros((count, 12))  # per plane: 3 x (right, down, forward, eye) for normal, u and v
    for k in range(count):
        for a in range(3):
            for c in range(3):
                part = planes[k, 3 + 3 * a + c]
                linear[k, 4 * a + 3] += (eye[c] - planes[k, c]) * part
                for row in range(3):
                    linear[k, 4 * a + row] += axes[row, c] * part
    for j in range(height):
        py = (j + 0.5 - cy) / focal
        for i in range(width):
            px = (i + 0.5 - cx) / focal
            best, which = 1e9, -1
            for k in range(count):
                slope = px * linear[k, 0] + py * linear[k, 1] + linear[k, 2]
                t = -linear[k, 3] / slope if abs(slope) > 1e-7 else -1.0
                if t <= 0.05 or t >= best:
                    continue
                u = linear[k, 7] + t * (px * linear[k, 4] + py * linear[k, 5] + linear[k, 6])
                v = linear[k, 11] + t * (px * linear[k, 8] + py * linear[k, 9] + linear[k, 10])
                if planes[k, 12] < u < planes[k, 13] and planes[k, 14] < v < planes[k, 15]:
                    best, which = t, k
            hit[j, i] = which
            nearest[j, i] = 1 / best if which >= 0 else 0.0


@compiled(fastmath=True)
def _plane_points(
    eye: np.ndarray,
    axes: np.ndarray,
    focal: float,
    cx: float,
    cy: float,
    planes: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    nearest: np.ndarray,
    hit: np.ndarray,
) -> np.ndarray:
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
        out[i, 8] = min(u - p[12], p[13] - u, v - p[14], p[15] - v)
    return out


@compiled(fastmath=True)
def _sky(
    volume: np.ndarray,
    axes: np.ndarray,
    focal: float,
    cx: float,
    cy: float,
    sky: np.ndarray,
    line: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
) -> np.ndarray:
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
        top = line[0] * (1 + line[1] * fractal(volume, azimuth * 4 + line[2], line[2], 0.3, 4.0))
        if line[0] > 0 and slope < top:
            texture = 1 + 0.2 * fractal(volume, azimuth * 40, slope * 40, line[2], 3.0)
            for k in range(3):
                out[i, k] = line[3 + k] * max(texture, 0.2)
            continue
        lift = abs(dz) + 0.15 * level
        cloud = smoothstep(
            -0.3, 1.2, fractal(volume, 0.7 * dx / lift + sky[7], 0.7 * dy / lift + sky[7], sky[7], 4.0)
        )
        rise = smoothstep(0.0, 0.6, slope)
        for k in range(3):
            clear = sky[k] + (sky[3 + k] - sky[k]) * rise
            out[i, k] = clear + (0.9 - clear) * cloud * sky[6]
    return out


@compiled(fastmath=True)
def _splat(spots: np.ndarray, origin: np.ndarray, scale: float, cells: int) -> np.ndarray:
    """How close to the ground the lowest thing above each cell is: 1 = touching, falling to 0 over 0.1 m."""
    grid = np.zeros((cells, cells))
    for i in range(spots.shape[0]):
        if spots[i, 2] < 0.5:
            row, column = int((spots[i, 1] - origin[1]) * scale), int((spots[i, 0] - origin[0]) * scale)
            grid[row, column] = max(grid[row, column], np.exp(-max(spots[i, 2], 0.0) / 0.1))
    return grid


@compiled(fastmath=True)
def _darken(
    points: np.ndarray, grid: np.ndarray, origin: np.ndarray, scale: float, open_sky: np.ndarray
) -> None:
    for i in range(points.shape[0]):
        if points[i, 2] > 0.05:
            continue
        row, column = int((points[i, 1] - origin[1]) * scale), int((points[i, 0] - origin[0]) * scale)
        if (
            points[i, 1] > origin[1]
            and points[i, 0] > origin[0]
            and row < grid.shape[0]
            and column < grid.shape[1]
        ):
            open_sky[i] = min(open_sky[i], 1 - 0.75 * grid[row, column])


def contact_shadow(points: np.ndarray, spots: np.ndarray, open_sky: np.ndarray, cells: int = 56) -> None:
    """Darkens the ground close below things, in place.

    Args:
        points: N x 3 points of the scene; spots: M x 3 vertices of a thing.
        open_sky: N, share of the sky that each point sees, in [0, 1].
    """
    low, high = bounds(spots, 0.5 - spots[:, 2])
    if not np.isfinite(low).all():
        return
    origin = low[:2] - 0.35
    scale = (cells - 1e-6) / float((high[:2] + 0.35 - origin).max())
    grid = _splat(spots, origin, scale, cells)
    near, wide = (cv2.GaussianBlur(grid, (0, 0), max(radius * scale, 0.3)) for radius in (0.045, 0.14))
    _darken(points, np.clip(near + 0.8 * wide, 0, 1), origin, scale, open_sky)


def render_scene(
    scene: Scene, camera: Camera, size: int, light: Light, person: Mesh, person_shadow: Shadows
) -> np.ndarray:
    """Linear RGB (size x size x 3 float64) of a scene with the person's shadow but without the person."""
    shadows, props = person_shadow, merged(scene.props) if scene.props else None
    if props:
        shadows = joined_shadows(person_shadow, cast_shadows([props], light))
    planes = np.stack(scene.planes)
    nearest, hit = np.zeros((size, size)), np.full((size, size), -1, np.int32)
    view = (camera.axes, camera.focal, *camera.centre)
    _trace(camera.eye, *view, planes, nearest, hit)
    image = np.zeros((size, size, 3))
    rows, columns = pixels(hit < 0)
    image[rows, columns] = _sky(noise_volume(), *view, scene.sky, scene.skyline, rows, columns)
    if props:
        drawn = draw(props, camera, (size, size), nearest)
        image[drawn.rows, drawn.columns] = shade(drawn.fragments, camera, light, shadows, radius=1)
        hit[drawn.rows, drawn.columns] = -1
    rows, columns = pixels(hit >= 0)
    at = _plane_points(camera.eye, *view, planes, rows, columns, nearest, hit)
    position = at[:, :3].copy()
    open_sky = np.ones(len(position))
    for mesh in (person, *scene.props):
        contact_shadow(position, mesh.visible, open_sky)
    fragments = Fragments(
        position,
        at[:, 3:6].copy(),
        position,
        at[:, 6:8].copy(),
        at[:, 8].copy(),
        open_sky,
        hit[rows, columns],
        np.stack(scene.materials),
    )
    image[rows, columns] = shade(fragments, camera, light, shadows, radius=3)
    return image


def _ground_material(kind: str, rng: np.random.Generator) -> Material:
    phase = rng.uniform(0, 50)
    stone = hsv(rng.uniform(0.02, 0.15), rng.uniform(0, 0.25), rng.uniform(0.35, 0.75))
    asphalt = Material(
        ASPHALT, grey(rng.uniform(0.28, 0.55)), grey(0.12), phase=phase, extra=rng.uniform(0, 1)
    )
    tiles = Material(
        TILE, stone, tuple(0.5 * c for c in stone), phase=phase, duty=rng.choice([0.25, 0.4, 0.6])
    )
    grass = Material(
        GRASS,
        hsv(rng.uniform(0.2, 0.3), rng.uniform(0.35, 0.65), rng.uniform(0.25, 0.45)),
        hsv(0.13, 0.4, rng.uniform(0.35, 0.6)),
        phase=phase,
    )
    sand = Material(
        SAND, hsv(rng.uniform(0.07, 0.12), rng.uniform(0.15, 0.45), rng.uniform(0.45, 0.85)), phase=phase
    )
    wood = Material(
        PLANK,
        hsv(rng.uniform(0.05, 0.1), rng.uniform(0.3, 0.6), rng.uniform(0.3, 0.7)),
        grey(0.1),
        phase=phase,
    )
    carpet = Material(
        CARPET,
        cloth_colour(rng),
        cloth_colour(rng),
        frequency=rng.uniform(10, 50),
        phase=phase,
        duty=rng.choice([0, 0, 1]),
    )
    plain = Material(
        PLASTER, linear(np.full(3, rng.uniform(0.35, 0.92)) + rng.normal(0, 0.02, 3)), phase=phase
    )
    options = {
        "street": (asphalt, tiles, tiles),
        "square": (asphalt, tiles, tiles),
        "park": (grass, grass, sand, asphalt),
        "room": (wood, wood, tiles, carpet, plain),
        "studio": (plain,),
        "beach": (sand,),
        "yard": (grass, asphalt, wood, tiles),
    }[kind]
    return options[rng.integers(len(options))]


def _wall_material(kind: str, rng: np.random.Generator) -> Material:
    phase = rng.uniform(0, 50)
    paint = hsv(rng.random(), rng.choice([0, 0.05, 0.12, 0.3]), rng.uniform(0.3, 0.95))
    plaster = Material(PLASTER, paint, phase=phase)
    brick = Material(
        BRICK,
        hsv(rng.uniform(0.01, 0.08), rng.uniform(0.2, 0.6), rng.uniform(0.35, 0.8)),
        grey(rng.uniform(0.4, 0.75)),
        phase=phase,
    )
    front = Material(
        FACADE,
        hsv(rng.uniform(0, 0.15), rng.uniform(0, 0.4), rng.uniform(0.4, 0.9)),
        grey(rng.choice([0.15, 0.8])),
        third=hsv(0.6, rng.uniform(0, 0.3), rng.uniform(0.12, 0.45)),
        phase=phase,
        duty=rng.uniform(0.4, 0.9),
    )
    siding = Material(rng.choice([SIDING, PLANK]), paint, tuple(0.4 * c for c in paint), phase=phase)
    tiles = Material(TILE, paint, grey(0.7), phase=phase, duty=rng.choice([0.15, 0.3]))
    hedge = Material(
        FOLIAGE, hsv(rng.uniform(0.2, 0.36), 0.5, rng.uniform(0.2, 0.45)), hsv(0.2, 0.5, 0.6), phase=phase
    )
    shelves = Material(SHELVES, paint, hsv(0.07, 0.5, rng.uniform(0.2, 0.6)), phase=phase)
    curtain = Material(CURTAIN, cloth_colour(rng), frequency=rng.uniform(20, 60), phase=phase)
    options = {
        "street": (plaster, brick, front, front, front, siding),
        "square": (front, front, plaster),
        "room": (plaster, plaster, plaster, plaster, plaster, tiles, tiles, brick, shelves, curtain),
        "studio": (plaster,),
        "yard": (brick, siding, hedge, hedge, plaster),
        "park": (hedge,),
        "beach": (plaster,),
    }[kind]
    return options[rng.integers(len(options))]


def _add_wall(
    scene: Scene, rng: np.random.Generator, foot: np.ndarray, ahead: np.ndarray, height: float
) -> None:
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
        pattern = int(rng.choice([PLAIN, POSTER, POSTER, POSTER, LETTERS, PLANK, PLANK, FACADE, SHELVES]))
        picture = Material(
            pattern,
            cloth_colour(rng),
            cloth_colour(rng),
            cloth_colour(rng),
            rng.uniform(8, 30),
            rng.uniform(0, 50),
            specular=0.1,
        )
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
    for _ in range(rng.integers(0, 5)):
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
            side = Material(
                int(rng.choice([PLAIN, PLANK, PLANK, PLANK, SHELVES, POSTER])),
                colour,
                tuple(0.5 * c for c in colour),
                phase=rng.uniform(0, 50),
            )
        scene.box(
            foot, rng.uniform(0, 3.14), size, side, Material(PLASTER, tuple(0.8 * c for c in side.colour))
        )


def draw_scene(
    rng: np.random.Generator, camera: Camera, size: int, person: Mesh, pelvis: np.ndarray, seated: bool
) -> Scene:
    """A random scene around a person at the origin.

    Args:
        size: side of the picture in pixels; pelvis: 3, the person's; seated: put something under it.
    """
    scene = Scene(str(rng.choice(KINDS, p=ODDS)))
    ahead = unit(camera.axes[2] * [1, 1, 0])
    right = np.cross(ahead, Z_AXIS)
    zenith = hsv(rng.normal(0.58, 0.03), rng.uniform(0.1, 0.6), rng.uniform(0.55, 0.95))
    horizon = hsv(rng.normal(0.57, 0.06), rng.uniform(0, 0.2), rng.uniform(0.75, 1))
    scene.sky = np.array([*horizon, *zenith, rng.uniform(0, 1), rng.uniform(0, 50)])
    if scene.kind in ("park", "square", "street", "yard") or rng.random() < 0.3:
        far = hsv(
            rng.uniform(0.2, 0.4) if rng.random() < 0.6 else rng.uniform(0.55, 0.65),
            0.35,
            rng.uniform(0.15, 0.5),
        )
        hazy = rng.uniform(0.1, 0.7)
        far = tuple((1 - hazy) * f + hazy * 0.8 * h for f, h in zip(far, horizon, strict=True))
        scene.skyline = np.array([rng.uniform(0.02, 0.3), rng.uniform(0.15, 0.5), rng.uniform(0, 50), *far])
    turn = rng.uniform(0, 2 * np.pi)
    first = np.array([np.cos(turn), np.sin(turn), 0.0])
    scene.plane(np.zeros(3), Z_AXIS, first, np.cross(Z_AXIS, first), _ground_material(scene.kind, rng))
    room = 14.0  # metres behind the person before a wall
    if scene.kind in ("street", "room", "studio", "yard"):
        room = rng.uniform(1.2, 7) if scene.kind in ("street", "yard") else rng.uniform(0.7, 2.8)
        height = 3.2 if scene.kind == "room" else rng.uniform(1.5, 2.5) if scene.kind == "yard" else 20.0
        _add_wall(scene, rng, ahead * room, ahead, height)
    if scene.kind != "studio":
        _add_boxes(scene, rng, ahead, right)
    behind = float(((person.visible - camera.eye) @ ahead).max())
    centre = float((person.visible.mean(0) - camera.eye) @ ahead)
    scene.props = draw_props(rng, scene.kind, camera, size, behind, room - (behind - centre))
    if seated:
        chairs = seat_under(rng, pelvis)
        scene.props += chairs
        if not chairs:
            _add_block(scene, rng, pelvis)
    return scene


def _add_block(scene: Scene, rng: np.random.Generator, pelvis: np.ndarray) -> None:
    """A block or low wall to sit on."""
    colour = tuple(0.6 * c + 0.03 for c in cloth_colour(rng))
    side = Material(
        int(rng.choice([PLAIN, PLANK, TILE, BRICK])), colour, tuple(0.6 * c for c in colour), duty=0.3
    )
    width = rng.choice([rng.uniform(0.35, 0.7), rng.uniform(1.5, 4)])
    foot = np.array([pelvis[0], pelvis[1] + 0.08, 0.0])
    scene.box(foot, 0.0, (width, rng.uniform(0.32, 0.45), pelvis[2] - 0.11), side, side)
