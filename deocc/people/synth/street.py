"""Vehicles, street furniture and fences: one function each, standing on z = 0, facing -y."""

import numpy as np

from deocc.people.synth.kit import Kit
from deocc.people.synth.materials import (
    BRICK,
    CARTON,
    HSTRIPE,
    LETTERS,
    LIGHT,
    PLAIN,
    PLANK,
    PLASTER,
    POSTER,
    VSTRIPE,
    Material,
    cloth_colour,
    grey,
    hsv,
)
from deocc.people.synth.pose import Y_AXIS, rotation
from deocc.people.synth.shapes import Solid, ball, box, disc, joined, lathe, loft, ring, rod, tube


def _wheel(kit: Kit, radius: float, centre: tuple[float, ...], spokes: int, thickness: float = 0.016) -> None:
    kit.add(ring(radius, thickness).moved(offset=centre), kit.plain(0.07))
    kit.add(ring(radius * 0.93, thickness * 0.6).moved(offset=centre), kit.plain(0.6, specular=0.6))
    for k in range(spokes):
        angle = 2 * np.pi * k / spokes
        end = (
            centre[0] + 0.93 * radius * np.sin(angle),
            centre[1],
            centre[2] + 0.93 * radius * np.cos(angle),
        )
        kit.add(rod(centre, end, max(0.0028, thickness * 0.2), 5), kit.plain(0.6, specular=0.6))


def bicycle(kit: Kit) -> None:
    """A bicycle seen from the side."""
    rng, frame = kit.rng, kit.paint()
    radius = rng.uniform(0.3, 0.36)
    rear, front = np.array([-0.52, 0, radius]), np.array([0.55, 0, radius])
    for centre in (rear, front):
        _wheel(kit, radius, tuple(centre), 18)
    crank, saddle, head = np.array([-0.08, 0, 0.28]), np.array([-0.2, 0, 0.85]), np.array([0.37, 0, 0.82])
    low_head = np.array([0.4, 0, 0.68])
    for a, b in (
        (crank, saddle),
        (crank, low_head),
        (saddle * [1, 1, 0.95], head),
        (rear, crank),
        (rear, saddle * [1, 1, 0.9]),
        (front, head),
    ):
        kit.add(rod(tuple(a), tuple(b), 0.017), frame)
    kit.add(ball((0.13, 0.06, 0.03)).moved(offset=saddle + [0, 0, 0.04]), kit.plain(0.06))
    bar = np.array(
        [[0.3, -0.25, 0.95], [0.4, -0.2, 0.97], [0.36, 0, 0.95], [0.4, 0.2, 0.97], [0.3, 0.25, 0.95]]
    )
    kit.add(tube(bar, 0.013), kit.metal())
    kit.add(rod(tuple(head), (0.36, 0, 0.95), 0.014), frame)
    kit.add(ring(0.09, 0.012).moved(offset=crank), kit.metal())
    if rng.random() < 0.4:
        kit.add(box((0.3, 0.26, 0.2), (0.52, 0, 0.9)), Material(BRICK, hsv(0.08, 0.5, 0.5), grey(0.15)))


def wheel(kit: Kit) -> None:
    """A cart wheel, steering wheel, tyre or hoop."""
    rng = kit.rng
    style, radius = rng.integers(3), rng.uniform(0.3, 0.5)
    if style == 0:
        _wheel(kit, radius, (0, 0, radius), int(rng.integers(6, 16)), rng.uniform(0.02, 0.04))
    elif style == 1:
        kit.add(
            ring(radius, rng.uniform(0.07, 0.13)).moved(offset=(0, 0, radius)), kit.plain(0.08, specular=0.1)
        )
    else:
        kit.add(ring(radius, rng.uniform(0.012, 0.03)).moved(offset=(0, 0, radius)), kit.paint())


def car(kit: Kit) -> None:
    """A car: body, glass, wheels and lights."""
    rng = kit.rng
    paint = kit.paint().but(specular=0.6, gloss=50)
    glass = Material(PLAIN, hsv(0.58, 0.2, rng.uniform(0.08, 0.2)), specular=0.9, gloss=70)
    tall, nose = rng.uniform(1.4, 1.8), rng.uniform(0.7, 0.95)
    kit.add(
        loft(
            np.array(
                [
                    (-2.1, 0.6, 0.35, 0.75),
                    (-2.0, 0.8, 0.25, nose),
                    (-1.0, 0.87, 0.22, nose + 0.05),
                    (0.9, 0.87, 0.22, nose),
                    (1.7, 0.82, 0.25, nose - 0.1),
                    (2.1, 0.7, 0.3, nose - 0.2),
                    (2.16, 0.5, 0.4, nose - 0.3),
                ]
            ),
            0.35,
        ),
        paint,
    )
    rear = rng.uniform(-1.9, -1.3)
    cabin = np.array(
        [
            (rear, 0.7, nose - 0.05, nose + 0.05),
            (rear + 0.3, 0.68, nose - 0.05, tall - 0.08),
            (-0.4, 0.66, nose - 0.05, tall),
            (0.25, 0.66, nose - 0.05, tall - 0.06),
            (1.0, 0.72, nose - 0.05, nose + 0.02),
        ]
    )
    kit.add(loft(cabin, 0.4), glass)
    roof = cabin * [0.97, 1.01, 0, 1] + [0, 0, 0, 0.012]
    roof[:, 2] = roof[:, 3] - 0.1
    kit.add(loft(roof[1:4], 0.4), paint)
    for x in (-1.35, 1.35):
        for y in (-0.8, 0.8):
            kit.add(ring(0.27, 0.09).moved(offset=(x, y, 0.33)), kit.plain(0.06))
            kit.add(
                disc(0.2, thickness=0.16).moved(offset=(x, y, 0.33)),
                kit.plain(kit.pick(0.2, 0.6), specular=0.5),
            )
    for y in (-0.55, 0.55):
        kit.add(
            ball((0.06, 0.16, 0.09), 0.7).moved(offset=(2.08, y, nose - 0.28)),
            Material(LIGHT, grey(0.55), specular=0.9),
        )
        kit.add(
            ball((0.05, 0.16, 0.09), 0.6).moved(offset=(-2.06, y, nose - 0.15)),
            Material(PLAIN, hsv(0, 0.85, 0.6), specular=0.6),
        )
        kit.add(ball((0.09, 0.06, 0.07), 0.7).moved(offset=(0.75, y * 1.75, nose + 0.08)), paint)
    kit.add(box((0.05, 0.9, 0.14), (2.13, 0, 0.42), 4), kit.plain(0.07))
    kit.add(
        box((0.03, 0.5, 0.11), (2.17, 0, 0.5), 8),
        Material(LETTERS, grey(0.9), grey(0.1), frequency=30, phase=kit.phase()),
    )
    for y in (-0.3, 0.0, 0.3):  # door seams and grille
        kit.add(box((0.02, 0.26, 0.012), (2.17, y, nose - 0.3)), kit.plain(0.15))


def cone(kit: Kit) -> None:
    """Traffic cones."""
    rng = kit.rng
    orange = hsv(rng.uniform(0.02, 0.07), 0.9, 0.95)
    for k in range(int(rng.integers(1, 3))):
        offset, height = (0.45 * k, rng.normal(0, 0.1), 0), rng.uniform(0.5, 0.8)
        kit.add(box((0.36, 0.36, 0.03), (0, 0, 0.015)).moved(offset=offset), kit.plain(0.1))
        stripes = Material(HSTRIPE, orange, grey(0.92), frequency=2.2 / height, phase=0.3, duty=0.4)
        body = lathe([(0.15, 0.03), (0.09, height * 0.5), (0.03, height), (0.001, height)], smooth=14)
        kit.add(Solid(body.vertices + offset, body.faces, body.uv, body.edge), stripes)


def sign(kit: Kit) -> None:
    """A street sign or advertising board on a pole."""
    rng, metal = kit.rng, kit.metal()
    height = rng.uniform(1.4, 2.0)
    kit.add(rod((0, 0.02, 0), (0, 0.02, height), rng.uniform(0.02, 0.04)), metal)
    corners, size = int(rng.choice([32, 8, 4, 3, 5])), rng.uniform(0.25, 0.4)
    rim = Material(PLAIN, hsv(kit.pick(0, 0, 0.6, 0.13), 0.85, 0.75), specular=0.2)
    face = Material(
        int(rng.choice([LETTERS, PLAIN, POSTER])),
        grey(0.92),
        rim.colour,
        cloth_colour(rng),
        rng.uniform(8, 20),
        kit.phase(),
    )
    turn = np.pi / 4 * (corners == 4) + np.pi / 8 * (corners == 8)
    if rng.random() < 0.6:
        kit.add(disc(size, corners, 0.012, turn).moved(offset=(0, 0, height)), rim)
        kit.add(disc(size * 0.82, corners, 0.018, turn).moved(offset=(0, -0.004, height)), face)
    else:
        wide, tall = rng.uniform(0.4, 0.9), rng.uniform(0.3, 1.0)
        kit.add(box((wide, 0.03, tall), (0, 0, height - tall / 2), 10), rim if rng.random() < 0.5 else metal)
        kit.add(box((wide * 0.92, 0.034, tall * 0.92), (0, 0, height - tall / 2), 12), face)


def post(kit: Kit) -> None:
    """A bollard, hydrant, parking meter, letter box or street lamp."""
    rng, style = kit.rng, kit.rng.integers(4)
    paint = kit.paint()
    if style == 0:
        r, h = rng.uniform(0.07, 0.16), rng.uniform(0.7, 1.1)
        kit.add(
            lathe(
                [
                    (0.001, h + r * 0.6),
                    (r * 0.6, h + r * 0.4),
                    (r, h),
                    (r * 0.85, h - 0.05),
                    (r * 0.85, 0.1),
                    (r * 1.2, 0.08),
                    (r * 1.2, 0),
                ]
            ),
            paint,
        )
        kit.add(lathe([(r * 0.87, h * 0.7), (r * 0.88, h * 0.7 + 0.08)]), Material(PLAIN, grey(0.92)))
    elif style == 1:
        kit.add(
            lathe(
                [
                    (0.001, 0.75),
                    (0.05, 0.74),
                    (0.12, 0.66),
                    (0.14, 0.6),
                    (0.11, 0.58),
                    (0.11, 0.15),
                    (0.16, 0.1),
                    (0.16, 0),
                ]
            ),
            paint,
        )
        for s in (-1, 1):
            kit.add(
                lathe([(0.001, 0.2), (0.05, 0.2), (0.06, 0.16), (0.04, 0.1)]).moved(
                    rotation(Y_AXIS, s * 90), (0, 0, 0.45)
                ),
                paint,
            )
    elif style == 2:
        kit.add(rod((0, 0, 0), (0, 0, 1.0), 0.03), kit.metal())
        kit.add(ball((0.15, 0.1, 0.22), 0.4).moved(offset=(0, 0, 1.2)), paint)
        kit.add(
            box((0.18, 0.02, 0.12), (0, -0.1, 1.26)), Material(LETTERS, grey(0.3), grey(0.9), frequency=40)
        )
    else:
        h = rng.uniform(1.8, 2.6)
        kit.add(lathe([(0.1, 0), (0.09, 0.3), (0.045, 0.36), (0.035, h)], 16, 20), paint)
        kit.add(
            ball((0.15, 0.15, 0.17)).moved(offset=(0, 0, h + 0.1)),
            Material(LIGHT, hsv(0.12, 0.1, 0.65), specular=0.5),
        )


def bench(kit: Kit) -> None:
    """A park bench."""
    rng, wood, iron = kit.rng, kit.wood(), kit.metal()
    width = rng.uniform(1.1, 1.7)
    for k in range(5):
        kit.add(box((width, 0.07, 0.025), (0, -0.2 + 0.09 * k, 0.45)), wood)
    for k in range(int(rng.integers(2, 5))):
        kit.add(box((width, 0.022, 0.08), (0, 0.25 + 0.03 * k, 0.56 + 0.11 * k)), wood)
    for s in (-0.42, 0.42):
        x = s * width
        kit.add(rod((x, -0.2, 0), (x, -0.18, 0.44), 0.025), iron)
        kit.add(rod((x, 0.2, 0), (x, 0.34, 0.95), 0.025), iron)
        kit.add(rod((x, -0.22, 0.43), (x, 0.22, 0.43), 0.025), iron)


def picket_fence(kit: Kit) -> None:
    """A wooden fence of boards with gaps."""
    rng = kit.rng
    wood = kit.wood() if rng.random() < 0.6 else kit.paint()
    height, gap, wide = rng.uniform(0.7, 1.2), rng.uniform(1.3, 2.4), rng.uniform(0.05, 0.11)
    count = int(np.ceil(rng.uniform(1.2, 2.0) / (gap * wide)))
    length = count * gap * wide
    for k in range(count):
        x = (k + 0.5) * gap * wide - length / 2
        tall = height * (1 + rng.normal(0, 0.01))
        kit.add(
            box((wide, 0.02, tall), (x, 0, tall / 2), 4).moved(rotation(Y_AXIS, rng.normal(0, 0.8))), wood
        )
        kit.add(ball((wide / 2, 0.012, wide * 0.6), 0.9, 6, 12).moved(offset=(x, 0, tall)), wood)
    for z in (0.25, 0.75):
        kit.add(box((length, 0.03, 0.07), (0, 0.025, z * height), 8), wood)


def railing(kit: Kit) -> None:
    """Metal railings: balusters between two rails, now and then with knobs or rings."""
    rng = kit.rng
    metal = kit.metal() if rng.random() < 0.5 else kit.paint()
    height, step, thick = rng.uniform(0.8, 1.2), rng.uniform(0.08, 0.22), rng.uniform(0.007, 0.02)
    count = int(rng.uniform(1.0, 1.9) / step)
    length = count * step
    for z in (0.08, height * 0.93) if rng.random() < 0.7 else (0.08, height * 0.78, height * 0.93):
        kit.add(rod((-length / 2, 0, z), (length / 2, 0, z), thick * 1.5), metal)
    knobs = rng.random() < 0.5
    for k in range(count + 1):
        x = k * step - length / 2
        kit.add(rod((x, 0, 0), (x, 0, height), thick, 6), metal)
        if knobs:
            kit.add(
                lathe([(0.001, 0.09), (thick * 1.2, 0.05), (thick * 1.8, 0.02), (0.001, 0)], 10).moved(
                    offset=(x, 0, height)
                ),
                metal,
            )
    for x in (-length / 2, length / 2):
        kit.add(rod((x, 0, 0), (x, 0, height * 1.08), thick * 2.4), metal)


def bars(kit: Kit) -> None:
    """Window bars, a grid, a lattice or chain link."""
    rng, metal = kit.rng, kit.metal() if kit.rng.random() < 0.7 else kit.wood()
    width, height = rng.uniform(0.8, 1.5), rng.uniform(0.8, 1.6)
    style = rng.integers(3)
    step, thick = (rng.uniform(0.1, 0.22), rng.uniform(0.01, 0.022)) if style < 2 else (0.09, 0.004)
    lines: list[tuple[tuple[float, float], tuple[float, float]]] = []
    if style == 0:
        lines += [((x, 0), (x, height)) for x in np.arange(-width / 2, width / 2, step)]
        lines += [((-width / 2, z), (width / 2, z)) for z in (height * 0.05, height * 0.95)]
    elif style == 1:
        lines += [((x, 0), (x, height)) for x in np.arange(-width / 2, width / 2 + 0.01, step * 1.5)]
        lines += [((-width / 2, z), (width / 2, z)) for z in np.arange(0, height + 0.01, step * 1.5)]
    else:
        for start in np.arange(-width / 2 - height, width / 2, step):
            low, high = max(start, -width / 2), min(start + height, width / 2)
            if high - low > 0.02:
                lines.append(((low, low - start), (high, high - start)))
                lines.append(((-low, low - start), (-high, high - start)))
    for (x0, z0), (x1, z1) in lines:
        kit.add(rod((x0, 0, z0), (x1, 0, z1), thick, 6), metal)
    if style == 2:
        for x in (-width / 2, width / 2):
            kit.add(rod((x, 0, 0), (x, 0, height), 0.02), metal)
        kit.add(rod((-width / 2, 0, height), (width / 2, 0, height), 0.016), metal)


def ladder(kit: Kit) -> None:
    """A ladder or scaffold."""
    rng = kit.rng
    material = kit.wood() if rng.random() < 0.5 else kit.metal()
    height, half, thick = rng.uniform(1.4, 2.2), rng.uniform(0.17, 0.3), rng.uniform(0.014, 0.028)
    for s in (-1, 1):
        kit.add(rod((s * half * 1.15, 0, 0), (s * half, 0, height), thick), material)
    for z in np.arange(0.2, height - 0.05, rng.uniform(0.24, 0.34)):
        kit.add(rod((-half * 1.1, 0, z), (half * 1.1, 0, z), thick * 0.8), material)


def wall_end(kit: Kit) -> None:
    """A low wall, pillar or door edge."""
    rng = kit.rng
    wide, tall, deep = rng.uniform(0.25, 1.2), rng.uniform(0.6, 1.6), rng.uniform(0.12, 0.35)
    colour = hsv(rng.uniform(0, 0.12), rng.uniform(0, 0.5), rng.uniform(0.35, 0.85))
    pattern = int(rng.choice([BRICK, PLASTER, PLANK, CARTON]))
    material = Material(pattern, colour, grey(0.6), phase=kit.phase())
    solid = box((wide, deep, tall), (0, 0, tall / 2), 8)
    kit.add(Solid(solid.vertices, solid.faces, solid.uv, solid.edge), material)
    if rng.random() < 0.6:
        kit.add(
            box((wide * 1.06, deep * 1.15, 0.06), (0, 0, tall + 0.03)),
            Material(PLASTER, grey(rng.uniform(0.4, 0.8))),
        )


def barrier(kit: Kit) -> None:
    """A striped construction barrier or sawhorse."""
    rng = kit.rng
    red = hsv(kit.pick(0.0, 0.04, 0.13), 0.85, 0.8)
    stripes = Material(VSTRIPE, grey(0.92), red, frequency=rng.uniform(3, 6), duty=1.0, specular=0.15)
    width = rng.uniform(1.0, 1.6)
    for z in (0.45, 0.85):
        kit.add(box((width, 0.03, 0.18), (0, 0, z), 10), stripes)
    for s in (-1, 1):
        for y in (-0.25, 0.25):
            kit.add(rod((s * width * 0.4, y, 0), (s * width * 0.4, 0, 1.0), 0.022), kit.metal())


def stroller(kit: Kit) -> None:
    """A pram or shopping trolley."""
    rng, metal = kit.rng, kit.metal()
    for x in (-0.3, 0.32):
        for y in (-0.22, 0.22):
            _wheel(kit, 0.12, (x, y, 0.12), 8, 0.02)
    if rng.random() < 0.5:
        cloth = kit.fabric()
        kit.add(ball((0.42, 0.22, 0.2), 0.6).moved(offset=(0, 0, 0.62)), cloth, 0.3)
        hood = ball((0.26, 0.24, 0.28), 0.9).moved(offset=(-0.18, 0, 0.78))
        kit.add(hood, cloth.but(pattern=PLAIN), 0.5)
    else:
        for z in np.linspace(0.4, 0.85, 8):
            w = 0.2 + 0.12 * (z - 0.4)
            corners = [
                (-0.4 - 0.1 * (z - 0.4), -w, z),
                (0.35, -w, z),
                (0.35, w, z),
                (-0.4 - 0.1 * (z - 0.4), w, z),
            ]
            kit.add(joined([rod(corners[i], corners[(i + 1) % 4], 0.004, 4) for i in range(4)]), metal)
        for x in np.linspace(-0.42, 0.35, 14):
            for y in (-0.22, 0.22):
                kit.add(rod((x, y * 0.9, 0.4), (x, y * 1.15, 0.85), 0.004, 4), metal)
    for y in (-0.22, 0.22):
        kit.add(rod((0.3, y, 0.15), (-0.55, y, 0.98), 0.014), metal)
        kit.add(rod((-0.3, y, 0.15), (0.25, y, 0.55), 0.014), metal)
    kit.add(rod((-0.55, -0.24, 0.98), (-0.55, 0.24, 0.98), 0.017), kit.plain(0.1))
