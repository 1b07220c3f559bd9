"""Clothes: signed cut fields over the bodysuit and the skirt mesh, each with an offset and a fabric.

A field is positive inside a garment and 0 at its edge, in metres, in the coordinates of the mean body at
rest: hems, necklines and openings are crisp whatever the mesh. Evaluated on the body, it hides skin.
"""

from dataclasses import dataclass

import numpy as np

from deocc.people.synth.asset import Surface
from deocc.people.synth.figure import Figure
from deocc.people.synth.materials import PLAIN, SHOE, Material, draw_cloth, grey
from deocc.people.synth.noise import noise_at, smoothsteps
from deocc.people.synth.pose import Pose

UPPER, DRESS, COAT, SOCKS, PANTS, JUMPSUIT, SKIRT, LEFT_SHOE, RIGHT_SHOE = 5, 6, 7, 8, 9, 10, 12, 18, 19
NOT_ON_ARMS = 0.03  # share of arm bones above which trousers, shoes and belts end
ANKLE = -0.735


@dataclass(frozen=True)
class Outfit:
    """What a person wears; heights are metres on the mean body (waist 0.25, crotch 0, ankle -0.74).

    Attributes:
        upper: "top", "dress" or "jumpsuit"; lower: "pants", "shorts", "skirt" or "none".
        coat: over it; sleeve: length from the shoulder; collar: its height; v_neck: its depth.
        loose: offset of the upper garment; hem: its lower end; tucked: into the waist.
        shoes: "low", "high", "boot" or "none"; sock: its height, or None.
    """

    upper: str
    lower: str
    coat: bool
    sleeve: float
    collar: float
    v_neck: float
    loose: float
    hem: float
    tucked: bool
    waist: float
    shoes: str
    sock: float | None


def _closed_legs(pose: Pose) -> bool:
    """Whether skirts can follow the pose without tearing."""
    left, right = pose.left_leg, pose.right_leg
    return (
        max(left.flexion, right.flexion) < 42
        and max(left.abduction, right.abduction) < 20
        and abs(left.flexion - right.flexion) < 56
    )


def _draw_style(rng: np.random.Generator, female: bool, pose: Pose) -> tuple[str, str, bool]:
    """(upper, lower, coat)."""
    styles = [
        ("top", "pants", False),
        ("top", "shorts", False),
        ("top", "pants", True),
        ("jumpsuit", "none", False),
        ("top", "skirt", False),
        ("dress", "none", False),
        ("dress", "none", True),
    ]
    skirts = _closed_legs(pose) and female
    odds = np.array(
        [0.42, 0.12, 0.15, 0.04, 0.11, 0.12, 0.04] if skirts else [0.55, 0.17, 0.22, 0.06, 0, 0, 0]
    )
    return styles[rng.choice(len(styles), p=odds / odds.sum())]


def draw_outfit(rng: np.random.Generator, female: bool, pose: Pose, arm_length: float) -> Outfit:
    """A random outfit that fits the pose. Args: arm_length: from shoulder to wrist, metres."""
    upper, lower, coat = _draw_style(rng, female, pose)
    sleeve = rng.choice([0.0, 0.10, 0.14, 0.2, 0.26, 0.44, 0.52], p=[0.06, 0.07, 0.27, 0.1, 0.04, 0.08, 0.38])
    bare_legs = lower in ("shorts", "skirt") or upper == "dress"
    if bare_legs:
        sock = rng.choice([-0.70, -0.62, -0.48, -9], p=[0.35, 0.22, 0.1, 0.33])
    else:
        sock = rng.choice([-0.66, -0.5])
    return Outfit(
        upper,
        lower,
        coat,
        min(arm_length - 0.03 if coat else sleeve, arm_length - 0.02),
        rng.uniform(0.683, 0.712),
        float(rng.choice([0, 0, 0.05, 0.09])),
        rng.uniform(0.004, 0.02),
        -0.06 if upper == "dress" else rng.uniform(0.02, 0.2),
        bool(rng.random() < 0.3) or lower == "skirt",
        0.25 + rng.uniform(-0.03, 0.03),
        str(rng.choice(["low", "high", "boot", "none"], p=[0.68, 0.2, 0.1, 0.02])),
        None if sock < -5 else float(sock),
    )


def _without_arms(surface: Surface, values: np.ndarray) -> np.ndarray:
    return np.where(surface.arm_weight > NOT_ON_ARMS, -1.0, values)


def upper_field(surface: Surface, outfit: Outfit, hem: float) -> np.ndarray:
    """Metres inside a top: below the neckline, above the sleeve's end, above the hem."""
    x, y, z = surface.template.T
    notch = outfit.v_neck * np.clip(1 - np.abs(x) / 0.07, 0, 1) * (y < 0)
    neck = (outfit.collar + 0.55 * (y + 0.01) - notch - z) * 0.85
    if outfit.sleeve > 0.01:
        sleeve = outfit.sleeve - surface.arm_reach
    else:  # sleeveless: cut at the shoulder
        sleeve = np.where(surface.arm_weight > NOT_ON_ARMS, -0.02 - surface.arm_reach, 0.2)
        sleeve = np.minimum(sleeve, 0.158 - np.abs(x))
    return np.minimum(np.minimum(neck, sleeve), z - hem)


def neck_line(surface: Surface, outfit: Outfit) -> np.ndarray:
    """Metres below the neckline alone."""
    x, y, z = surface.template.T
    return (
        outfit.collar + 0.55 * (y + 0.01) - outfit.v_neck * np.clip(1 - np.abs(x) / 0.07, 0, 1) * (y < 0) - z
    ) * 0.85


def add_socks(figure: Figure, outfit: Outfit) -> None:
    """Socks up to `outfit.sock`."""
    if outfit.sock is None:
        return
    suit, body = figure.asset.suit, figure.asset.body
    inside = _without_arms(suit, outfit.sock - suit.template[:, 2])
    figure.add_garment(inside, 0.003, SOCKS, draw_cloth(figure.rng, "small"), 0.2, 0.0005)
    figure.cover(_without_arms(body, outfit.sock - body.template[:, 2]) - 0.004)


def add_shoes(figure: Figure, outfit: Outfit) -> None:
    """Shoes: the suit's feet, thicker, with a sole flattened in each foot's own frame."""
    if outfit.shoes == "none":
        return
    suit, body, rng = figure.asset.suit, figure.asset.body, figure.rng
    x, y, z = suit.template.T
    top = {"low": ANKLE, "high": -0.68, "boot": rng.uniform(-0.6, -0.45)}[outfit.shoes]
    inside = _without_arms(suit, top + 0.05 * np.clip(-y, -0.03, 0.1) - z)
    ground = z.min()
    material = draw_cloth(rng, "shoe").but(
        pattern=SHOE, second=grey(rng.choice([0.9, 0.85, 0.1, 0.3])), split=ground + 0.016, specular=0.12
    )
    vertices = figure.suit + figure.suit_normals * np.where(z < ground + 0.03, 0.011, 0.009)[:, None]
    for sign, name in ((1, "foot.L"), (-1, "foot.R")):
        bone = figure.asset.bone[name]
        rotation, position = figure.skeleton.rotation[bone], figure.skeleton.position[bone]
        sole = (x * sign > 0) & (z < ground + 0.02)
        local = (vertices[sole] - position) @ rotation
        flat = (figure.suit_rest[sole, 2] - figure.skeleton.rest[bone, 2]).min() - 0.022
        local[:, 2] = np.where(z[sole] < ground + 0.012, flat, local[:, 2] - 0.01)
        vertices[sole] = local @ rotation.T + position
    left = x[suit.faces].mean(1) > 0
    figure.mesh.add(
        vertices,
        suit.faces,
        material,
        np.where(left, LEFT_SHOE, RIGHT_SHOE),
        suit.template,
        figure.suit_uv,
        inside,
        np.abs(inside),
        0.1,
    )
    figure.cover(_without_arms(body, top - body.template[:, 2]) - 0.012)


def _belt(figure: Figure, centre: float, half: float, offset: float, label: int) -> None:
    suit = figure.asset.suit
    inside = _without_arms(suit, half - np.abs(suit.template[:, 2] - centre))
    figure.add_garment(inside, offset, label, draw_cloth(figure.rng, "shoe"), 0.0, 0.0)


def add_trousers(figure: Figure, outfit: Outfit) -> None:
    """Trousers or shorts, from tight to wide, with a belt now and then."""
    suit, body, rng = figure.asset.suit, figure.asset.body, figure.rng
    short = outfit.lower == "shorts"
    wide = rng.choice([0.0, 0.012, 0.028, 0.045], p=[0.3, 0.4, 0.22, 0.08])
    if short:
        end = rng.uniform(-0.34, -0.12)
    elif outfit.shoes == "boot" and wide < 0.02:
        end = -0.72
    else:
        end = rng.choice([ANKLE, -0.70, -0.55], p=[0.62, 0.3, 0.08])
    z = suit.template[:, 2]
    inside = _without_arms(suit, np.minimum(outfit.waist - z, z - end))
    offset = 0.005 + 0.5 * outfit.loose * smoothsteps(0.2, 0, z) + wide * smoothsteps(0.1, -0.5, z)
    if short:
        offset = offset + 0.02 * smoothsteps(0.1, -0.2, z)
    if outfit.tucked:
        offset = offset + 0.006
    figure.add_garment(inside, offset, PANTS, draw_cloth(rng, "pants"), 0.9, 0.003 + 0.05 * wide)
    body_z = body.template[:, 2]
    figure.cover(_without_arms(body, np.minimum(outfit.waist - body_z, body_z - end)) - 0.012)
    if outfit.tucked and rng.random() < 0.4:
        _belt(figure, outfit.waist - 0.0175, 0.0175, 0.015, PANTS)


def _clear_of_legs(figure: Figure, points: np.ndarray, margin: float) -> np.ndarray:
    """Pushes posed skirt vertices (N x 3) out of the legs, modelled as tapered capsules."""
    bone, position = figure.asset.bone, figure.skeleton.position
    for suffix in (".L", ".R"):
        joints = [position[bone[name + suffix]] for name in ("upperleg01", "lowerleg01", "foot")]
        for start, end, wide, narrow in (
            (joints[0], joints[1], 0.088, 0.062),
            (joints[1], joints[2], 0.062, 0.045),
        ):
            axis = end - start
            t = np.clip((points - start) @ axis / (axis @ axis), 0, 1)
            away = points - start - t[:, None] * axis
            distance = np.sqrt((away * away).sum(1)) + 1e-9
            reach = wide + (narrow - wide) * t + margin
            points = points + away * (np.clip(reach - distance, 0, None) / distance)[:, None]
    return points


def add_skirt(
    figure: Figure,
    hem: float,
    top: float,
    flare: float,
    label: int,
    material: Material,
    folds: int,
    room: float,
) -> None:
    """The skirt mesh, flared and folded before skinning.

    Args:
        hem, top: heights; flare: widening a metre; folds: number around; room: widening everywhere.
    """
    rng, skirt, body = figure.rng, figure.asset.skirt, figure.asset.body
    points = skirt.operator @ figure.rest
    height = skirt.template[:, 2]
    drop = np.clip(top - height, 0, 1)
    around = np.arctan2(points[:, 0], -(points[:, 1] + 0.02))
    wave = np.sin(around * folds + rng.uniform(0, 6) + 2 * noise_at(skirt.template, 3, rng.uniform(0, 50)))
    widen = (1 + flare * drop + room) * (1 + 0.036 * folds / 8 * wave * smoothsteps(0.02, 0.3, drop))
    points[:, 0] *= widen
    points[:, 1] = (points[:, 1] + 0.02) * widen - 0.02
    inside = np.minimum(height - hem, top - height)
    figure.mesh.add(
        _clear_of_legs(figure, figure.posed(skirt, points), 0.012),
        skirt.faces,
        material,
        label,
        skirt.template,
        np.stack([around * 0.2, height], 1),
        inside,
        np.abs(height - hem),
        0.5,
    )
    body_z = body.template[:, 2]
    figure.cover(_without_arms(body, np.minimum(body_z - max(hem, -0.02), top - body_z) - 0.02))


def add_jumpsuit(figure: Figure, outfit: Outfit) -> None:
    """Top and trousers in one piece."""
    suit, rng = figure.asset.suit, figure.rng
    end = rng.choice([ANKLE, -0.6, -0.15], p=[0.6, 0.15, 0.25])
    material = draw_cloth(rng, "pants" if rng.random() < 0.5 else "top")
    offset = 0.008 + outfit.loose * 0.6 + 0.015 * smoothsteps(0.1, -0.5, suit.template[:, 2])
    figure.add_garment(upper_field(suit, outfit, end), offset, JUMPSUIT, material, 0.8, 0.003)
    figure.cover(upper_field(figure.asset.body, outfit, end) - 0.012)
    if rng.random() < 0.6:
        _belt(figure, 0.26, 0.02, 0.016 + outfit.loose * 0.6, JUMPSUIT)


def _collar(figure: Figure, outfit: Outfit, offset: np.ndarray, label: int, material: Material) -> None:
    suit, rng = figure.asset.suit, figure.rng
    x, y, _ = suit.template.T
    below = neck_line(suit, outfit)
    inside = np.where(suit.arm_weight > 0.05, -1.0, np.minimum(below + 0.012, 0.035 - below))
    if rng.random() < 0.6:  # open in front
        gap = (np.abs(x) < 0.006 + 0.15 * np.clip(0.02 - below, -0.02, 0.02)) & (y < 0)
        inside = np.where(gap, -1.0, inside)
    colour = material.second if rng.random() < 0.5 else material.colour
    figure.add_garment(inside, offset + 0.007, label, material.but(pattern=PLAIN, colour=colour), 0.2, 0.0)


def add_top(figure: Figure, outfit: Outfit) -> None:
    """A shirt, or the upper half of a dress with its skirt; collar and button placket now and then."""
    suit, rng = figure.asset.suit, figure.rng
    x, y, z = suit.template.T
    dress = outfit.upper == "dress"
    label = DRESS if dress else UPPER
    material = draw_cloth(rng, "dress" if dress else "top")
    tucked = outfit.tucked and not dress
    hem = outfit.waist - 0.04 if tucked else outfit.hem
    arm = suit.arm_weight
    offset = 0.007 + outfit.loose * (0.35 + 0.65 * smoothsteps(0.5, 0.1, z)) * (1 - 0.5 * (arm > 0.5))
    if 0.05 < outfit.sleeve < 0.3:  # short sleeves stand off
        offset = offset + 0.012 * smoothsteps(outfit.sleeve - 0.14, outfit.sleeve, suit.arm_reach) * (
            arm > NOT_ON_ARMS
        )
    if tucked:
        offset = 0.007 + outfit.loose * 0.6 * np.exp(-(((z - 0.33) / 0.08) ** 2))
    if outfit.coat:
        offset = offset * 0.6
    inside = upper_field(suit, outfit, hem)
    figure.add_garment(inside, offset, label, material, 0.75, 0.003)
    figure.cover(upper_field(figure.asset.body, outfit, hem) - 0.014)
    if rng.random() < 0.35 and outfit.sleeve > 0.05:
        _collar(figure, outfit, offset, label, material)
    if rng.random() < 0.25:
        placket = np.where((y < 0) & (arm < 0.05), np.minimum(0.012 - np.abs(x), inside), -1.0)
        darker = tuple(0.75 * c for c in material.colour)
        figure.add_garment(
            placket, offset + 0.0015, label, material.but(pattern=PLAIN, colour=darker), 0.3, 0.003
        )
    if dress:
        hem = rng.choice([-0.2, -0.32, -0.5, -0.65])
        add_skirt(figure, hem, 0.24, rng.uniform(0.05, 0.8), DRESS, material, int(rng.integers(5, 14)), 0.03)


def _coat_field(surface: Surface, gap: float, hem: float, arm_length: float) -> np.ndarray:
    x, y, z = surface.template.T
    neck = 0.70 + 0.3 * (y + 0.02) - z
    sleeve = np.where(surface.arm_weight > NOT_ON_ARMS, arm_length - 0.015 - surface.arm_reach, 1.0)
    front = (
        np.where(y < 0, np.abs(x) - gap * (0.35 + np.clip(z - 0.05, 0, 0.7)), 1.0)
        if gap > 0
        else np.ones(len(z))
    )
    lapel = np.where(y < -0.02, (0.56 + np.abs(x) * 1.4) - z, 1.0)
    return np.minimum.reduce([neck, sleeve, z - hem, front, lapel])


def add_coat(figure: Figure, outfit: Outfit) -> None:
    """A coat or jacket, open or closed in front, from the hip to below the knee."""
    suit, body, skirt, rng = figure.asset.suit, figure.asset.body, figure.asset.skirt, figure.rng
    arm_length = suit.arm_lengths[1]
    gap = rng.choice([0.0, 0.03, 0.06, 0.09])
    long = _closed_legs(figure.pose)
    hem = rng.choice([0.08, -0.02, -0.2, -0.4], p=[0.4, 0.25, 0.25, 0.1] if long else [0.6, 0.4, 0, 0])
    material = draw_cloth(rng, "coat")
    offset = 0.02 + 0.7 * outfit.loose + 0.01 * smoothsteps(0.3, 0, suit.template[:, 2])
    figure.add_garment(
        _coat_field(suit, gap, max(hem, -0.02), arm_length), offset, COAT, material, 0.8, 0.004
    )
    sleeves = np.where(body.arm_weight > NOT_ON_ARMS, arm_length - 0.015 - body.arm_reach, -1.0)
    figure.cover(sleeves - 0.014)
    if hem >= -0.03:
        return
    points = skirt.operator @ figure.rest
    height = skirt.template[:, 2]
    widen = 1.1 + 0.25 * np.clip(0.25 - height, 0, 1)
    around = np.arctan2(points[:, 0], -(points[:, 1] + 0.02))
    points[:, 0] *= widen
    points[:, 1] = (points[:, 1] + 0.02) * widen - 0.02
    inside = np.minimum(height - hem, 0.06 - height)
    if gap > 0:
        inside = np.minimum(inside, np.where(points[:, 1] < 0, np.abs(skirt.template[:, 0]) - gap * 0.5, 1.0))
    figure.mesh.add(
        _clear_of_legs(figure, figure.posed(skirt, points), 0.03),
        skirt.faces,
        material,
        COAT,
        skirt.template,
        np.stack([around * 0.2, height], 1),
        inside,
        np.abs(inside),
        0.6,
    )


def dress(figure: Figure, outfit: Outfit) -> None:
    """Adds every garment of an outfit."""
    rng = figure.rng
    add_socks(figure, outfit)
    add_shoes(figure, outfit)
    if outfit.lower in ("pants", "shorts"):
        add_trousers(figure, outfit)
    elif outfit.lower == "skirt":
        hem, flare = rng.choice([-0.12, -0.25, -0.45, -0.62]), rng.uniform(0.0, 0.75)
        add_skirt(
            figure, hem, outfit.waist, flare, SKIRT, draw_cloth(rng, "dress"), int(rng.integers(5, 14)), 0.02
        )
    if outfit.upper == "jumpsuit":
        add_jumpsuit(figure, outfit)
    else:
        add_top(figure, outfit)
    if outfit.coat:
        add_coat(figure, outfit)
