"""The body asset: MakeHuman's mean adult, its shape components, skeleton, bodysuit and skirt meshes (CC0).

Space is metres in the body's rest pose: x to the person's left, y to the back, z up, pelvis near z = 0.1.
`tools/build_body_asset.py` makes the file.
"""

from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from scipy import sparse

ARM_BONES = ("upperarm", "lowerarm", "wrist", "finger", "metacarpal")
LEG_BONES = ("upperleg", "lowerleg", "foot", "toe", "pelvis")
HEAD_BONES = ("head", "neck", "eye")
SKULL_CENTRE = np.array([0.0, -0.055, 0.855])  # of the mean body, rest pose
SKULL_COLUMNS, SKULL_ROWS = 64, 40


@dataclass(frozen=True)
class Surface:
    """A mesh bound to the skeleton.

    Attributes:
        faces: F x 3 int32 vertex numbers.
        operator: N x V sparse matrix that makes the mesh's vertices from the asset's base vertices.
        template: N x 3 mean body in rest pose; garment fields and textures live in these coordinates.
        bones: N x K int32, weights: N x K float64, rows sum to 1.
        arm_reach: N, distance along the arm from the shoulder, metres; -0.3 off the arm.
        arm_weight: N, share of the arm's bones in [0, 1].
        arm_angle: N, angle around the arm's axis, radians.
        arm_lengths: distances along the arm to the elbow and the wrist.
    """

    faces: np.ndarray
    operator: sparse.csr_matrix
    template: np.ndarray
    bones: np.ndarray
    weights: np.ndarray
    arm_reach: np.ndarray
    arm_weight: np.ndarray
    arm_angle: np.ndarray
    arm_lengths: tuple[float, float]


@dataclass(frozen=True)
class Skull:
    """A sphere grid around the head on which hair and hats are built.

    Attributes:
        directions: N x 3 unit vectors; azimuth (0 = front) and elevation: N, radians.
        radius: N, distance of the scalp from `SKULL_CENTRE` along each direction, metres.
        faces: F x 3 int32.
    """

    directions: np.ndarray
    azimuth: np.ndarray
    elevation: np.ndarray
    radius: np.ndarray
    faces: np.ndarray


@dataclass(frozen=True)
class BodyAsset:
    """Everything about bodies that does not depend on a seed; see the attributes of its parts."""

    mean: np.ndarray  # V x 3
    heads: np.ndarray  # bones x 3, joint positions of the mean body
    shape_basis: np.ndarray  # 24 x V x 3
    head_basis: np.ndarray  # 24 x bones x 3
    shape_samples: np.ndarray  # 400 x 24 coefficients of sampled adults
    female: np.ndarray  # 400 bool
    bone_names: tuple[str, ...]
    bone_parents: np.ndarray
    body: Surface
    suit: Surface
    skirt: Surface
    eyes: Surface
    skull: Skull
    head_vertices: np.ndarray  # numbers of the body vertices that move with the head
    head_weight: np.ndarray  # share of head and neck bones a body vertex
    body_labels: np.ndarray  # LIP class a body vertex (face, arms, legs)
    lips: np.ndarray  # [0, 1] a body vertex
    ears: np.ndarray  # bool a body vertex
    left_eye: np.ndarray  # centre of the left eyeball

    @property
    def bone(self) -> dict[str, int]:
        """Bone numbers by name."""
        return _bone_numbers(self.bone_names)


@lru_cache
def _bone_numbers(names: tuple[str, ...]) -> dict[str, int]:
    return {name: number for number, name in enumerate(names)}


def loop_subdivision(faces: np.ndarray, vertices: int) -> tuple[sparse.csr_matrix, np.ndarray]:
    """One step of Loop's subdivision.

    Args:
        faces: F x 3 vertex numbers, of which some of `vertices` may be unused.
        vertices: how many vertices the numbers refer to.

    Returns:
        (M x vertices sparse operator, 4F x 3 int64 faces); unused vertices are dropped.
    """
    used = np.unique(faces)
    compact = np.full(vertices, -1)
    compact[used] = np.arange(len(used))
    tri = compact[faces]
    corners = np.concatenate([tri[:, [0, 1]], tri[:, [1, 2]], tri[:, [2, 0]]])
    opposite = np.concatenate([tri[:, 2], tri[:, 0], tri[:, 1]])
    edges, edge_of, count = np.unique(np.sort(corners, 1), axis=0, return_inverse=True, return_counts=True)
    edge_of = edge_of.ravel()
    n, m = len(used), len(edges)
    inner = count[edge_of] == 2
    # New edge points: 3/8 of both ends + 1/8 of both opposite corners; the middle on a border.
    end_weight = np.where(count == 2, 0.375, 0.5)
    rows = np.concatenate([np.arange(m), np.arange(m), edge_of[inner]])
    columns = np.concatenate([edges[:, 0], edges[:, 1], opposite[inner]])
    values = np.concatenate([end_weight, end_weight, np.full(inner.sum(), 0.125)])
    edge_points = sparse.csr_matrix((values, (rows, columns)), shape=(m, n))
    ends = np.concatenate([edges, edges[:, ::-1]])
    neighbours = sparse.csr_matrix((np.ones(2 * m), (ends[:, 0], ends[:, 1])), shape=(n, n))
    border = edges[count == 1]
    border_ends = np.concatenate([border, border[:, ::-1]])
    border_neighbours = sparse.csr_matrix(
        (np.ones(len(border_ends)), (border_ends[:, 0], border_ends[:, 1])), shape=(n, n)
    )
    valence = np.asarray(neighbours.sum(1)).ravel()
    border_valence = np.asarray(border_neighbours.sum(1)).ravel()
    beta = np.where(valence > 3, 3 / (8 * np.maximum(valence, 1)), 3 / 16)
    beta[border_valence > 0] = 0
    border_beta = np.where(border_valence == 2, 0.125, 0.0)
    keep = 1 - valence * beta - border_valence * border_beta
    moved = (
        sparse.diags(keep) + sparse.diags(beta) @ neighbours + sparse.diags(border_beta) @ border_neighbours
    )
    select = sparse.csr_matrix((np.ones(n), (np.arange(n), used)), shape=(n, vertices))
    operator = sparse.vstack([moved, edge_points]).tocsr() @ select
    ab, bc, ca = edge_of.reshape(3, -1) + n
    a, b, c = tri.T
    new = np.stack([a, ab, ca, ab, b, bc, ca, bc, c, ab, bc, ca], 1).reshape(-1, 3)
    return operator.tocsr(), new


def _strongest(weights: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The `count` largest weights a row and their columns, normalised."""
    bones = np.argsort(-weights, 1, kind="stable")[:, :count]
    kept = np.take_along_axis(weights, bones, 1)
    return bones.astype(np.int32), kept / kept.sum(1, keepdims=True)


def _arm_coordinates(
    template: np.ndarray, weights: np.ndarray, bone: dict[str, int], heads: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, tuple[float, float]]:
    """Distance along the arm, arm weight and angle around the arm of each vertex, and the arm's lengths."""
    share = {
        kind: weights[:, [i for name, i in bone.items() if name.startswith(kind)]].sum(1)
        for kind in (ARM_BONES, ARM_BONES[1:])
    }
    arm, lower = share[ARM_BONES], share[ARM_BONES[1:]]
    points = template * [1, 1, 1]
    points[:, 0] = np.abs(points[:, 0])  # fold the right arm onto the left
    shoulder, elbow, wrist = (heads[bone[name]] for name in ("upperarm01.L", "lowerarm01.L", "wrist.L"))
    upper_axis, lower_axis = elbow - shoulder, wrist - elbow
    upper_length, lower_length = np.linalg.norm(upper_axis), np.linalg.norm(lower_axis)
    upper_axis, lower_axis = upper_axis / upper_length, lower_axis / lower_length
    along_upper, along_lower = (points - shoulder) @ upper_axis, (points - elbow) @ lower_axis
    below = lower > 0.5
    reach = np.where(
        below,
        np.maximum(upper_length + along_lower, 0.8 * upper_length),
        np.minimum(along_upper, 1.1 * upper_length),
    )
    reach = np.where(arm > 0.03, reach, -0.3)
    axis_point = np.where(
        below[:, None],
        elbow + np.clip(along_lower, 0, None)[:, None] * lower_axis,
        shoulder + np.clip(along_upper, 0, None)[:, None] * upper_axis,
    )
    around = points - axis_point
    angle = np.arctan2(around[:, 1], around @ np.cross(upper_axis, [0.0, 1.0, 0.0]))
    return reach, arm, angle, (float(upper_length), float(upper_length + lower_length))


def _surface(
    operator: sparse.csr_matrix, faces: np.ndarray, base: dict[str, np.ndarray], bone: dict[str, int]
) -> Surface:
    weights = operator @ base["dense_weights"]
    template = operator @ base["mean"]
    bones, kept = _strongest(weights, 6)
    return Surface(
        np.ascontiguousarray(faces, np.int32),
        operator,
        template,
        bones,
        kept,
        *_arm_coordinates(template, weights, bone, base["heads"]),
    )


def _skull(points: np.ndarray) -> Skull:
    """A smooth shell over the scalp's points: weighted mean radius, pushed outside the nearest ones."""
    relative = points - SKULL_CENTRE
    distance = np.linalg.norm(relative, axis=1)
    grid = np.meshgrid(
        np.linspace(-np.pi, np.pi, SKULL_COLUMNS, endpoint=False),
        np.linspace(-np.pi / 2, np.pi / 2, SKULL_ROWS),
    )
    azimuth, elevation = grid[0].ravel(), grid[1].ravel()
    directions = np.stack(
        [np.sin(azimuth) * np.cos(elevation), -np.cos(azimuth) * np.cos(elevation), np.sin(elevation)], 1
    )
    weight = np.exp(60 * (directions @ (relative / distance[:, None]).T - 1))
    radius = (weight * distance).sum(1) / weight.sum(1)
    radius = np.maximum(radius, np.where(weight > 0.4, distance, 0).max(1) * 0.995)
    return Skull(directions, azimuth, elevation, radius, grid_faces(SKULL_ROWS, SKULL_COLUMNS, wrap=True))


def grid_faces(rows: int, columns: int, wrap: bool = False) -> np.ndarray:
    """Triangles of a rows x columns vertex grid; `wrap` joins the last column to the first. F x 3 int32."""
    i, j = np.mgrid[: rows - 1, : columns if wrap else columns - 1]
    a, b = (i * columns + j).ravel(), (i * columns + (j + 1) % columns).ravel()
    return np.stack([a, b, a + columns, b, b + columns, a + columns], 1).reshape(-1, 3).astype(np.int32)


def _bones_like(bone: dict[str, int], kinds: tuple[str, ...], side: str = "") -> list[int]:
    return [number for name, number in bone.items() if name.startswith(kinds) and name.endswith(side)]


def _body_labels(weights: np.ndarray, bone: dict[str, int]) -> np.ndarray:
    """LIP class of each body vertex by its strongest limb; torso skin, which LIP lacks, counts as face."""
    arms = ("shoulder", *ARM_BONES)
    groups = [
        (13, HEAD_BONES, ""),
        (14, arms, ".L"),
        (15, arms, ".R"),
        (16, LEG_BONES, ".L"),
        (17, LEG_BONES, ".R"),
    ]
    shares = np.stack([weights[:, _bones_like(bone, kinds, side)].sum(1) for _, kinds, side in groups], 1)
    shares = np.concatenate([shares, 1 - shares.sum(1, keepdims=True)], 1)
    return np.array([label for label, _, _ in groups] + [13], np.uint8)[shares.argmax(1)]


@lru_cache(maxsize=1)
def load_asset() -> BodyAsset:
    """Reads the packaged asset and derives what the renderer needs (about a second, once a process)."""
    with files("deocc.people.synth").joinpath("assets/body.npz").open("rb") as file:
        raw = dict(np.load(file))
    names = tuple(str(name) for name in raw["bone_names"])
    bone = _bone_numbers(names)
    mean = raw["mean"].astype(np.float64)
    vertices, body_vertices = len(mean), int(raw["body_vertices"])
    dense = np.zeros((vertices, len(names)))
    np.add.at(dense, (np.arange(vertices)[:, None], raw["skin_bones"]), raw["skin_weights"] / 255.0)
    dense /= dense.sum(1, keepdims=True)
    base = {"mean": mean, "heads": raw["heads"].astype(np.float64), "dense_weights": dense}
    identity = sparse.identity(vertices, format="csr")
    eye_numbers = np.unique(raw["eye_faces"])
    eye_faces = np.asarray(np.searchsorted(eye_numbers, raw["eye_faces"]))
    body = _surface(identity[:body_vertices], raw["body_faces"], base, bone)
    head_share = dense[:body_vertices, _bones_like(bone, HEAD_BONES)].sum(1)
    head_vertices = np.flatnonzero(head_share > 0.9)
    scalp = head_vertices[~raw["ears"][head_vertices] & (mean[head_vertices, 2] > 0.74)]
    return BodyAsset(
        mean=mean,
        heads=base["heads"],
        shape_basis=raw["shape_basis"].astype(np.float32),
        head_basis=raw["head_basis"].astype(np.float32),
        shape_samples=raw["shape_samples"].astype(np.float32),
        female=raw["female"],
        bone_names=names,
        bone_parents=raw["bone_parents"].astype(np.int64),
        body=body,
        suit=_surface(*loop_subdivision(raw["suit_faces"].astype(np.int64), vertices), base, bone),
        skirt=_surface(*loop_subdivision(raw["skirt_faces"].astype(np.int64), vertices), base, bone),
        eyes=_surface(identity[eye_numbers], eye_faces, base, bone),
        skull=_skull(mean[scalp]),
        head_vertices=head_vertices,
        head_weight=head_share,
        body_labels=_body_labels(dense[:body_vertices], bone),
        lips=raw["lips"] / 255.0,
        ears=raw["ears"],
        left_eye=mean[eye_numbers[: len(eye_numbers) // 2]].mean(0),
    )
