"""Triangle meshes with materials and labels, collected layer by layer."""

from dataclasses import dataclass, field

import numpy as np

from deocc.people.synth.materials import Material


@dataclass(frozen=True)
class Mesh:
    """What the renderer draws.

    Attributes:
        vertices: N x 3, metres.
        faces: F x 3 int32.
        cut: N; fragments with a negative interpolated value are not there.
        coords: N x 3 pattern coordinates; uv: N x 2 surface coordinates; edge: N distance to the edge; metres.
        wrinkle: N, strength of cloth wrinkles in [0, 1].
        labels: F uint8 LIP classes; material: F int32 rows of `materials`.
        materials: M x COLUMNS.
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

    @property
    def visible(self) -> np.ndarray:
        """N x 3 vertices that are not cut away."""
        return self.vertices[self.cut >= 0]


@dataclass
class MeshBuilder:
    """Collects layers; `build` drops what is cut away."""

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
        cut = np.broadcast_to(np.asarray(cut, float), (len(vertices),))
        live = (cut >= 0)[faces].any(1)
        used, compact = np.unique(faces[live], return_inverse=True)
        if not len(used):
            return
        per_vertex = [
            np.broadcast_to(np.asarray(value, float), (len(vertices), *shape))[used]
            for value, shape in (
                (vertices, (3,)), (cut, ()), (vertices if coords is None else coords, (3,)),
                (vertices[:, :2] if uv is None else uv, (2,)), (edge, ()), (wrinkle, ()),
            )
        ]  # fmt: skip
        labels = np.broadcast_to(np.asarray(label, np.uint8), (len(faces),))[live]
        kept = compact.reshape(-1, 3).astype(np.int32) + self.count
        self.layers.append((*per_vertex, kept, labels, np.full(len(kept), len(self.materials), np.int32)))
        self.materials.append(material.row())
        self.count += len(used)

    def build(self) -> Mesh:
        """The finished mesh."""
        vertices, cut, coords, uv, edge, wrinkle, faces, labels, material = (
            np.ascontiguousarray(np.concatenate(parts)) for parts in zip(*self.layers, strict=True)
        )
        return Mesh(vertices, faces, cut, coords, uv, edge, wrinkle, labels, material, np.stack(self.materials))
