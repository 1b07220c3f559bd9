"""Simple solids as triangle meshes, for occluders and for things in the background; metres, z up."""

from dataclasses import dataclass

import numpy as np
from scipy.interpolate import PchipInterpolator

from deocc.people.synth.asset import grid_faces
from deocc.people.synth.noise import noise_at


@dataclass(frozen=True)
class Solid:
    """A mesh without material.

    Attributes:
        vertices: N x 3; faces: F x 3 int32; uv: N x 2 surface coordinates, metres.
        edge: N distance to the nearest sharp edge, metres.
    """

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray
    edge: np.ndarray

    def moved(
        self, matrix: np.ndarray | None = None, offset: np.ndarray | tuple[float, ...] = (0, 0, 0)
    ) -> "Solid":
        """The solid after x -> matrix @ x + offset."""
        vertices = self.vertices if matrix is None else self.vertices @ np.asarray(matrix).T
        return Solid(vertices + np.asarray(offset, float), self.faces, self.uv, self.edge)

    def rough(self, amount: float, frequency: float, seed: float) -> "Solid":
        """The solid with its vertices displaced by noise of `amount` metres."""
        shifts = [noise_at(self.vertices, frequency, seed + 11 * axis) for axis in range(3)]
        return Solid(self.vertices + amount * np.stack(shifts, 1), self.faces, self.uv, self.edge)


def joined(solids: list[Solid]) -> Solid:
    """Several solids as one."""
    starts = np.cumsum([0] + [len(solid.vertices) for solid in solids[:-1]])
    faces = [solid.faces + start for solid, start in zip(solids, starts, strict=True)]
    return Solid(
        np.concatenate([solid.vertices for solid in solids]), np.concatenate(faces).astype(np.int32),
        np.concatenate([solid.uv for solid in solids]), np.concatenate([solid.edge for solid in solids]),
    )  # fmt: skip


def scattered(solid: Solid, matrices: np.ndarray, offsets: np.ndarray) -> Solid:
    """Copies of a solid. Args: matrices: N x 3 x 3; offsets: N x 3."""
    count, size = len(offsets), len(solid.vertices)
    vertices = np.einsum("nij,vj->nvi", matrices, solid.vertices) + offsets[:, None]
    faces = solid.faces[None] + (np.arange(count) * size)[:, None, None]
    return Solid(
        vertices.reshape(-1, 3), faces.reshape(-1, 3).astype(np.int32), np.tile(solid.uv, (count, 1)),
        np.tile(solid.edge, count),
    )  # fmt: skip


def turns(azimuth: np.ndarray, lift: np.ndarray, roll: np.ndarray | float = 0.0) -> np.ndarray:
    """N x 3 x 3 rotations: roll about x, lift of +x towards +z, then azimuth about z; degrees."""
    azimuth, lift, roll = (
        np.radians(np.broadcast_to(angle, np.shape(azimuth))) for angle in (azimuth, lift, roll)
    )
    zero, one = np.zeros_like(azimuth), np.ones_like(azimuth)

    def stack(rows: list[list[np.ndarray]]) -> np.ndarray:
        return np.stack([np.stack(row, -1) for row in rows], -2)

    ca, sa, cl, sl, cr, sr = (f(v) for v in (azimuth, lift, roll) for f in (np.cos, np.sin))
    about_z = stack([[ca, -sa, zero], [sa, ca, zero], [zero, zero, one]])
    about_y = stack([[cl, zero, -sl], [zero, one, zero], [sl, zero, cl]])
    about_x = stack([[one, zero, zero], [zero, cr, -sr], [zero, sr, cr]])
    return about_z @ about_y @ about_x


def sheet(points: np.ndarray, wrap: bool = False) -> Solid:
    """A grid of points, rows x columns x 3, as a surface; `wrap` closes its columns; uv in metres."""
    rows, columns = points.shape[:2]
    across = np.linalg.norm(np.diff(points, axis=1), axis=2).mean(0)
    along = np.linalg.norm(np.diff(points, axis=0), axis=2).mean(1)
    u = np.concatenate([[0], np.cumsum(across)])
    v = np.concatenate([[0], np.cumsum(along)])
    grid_u, grid_v = np.meshgrid(u - u[-1] / 2, v)
    edge = np.minimum(grid_v, v[-1] - grid_v)
    if not wrap:
        edge = np.minimum(edge, u[-1] / 2 - np.abs(grid_u))
    uv = np.stack([grid_u, grid_v], -1).reshape(-1, 2)
    return Solid(points.reshape(-1, 3), grid_faces(rows, columns, wrap), uv, edge.ravel())


def tube(path: np.ndarray, radius: np.ndarray | float, segments: int = 10, capped: bool = False) -> Solid:
    """A tube around a polyline. Args: path: M x 3; radius: one or M, metres; capped: close its ends."""
    path = np.asarray(path, float)
    radius = np.broadcast_to(np.asarray(radius, float), (len(path),))
    if capped:
        path = np.concatenate([path[:1], path, path[-1:]])
        radius = np.concatenate([[1e-4], radius, [1e-4]])
    tangent = np.gradient(path, axis=0)
    if capped:
        tangent[0], tangent[1] = path[2] - path[1], path[2] - path[1]
        tangent[-1], tangent[-2] = path[-2] - path[-3], path[-2] - path[-3]
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    across = np.empty_like(path)
    carried = np.cross(tangent[0], [0.3, 0.2, 1.0] if abs(tangent[0, 2]) < 0.9 else [1.0, 0.13, 0.07])
    for i, direction in enumerate(tangent):  # carried along without twist
        carried = carried - (carried @ direction) * direction
        carried /= np.linalg.norm(carried) + 1e-12
        across[i] = carried
    up = np.cross(tangent, across)
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    ring = np.cos(angle)[None, :, None] * across[:, None] + np.sin(angle)[None, :, None] * up[:, None]
    vertices = (path[:, None] + radius[:, None, None] * ring).reshape(-1, 3)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    uv = np.stack([np.tile(angle, len(path)) * np.repeat(radius, segments), np.repeat(along, segments)], 1)
    return Solid(vertices, grid_faces(len(path), segments, wrap=True), uv, np.ones(len(vertices)))


def rod(start: tuple[float, ...], end: tuple[float, ...], radius: float, segments: int = 8) -> Solid:
    """A straight closed tube."""
    first, axis = np.asarray(start, float), np.asarray(end, float) - np.asarray(start, float)
    length = float(np.sqrt(axis @ axis))
    axis = axis / length
    across = np.cross(axis, (1.0, 0.13, 0.07) if abs(axis[0]) < 0.9 else (0.3, 0.2, 1.0))
    across /= np.sqrt(across @ across)
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    circle = np.cos(angle)[:, None] * across + np.sin(angle)[:, None] * np.cross(axis, across)
    t = np.array([0, 0, 0.25, 0.5, 0.75, 1, 1])
    wide = radius * np.array([1e-3, 1, 1, 1, 1, 1, 1e-3])
    vertices = first + (t * length)[:, None, None] * axis + wide[:, None, None] * circle
    uv = np.stack([np.tile(angle * radius, 7), np.repeat(t * length, segments)], 1)
    return Solid(vertices.reshape(-1, 3), grid_faces(7, segments, wrap=True), uv, np.ones(7 * segments))


def box(size: tuple[float, float, float], centre: tuple[float, ...] = (0, 0, 0), cells: int = 6) -> Solid:
    """A box with flat faces. Args: size along x, y, z; cells: subdivisions of a face's side."""
    half = np.asarray(size, float) / 2
    faces = []
    for axis in range(3):
        a, b = [k for k in range(3) if k != axis]
        grid_a, grid_b = np.meshgrid(
            np.linspace(-half[a], half[a], cells), np.linspace(-half[b], half[b], cells)
        )
        for sign in (-1, 1):
            points = np.empty((cells, cells, 3))
            points[..., a], points[..., b], points[..., axis] = grid_a, grid_b, sign * half[axis]
            faces.append(sheet(points))
    return joined(faces).moved(offset=centre)


def lathe(profile: list[tuple[float, float]], segments: int = 28, smooth: int = 0) -> Solid:
    """A solid of revolution about z. Args: profile: (radius, height) pairs; smooth: resample to this many."""
    points = np.asarray(profile, float)
    if smooth:
        t = np.linspace(0, len(points) - 1, smooth)
        knots = np.arange(len(points))
        points = PchipInterpolator(knots, points)(t)
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    x, y = points[:, :1] * np.sin(angle), -points[:, :1] * np.cos(angle)
    return sheet(np.stack([x, y, np.repeat(points[:, 1:], segments, 1)], -1), wrap=True)


def ball(radii: tuple[float, float, float], power: float = 1.0, rows: int = 16, columns: int = 28) -> Solid:
    """An ellipsoid; `power` below 1 makes it boxy (a superellipsoid)."""
    elevation, azimuth = np.meshgrid(
        np.linspace(-np.pi / 2, np.pi / 2, rows),
        np.linspace(-np.pi, np.pi, columns, endpoint=False),
        indexing="ij",
    )

    def bent(values: np.ndarray) -> np.ndarray:
        return np.sign(values) * np.abs(values) ** power

    x = bent(np.cos(elevation)) * bent(np.sin(azimuth))
    y = -bent(np.cos(elevation)) * bent(np.cos(azimuth))
    return sheet(np.stack([x, y, bent(np.sin(elevation))], -1) * np.asarray(radii), wrap=True)


def disc(radius: float, corners: int = 32, thickness: float = 0.004, turn: float = 0.0) -> Solid:
    """A flat disc or regular polygon facing -y, with a rim."""
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False) + turn
    around = np.stack([np.sin(angle), np.zeros(corners), np.cos(angle)], 1)
    rings = [around * radius * share + [0, -thickness / 2, 0] for share in (1e-3, 0.35, 0.7, 0.9, 1.0)]
    rings += [rings[-1] + [0, thickness, 0], rings[0] + [0, thickness, 0]]
    grid = np.stack(rings)
    solid = sheet(grid, wrap=True)
    edge = np.repeat(radius * np.array([1, 0.65, 0.3, 0.1, 0, 0, 1]), corners)
    return Solid(solid.vertices, solid.faces, solid.vertices[:, [0, 2]], edge)


def ring(radius: float, thickness: float, segments: int = 40) -> Solid:
    """A torus in the x-z plane (a wheel seen from -y)."""
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    path = np.stack([radius * np.sin(angle), np.zeros(segments + 1), radius * np.cos(angle)], 1)
    tangent = np.stack([np.cos(angle), np.zeros(segments + 1), -np.sin(angle)], 1)
    outward = path / radius
    turn = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    side = np.cross(tangent, outward)
    points = path[:, None] + thickness * (
        np.cos(turn)[None, :, None] * outward[:, None] + np.sin(turn)[None, :, None] * side[:, None]
    )
    return sheet(points, wrap=True)


def loft(stations: np.ndarray, power: float = 0.5, columns: int = 28) -> Solid:
    """A body along x with boxy cross-sections.

    Args:
        stations: M rows of (x, half width, bottom, top), metres.
        power: 1 = elliptic sections, towards 0 = rectangular.
    """
    x, half, low, high = np.asarray(stations, float).T
    angle = np.linspace(0, 2 * np.pi, columns, endpoint=False)
    across = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** power
    up = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** power
    centre, reach = (low + high) / 2, (high - low) / 2
    points = np.stack(
        [np.repeat(x[:, None], columns, 1), half[:, None] * across, centre[:, None] + reach[:, None] * up], -1
    )
    return sheet(points, wrap=True)


def leaf(length: float, width: float, droop: float, fold: float = 0.2, rows: int = 7) -> Solid:
    """A leaf from the origin along +x, bent down by `droop` radians, folded along its rib at u = 0."""
    t = np.linspace(0, 1, rows)
    angle = -droop * t
    along = np.concatenate([[0], np.cumsum(np.cos(angle[1:]) * length / (rows - 1))])
    down = np.concatenate([[0], np.cumsum(np.sin(angle[1:]) * length / (rows - 1))])
    half = width / 2 * np.sin(np.pi * np.clip(t, 0.03, 0.985)) ** 0.8
    across = np.linspace(-1, 1, 5)
    points = np.stack(
        [
            np.repeat(along[:, None], 5, 1),
            half[:, None] * across,
            down[:, None] + fold * half[:, None] * np.abs(across),
        ],
        -1,
    )
    return sheet(points)
