"""A body under construction: identity, pose, the posed bodysuit that garments are cut from."""

from dataclasses import dataclass, field

import numpy as np

from deocc.people.synth.asset import BodyAsset, Surface, load_asset
from deocc.people.synth.materials import Material
from deocc.people.synth.mesh import MeshBuilder
from deocc.people.synth.noise import noise_at
from deocc.people.synth.pose import Pose, Skeleton, skin, solve_pose
from deocc.people.synth.raster import vertex_normals


@dataclass
class Figure:
    """A posed person, dressed step by step.

    Attributes:
        female: of the drawn body, used for style alone.
        rest: V x 3 vertices of this body in rest pose; skeleton: its joint transforms.
        suit, suit_normals: posed bodysuit, N x 3; suit_rest: the same in rest pose.
        body: posed body vertices.
        covered: per body vertex, positive where clothes hide the skin, metres inside the garment's edge.
    """

    asset: BodyAsset
    rng: np.random.Generator
    female: bool
    pose: Pose
    rest: np.ndarray
    skeleton: Skeleton
    mesh: MeshBuilder = field(default_factory=MeshBuilder)
    suit_rest: np.ndarray = field(init=False)
    suit: np.ndarray = field(init=False)
    suit_normals: np.ndarray = field(init=False)
    body: np.ndarray = field(init=False)
    covered: np.ndarray = field(init=False)
    suit_uv: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        asset = self.asset
        self.suit_rest = asset.suit.operator @ self.rest
        self.suit = self.posed(asset.suit, self.suit_rest)
        self.suit_normals = vertex_normals(self.suit, asset.suit.faces)
        if ((self.suit - self.suit.mean(0)) * self.suit_normals).sum() < 0:
            self.suit_normals = -self.suit_normals
        self.body = self.posed(asset.body, self.rest[: len(asset.body.template)])
        self.covered = np.full(len(self.body), -1.0)
        self.suit_uv = suit_coordinates(asset.suit)

    def posed(self, surface: Surface, points: np.ndarray) -> np.ndarray:
        """Moves a surface's rest-pose points with the skeleton."""
        return skin(np.ascontiguousarray(points), surface.bones, surface.weights, self.skeleton.affine)

    def cover(self, field_values: np.ndarray) -> None:
        """Marks skin as hidden where the field (metres inside a garment, per body vertex) is positive."""
        self.covered = np.maximum(self.covered, field_values)

    def add_garment(
        self,
        field_values: np.ndarray,
        offset: float | np.ndarray,
        label: int | np.ndarray,
        material: Material,
        wrinkle: float = 0.5,
        relief: float = 0.0025,
    ) -> None:
        """Adds the bodysuit cut at field 0 and pushed out along its normals.

        Args:
            field_values: N metres inside the garment's edge; negative parts are cut away.
            offset: metres from the skin; relief: height of its uneven folds.
        """
        template = self.asset.suit.template
        seed = self.rng.uniform(0, 60)
        folds = noise_at(template, (9, 9, 16), seed) + 0.5 * noise_at(template, (18.9, 18.9, 33.6), seed + 5)
        vertices = self.suit + self.suit_normals * (offset + relief * folds)[:, None]
        self.mesh.add(
            vertices,
            self.asset.suit.faces,
            material,
            label,
            template,
            self.suit_uv,
            field_values,
            np.abs(field_values),
            wrinkle,
        )


def suit_coordinates(suit: Surface) -> np.ndarray:
    """Surface coordinates of the bodysuit, N x 2 metres: around and along torso, legs and arms."""
    x, y, z = suit.template.T
    leg_axis = np.sign(x) * (0.113 + np.clip(0.118 - z, 0, 1) * 0.085)
    around = np.where(
        z > 0.05, np.arctan2(x, -(y + 0.02)) * 0.15, np.arctan2(x - leg_axis, -(y + 0.02)) * 0.08
    )
    uv = np.stack([around, z], 1)
    arm = suit.arm_weight > 0.5
    uv[arm] = np.stack([suit.arm_angle[arm] * 0.05, -suit.arm_reach[arm]], 1)
    return uv


def draw_figure(rng: np.random.Generator, pose: Pose) -> Figure:
    """A random body: a blend of two sampled adults of one sex, posed."""
    asset = load_asset()
    female = bool(rng.random() < 0.5)
    first, second = rng.choice(np.flatnonzero(asset.female == female), 2)
    share = np.float32(rng.uniform(0.6, 1))
    shape = share * asset.shape_samples[first] + (1 - share) * asset.shape_samples[second]
    rest = asset.mean + np.tensordot(shape, asset.shape_basis, 1).astype(np.float64)
    joints = asset.heads + np.tensordot(shape, asset.head_basis, 1).astype(np.float64)
    return Figure(asset, rng, female, pose, rest, solve_pose(pose, joints, asset))
