"""Numba rasteriser: z-buffer with interpolated cuts, depth maps, vertex normals, ambient occlusion."""

import numpy as np

from deocc.compiled import compiled


@compiled(fastmath=True)
def rasterize(
    screen: np.ndarray,
    faces: np.ndarray,
    cut: np.ndarray,
    width: int,
    height: int,
    nearest: np.ndarray,
    triangle: np.ndarray,
    bary: np.ndarray,
) -> None:
    """Draws triangles into a z-buffer; fragments whose interpolated cut is negative are left out.

    Args:
        screen: N x 3 (x, y in pixels, 1 / depth).
        faces: F x 3; cut: N.
        nearest: height x width 1 / depth so far (0 = empty), updated in place.
        triangle: height x width number of the triangle on top (-1 = none), updated in place.
        bary: height x width x 2 perspective-correct weights of the triangle's 2nd and 3rd corner.
    """
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        x0, y0, z0 = screen[a, 0], screen[a, 1], screen[a, 2]
        x1, y1, z1 = screen[b, 0], screen[b, 1], screen[b, 2]
        x2, y2, z2 = screen[c, 0], screen[c, 1], screen[c, 2]
        if z0 <= 0 or z1 <= 0 or z2 <= 0:  # behind the camera
            continue
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-9:
            continue
        left, right = (
            max(0, int(np.ceil(min(x0, x1, x2) - 0.5))),
            min(width - 1, int(np.floor(max(x0, x1, x2) - 0.5))),
        )
        top, bottom = (
            max(0, int(np.ceil(min(y0, y1, y2) - 0.5))),
            min(height - 1, int(np.floor(max(y0, y1, y2) - 0.5))),
        )
        inverse = 1.0 / area
        c0, c1, c2 = cut[a], cut[b], cut[c]
        partly = c0 < 0 or c1 < 0 or c2 < 0
        for j in range(top, bottom + 1):
            py = j + 0.5
            for i in range(left, right + 1):
                px = i + 0.5
                w1 = ((px - x0) * (y2 - y0) - (x2 - x0) * (py - y0)) * inverse
                w2 = ((x1 - x0) * (py - y0) - (px - x0) * (y1 - y0)) * inverse
                w0 = 1 - w1 - w2
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                q0, q1, q2 = w0 * z0, w1 * z1, w2 * z2
                depth = q0 + q1 + q2
                if depth <= nearest[j, i]:
                    continue
                if partly and q0 * c0 + q1 * c1 + q2 * c2 < 0:
                    continue
                nearest[j, i] = depth
                triangle[j, i] = t
                bary[j, i, 0] = q1 / depth
                bary[j, i, 1] = q2 / depth


@compiled(fastmath=True)
def depth_map(points: np.ndarray, faces: np.ndarray, cut: np.ndarray, size: int) -> np.ndarray:
    """Orthographic height map, size x size; -1e9 where empty.

    Args:
        points: N x 3 (column, row, height); larger heights win.
        faces: F x 3; cut: N, as in `rasterize`.
    """
    out = np.full((size, size), -1e9)
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        x0, y0, x1, y1, x2, y2 = (
            points[a, 0],
            points[a, 1],
            points[b, 0],
            points[b, 1],
            points[c, 0],
            points[c, 1],
        )
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if abs(area) < 1e-9:
            continue
        inverse = 1.0 / area
        partly = cut[a] < 0 or cut[b] < 0 or cut[c] < 0
        left, right = (
            max(0, int(np.ceil(min(x0, x1, x2) - 0.5))),
            min(size - 1, int(np.floor(max(x0, x1, x2) - 0.5))),
        )
        top, bottom = (
            max(0, int(np.ceil(min(y0, y1, y2) - 0.5))),
            min(size - 1, int(np.floor(max(y0, y1, y2) - 0.5))),
        )
        for j in range(top, bottom + 1):
            for i in range(left, right + 1):
                w1 = ((i + 0.5 - x0) * (y2 - y0) - (x2 - x0) * (j + 0.5 - y0)) * inverse
                w2 = ((x1 - x0) * (j + 0.5 - y0) - (i + 0.5 - x0) * (y1 - y0)) * inverse
                w0 = 1 - w1 - w2
                if w0 < 0 or w1 < 0 or w2 < 0:
                    continue
                if partly and w0 * cut[a] + w1 * cut[b] + w2 * cut[c] < 0:
                    continue
                height = w0 * points[a, 2] + w1 * points[b, 2] + w2 * points[c, 2]
                if height > out[j, i]:
                    out[j, i] = height
    return out


@compiled(fastmath=True)
def vertex_normals(vertices: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Area-weighted unit normals, N x 3."""
    normals = np.zeros_like(vertices)
    for t in range(faces.shape[0]):
        a, b, c = faces[t, 0], faces[t, 1], faces[t, 2]
        ux, uy, uz = (
            vertices[b, 0] - vertices[a, 0],
            vertices[b, 1] - vertices[a, 1],
            vertices[b, 2] - vertices[a, 2],
        )
        wx, wy, wz = (
            vertices[c, 0] - vertices[a, 0],
            vertices[c, 1] - vertices[a, 1],
            vertices[c, 2] - vertices[a, 2],
        )
        nx, ny, nz = uy * wz - uz * wy, uz * wx - ux * wz, ux * wy - uy * wx
        for k in (a, b, c):
            normals[k, 0] += nx
            normals[k, 1] += ny
            normals[k, 2] += nz
    for i in range(normals.shape[0]):
        length = np.sqrt(normals[i, 0] ** 2 + normals[i, 1] ** 2 + normals[i, 2] ** 2) + 1e-12
        for k in range(3):
            normals[i, k] /= length
    return normals


@compiled(fastmath=True)
def ambient_occlusion(
    vertices: np.ndarray, normals: np.ndarray, live: np.ndarray, directions: int, cells: int, bias: float
) -> np.ndarray:
    """Share of the sky that each vertex sees, from height maps of splatted vertices in several directions.

    Args:
        vertices, normals: N x 3.
        live: N bool, vertices that block light.
        directions: number of directions over a little more than the upper half sphere.
        cells: resolution of each map along the longer side.
        bias: metres by which a blocker must be nearer to the light to count.

    Returns:
        N in [0, 1].
    """
    n = vertices.shape[0]
    seen, total = np.zeros(n), np.full(n, 1e-9)
    grid = np.empty((cells, cells))
    column, row, height = np.empty(n), np.empty(n), np.empty(n)
    for k in range(directions):
        z = 1 - 1.15 * (k + 0.5) / directions
        radius, turn = np.sqrt(max(0.0, 1 - z * z)), k * 2.39996
        dx, dy, dz = radius * np.cos(turn), radius * np.sin(turn), z
        ax, ay, az = -np.sin(turn), np.cos(turn), 0.0  # across the direction, horizontal
        bx, by, bz = dy * az - dz * ay, dz * ax - dx * az, dx * ay - dy * ax
        low_a, low_b, high_a, high_b = 1e9, 1e9, -1e9, -1e9
        for i in range(n):
            x, y, w = vertices[i, 0], vertices[i, 1], vertices[i, 2]
            column[i], row[i] = x * ax + y * ay + w * az, x * bx + y * by + w * bz
            height[i] = x * dx + y * dy + w * dz
            low_a, high_a = min(low_a, column[i]), max(high_a, column[i])
            low_b, high_b = min(low_b, row[i]), max(high_b, row[i])
        scale = (cells - 1e-6) / max(high_a - low_a, high_b - low_b)
        grid[:] = -1e9
        for i in range(n):
            column[i] = (column[i] - low_a) * scale
            row[i] = (row[i] - low_b) * scale
            if live[i]:
                r, c = int(row[i]), int(column[i])
                grid[r, c] = max(grid[r, c], height[i])
        for i in range(n):
            facing = normals[i, 0] * dx + normals[i, 1] * dy + normals[i, 2] * dz
            weight = max(facing, 0.0) + 0.05
            total[i] += weight
            if grid[int(row[i]), int(column[i])] <= height[i] + bias:
                seen[i] += weight
    return seen / total


@compiled()
def majority_labels(triangle: np.ndarray, face_labels: np.ndarray, factor: int) -> np.ndarray:
    """Label map at 1 / factor of the z-buffer's size.

    A pixel is inside where at least half of its samples are; its label is the most frequent one there.
    """
    height, width = triangle.shape[0] // factor, triangle.shape[1] // factor
    out = np.zeros((height, width), np.uint8)
    count = np.zeros(256, np.int64)
    for j in range(height):
        for i in range(width):
            inside, best = 0, 0
            for k in range(factor * factor):
                t = triangle[j * factor + k // factor, i * factor + k % factor]
                if t >= 0:
                    inside += 1
                    count[face_labels[t]] += 1
            for k in range(factor * factor if inside else 0):
                t = triangle[j * factor + k // factor, i * factor + k % factor]
                label = face_labels[t] if t >= 0 else 0
                if count[label] > count[best] or (count[label] == count[best] and label < best):
                    best = label
            for k in range(factor * factor if inside else 0):
                t = triangle[j * factor + k // factor, i * factor + k % factor]
                if t >= 0:
                    count[face_labels[t]] = 0
            if 2 * inside >= factor * factor:
                out[j, i] = best
    return out


def pixels(mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns (int64, contiguous: one compiled version a kernel) of the True pixels of a mask."""
    rows, columns = np.nonzero(mask)
    return np.ascontiguousarray(rows), np.ascontiguousarray(columns)


@compiled()
def bounds(points: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Smallest and largest coordinates of the N x C points whose `keep` (N numbers) is not negative."""
    low, high = np.full(points.shape[1], np.inf), np.full(points.shape[1], -np.inf)
    for i in range(points.shape[0]):
        if keep[i] >= 0:
            for k in range(points.shape[1]):
                low[k] = min(low[k], points[i, k])
                high[k] = max(high[k], points[i, k])
    return low, high


@compiled()
def live_faces(faces: np.ndarray, cut: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which faces have a corner that is not cut away (F bool), and which vertices those use (N bool)."""
    live, used = np.zeros(faces.shape[0], np.bool_), np.zeros(cut.shape[0], np.bool_)
    for t in range(faces.shape[0]):
        if cut[faces[t, 0]] >= 0 or cut[faces[t, 1]] >= 0 or cut[faces[t, 2]] >= 0:
            live[t] = True
            for k in range(3):
                used[faces[t, k]] = True
    return live, used
