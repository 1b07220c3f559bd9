"""Triangle meshes with materials and labels, collected layer by layer."""

from dataclasses import dataclass, field, fields, replace
from functools import cached_property

import numpy as np

from deocc.people.synth.materials import Material
from deocc.people.synth.raster import ambient_occlusion, bounds, live_faces, vertex_normals


@dataclass(frozen=True)
class Mesh:
    """A mesh for the renderer.

    Attributes:
        vertices: N x 3, metres.
        faces: F x 3 int32.
        cut: N; fragments with a negative interpolated value are not drawn.
        coords: N x 3 pattern coordinates; uv: N x 2 surface coordinates; edge: N to the edge; metres.
        wrinkle: N, strength of cloth wrinkles in [0, 1].
        labels: F uint8 LIP classes; material: F int32 rows of `materials`.
        materials: M x COLUMNS.
        normals: N x 3 unit; occlusion: N, share of the sky seen in [0, 1].
    """

    vertices: np.ndarray
    faces: np.ndarray
    cut: np.ndarray
    coords: np.ndarray
    uv: np.ndarray
    edge: np.ndarray
    wrinkle: np.ndarray
    labels: np.ndarray
    material: np.ndarray
    materials: np.ndarray
    normals: np.ndarray
    occlusion: np.ndarray

    @cached_property
    def visible(self) -> np.ndarray:
        """N x 3 vertices that are not cut away."""
        return self.vertices[self.cut >= 0]


@dataclass
class MeshBuilder:
    """Collects layers; `build` drops faces that are cut away."""

    layers: list[tuple[np.ndarray, ...]] = field(default_factory=list)
    materials: list[np.ndarray] = field(default_factory=list)
    count: int = 0

    def add(
        self,
        vertices: np.ndarray,
        faces: np.ndarray,
        material: Material,
        label: int | np.ndarray = 0,
        coords: np.ndarray | None = None,
        uv: np.ndarray | None = None,
        cut: float | np.ndarray = 1.0,
        edge: float | np.ndarray = 1.0,
        wrinkle: float | np.ndarray = 0.0,
    ) -> None:
        """Adds one layer; scalars are spread over its vertices (label: over its faces)."""
        cut = np.ascontiguousarray(np.broadcast_to(np.asarray(cut, float), (len(vertices),)))
        faces = np.ascontiguousarray(faces, np.int32)  # one compiled version of the kernel
        live, marked = live_faces(faces, cut)
        if not live.any():
            return
        kept, used = faces[live], np.flatnonzero(marked)
        compact = np.cumsum(marked, dtype=np.int32) - 1 + self.count
        per_vertex = [
            np.broadcast_to(np.asarray(value, float), (len(vertices), *shape))[used]
            for value, shape in (
                (vertices, (3,)), (cut, ()), (vertices if coords is None else coords, (3,)),
                (vertices[:, :2] if uv is None else uv, (2,)), (edge, ()), (wrinkle, ()),
            )
        ]  # fmt: skip
        labels = np.broadcast_to(np.asarray(label, np.uint8), (len(faces),))[live]
        self.layers.append(
            (*per_vertex, compact[kept], labels, np.full(len(kept), len(self.materials), np.int32))
        )
        self.materials.append(material.row())
        self.count += len(used)

    def build(self, sky_directions: int = 14) -> Mesh:
        """The finished mesh. Args: sky_directions: quality of its ambient occlusion."""
        vertices, cut, coords, uv, edge, wrinkle, faces, labels, material = (
            np.ascontiguousarray(np.concatenate(parts)) for parts in zip(*self.layers, strict=True)
        )
        normals = vertex_normals(vertices, faces)
        low, high = bounds(vertices, cut)
        reach = 0.018 * float((high - low).max())
        occlusion = ambient_occlusion(vertices, normals, cut >= 0, sky_directions, 72, reach)
        return Mesh(
            vertices,
            faces,
            cut,
            coords,
            uv,
            edge,
            wrinkle,
            labels,
            material,
            np.stack(self.materials),
            normals,
            occlusion,
        )


def placed(mesh: Mesh, turn: float, offset: np.ndarray, scale: float, tint: np.ndarray) -> Mesh:
    """A mesh turned about z (radians), scaled, moved (3), its colours multiplied by `tint` (3)."""
    cosine, sine = np.cos(turn), np.sin(turn)
    matrix = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1.0]])
    materials = mesh.materials.copy()
    materials[:, 1:10] = np.clip(materials[:, 1:10] * np.tile(tint, 3), 0, 1)
    return replace(
        mesh,
        vertices=scale * mesh.vertices @ matrix.T + offset,
        normals=mesh.normals @ matrix.T,
        materials=materials,
    )


def merged(meshes: list[Mesh]) -> Mesh:
    """Several meshes as one."""
    vertex_start = np.cumsum([0] + [len(mesh.vertices) for mesh in meshes[:-1]])
    material_start = np.cumsum([0] + [len(mesh.materials) for mesh in meshes[:-1]])
    parts = [
        replace(mesh, faces=mesh.faces + np.int32(first), material=mesh.material + np.int32(row))
        for mesh, first, row in zip(meshes, vertex_start, material_start, strict=True)
    ]
    return Mesh(*(np.concatenate([getattr(part, name.name) for part in parts]) for name in fields(Mesh)))
