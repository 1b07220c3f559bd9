"""Furniture, household goods, carried things: one function each, standing on z = 0, facing -y."""

import numpy as np
from scipy.interpolate import PchipInterpolator

from deocc.people.synth.kit import Kit
from deocc.people.synth.materials import (
    CARTON,
    FUR,
    HSTRIPE,
    LETTERS,
    LIGHT,
    PLAIN,
    PLANK,
    POSTER,
    SHELVES,
    VSTRIPE,
    Material,
    cloth_colour,
    grey,
    hsv,
)
from deocc.people.synth.pose import X_AXIS, Y_AXIS, Z_AXIS, rotation
from deocc.people.synth.shapes import Solid, ball, box, disc, joined, lathe, loft, ring, rod, sheet, tube


def _legs(
    kit: Kit,
    spots: list[tuple[float, float]],
    height: float,
    radius: float,
    spread: float,
    material: Material,
) -> None:
    for x, y in spots:
        kit.add(rod((x * (1 + spread), y * (1 + spread), 0), (x, y, height), radius), material)


def chair(kit: Kit, seat: float | None = None) -> None:
    """A dining chair, stool or bar chair, slats or a panel at the back. Args: seat: its height, metres."""
    rng = kit.rng
    frame = kit.wood() if rng.random() < 0.55 else kit.metal() if rng.random() < 0.6 else kit.paint()
    width, depth = rng.uniform(0.4, 0.5), rng.uniform(0.38, 0.48)
    seat = seat or kit.pick(0.45, 0.45, 0.62, 0.75)
    back, thick = kit.pick(0, 0.42, 0.5, 0.55), rng.uniform(0.012, 0.024)
    x, y = width / 2 - thick, depth / 2 - thick
    _legs(kit, [(x, -y), (-x, -y), (x, y), (-x, y)], seat, thick, kit.pick(0, 0.12), frame)
    top = kit.fabric() if rng.random() < 0.4 else frame
    kit.add(ball((width / 2, depth / 2, 0.03), 0.3).moved(offset=(0, 0, seat)), top, 0.2)
    for s in (-1, 1):
        kit.add(rod((s * x, -y, seat * 0.4), (s * x, y, seat * 0.4), thick * 0.7), frame)
    if not back:
        return
    lean = rng.uniform(0.02, 0.12)
    for s in (-1, 1):
        kit.add(rod((s * x, y, seat), (s * x, y + lean, seat + back), thick), frame)
    if rng.random() < 0.5:
        for k in range(int(rng.integers(2, 5))):
            z, place = seat + back * (0.95 - 0.22 * k), y + lean * (0.95 - 0.22 * k)
            kit.add(box((width - thick, 0.015, back * 0.1), (0, place, z), 4), frame)
    else:
        kit.add(
            ball((width / 2, 0.02, back * 0.32), 0.35).moved(offset=(0, y + lean * 0.7, seat + back * 0.68)),
            top,
        )


def table(kit: Kit) -> None:
    """A table, square or round, with things on it."""
    rng = kit.rng
    material, height = (kit.wood() if rng.random() < 0.7 else kit.paint()), rng.uniform(0.45, 0.8)
    if rng.random() < 0.4:
        radius = rng.uniform(0.3, 0.55)
        kit.add(
            lathe([(0.001, height), (radius, height), (radius, height - 0.03), (0.03, height - 0.035)]),
            material,
        )
        kit.add(lathe([(0.03, height - 0.03), (0.03, 0.06), (0.2, 0.02), (0.22, 0)]), material)
    else:
        width, depth = rng.uniform(0.6, 1.3), rng.uniform(0.45, 0.75)
        kit.add(box((width, depth, 0.035), (0, 0, height)), material)
        x, y = width / 2 - 0.04, depth / 2 - 0.04
        _legs(
            kit, [(x, -y), (-x, -y), (x, y), (-x, y)], height - 0.02, rng.uniform(0.018, 0.035), 0.0, material
        )
    for _ in range(rng.integers(0, 4)):
        spot = (rng.uniform(-0.22, 0.22), rng.uniform(-0.15, 0.15), height + 0.018)
        tall = rng.uniform(0.08, 0.28)
        shape = [(0.001, 0), (0.04, 0), (0.045, tall * 0.6), (0.02, tall * 0.8), (0.02, tall)]
        kit.add(lathe(shape, 20, 16).moved(offset=spot), kit.paint())


def sofa(kit: Kit) -> None:
    """An armchair or sofa with cushions."""
    rng = kit.rng
    fabric, width = kit.fabric(), kit.pick(0.8, 0.85, 1.5)
    kit.add(ball((width / 2, 0.4, 0.2), 0.25).moved(offset=(0, 0, 0.22)), fabric, 0.4)
    kit.add(ball((width / 2, 0.12, 0.28), 0.3).moved(offset=(0, 0.34, 0.58)), fabric, 0.5)
    for s in (-1, 1):
        kit.add(ball((0.11, 0.4, 0.29), 0.4).moved(offset=(s * width / 2, 0, 0.32)), fabric, 0.4)
    if rng.random() < 0.6:
        kit.add(
            ball((0.2, 0.07, 0.2), 0.6).moved(rotation(X_AXIS, 15), (rng.uniform(-0.2, 0.2), 0.1, 0.58)),
            kit.fabric(),
            0.6,
        )


def carton(kit: Kit) -> None:
    """One to four cardboard boxes or crates, stacked askew."""
    rng, height = kit.rng, 0.0
    wide = rng.uniform(0.35, 0.6)
    for _ in range(rng.integers(1, 5)):
        size = (wide * rng.uniform(0.75, 1.05), wide * rng.uniform(0.6, 1), rng.uniform(0.18, 0.45))
        colour = hsv(rng.uniform(0.07, 0.1), rng.uniform(0.3, 0.5), rng.uniform(0.5, 0.75))
        if rng.random() < 0.75:
            material = Material(
                CARTON, colour, hsv(0.1, 0.2, 0.85), phase=kit.phase(), extra=kit.pick(0, 1, 1)
            )
        else:
            material = Material(
                int(rng.choice([PLANK, LETTERS, POSTER])), colour, cloth_colour(rng), phase=kit.phase()
            )
        turn = rotation(Z_AXIS, rng.normal(0, 12))
        kit.add(
            box(size).moved(turn, (rng.normal(0, 0.02), rng.normal(0, 0.02), height + size[2] / 2)), material
        )
        height += size[2]


def suitcase(kit: Kit) -> None:
    """A wheeled suitcase with ribs and a pulled-out handle."""
    rng, shell = kit.rng, kit.paint()
    width, depth, height = rng.uniform(0.36, 0.5), rng.uniform(0.2, 0.28), rng.uniform(0.5, 0.72)
    kit.add(ball((width / 2, depth / 2, height / 2), 0.22).moved(offset=(0, 0, height / 2 + 0.05)), shell)
    for k in range(int(rng.integers(2, 6))):
        x = width * (0.8 * (k + 0.5) / 5 - 0.4)
        kit.add(rod((x, -depth / 2 - 0.002, 0.12), (x, -depth / 2 - 0.002, height - 0.02), 0.007), shell)
    dark = kit.plain(0.08)
    for x in (-1, 1):
        for y in (-1, 1):
            kit.add(ball((0.02, 0.03, 0.03)).moved(offset=(x * width * 0.4, y * depth * 0.35, 0.03)), dark)
    up = height + rng.uniform(0.08, 0.45)
    path = np.array([[-0.1, 0.05, height], [-0.1, 0.05, up], [0.1, 0.05, up], [0.1, 0.05, height]])
    kit.add(joined([rod(tuple(path[i]), tuple(path[i + 1]), 0.011) for i in range(3)]), kit.metal())


def bag(kit: Kit) -> None:
    """A handbag, shopping bag or backpack."""
    rng, cloth = kit.rng, kit.fabric()
    width, depth, height = rng.uniform(0.24, 0.42), rng.uniform(0.1, 0.2), rng.uniform(0.22, 0.5)
    power = kit.pick(0.25, 0.4, 0.6)
    body = ball((width / 2, depth / 2, height / 2), power, 24, 36).moved(offset=(0, 0, height / 2))
    vertices = body.vertices.copy()
    vertices[:, :2] *= 1.12 - 0.35 * rng.random() * vertices[:, 2:] / height
    kit.add(Solid(vertices, body.faces, body.uv, body.edge).rough(0.006, 9, kit.phase()), cloth, 0.8)
    if rng.random() < 0.6:
        pocket = ball((width * 0.36, 0.035, height * 0.24), power).moved(
            offset=(0, -depth / 2, height * 0.32)
        )
        kit.add(pocket, cloth, 0.5)
    strap = cloth if rng.random() < 0.5 else Material(PLAIN, hsv(0.06, 0.5, rng.uniform(0.1, 0.5)))
    t = np.linspace(0, np.pi, 16)
    rise, half = rng.uniform(0.08, 0.35), width * rng.uniform(0.2, 0.4)
    for y in (-depth / 3, depth / 3):
        path = np.stack([-half * np.cos(t), np.full(16, y), height * 0.9 + rise * np.sin(t)], 1)
        kit.add(tube(path, 0.011), strap)


def bottle(kit: Kit) -> None:
    """A bottle, jar, vase, jug or lamp: a turned body."""
    rng = kit.rng
    radius, height = rng.uniform(0.1, 0.2), rng.uniform(0.35, 0.7)
    count = int(rng.integers(4, 7))
    widths = radius * rng.uniform(0.3, 1.0, count)
    profile = [(0.001, 0.0), (widths[0] * 0.9, 0.0)]
    profile += [(float(w), height * (k + 1) / count) for k, w in enumerate(widths)]
    kit.add(
        lathe([*profile, (float(widths[-1]) * 0.8, height), (0.001, height - 0.02)], 36, 48),
        kit.paint() if rng.random() < 0.7 else kit.wood(),
    )
    if rng.random() < 0.5:
        band = Material(
            int(rng.choice([LETTERS, POSTER, HSTRIPE])),
            grey(0.9),
            cloth_colour(rng),
            cloth_colour(rng),
            rng.uniform(30, 80),
            kit.phase(),
        )
        heights = height * np.arange(1, count + 1) / count
        around = [
            (1.03 * float(np.interp(z, heights, widths)), float(z)) for z in height * np.linspace(0.3, 0.6, 5)
        ]
        kit.add(lathe(around, 36, 16), band)


def bucket(kit: Kit) -> None:
    """A bucket, dustbin or barrel."""
    rng, material = kit.rng, kit.paint() if kit.rng.random() < 0.6 else kit.metal()
    radius, height, flare = rng.uniform(0.16, 0.3), rng.uniform(0.3, 0.9), rng.uniform(0.95, 1.25)
    kit.add(
        lathe(
            [
                (0.001, 0),
                (radius, 0),
                (radius * (1 + flare) / 2, height / 2),
                (radius * flare, height),
                (radius * flare * 1.06, height + 0.01),
                (radius * flare * 0.95, height),
            ],
            40,
        ),
        material,
    )
    for z in (0.25, 0.75):
        r = radius * (1 + (flare - 1) * z) * 1.01
        kit.add(ring(r, 0.012).moved(rotation(X_AXIS, 90), (0, 0, height * z)), material)
    if rng.random() < 0.5:
        kit.add(
            ball((radius * flare * 1.05, radius * flare * 1.05, rng.uniform(0.05, 0.2))).moved(
                offset=(0, 0, height)
            ),
            kit.paint(),
        )


def balloons(kit: Kit) -> None:
    """Balls or balloons on strings."""
    rng = kit.rng
    strings = rng.random() < 0.6
    for _ in range(rng.integers(1, 7)):
        radius = rng.uniform(0.12, 0.2)
        centre = np.array(
            [rng.normal(0, 0.2), rng.normal(0, 0.12), rng.uniform(0.9, 1.4) if strings else radius]
        )
        kit.add(
            ball((radius, radius, radius * (1.2 if strings else 1))).moved(offset=centre),
            kit.paint().but(specular=0.8),
        )
        if strings:
            kit.add(rod(tuple(centre - [0, 0, radius]), (0, 0, 0.1), 0.004, 5), kit.plain(0.8))


def furry(kit: Kit) -> None:
    """A teddy bear or a dog: ellipsoids with fur."""
    rng = kit.rng
    colour = hsv(rng.uniform(0.04, 0.12), rng.uniform(0.1, 0.6), rng.uniform(0.1, 0.9))
    patches = kit.pick(0, 0, 0.6)
    fur = Material(
        FUR,
        colour,
        grey(kit.pick(0.1, 0.9)),
        frequency=20,
        phase=kit.phase(),
        duty=patches,
        specular=0.01,
        wrap=0.3,
    )
    dark = kit.plain(0.04, specular=0.6)

    def part(radii: tuple[float, float, float], centre: tuple[float, ...], tilt: float = 0.0) -> None:
        kit.add(ball(radii).moved(rotation(Y_AXIS, tilt), centre).rough(0.008, 25, kit.phase()), fur)

    if rng.random() < 0.4:  # a sitting bear
        part((0.2, 0.17, 0.24), (0, 0, 0.24))
        part((0.16, 0.15, 0.15), (0, -0.03, 0.58))
        part((0.07, 0.07, 0.055), (0, -0.17, 0.55))
        for s in (-1, 1):
            part((0.06, 0.04, 0.06), (s * 0.13, 0, 0.71))
            part((0.07, 0.08, 0.17), (s * 0.23, -0.06, 0.32), -s * 25)
            part((0.085, 0.19, 0.085), (s * 0.15, -0.2, 0.09))
            kit.add(ball((0.018, 0.018, 0.018)).moved(offset=(s * 0.06, -0.16, 0.62)), dark)
        kit.add(ball((0.025, 0.02, 0.018)).moved(offset=(0, -0.235, 0.57)), dark)
        return
    tall = rng.uniform(0.3, 0.5)  # a standing dog, along x
    part((0.34, 0.13, 0.15), (0, 0, tall + 0.12), rng.uniform(-6, 6))
    part((0.13, 0.1, 0.2), (0.33, 0, tall + 0.28), 35)
    part((0.14, 0.09, 0.1), (0.46, 0, tall + 0.42))
    part((0.09, 0.05, 0.05), (0.59, 0, tall + 0.38))
    kit.add(ball((0.02, 0.025, 0.02)).moved(offset=(0.68, 0, tall + 0.4)), dark)
    for s in (-1, 1):
        part((0.045, 0.02, 0.09), (0.41, s * 0.09, tall + 0.44), 15)
        for x in (-0.24, 0.24):
            swing = rng.uniform(-0.08, 0.08)
            kit.add(
                tube(
                    np.array(
                        [
                            [x, s * 0.07, tall + 0.1],
                            [x + swing / 2, s * 0.07, tall / 2],
                            [x + swing, s * 0.07, 0],
                        ]
                    ),
                    np.array([0.07, 0.045, 0.035]),
                    12,
                    True,
                ),
                fur,
            )
    t = np.linspace(0, 1, 8)
    kit.add(
        tube(
            np.stack([-0.32 - 0.2 * t, 0 * t, tall + 0.18 + 0.25 * t * rng.uniform(-0.5, 1)], 1),
            0.03 * (1.1 - t),
            8,
        ),
        fur,
    )


def screen(kit: Kit) -> None:
    """A screen, picture, book or laptop."""
    rng = kit.rng
    width, height = rng.uniform(0.4, 0.8), rng.uniform(0.3, 0.55)
    frame = kit.plain(kit.pick(0.06, 0.1, 0.8), specular=0.2)
    kit.add(box((width, 0.03, height), (0, 0, height / 2 + 0.12)), frame)
    picture = Material(
        int(rng.choice([POSTER, POSTER, PLAIN, LETTERS])),
        cloth_colour(rng),
        cloth_colour(rng),
        cloth_colour(rng),
        rng.uniform(15, 50),
        kit.phase(),
        specular=0.5,
        gloss=60,
    )
    kit.add(box((width * 0.93, 0.004, height * 0.9), (0, -0.016, height / 2 + 0.12)), picture)
    if rng.random() < 0.6:
        kit.add(box((0.05, 0.04, 0.14), (0, 0.02, 0.07)), frame)
        kit.add(box((width * 0.4, 0.18, 0.015), (0, 0, 0.007)), frame)


def shelf(kit: Kit) -> None:
    """An open shelf with books, or a cupboard."""
    rng, wood = kit.rng, kit.wood() if kit.rng.random() < 0.7 else kit.paint()
    width, depth, levels = rng.uniform(0.5, 1.0), 0.28, int(rng.integers(2, 6))
    height = levels * 0.34
    for s in (-1, 1):
        kit.add(box((0.025, depth, height), (s * width / 2, 0, height / 2)), wood)
    for k in range(levels + 1):
        kit.add(box((width, depth, 0.022), (0, 0, k * 0.34)), wood)
    books = Material(SHELVES, cloth_colour(rng), wood.colour, phase=kit.phase())
    for k in range(levels):
        if rng.random() < 0.75:
            wide = width * rng.uniform(0.4, 0.95)
            grid_x, grid_z = np.meshgrid(np.linspace(-wide / 2, wide / 2, 8), np.linspace(0, 0.25, 4))
            front = sheet(np.stack([grid_x, np.full_like(grid_x, -0.1), grid_z + k * 0.34 + 0.01], -1))
            uv = np.stack([front.vertices[:, 0], front.vertices[:, 2] - k * 0.34 + 0.03], 1)
            kit.add(Solid(front.vertices, front.faces, uv, front.edge), books)
            kit.add(box((wide, 0.18, 0.2), (0, 0.01, k * 0.34 + 0.11)), kit.plain(0.2))


def lamp(kit: Kit) -> None:
    """A floor lamp."""
    rng, metal = kit.rng, kit.metal()
    height, radius = rng.uniform(1.0, 1.5), rng.uniform(0.14, 0.24)
    kit.add(lathe([(0.001, 0.03), (0.13, 0.02), (0.14, 0)]), metal)
    kit.add(rod((0, 0, 0), (0, 0, height), 0.012), metal)
    shade_height = rng.uniform(0.18, 0.3)
    kit.add(
        lathe(
            [(radius, height - shade_height / 2), (radius * rng.uniform(0.4, 1), height + shade_height / 2)]
        ),
        kit.fabric() if rng.random() < 0.6 else Material(LIGHT, hsv(0.11, 0.3, 0.7)),
    )


def cloth_sheet(kit: Kit) -> None:
    """A hanging curtain, towel, banner or flag with folds."""
    rng = kit.rng
    width, height, folds = rng.uniform(0.4, 1.1), rng.uniform(0.6, 1.5), rng.uniform(2, 9)
    s, t = np.meshgrid(np.linspace(-0.5, 0.5, 48), np.linspace(0, 1, 24))
    wave = np.sin(2 * np.pi * folds * s + rng.uniform(0, 6) + 0.8 * np.sin(3 * t)) * (0.4 + 0.6 * t)
    x = width * s * (1 - 0.12 * t * rng.random()) + 0.02 * np.sin(5 * t + 4 * s)
    points = np.stack(
        [
            x,
            0.5 * width / folds * wave * rng.uniform(0.2, 0.6),
            height * (1 - t) - 0.03 * np.cos(6.28 * s * folds) * t,
        ],
        -1,
    )
    kit.add(sheet(points), kit.fabric(), 0.5)
    if rng.random() < 0.5:
        kit.add(rod((-width * 0.6, 0, height), (width * 0.6, 0, height), 0.013), kit.metal())


def board(kit: Kit) -> None:
    """A surfboard, skateboard, guitar-like or racket-like thing."""
    rng, style = kit.rng, kit.rng.integers(3)
    art = Material(
        int(rng.choice([POSTER, HSTRIPE, PLAIN, VSTRIPE])),
        cloth_colour(rng),
        cloth_colour(rng),
        cloth_colour(rng),
        rng.uniform(4, 12),
        kit.phase(),
        specular=0.4,
        gloss=40,
    )
    if style == 0:
        kit.add(ball((0.25, 0.03, 0.95), 0.85, 24).moved(offset=(0, 0, 0.95)), art)
    elif style == 1:
        wood = kit.wood().but(specular=0.3)
        knots = np.array([0.0, 0.03, 0.1, 0.24, 0.38, 0.5, 0.62, 0.69, 0.72])
        x = np.linspace(0, 0.72, 40)
        half = PchipInterpolator(knots, [0.01, 0.12, 0.19, 0.2, 0.12, 0.145, 0.13, 0.08, 0.01])(x)
        stations = np.stack([x, np.full(40, 0.05), -half, half], 1)
        body = loft(stations, 0.7).moved(rotation(Y_AXIS, -90))
        kit.add(body, wood)
        kit.add(disc(0.05).moved(offset=(0, -0.052, 0.45)), kit.plain(0.03))
        kit.add(box((0.05, 0.02, 0.6), (0, -0.03, 0.98)), kit.plain(0.12))
        kit.add(box((0.09, 0.025, 0.16), (0, -0.02, 1.34)), wood)
    else:
        grid = kit.plain(0.85)
        kit.add(ring(0.14, 0.012).moved(np.diag([0.85, 1, 1.15]), (0, 0, 0.6)), kit.paint())
        for k in np.linspace(-0.1, 0.1, 8):
            half = 0.13 * np.sqrt(max(0, 1 - (k / 0.13) ** 2))
            kit.add(rod((k * 0.9, 0, 0.6 - half * 1.1), (k * 0.9, 0, 0.6 + half * 1.1), 0.0025, 4), grid)
            kit.add(rod((-half * 0.85, 0, 0.6 + k * 1.1), (half * 0.85, 0, 0.6 + k * 1.1), 0.0025, 4), grid)
        kit.add(rod((0, 0, 0), (0, 0, 0.45), 0.016), kit.plain(0.1))


def umbrella(kit: Kit) -> None:
    """An open umbrella, carried, parasol-like or turned towards the viewer."""
    rng, cloth = kit.rng, kit.fabric()
    ribs, radius, depth = int(rng.integers(6, 10)), rng.uniform(0.45, 0.7), rng.uniform(0.18, 0.32)
    angle, out = np.meshgrid(np.linspace(0, 2 * np.pi, ribs * 6, endpoint=False), np.linspace(0.001, 1, 12))
    sag = 0.06 * np.abs(np.sin(angle * ribs / 2)) * out
    r = radius * out * (1 - 0.1 * np.abs(np.sin(angle * ribs / 2)) * out)
    points = np.stack([r * np.sin(angle), -r * np.cos(angle), depth * (1 - out**2) - sag], -1)
    tilt = rotation(X_AXIS, rng.choice([0, 10, 25, 75]) * rng.uniform(0.5, 1)) @ rotation(
        Z_AXIS, rng.uniform(0, 360)
    )
    top = sheet(points, wrap=True)
    if rng.random() < 0.3:
        cloth = cloth.but(pattern=VSTRIPE, frequency=ribs / (2 * np.pi * radius) * 0.7)
    kit.add(top.moved(tilt), cloth, 0.1)
    stick = rod((0, 0, depth + 0.06), (0, 0, -rng.uniform(0.5, 1.2)), 0.01)
    kit.add(stick.moved(tilt), kit.metal())
