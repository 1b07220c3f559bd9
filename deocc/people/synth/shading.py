"""Camera, light and deferred shading: visible fragments become linear RGB."""

from dataclasses import dataclass

import numpy as np

from deocc.compiled import compiled
from deocc.people.synth.materials import LIGHT, albedo
from deocc.people.synth.mesh import Mesh
from deocc.people.synth.noise import noise, noise_volume, smoothstep
from deocc.people.synth.raster import bounds, depth_map, pixels, rasterize

SHADOW_SIZE = 384


@dataclass(frozen=True)
class Camera:
    """A pinhole camera; image x to the right, y down, pixels.

    Attributes:
        eye: position, metres.
        axes: 3 x 3, rows right, down, forward.
        focal: focal length in pixels; centre: principal point (x, y) in pixels (off the middle: a crop).
    """

    eye: np.ndarray
    axes: np.ndarray
    focal: float
    centre: tuple[float, float]

    def project(self, points: np.ndarray) -> np.ndarray:
        """N x 3 world points to N x 3 (x, y in pixels, 1 / depth); 1 / depth <= 0 behind the camera."""
        local = (points - self.eye) @ self.axes.T
        depth = np.where(local[:, 2] > 0.05, local[:, 2], -1.0)
        xy = self.focal * local[:, :2] / depth[:, None] + np.asarray(self.centre)
        return np.concatenate([xy, 1 / depth[:, None]], 1)

    def scaled(self, factor: float) -> "Camera":
        """The same view on a pixel grid `factor` times as fine."""
        return Camera(
            self.eye, self.axes, self.focal * factor, (self.centre[0] * factor, self.centre[1] * factor)
        )


@dataclass(frozen=True)
class Light:
    """Sun or lamp, sky and bounce light.

    Attributes:
        direction: unit vector to the light; key: its RGB; sky, ground: RGB from above and below.
        fog: RGB of distant haze; haze: its density a metre.
    """

    direction: np.ndarray
    key: np.ndarray
    sky: np.ndarray
    ground: np.ndarray
    fog: np.ndarray
    haze: float = 0.0

    def row(self) -> np.ndarray:
        """16 numbers for the kernels."""
        return np.concatenate([self.direction, self.key, self.sky, self.ground, self.fog, [self.haze]])


@dataclass(frozen=True)
class Shadows:
    """Height maps along the light, one per mesh.

    Attributes:
        maps: K x S x S heights; axes: K x 3 x 3 rows (column, row, height direction);
        low: K x 2 origin of each map; scale: K, cells a metre.
    """

    maps: np.ndarray
    axes: np.ndarray
    low: np.ndarray
    scale: np.ndarray


def joined_shadows(*shadows: Shadows) -> Shadows:
    """Several sets of shadow maps as one; their maps are of one size."""
    return Shadows(
        *(np.concatenate([getattr(s, name) for s in shadows]) for name in ("maps", "axes", "low", "scale"))
    )


def cast_shadows(meshes: list[Mesh], light: Light, size: int = SHADOW_SIZE) -> Shadows:
    """Shadow maps of each mesh, seen from the light."""
    maps, all_axes, lows, scales = [], [], [], []
    across = np.cross(light.direction, [0.3, 0.5, 0.81])
    across /= np.linalg.norm(across)
    axes = np.stack([across, np.cross(light.direction, across), light.direction])
    for mesh in meshes:
        points = mesh.vertices @ axes.T
        low, high = bounds(points, mesh.cut)
        low, high = low - 0.03, high + 0.03
        scale = size / max(high[0] - low[0], high[1] - low[1])
        points[:, :2] = (points[:, :2] - low[:2]) * scale
        maps.append(depth_map(points, mesh.faces, mesh.cut, size))
        all_axes.append(axes)
        lows.append(low[:2])
        scales.append(scale)
    return Shadows(np.stack(maps), np.stack(all_axes), np.stack(lows), np.array(scales))


@compiled(fastmath=True)
def lit_share(
    maps: np.ndarray,
    axes: np.ndarray,
    low: np.ndarray,
    scale: np.ndarray,
    x: float,
    y: float,
    z: float,
    radius: int,
) -> float:
    """Share of the light that reaches a point, in [0, 1], averaged over (2 radius + 1)^2 cells."""
    lit = 1.0
    size = maps.shape[1]
    for k in range(maps.shape[0]):
        column = int((axes[k, 0, 0] * x + axes[k, 0, 1] * y + axes[k, 0, 2] * z - low[k, 0]) * scale[k])
        row = int((axes[k, 1, 0] * x + axes[k, 1, 1] * y + axes[k, 1, 2] * z - low[k, 1]) * scale[k])
        if column < -radius or row < -radius or column >= size + radius or row >= size + radius:
            continue
        height = axes[k, 2, 0] * x + axes[k, 2, 1] * y + axes[k, 2, 2] * z + 0.012
        free, total = 0, 0
        for j in range(row - radius, row + radius + 1):
            for i in range(column - radius, column + radius + 1):
                total += 1
                if i < 0 or j < 0 or i >= size or j >= size or maps[k, j, i] <= height:
                    free += 1
        lit = min(lit, free / total)
    return lit


@dataclass(frozen=True)
class Fragments:
    """Visible points of surfaces, ready to shade (a G-buffer).

    Attributes:
        position, normal, coords: N x 3; uv: N x 2; edge, occlusion: N (occlusion: 1 = open sky).
        material: N int32 row numbers; materials: M x COLUMNS.
    """

    position: np.ndarray
    normal: np.ndarray
    coords: np.ndarray
    uv: np.ndarray
    edge: np.ndarray
    occlusion: np.ndarray
    material: np.ndarray
    materials: np.ndarray


@compiled(fastmath=True)
def _gather(
    triangle: np.ndarray,
    bary: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    faces: np.ndarray,
    values: np.ndarray,
) -> np.ndarray:
    """Interpolates N x C vertex values at the given pixels."""
    out = np.empty((rows.shape[0], values.shape[1]))
    for i in range(rows.shape[0]):
        t = triangle[rows[i], columns[i]]
        w1, w2 = bary[rows[i], columns[i], 0], bary[rows[i], columns[i], 1]
        w0 = 1 - w1 - w2
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        for k in range(values.shape[1]):
            out[i, k] = w0 * values[a, k] + w1 * values[b, k] + w2 * values[c, k]
    return out


@compiled(fastmath=True)
def _wrinkle_heights(
    volume: np.ndarray,
    coords: np.ndarray,
    strength: np.ndarray,
    seed: float,
    amplitude: float,
    turn: np.ndarray,
) -> np.ndarray:
    """Height of cloth folds at each fragment: warped ridges at two scales plus weave."""
    out = np.zeros(coords.shape[0])
    for i in range(coords.shape[0]):
        if strength[i] < 0.01:
            continue
        x, y, z = coords[i, 0], coords[i, 1], coords[i, 2]
        wx = x + 0.035 * noise(volume, x * 6 + seed + 20, y * 6 + seed + 20, z * 6 + seed + 20)
        wy = y + 0.035 * noise(volume, x * 6 + seed + 31, y * 6 + seed + 31, z * 6 + seed + 31)
        wz = z + 0.035 * noise(volume, x * 6 + seed + 43, y * 6 + seed + 43, z * 6 + seed + 43)
        px = turn[0, 0] * wx + turn[1, 0] * wy + turn[2, 0] * wz
        py = turn[0, 1] * wx + turn[1, 1] * wy + turn[2, 1] * wz
        pz = turn[0, 2] * wx + turn[1, 2] * wy + turn[2, 2] * wz
        active = smoothstep(-0.9, 1.0, noise(volume, x * 5 + seed + 50, y * 5 + seed + 50, z * 5 + seed + 50))
        large = max(0.0, 1 - abs(noise(volume, px * 7 + seed, py * 7 + seed, pz * 15 + seed)))
        small = max(0.0, 1 - abs(noise(volume, pz * 13 + seed + 9, px * 13 + seed + 9, py * 9 + seed + 9)))
        weave = noise(volume, x * 45 + seed + 3, y * 45 + seed + 3, z * 45 + seed + 3)
        out[i] = (
            (active * (0.9 * large * large + 0.45 * small * small) + 0.09 * weave) * strength[i] * amplitude
        )
    return out


@compiled(fastmath=True)
def _bump(
    index: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    material: np.ndarray,
    position: np.ndarray,
    height: np.ndarray,
    pixel: float,
    eye: np.ndarray,
    normal: np.ndarray,
) -> None:
    """Tilts normals by the screen-space gradient of a height (Mikkelsen's surface gradient), in place."""
    for i in range(rows.shape[0]):
        j, c = rows[i], columns[i]
        if j == 0 or c == 0:
            continue
        left, above = index[j, c - 1], index[j - 1, c]
        if left < 0 or above < 0 or material[left] != material[i] or material[above] != material[i]:
            continue
        nx, ny, nz = normal[i, 0], normal[i, 1], normal[i, 2]
        ax, ay = position[i, 0] - position[left, 0], position[i, 1] - position[left, 1]
        bx, by = position[i, 0] - position[above, 0], position[i, 1] - position[above, 1]
        az, bz = position[i, 2] - position[left, 2], position[i, 2] - position[above, 2]
        r1x, r1y, r1z = by * nz - bz * ny, bz * nx - bx * nz, bx * ny - by * nx
        r2x, r2y, r2z = ny * az - nz * ay, nz * ax - nx * az, nx * ay - ny * ax
        det = ax * r1x + ay * r1y + az * r1z
        distance = 0.0
        for k in range(3):
            distance += (eye[k] - position[i, k]) ** 2
        size = pixel * pixel * distance
        scale = np.sign(det) / max(abs(det), 0.25 * size)
        da, db = height[i] - height[left], height[i] - height[above]
        gx, gy, gz = (
            scale * (da * r1x + db * r2x),
            scale * (da * r1y + db * r2y),
            scale * (da * r1z + db * r2z),
        )
        limit = min(1.0, 1.1 / (np.sqrt(gx * gx + gy * gy + gz * gz) + 1e-9))
        nx, ny, nz = nx - limit * gx, ny - limit * gy, nz - limit * gz
        length = np.sqrt(nx * nx + ny * ny + nz * nz) + 1e-12
        normal[i, 0], normal[i, 1], normal[i, 2] = nx / length, ny / length, nz / length


@dataclass(frozen=True)
class Drawn:
    """A mesh on a pixel grid.

    Attributes:
        nearest: H x W 1 / depth (0 = empty); triangle: H x W triangle number (-1 = none).
        rows, columns: N pixels that show the mesh; index: H x W their numbers (-1 = none).
        fragments: their N points.
    """

    nearest: np.ndarray
    triangle: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    index: np.ndarray
    fragments: Fragments


def draw(
    mesh: Mesh,
    camera: Camera,
    shape: tuple[int, int],
    nearest: np.ndarray | None = None,
    wrinkles: tuple[float, float, float] | None = None,
) -> Drawn:
    """Rasterises a mesh and interpolates what shading needs.

    Args:
        shape: (height, width) of the grid.
        nearest: height x width 1 / depth of what stands before the mesh already; None = nothing.
        wrinkles: (noise seed, amplitude in metres, turn in radians) of cloth folds, or None.
    """
    height, width = shape
    nearest = np.zeros(shape) if nearest is None else nearest.copy()
    triangle, bary = np.full(shape, -1, np.int32), np.zeros((height, width, 2))
    rasterize(camera.project(mesh.vertices), mesh.faces, mesh.cut, width, height, nearest, triangle, bary)
    rows, columns = pixels(triangle >= 0)
    index = np.full(shape, -1, np.int32)
    index[rows, columns] = np.arange(len(rows))
    values = np.concatenate(
        [
            mesh.vertices,
            mesh.normals,
            mesh.coords,
            mesh.uv,
            mesh.edge[:, None],
            mesh.occlusion[:, None],
            mesh.wrinkle[:, None],
        ],
        1,
    )
    at = _gather(triangle, bary, rows, columns, mesh.faces, values)
    position, normal, coords = at[:, :3].copy(), at[:, 3:6].copy(), at[:, 6:9].copy()
    normal *= np.where(((camera.eye - position) * normal).sum(1, keepdims=True) < 0, -1.0, 1.0)
    material = mesh.material[triangle[rows, columns]]
    if wrinkles is not None:
        seed, amplitude, angle = wrinkles
        turn = np.array([[np.cos(angle), 0, -np.sin(angle)], [0, 1, 0], [np.sin(angle), 0, np.cos(angle)]])
        heights = _wrinkle_heights(noise_volume(), coords, at[:, 13].copy(), seed, amplitude, turn)
        _bump(index, rows, columns, material, position, heights, 1 / camera.focal, camera.eye, normal)
    fragments = Fragments(
        position,
        normal,
        coords,
        at[:, 9:11].copy(),
        at[:, 11].copy(),
        at[:, 12].copy(),
        material,
        mesh.materials,
    )
    return Drawn(nearest, triangle, rows, columns, index, fragments)


@compiled(fastmath=True)
def _footprints(position: np.ndarray, normal: np.ndarray, eye: np.ndarray, pixel: float) -> np.ndarray:
    """Size of a pixel on the surface at each fragment, metres, N."""
    out = np.empty(position.shape[0])
    for i in range(position.shape[0]):
        square, along, length = 1e-9, 0.0, 1e-9
        for k in range(3):
            step = eye[k] - position[i, k]
            square += step * step
            along += step * normal[i, k]
            length += normal[i, k] ** 2
        out[i] = pixel * square / max(abs(along) / np.sqrt(length), 0.1 * np.sqrt(square))
    return out


@compiled(fastmath=True)
def _shade(
    colour: np.ndarray,
    position: np.ndarray,
    normal: np.ndarray,
    occlusion: np.ndarray,
    material: np.ndarray,
    materials: np.ndarray,
    eye: np.ndarray,
    light: np.ndarray,
    maps: np.ndarray,
    axes: np.ndarray,
    low: np.ndarray,
    scale: np.ndarray,
    radius: int,
) -> np.ndarray:
    out = np.zeros((position.shape[0], 3))
    for i in range(position.shape[0]):
        m = materials[material[i]]
        x, y, z = position[i, 0], position[i, 1], position[i, 2]
        vx, vy, vz = eye[0] - x, eye[1] - y, eye[2] - z
        distance = np.sqrt(vx * vx + vy * vy + vz * vz) + 1e-9
        vx, vy, vz = vx / distance, vy / distance, vz / distance
        length = np.sqrt(normal[i, 0] ** 2 + normal[i, 1] ** 2 + normal[i, 2] ** 2) + 1e-9
        nx, ny, nz = normal[i, 0] / length, normal[i, 1] / length, normal[i, 2] / length
        slant = nx * vx + ny * vy + nz * vz
        facing = nx * light[0] + ny * light[1] + nz * light[2]
        wrap = m[19]
        diffuse = min(max((facing + wrap) / (1 + wrap), 0.0), 1.0)
        lit = 0.0
        if diffuse > 0:
            lit = lit_share(maps, axes, low, scale, x + 0.006 * nx, y + 0.006 * ny, z + 0.006 * nz, radius)
        hx, hy, hz = light[0] + vx, light[1] + vy, light[2] + vz
        half = np.sqrt(hx * hx + hy * hy + hz * hz) + 1e-9
        shine = (
            max((nx * hx + ny * hy + nz * hz) / half, 0.0) ** m[18] * m[17] * (m[18] + 8) / 32
            if facing > 0
            else 0.0
        )
        grazing = 1 - min(max(slant, 0.0), 1.0)
        fresnel = 0.14 * (0.04 + 0.35 * grazing**4) * (1 + 4 * m[17])
        above = 0.5 + 0.5 * nz
        open_sky = min(1.15 * occlusion[i], 1.0) ** 1.3
        haze = 1 - np.exp(-max(distance - 6, 0.0) * light[15])
        glow = 1.6 if int(m[0]) == LIGHT else 0.0
        for k in range(3):
            ambient = (light[6 + k] * above + light[9 + k] * (1 - above)) * open_sky
            value = colour[i, k] * (light[3 + k] * diffuse * lit + ambient + glow)
            value += light[3 + k] * shine * lit + fresnel * ambient
            out[i, k] = value * (1 - haze) + light[12 + k] * haze
    return out


def shade(
    fragments: Fragments, camera: Camera, light: Light, shadows: Shadows, radius: int = 2
) -> np.ndarray:
    """Linear RGB of fragments, N x 3: diffuse, highlight and rim light, ambient by occlusion, shadows, haze.

    Args:
        radius: softness of shadow borders in cells of the shadow maps.
    """
    f = fragments
    blur = _footprints(f.position, f.normal, camera.eye, 1 / camera.focal)
    # Apart from the lighting: Numba optimises a kernel again in every kernel that calls it.
    colour = albedo(noise_volume(), f.materials, f.material, f.coords, f.uv, f.edge, blur)
    return _shade(
        colour,
        f.position,
        f.normal,
        f.occlusion,
        f.material,
        f.materials,
        camera.eye,
        light.row(),
        shadows.maps,
        shadows.axes,
        shadows.low,
        shadows.scale,
        radius,
    )


@compiled(fastmath=True)
def resolve(background: np.ndarray, index: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Averages supersampled fragments over a background.

    Args:
        background: H x W x 3; index: kH x kW fragment numbers (-1 = background); colours: N x 3.

    Returns:
        H x W x 3 float32.
    """
    height, width = background.shape[:2]
    factor = index.shape[0] // height
    out = np.empty((height, width, 3), np.float32)
    for j in range(height):
        for i in range(width):
            r, g, b, covered = 0.0, 0.0, 0.0, 0
            for dj in range(factor):
                for di in range(factor):
                    k = index[j * factor + dj, i * factor + di]
                    if k >= 0:
                        covered += 1
                        r += colours[k, 0]
                        g += colours[k, 1]
                        b += colours[k, 2]
            rest = 1 - covered / factor**2
            out[j, i, 0] = r / factor**2 + rest * background[j, i, 0]
            out[j, i, 1] = g / factor**2 + rest * background[j, i, 1]
            out[j, i, 2] = b / factor**2 + rest * background[j, i, 2]
    return out
