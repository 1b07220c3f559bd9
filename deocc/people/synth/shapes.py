"""Simple solids as triangle meshes: (vertices N x 3, faces F x 3 int32, uv N x 2 metres)."""

import numpy as np

from deocc.people.synth.asset import grid_faces

Solid = tuple[np.ndarray, np.ndarray, np.ndarray]


def tube(path: np.ndarray, radius: np.ndarray | float, segments: int = 10) -> Solid:
    """A tube around a polyline. Args: path: M x 3; radius: one or M, metres."""
    path = np.asarray(path, float)
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    across = np.cross(tangent, [0.3, 0.2, 1.0])
    short = np.linalg.norm(across, axis=1) < 0.05
    across[short] = np.cross(tangent[short], [1.0, 0.1, 0.0])
    across /= np.linalg.norm(across, axis=1, keepdims=True) + 1e-9
    up = np.cross(tangent, across)
    angle = np.linspace(0, 2 * np.pi, segments, endpoint=False)
    radius = np.broadcast_to(np.asarray(radius, float), (len(path),))
    ring = np.cos(angle)[None, :, None] * across[:, None] + np.sin(angle)[None, :, None] * up[:, None]
    vertices = (path[:, None] + radius[:, None, None] * ring).reshape(-1, 3)
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    uv = np.stack([np.tile(angle, len(path)) * np.repeat(radius, segments), np.repeat(along, segments)], 1)
    return vertices, grid_faces(len(path), segments, wrap=True), uv
