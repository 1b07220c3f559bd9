"""Poses: a library of key poses as limb directions, their jitter, forward kinematics and skinning."""

from dataclasses import dataclass, field, replace

import numpy as np

from deocc.compiled import compiled
from deocc.people.synth.asset import BodyAsset

X_AXIS, Y_AXIS, Z_AXIS = np.eye(3)
SPINE = (("spine05", 0.15), ("spine04", 0.2), ("spine03", 0.25), ("spine02", 0.2), ("spine01", 0.2))
NECK = (("neck01", 0.2), ("neck02", 0.15), ("neck03", 0.15), ("head", 0.5))


def rotation(axis: np.ndarray, degrees: float) -> np.ndarray:
    """3 x 3 rotation about `axis` (Rodrigues)."""
    x, y, z = np.asarray(axis, float) / np.linalg.norm(axis)
    angle = np.radians(degrees)
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def unit(vector: np.ndarray) -> np.ndarray:
    """The vector scaled to length 1."""
    return vector / np.linalg.norm(vector)


@dataclass(frozen=True)
class Arm:
    """Degrees: elevation from hanging, azimuth (0 sideways, 90 forward), inward twist, elbow flexion."""

    elevation: float = 12
    azimuth: float = 20
    twist: float = 0
    elbow: float = 15


@dataclass(frozen=True)
class Leg:
    """Degrees: hip flexion, abduction, toe-out, knee flexion; `ankle` None keeps the sole level."""

    flexion: float = 0
    abduction: float = 5
    toe_out: float = 8
    knee: float = 3
    ankle: float | None = None


@dataclass(frozen=True)
class Pose:
    """A whole-body pose; angles in degrees, `lift` in metres above the ground."""

    name: str = "stand"
    left_arm: Arm = Arm()
    right_arm: Arm = Arm()
    left_leg: Leg = Leg()
    right_leg: Leg = Leg()
    bend: float = 0  # of the spine, forward
    side: float = 0  # of the spine, to the left
    twist: float = 0  # of the spine
    nod: float = 0
    tilt: float = 0
    turn: float = 0  # of the head
    curl: float = 25  # of the fingers
    lift: float = 0
    weight: float = 1  # relative frequency in the library


LIBRARY: tuple[Pose, ...] = (
    Pose("stand", weight=5),
    Pose("contrapposto", Arm(14, 30, 10, 25), Arm(10, 10, 0, 12), Leg(4, 4, 12, 10), Leg(-2, 8, 10, 2),
         side=4, weight=3),
    Pose("hands on hips", Arm(42, -18, 35, 105), Arm(42, -18, 35, 105), weight=2),
    Pose("hand on hip", Arm(42, -18, 35, 105), Arm(10, 10, 0, 15), right_leg=Leg(5, 8, 15, 12), side=-4,
         weight=2),
    Pose("hands in pockets", Arm(17, -35, 18, 38), Arm(17, -35, 18, 38), weight=2),
    Pose("arms crossed", Arm(26, 58, 62, 108), Arm(30, 62, 58, 112), weight=2),
    Pose("phone", Arm(12, 20, 0, 18), Arm(28, 60, 25, 142), tilt=6, weight=1.5),
    Pose("read", Arm(22, 70, 35, 88), Arm(22, 70, 35, 88), nod=22, weight=1.5),
    Pose("carry", Arm(16, 75, 12, 72), Arm(16, 75, 12, 72), weight=1),
    Pose("wave", Arm(12, 15, 0, 15), Arm(105, 15, -70, 95)),
    Pose("point", Arm(82, 75, 0, 8), Arm(12, 10, 0, 15)),
    Pose("arms up", Arm(160, 20, 0, 20), Arm(160, 20, 0, 20), weight=0.6),
    Pose("arms wide", Arm(88, 5, 0, 10), Arm(88, 5, 0, 10), weight=0.6),
    Pose("walk, left leg front", Arm(18, -75, 0, 12), Arm(24, 80, 0, 28), Leg(24, 2, 5, 8),
         Leg(-18, 2, 5, 18, -12), twist=-6, weight=4),
    Pose("walk, passing", Arm(12, 10, 0, 20), Arm(12, 20, 0, 22), Leg(10, 2, 5, 10), Leg(10, 2, 5, 48),
         weight=3),
    Pose("walk, right leg front", Arm(28, 80, 0, 30), Arm(20, -75, 0, 12), Leg(-16, 2, 5, 24, -14),
         Leg(26, 2, 5, 6), twist=6, weight=3),
    Pose("run", Arm(38, -80, 5, 95), Arm(38, 82, 25, 95), Leg(62, 2, 0, 75), Leg(-22, 2, 0, 35, -35), bend=12,
         twist=-12, lift=0.06, weight=1.5),
    Pose("run, rear leg up", Arm(42, 82, 25, 95), Arm(42, -80, 5, 90), Leg(-12, 2, 0, 95, -20),
         Leg(48, 2, 0, 40), bend=14, twist=10, lift=0.04, weight=1.5),
    Pose("sit", Arm(26, 70, 18, 52), Arm(26, 70, 18, 52), left_leg=Leg(84, 8, 8, 84),
         right_leg=Leg(84, 8, 8, 84), bend=4, weight=2),
    Pose("sit, leaning", Arm(40, 75, 22, 62), Arm(40, 75, 22, 62), left_leg=Leg(88, 14, 10, 92),
         right_leg=Leg(88, 14, 10, 92), bend=26, nod=-10),
    Pose("crouch", Arm(48, 72, 20, 50), Arm(48, 72, 20, 50), left_leg=Leg(105, 16, 15, 125),
         right_leg=Leg(100, 16, 15, 120), bend=24),
    Pose("squat", Arm(80, 85, 10, 15), Arm(80, 85, 10, 15), left_leg=Leg(70, 18, 20, 85),
         right_leg=Leg(70, 18, 20, 85), bend=22, weight=0.8),
    Pose("lunge", Arm(30, 60, 15, 60), Arm(25, -60, 0, 35), Leg(68, 4, 5, 70), Leg(-20, 4, 5, 25, -30),
         weight=0.8),
    Pose("kick", Arm(65, 35, 0, 25), Arm(50, -45, 0, 30), Leg(-4, 4, 6, 10), Leg(72, 6, 0, 18), bend=-6,
         side=4, weight=0.8),
    Pose("throw", Arm(62, 70, 0, 30), Arm(112, -10, -55, 85), Leg(22, 10, 10, 14), Leg(-14, 10, 20, 12),
         twist=-18),
    Pose("jump", Arm(125, 25, 0, 30), Arm(120, 25, 0, 35), Leg(26, 14, 8, 60, -30), Leg(14, 14, 8, 78, -30),
         lift=0.25, weight=0.8),
    Pose("tree", Arm(165, 20, 10, 18), Arm(165, 20, 10, 18), left_leg=Leg(0, 3, 5, 2),
         right_leg=Leg(48, 42, 55, 112), weight=0.4),
    Pose("bow", Arm(20, 85, 0, 10), Arm(20, 85, 0, 10), left_leg=Leg(12, 5, 8, 8), right_leg=Leg(12, 5, 8, 8),
         bend=55, nod=-15, weight=0.8),
    Pose("guard", Arm(35, 75, 30, 115), Arm(35, 70, 30, 120), Leg(20, 8, 8, 22), Leg(-8, 10, 20, 20), bend=8,
         twist=12, weight=0.6),
    Pose("dance", Arm(120, 10, 20, 60), Arm(60, 40, 20, 70), Leg(8, 14, 20, 22), Leg(-4, 10, 14, 10), side=10,
         twist=14, tilt=8),
    Pose("reach", Arm(20, 10, 0, 20), Arm(150, 60, 0, 18), Leg(0, 4, 8, 3), Leg(-6, 6, 8, 8), side=-5,
         weight=0.8),
)  # fmt: skip


def _jitter_arm(arm: Arm, rng: np.random.Generator) -> Arm:
    noise = rng.normal(0, (5, 8, 8, 9))
    return Arm(
        max(9.0, arm.elevation + noise[0]),
        arm.azimuth + noise[1],
        arm.twist + noise[2],
        max(3.0, arm.elbow + noise[3]),
    )


def _jitter_leg(leg: Leg, rng: np.random.Generator) -> Leg:
    noise = rng.normal(0, (4, 2.5, 5, 5))
    return Leg(
        leg.flexion + noise[0],
        max(1.0, leg.abduction + noise[1]),
        leg.toe_out + noise[2],
        max(1.0, leg.knee + noise[3]),
        leg.ankle,
    )


def mirrored(pose: Pose) -> Pose:
    """The pose with left and right exchanged."""
    return replace(
        pose,
        left_arm=pose.right_arm,
        right_arm=pose.left_arm,
        left_leg=pose.right_leg,
        right_leg=pose.left_leg,
        side=-pose.side,
        twist=-pose.twist,
        tilt=-pose.tilt,
        turn=-pose.turn,
    )


def draw_pose(rng: np.random.Generator) -> Pose:
    """A random pose of the library, mirrored half of the time, with every angle jittered."""
    weights = np.array([pose.weight for pose in LIBRARY])
    pose = LIBRARY[rng.choice(len(LIBRARY), p=weights / weights.sum())]
    if rng.random() < 0.5:
        pose = mirrored(pose)
    noise = rng.normal(0, (4, 3, 6, 7, 4, 18))
    return replace(
        pose,
        left_arm=_jitter_arm(pose.left_arm, rng),
        right_arm=_jitter_arm(pose.right_arm, rng),
        left_leg=_jitter_leg(pose.left_leg, rng),
        right_leg=_jitter_leg(pose.right_leg, rng),
        bend=pose.bend + noise[0],
        side=pose.side + noise[1],
        twist=pose.twist + noise[2],
        nod=pose.nod + noise[3],
        tilt=pose.tilt + noise[4],
        turn=pose.turn + noise[5],
        curl=rng.uniform(5, 55),
    )


@dataclass
class Skeleton:
    """Joint transforms: x -> rotation[b] @ (x - rest[b]) + position[b] for bone b."""

    rest: np.ndarray  # bones x 3
    rotation: np.ndarray  # bones x 3 x 3
    position: np.ndarray  # bones x 3
    affine: np.ndarray = field(init=False)  # bones x 3 x 4

    def __post_init__(self) -> None:
        offset = self.position - np.einsum("bij,bj->bi", self.rotation, self.rest)
        self.affine = np.concatenate([self.rotation, offset[..., None]], 2)

    def move(self, points: np.ndarray, bone: int) -> np.ndarray:
        """Moves N x 3 rest-pose points rigidly with one bone."""
        return (points - self.rest[bone]) @ self.rotation[bone].T + self.position[bone]


def _frame(axis: np.ndarray, front: np.ndarray) -> np.ndarray:
    """Orthonormal columns: `axis`, the part of `front` across it, and their cross product."""
    front = unit(front - (front @ axis) * axis)
    return np.stack([axis, front, np.cross(axis, front)], 1)


class _Solver:
    """Turns limb directions into bone rotations for one skeleton at rest."""

    def __init__(self, pose: Pose, rest: np.ndarray, asset: BodyAsset):
        self.pose, self.rest, self.bone = pose, rest, asset.bone
        self.parents = asset.bone_parents
        self.local = np.tile(np.eye(3), (len(rest), 1, 1))
        self.directed: dict[
            int, tuple[int, np.ndarray]
        ] = {}  # bone -> (reference bone, rotation in its space)

    def spine(self) -> None:
        pose = self.pose
        for chain, angles in (
            (SPINE, (pose.twist, pose.side, pose.bend)),
            (NECK, (pose.turn, pose.tilt, pose.nod)),
        ):
            for name, share in chain:
                about_z, about_y, about_x = (angle * share for angle in angles)
                self.local[self.bone[name]] = (
                    rotation(Z_AXIS, about_z) @ rotation(Y_AXIS, about_y) @ rotation(X_AXIS, about_x)
                )

    def arm(self, arm: Arm, suffix: str, sign: float) -> None:
        elevation, azimuth = np.radians(arm.elevation), np.radians(arm.azimuth)
        self.local[self.bone["clavicle" + suffix]] = rotation(
            Y_AXIS, -sign * max(0, arm.elevation - 55) * 0.16
        )
        target = np.array(
            [
                sign * np.sin(elevation) * np.cos(azimuth),
                -np.sin(elevation) * np.sin(azimuth),
                -np.cos(elevation),
            ]
        )
        front = np.array([-sign * 0.35 * np.sin(elevation), -1.0, 0.45 * np.sin(elevation)])
        shoulder, elbow, wrist = (
            self.rest[self.bone[b + suffix]] for b in ("upperarm01", "lowerarm01", "wrist")
        )
        upper, lower = unit(elbow - shoulder), unit(wrist - elbow)
        hinge = unit(np.cross(upper, lower))
        rest_frame = np.stack([upper, np.cross(hinge, upper), hinge], 1)
        posed_frame = rotation(target, sign * arm.twist) @ _frame(target, front)
        self.directed[self.bone["upperarm01" + suffix]] = (self.bone["spine01"], posed_frame @ rest_frame.T)
        rest_flexion = np.degrees(np.arccos(np.clip(upper @ lower, -1, 1)))
        self.local[self.bone["lowerarm01" + suffix]] = rotation(hinge, arm.elbow - rest_flexion)
        self.local[self.bone["wrist" + suffix]] = rotation(lower, sign * 35)
        self._fingers(suffix, np.cross(lower, [0.0, -1.0, -0.3]))

    def _fingers(self, suffix: str, axis: np.ndarray) -> None:
        for finger in range(1, 6):
            for joint in range(1, 4):
                name = f"finger{finger}-{joint}{suffix}"
                if name in self.bone:
                    share = 0.35 if finger == 1 else 1.0
                    self.local[self.bone[name]] = rotation(axis, self.pose.curl * share * 0.9)

    def leg(self, leg: Leg, suffix: str, sign: float) -> None:
        flexion, abduction = np.radians(leg.flexion), np.radians(leg.abduction)
        hip, knee, ankle = (self.rest[self.bone[b + suffix]] for b in ("upperleg01", "lowerleg01", "foot"))
        thigh, shin = unit(knee - hip), unit(ankle - knee)
        rest_frame = _frame(thigh, Y_AXIS)
        hinge = rest_frame[:, 2]
        target = np.array(
            [
                sign * np.sin(abduction),
                -np.sin(flexion) * np.cos(abduction),
                -np.cos(flexion) * np.cos(abduction),
            ]
        )
        front = np.array([0, np.cos(flexion), -np.sin(flexion)])
        posed_frame = rotation(target, -sign * leg.toe_out) @ _frame(target, front)
        self.directed[self.bone["upperleg01" + suffix]] = (self.bone["root"], posed_frame @ rest_frame.T)
        rest_flexion = np.degrees(np.arctan2(shin @ rest_frame[:, 1], shin @ thigh))
        self.local[self.bone["lowerleg01" + suffix]] = rotation(hinge, leg.knee - rest_flexion)
        level = float(np.clip(leg.flexion - leg.knee, -30, 40))
        self.local[self.bone["foot" + suffix]] = rotation(
            X_AXIS, -(level if leg.ankle is None else leg.ankle)
        )

    def solve(self) -> Skeleton:
        rotations, positions = np.zeros((len(self.rest), 3, 3)), np.zeros((len(self.rest), 3))
        for bone, parent in enumerate(self.parents):
            if parent < 0:
                rotations[bone], positions[bone] = self.local[bone], self.rest[bone]
                continue
            reference, matrix = self.directed.get(bone, (parent, self.local[bone]))
            rotations[bone] = rotations[reference] @ matrix
            positions[bone] = positions[parent] + rotations[parent] @ (self.rest[bone] - self.rest[parent])
        return Skeleton(self.rest, rotations, positions)


def solve_pose(pose: Pose, rest: np.ndarray, asset: BodyAsset) -> Skeleton:
    """Bone transforms of a pose. Args: rest: bones x 3 joint positions of this body, metres."""
    solver = _Solver(pose, rest, asset)
    solver.spine()
    for suffix, sign, arm, leg in (
        (".L", 1.0, pose.left_arm, pose.left_leg),
        (".R", -1.0, pose.right_arm, pose.right_leg),
    ):
        solver.arm(arm, suffix, sign)
        solver.leg(leg, suffix, sign)
    return solver.solve()


@compiled(fastmath=True)
def skin(points: np.ndarray, bones: np.ndarray, weights: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Linear blend skinning. points N x 3, bones and weights N x K, affine B x 3 x 4 -> N x 3."""
    moved = np.zeros_like(points)
    for i in range(points.shape[0]):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        for k in range(bones.shape[1]):
            weight = weights[i, k]
            if weight == 0.0:
                continue
            bone = bones[i, k]
            for row in range(3):
                moved[i, row] += weight * (
                    affine[bone, row, 0] * x
                    + affine[bone, row, 1] * y
                    + affine[bone, row, 2] * z
                    + affine[bone, row, 3]
                )
    return moved
