"""Hair, hats, sunglasses, scarves, gloves and skin."""

from dataclasses import dataclass

import numpy as np

from deocc.people.synth.asset import SKULL_CENTRE, grid_faces
from deocc.people.synth.figure import Figure
from deocc.people.synth.garments import JUMPSUIT, UPPER, Outfit
from deocc.people.synth.materials import EYE, HAIR, PLAIN, SKIN, Material, draw_cloth, grey, linear
from deocc.people.synth.noise import noise_at, smoothsteps
from deocc.people.synth.raster import vertex_normals
from deocc.people.synth.shapes import tube

HAT, HAIR_LABEL, GLOVE, SUNGLASSES, SCARF, FACE = 1, 2, 3, 4, 11, 13
HAIR_COLOURS = (
    (0.05, 0.04, 0.035),
    (0.1, 0.06, 0.04),
    (0.2, 0.12, 0.07),
    (0.35, 0.22, 0.12),
    (0.62, 0.47, 0.28),
    (0.75, 0.65, 0.45),
    (0.55, 0.55, 0.55),
    (0.45, 0.17, 0.08),
)
SKIN_TONES = (
    (0.93, 0.78, 0.70),
    (0.88, 0.70, 0.59),
    (0.80, 0.60, 0.46),
    (0.66, 0.47, 0.35),
    (0.50, 0.35, 0.26),
    (0.36, 0.25, 0.19),
)
HAIRCUTS = ("short", "buzz", "medium", "bob", "long", "bun", "pony", "bald")
THICKNESS = {
    "short": 0.014,
    "buzz": 0.004,
    "medium": 0.02,
    "bob": 0.024,
    "long": 0.024,
    "bun": 0.012,
    "pony": 0.012,
}


@dataclass(frozen=True)
class HeadSpace:
    """Maps points around the mean body's head to this person's posed head (or rest-pose body)."""

    figure: Figure
    affine: np.ndarray  # 4 x 3, least squares from the mean body's head to this one's

    def rest(self, points: np.ndarray) -> np.ndarray:
        """N x 3 points beside the mean head, beside this person's head at rest."""
        return np.concatenate([points, np.ones((len(points), 1))], 1) @ self.affine

    def posed(self, points: np.ndarray, bone: str = "head") -> np.ndarray:
        """The same, moved rigidly with a bone of the pose."""
        return self.figure.skeleton.move(self.rest(points), self.figure.asset.bone[bone])


def head_space(figure: Figure) -> HeadSpace:
    """Fits the head's affine map."""
    vertices = figure.asset.head_vertices
    mean = np.concatenate([figure.asset.mean[vertices], np.ones((len(vertices), 1))], 1)
    return HeadSpace(figure, np.linalg.lstsq(mean, figure.rest[vertices], rcond=None)[0])


def _shell(space: HeadSpace, thickness: np.ndarray | float) -> np.ndarray:
    skull = space.figure.asset.skull
    return SKULL_CENTRE + skull.directions * (skull.radius + thickness)[:, None]


def _add_cap_of_hair(space: HeadSpace, cut: str, material: Material, under_hat: bool) -> None:
    """Hair that follows the skull down to a hairline."""
    figure, skull = space.figure, space.figure.asset.skull
    around = np.abs(skull.azimuth) / np.pi
    low = cut in ("medium", "bob", "long")
    if low:
        hairline = np.interp(
            around, [0, 0.15, 0.25, 0.34, 0.5, 0.75, 1], [0.056, 0.046, 0.0, -0.10, -0.14, -0.15, -0.15]
        )
    else:
        hairline = np.interp(
            around, [0, 0.18, 0.32, 0.42, 0.55, 0.75, 1], [0.052, 0.048, 0.03, -0.02, -0.035, -0.085, -0.10]
        )
    rough = noise_at(skull.directions, 6, figure.rng.uniform(0, 60))
    height = 1 + 0.6 * np.clip(skull.elevation, 0, 1)
    thickness = (
        THICKNESS[cut]
        * figure.rng.uniform(0.8, 1.25)
        * height
        * (1 + (0.22 if cut == "short" else 0.1) * rough)
    )
    points = _shell(space, thickness * (0.5 if under_hat else 1.0))
    if low:  # fall outside the jaw
        below = np.clip(-skull.elevation - 0.1, 0, 1)
        points[:, 0] += 0.012 * skull.directions[:, 0] * below
        points[:, 1] += 0.02 * np.clip(skull.directions[:, 1], 0, 1) * below
    inside = points[:, 2] - SKULL_CENTRE[2] - hairline + 0.004 * rough
    uv = np.stack([skull.azimuth, skull.elevation], 1) * 0.1
    figure.mesh.add(space.posed(points), skull.faces, material, HAIR_LABEL, points, uv, inside)


def _add_curtain_of_hair(space: HeadSpace, length: float, material: Material) -> None:
    """Long hair: a sheet around the back of the head whose lower part moves with the spine."""
    angle, down = np.meshgrid(np.linspace(-2.35, 2.35, 36), np.linspace(0, 1, 14))
    side = np.clip(np.abs(angle) / 2.35, 0, 1)
    x = np.sin(angle) * (0.098 + 0.02 * down)
    y = -0.025 + np.cos(angle) * 0.105
    if length > 0.2:
        y = y + 0.03 * down * np.clip(np.cos(angle), 0, 1)
    z = 0.86 - down * (length + 0.05) * (1 - 0.25 * side) + 0.01 * np.sin(angle * 9)
    points = np.stack([x, y, z], -1).reshape(-1, 3)
    points[:, :2] *= (1 + 0.05 * noise_at(points, (40, 40, 6), 3))[:, None]
    low = smoothsteps(0.74, 0.60, points[:, 2])[:, None]
    vertices = space.posed(points) * (1 - low) + space.posed(points, "spine01") * low
    uv = np.stack([angle.ravel() * 0.1, points[:, 2]], 1)
    space.figure.mesh.add(vertices, grid_faces(14, 36), material, HAIR_LABEL, points, uv)


def _add_bun(space: HeadSpace, material: Material) -> None:
    figure, skull = space.figure, space.figure.asset.skull
    centre = SKULL_CENTRE + np.array([0, 0.085, 0.06]) * figure.rng.uniform(0.9, 1.1)
    points = centre + skull.directions * (0.042 * (1 + 0.08 * noise_at(skull.directions, 5, 2)))[:, None]
    uv = np.stack([skull.azimuth, skull.elevation], 1) * 0.1
    figure.mesh.add(space.posed(points), skull.faces, material, HAIR_LABEL, points, uv)


def _add_pony_tail(space: HeadSpace, material: Material) -> None:
    figure = space.figure
    root = space.posed(np.array([[0, 0.06, 0.89]]))[0]
    back = figure.skeleton.rotation[figure.asset.bone["head"]] @ np.array([0, 1.0, 0])
    t = np.linspace(0, 1, 12)
    fall = (t**1.5 * figure.rng.uniform(0.2, 0.34))[:, None] * np.array([0, 0, -1.0])
    path = root + back * (0.065 * np.sin(1.6 * t))[:, None] + fall
    radius = 0.028 * np.sqrt(np.clip(np.minimum(8 * t + 0.25, 2.5 * (1 - t) + 0.1), 0, 1))
    tail = tube(path, radius)
    figure.mesh.add(tail.vertices, tail.faces, material, HAIR_LABEL, tail.vertices - root, tail.uv)


def add_hair(space: HeadSpace, colour: tuple[float, ...], under_hat: bool) -> None:
    """A haircut. Args: colour: linear RGB; under_hat: press it flat."""
    figure, rng = space.figure, space.figure.rng
    odds = (
        [0.1, 0.02, 0.1, 0.18, 0.32, 0.13, 0.14, 0.01]
        if figure.female
        else [0.54, 0.18, 0.08, 0.02, 0.04, 0.03, 0.01, 0.1]
    )
    cut = str(rng.choice(HAIRCUTS, p=np.array(odds) / sum(odds)))
    if cut == "bald":
        return
    material = Material(HAIR, colour, phase=rng.uniform(0, 60), specular=0.10, gloss=12)
    _add_cap_of_hair(space, cut, material, under_hat)
    if cut in ("bob", "long"):
        _add_curtain_of_hair(space, 0.13 if cut == "bob" else rng.uniform(0.25, 0.42), material)
    elif cut == "bun" and not under_hat:
        _add_bun(space, material)
    elif cut == "pony":
        _add_pony_tail(space, material)


def add_hat(space: HeadSpace, kind: str) -> None:
    """A hat: "cap", "beanie" or "sun"."""
    figure, skull = space.figure, space.figure.asset.skull
    material = draw_cloth(figure.rng, "small")
    rim = {"cap": 0.045, "beanie": 0.03, "sun": 0.045}[kind] + np.cos(skull.azimuth) * (
        0.015 if kind == "beanie" else 0.012
    )
    thickness = {"cap": 0.022, "beanie": 0.03, "sun": 0.026}[kind]
    crown = (
        0.03 * np.clip(skull.elevation, 0, 2) if kind == "beanie" else 0.012 * np.clip(skull.elevation, 0, 1)
    )
    points = _shell(space, thickness + crown)
    inside = points[:, 2] - SKULL_CENTRE[2] - rim
    uv = np.stack([skull.azimuth, skull.elevation], 1) * 0.1
    figure.mesh.add(space.posed(points), skull.faces, material, HAT, points, uv, inside, np.abs(inside), 0.4)
    if kind == "beanie":
        return
    columns = 48
    angle, out = np.meshgrid(np.linspace(-np.pi, np.pi, columns), np.linspace(0, 1, 6))
    width = 0.075 * np.clip(1.3 * np.cos(angle), 0, 1) if kind == "cap" else np.full_like(angle, 0.075)
    droop = out * (0.018 if kind == "cap" else 0.025) * (1 + 0.5 * np.sin(angle) ** 2)
    x = np.sin(angle) * (0.103 + 0.9 * out * width)
    y = -0.055 - np.cos(angle) * (0.112 + out * width)
    brim = np.stack([x, y, 0.91 + np.cos(angle) * 0.012 - droop], -1).reshape(-1, 3)
    uv = np.stack([angle * 0.1, out * 0.07], -1).reshape(-1, 2)
    cut = (width - 0.012).ravel() if kind == "cap" else 1.0
    figure.mesh.add(space.posed(brim), grid_faces(6, columns), material, HAT, brim, uv, cut)


def add_sunglasses(space: HeadSpace) -> None:
    """Dark lenses, a bridge and two temples."""
    figure = space.figure
    eye = figure.asset.left_eye
    lens = Material(PLAIN, grey(figure.rng.choice([0.03, 0.08, 0.15])), specular=0.9, gloss=60)
    angle = np.linspace(0, 2 * np.pi, 20, endpoint=False)
    fan = np.stack([np.zeros(20, int), 1 + np.arange(20), 1 + (np.arange(20) + 1) % 20], 1)
    for sign in (1, -1):
        x = np.sign(np.cos(angle)) * np.abs(np.cos(angle)) ** 0.75 * 0.031
        z = np.sign(np.sin(angle)) * np.abs(np.sin(angle)) ** 0.75 * 0.024
        centre = np.array([sign * (abs(eye[0]) + 0.003), eye[1] - 0.032, eye[2] - 0.002])
        rim = centre + np.stack([x, 0.09 * np.abs(x * sign + 0.03), z], 1)
        points = np.concatenate([centre[None], rim])
        figure.mesh.add(space.posed(points), fan, lens, SUNGLASSES, points)
    frame = Material(PLAIN, grey(0.06), specular=0.9, gloss=60)
    y, z = eye[1], eye[2]
    paths = [
        [
            [s * 0.062, y - 0.028, z + 0.006],
            [s * 0.08, y + 0.02, z + 0.006],
            [s * 0.084, y + 0.075, z + 0.004],
        ]
        for s in (1, -1)
    ]
    paths.append([[-0.012, y - 0.034, z + 0.006], [0, y - 0.036, z + 0.008], [0.012, y - 0.034, z + 0.006]])
    for path in paths:
        wire = tube(np.array(path), 0.003, 6)
        figure.mesh.add(space.posed(wire.vertices), wire.faces, frame, SUNGLASSES, wire.vertices, wire.uv)


def add_scarf(figure: Figure, over_coat: bool) -> None:
    """A ring around the neck and one hanging end."""
    rng, suit, skeleton, bone = figure.rng, figure.asset.suit, figure.skeleton, figure.asset.bone
    material = draw_cloth(rng, "small")
    angle = np.linspace(0, 2 * np.pi, 40)
    widen = 1 + 0.06 * np.sin(3 * angle + rng.uniform(0, 6))
    ring = np.stack(
        [np.sin(angle) * 0.092 * widen, -0.03 - np.cos(angle) * 0.095 * widen, 0.685 - 0.028 * np.cos(angle)],
        1,
    )
    loop = tube(ring, 0.036 * (1 + 0.12 * np.sin(7 * angle)), 12)
    placed = loop.vertices + skeleton.rest[bone["neck01"]] - figure.asset.heads[bone["neck01"]]
    posed = 0.5 * skeleton.move(placed, bone["spine01"]) + 0.5 * skeleton.move(placed, bone["neck01"])
    figure.mesh.add(posed, loop.faces, material, SCARF, loop.vertices, loop.uv, wrinkle=1.0)
    x, y, z = suit.template.T
    centre, length = rng.choice([-1, 1]) * rng.uniform(0.03, 0.06), rng.uniform(0.2, 0.4)
    front = np.where((y < -0.02) & (suit.arm_weight < 0.05), 1.0, -1.0)
    end = np.minimum.reduce([0.036 - np.abs(x - centre), z - 0.68 + length, 0.70 - z, front])
    figure.add_garment(end, 0.06 if over_coat else 0.042, SCARF, material, 0.8, 0.004)


def add_gloves(figure: Figure) -> None:
    """Gloves over the hands of the body mesh."""
    body = figure.asset.body
    inside = np.where(body.arm_weight > 0.5, body.arm_reach - body.arm_lengths[1] + 0.03, -1.0)
    vertices = figure.body + 0.004 * vertex_normals(figure.body, body.faces)
    uv = np.stack([body.arm_reach, body.template[:, 1]], 1)
    figure.mesh.add(
        vertices, body.faces, draw_cloth(figure.rng, "small"), GLOVE, body.template, uv, inside, wrinkle=0.2
    )


def add_skin(figure: Figure, outfit: Outfit, hair_colour: tuple[float, ...]) -> None:
    """Whatever skin the clothes leave bare, and the eyes."""
    asset, rng = figure.asset, figure.rng
    body = asset.body
    tone = np.array(SKIN_TONES[rng.choice(6, p=[0.2, 0.2, 0.2, 0.14, 0.14, 0.12])])
    colour = np.clip(np.array(linear(tone * rng.uniform(0.93, 1.06))) + rng.normal(0, 0.01, 3), 0.01, 1)
    beard = float(not figure.female and rng.random() < 0.35)
    material = Material(
        SKIN,
        tuple(colour),
        second=hair_colour,
        split=asset.left_eye[2],
        logo=(abs(asset.left_eye[0]), 0.0),
        specular=0.05,
        gloss=18,
        wrap=0.18,
        extra=beard,
    )
    cut = np.where(figure.covered > 0, -figure.covered, np.abs(figure.covered) + 0.001)
    cut[asset.ears & (asset.head_weight > 0.9)] = 1.0
    corner = asset.body_labels[body.faces]
    label = np.where(corner[:, 0] == corner[:, 1], corner[:, 0], corner[:, 2])
    # A bare patch of belly would be "face": a gap between clothes, it takes the upper garment's class.
    belly = (
        (label == FACE)
        & (asset.head_weight[body.faces].mean(1) < 0.3)
        & (body.template[body.faces, 2].mean(1) < 0.5)
    )
    label = np.where(belly, JUMPSUIT if outfit.upper == "jumpsuit" else UPPER, label)
    uv = np.stack([asset.lips, asset.lips], 1)
    figure.mesh.add(figure.body, body.faces, material, label, body.template, uv, cut)
    iris = ((0.2, 0.12, 0.06), (0.25, 0.4, 0.55), (0.3, 0.35, 0.2))[rng.integers(3)]
    eyes = asset.eyes
    figure.mesh.add(
        figure.posed(eyes, eyes.operator @ figure.rest),
        eyes.faces,
        material.but(pattern=EYE, colour=linear(iris), specular=0.5, gloss=50),
        FACE,
        eyes.template,
    )


def add_head(figure: Figure, outfit: Outfit) -> None:
    """Hair, hat, glasses, scarf, gloves and skin, each with its own odds."""
    rng = figure.rng
    space = head_space(figure)
    colour = np.array(linear(HAIR_COLOURS[rng.choice(8, p=[0.3, 0.2, 0.17, 0.1, 0.08, 0.04, 0.06, 0.05])]))
    hair_colour = tuple(np.clip(colour * rng.uniform(0.8, 1.2), 0, 1))
    hat = str(rng.choice(["none", "cap", "beanie", "sun"], p=[0.78, 0.1, 0.07, 0.05]))
    add_hair(space, hair_colour, hat != "none")
    if hat != "none":
        add_hat(space, hat)
    if rng.random() < 0.14:
        add_sunglasses(space)
    if rng.random() < (0.3 if outfit.coat else 0.08):
        add_scarf(figure, outfit.coat)
    if rng.random() < (0.2 if outfit.coat else 0.02):
        add_gloves(figure)
    add_skin(figure, outfit, hair_colour)
