"""Things of many kinds as meshes: what stands before people in photos, and behind them."""

from collections.abc import Callable

import numpy as np
from scipy.interpolate import PchipInterpolator

from deocc.people.synth.materials import (
    BARK,
    BRICK,
    CAMO,
    CARTON,
    CHECK,
    DOTS,
    FLORAL,
    FOLIAGE,
    FUR,
    HSTRIPE,
    LEAF,
    LETTERS,
    LIGHT,
    METAL,
    PLAIN,
    PLANK,
    PLASTER,
    POSTER,
    SHELVES,
    VSTRIPE,
    WOOD,
    Material,
    cloth_colour,
    draw_cloth,
    grey,
    hsv,
)  # fmt: skip
from deocc.people.synth.mesh import Mesh, MeshBuilder
from deocc.people.synth.pose import X_AXIS, Y_AXIS, Z_AXIS, rotation
from deocc.people.synth.shapes import (
    Solid,
    ball,
    box,
    disc,
    joined,
    lathe,
    leaf,
    loft,
    ring,
    rod,
    scattered,
    sheet,
    tube,
    turns,
)

Colour = tuple[float, ...]


class Kit:
    """A mesh builder with materials at hand; one a thing."""

    def __init__(self, rng: np.random.Generator):
        self.rng, self.builder = rng, MeshBuilder()

    def add(self, solid: Solid, material: Material, wrinkle: float = 0.0) -> None:
        """Adds a solid made of a material."""
        self.builder.add(
            solid.vertices,
            solid.faces,
            material,
            coords=solid.vertices,
            uv=solid.uv,
            edge=solid.edge,
            wrinkle=wrinkle,
        )

    def pick(self, *options: float) -> float:
        """One of the numbers."""
        return float(self.rng.choice(options))

    def phase(self) -> float:
        """An offset into the noise."""
        return float(self.rng.uniform(0, 50))

    def paint(self) -> Material:
        """Glossy paint or plastic of any colour."""
        rng = self.rng
        bright = hsv(rng.random(), rng.uniform(0.3, 0.9), rng.uniform(0.25, 0.9))
        colour = bright if rng.random() < 0.6 else grey(rng.choice([0.06, 0.15, 0.4, 0.75, 0.92]))
        return Material(
            METAL, colour, tuple(0.6 * c for c in colour), phase=self.phase(), specular=0.3, gloss=35
        )

    def metal(self) -> Material:
        """Bare, blackened or rusty metal."""
        rng = self.rng
        colour = grey(rng.choice([0.08, 0.2, 0.45, 0.65, 0.8]))
        rust = hsv(0.05, 0.6, rng.uniform(0.25, 0.5))
        return Material(
            METAL, colour, rust, phase=self.phase(), specular=0.5, gloss=30, extra=self.pick(0, 0, 0.3, 1)
        )

    def wood(self) -> Material:
        """Wood, raw or stained."""
        rng = self.rng
        colour = hsv(rng.uniform(0.04, 0.11), rng.uniform(0.25, 0.7), rng.uniform(0.2, 0.75))
        return Material(WOOD, colour, phase=self.phase(), specular=0.08)

    def plain(self, level: float, **changes: object) -> Material:
        """A grey of sRGB `level`."""
        return Material(PLAIN, grey(level), phase=self.phase()).but(**changes)

    def green(self) -> Material:
        """Leaves."""
        rng = self.rng
        colour = hsv(rng.uniform(0.19, 0.37), rng.uniform(0.35, 0.8), rng.uniform(0.22, 0.6))
        return Material(LEAF, colour, hsv(0.22, 0.4, 0.7), phase=self.phase(), specular=0.12, wrap=0.4)

    def fabric(self) -> Material:
        """A fabric of any pattern."""
        rng = self.rng
        pattern = int(rng.choice([PLAIN, PLAIN, PLAIN, HSTRIPE, VSTRIPE, CHECK, DOTS, FLORAL, CAMO]))
        return draw_cloth(rng, "small").but(
            pattern=pattern, second=cloth_colour(rng), frequency=rng.uniform(6, 25)
        )


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
    """A dining chair, stool or bar chair, with slats or a panel at the back. Args: seat: its height, metres."""
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
    kit.add(lathe([*profile, (float(widths[-1]) * 0.8, height), (0.001, height - 0.02)], 36, 48),
            kit.paint() if rng.random() < 0.7 else kit.wood())  # fmt: skip
    if rng.random() < 0.5:
        band = Material(int(rng.choice([LETTERS, POSTER, HSTRIPE])), grey(0.9), cloth_colour(rng), cloth_colour(rng),
                        rng.uniform(30, 80), kit.phase())  # fmt: skip
        kit.add(
            lathe(
                [(radius * 0.98, height * 0.3), (radius * 1.0, height * 0.32), (radius * 1.0, height * 0.55)]
            ),
            band,
        )


def bucket(kit: Kit) -> None:
    """A bucket, dustbin or barrel."""
    rng, material = kit.rng, kit.paint() if kit.rng.random() < 0.6 else kit.metal()
    radius, height, flare = rng.uniform(0.16, 0.3), rng.uniform(0.3, 0.9), rng.uniform(0.95, 1.25)
    kit.add(lathe([(0.001, 0), (radius, 0), (radius * (1 + flare) / 2, height / 2), (radius * flare, height),
                   (radius * flare * 1.06, height + 0.01), (radius * flare * 0.95, height)], 40), material)  # fmt: skip
    for z in (0.25, 0.75):
        r = radius * (1 + (flare - 1) * z) * 1.01
        kit.add(ring(r, 0.012).moved(rotation(X_AXIS, 90), (0, 0, height * z)), material)
    if rng.random() < 0.5:
        kit.add(ball((radius * flare * 1.05, radius * flare * 1.05, rng.uniform(0.05, 0.2))).moved(offset=(0, 0, height)),
                kit.paint())  # fmt: skip


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
            kit.add(tube(np.array([[x, s * 0.07, tall + 0.1], [x + swing / 2, s * 0.07, tall / 2], [x + swing, s * 0.07, 0]]),
                         np.array([0.07, 0.045, 0.035]), 12, True), fur)  # fmt: skip
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
    picture = Material(int(rng.choice([POSTER, POSTER, PLAIN, LETTERS])), cloth_colour(rng), cloth_colour(rng), cloth_colour(rng),
                       rng.uniform(15, 50), kit.phase(), specular=0.5, gloss=60)  # fmt: skip
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
    kit.add(lathe([(radius, height - shade_height / 2), (radius * rng.uniform(0.4, 1), height + shade_height / 2)]),
            kit.fabric() if rng.random() < 0.6 else Material(LIGHT, hsv(0.11, 0.3, 0.7)))  # fmt: skip


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
    for a, b in ((crank, saddle), (crank, low_head), (saddle * [1, 1, 0.95], head), (rear, crank),
                 (rear, saddle * [1, 1, 0.9]), (front, head)):  # fmt: skip
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
    kit.add(loft(np.array([(-2.1, 0.6, 0.35, 0.75), (-2.0, 0.8, 0.25, nose), (-1.0, 0.87, 0.22, nose + 0.05),
                           (0.9, 0.87, 0.22, nose), (1.7, 0.82, 0.25, nose - 0.1), (2.1, 0.7, 0.3, nose - 0.2),
                           (2.16, 0.5, 0.4, nose - 0.3)]), 0.35), paint)  # fmt: skip
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


def _pot(kit: Kit, radius: float, height: float) -> None:
    rng = kit.rng
    terracotta = Material(
        PLASTER,
        hsv(rng.uniform(0.02, 0.08), rng.uniform(0.2, 0.65), rng.uniform(0.35, 0.8)),
        phase=kit.phase(),
    )
    material = terracotta if rng.random() < 0.6 else kit.paint()
    kit.add(lathe([(0.001, 0), (radius * 0.7, 0), (radius * 0.95, height * 0.85), (radius * 1.05, height * 0.86),
                   (radius * 1.05, height), (radius * 0.9, height), (0.001, height * 0.93)]), material)  # fmt: skip


def potted_plant(kit: Kit) -> None:
    """A pot with long, drooping or broad leaves."""
    rng = kit.rng
    radius, height = rng.uniform(0.1, 0.2), rng.uniform(0.15, 0.35)
    if rng.random() < 0.85:
        _pot(kit, radius, height)
    greens = [kit.green() for _ in range(3)]
    length, width, upright = rng.uniform(0.35, 0.9), rng.uniform(0.03, 0.2), rng.uniform(25, 75)
    stalk = kit.pick(0, 0, 0.4)
    for green in greens:
        count = int(rng.integers(5, 16))
        lift = np.clip(upright + rng.normal(0, 16, count), -10, 88)
        blade = leaf(length, width, rng.uniform(0.3, 1.9))
        matrices = turns(rng.uniform(0, 360, count), lift) * rng.uniform(0.5, 1.05, (count, 1, 1))
        up = height * 0.92 + stalk * rng.uniform(0, 1, (count, 1))
        kit.add(scattered(blade, matrices, up * np.array([0, 0, 1.0])), green)
    if stalk:
        kit.add(rod((0, 0, height * 0.8), (0, 0, height + stalk), 0.014), kit.wood())


def bush(kit: Kit, trunk: bool | None = None) -> None:
    """A shrub or small tree: leaves on a lumpy ball; flowers now and then. Args: trunk: None = now and then."""
    rng = kit.rng
    radii = rng.uniform(0.3, 0.6, 3) * [1.1, 0.8, 1.0]
    core = Material(FOLIAGE, hsv(0.3, 0.5, 0.18), hsv(0.25, 0.5, 0.3), phase=kit.phase())
    trunk = rng.random() < 0.4 if trunk is None else trunk
    middle = float(radii[2]) + (rng.uniform(0.3, 0.9) if trunk else -0.1)
    kit.add(
        ball(tuple(radii * 0.85), 1.0, 20, 32).rough(0.06, 5, kit.phase()).moved(offset=(0, 0, middle)), core
    )
    greens = [kit.green() for _ in range(3)]
    petals = (
        Material(PLAIN, hsv(rng.random(), rng.uniform(0.3, 0.9), 0.9), wrap=0.4)
        if rng.random() < 0.3
        else None
    )
    size = rng.uniform(0.09, 0.17)
    blade = leaf(size, size * 0.6, 0.5, rows=4)
    for material, count in [(green, 270) for green in greens] + ([(petals, 90)] if petals else []):
        direction = rng.normal(size=(count, 3))
        direction /= np.linalg.norm(direction, axis=1, keepdims=True)
        places = direction * radii * rng.uniform(0.78, 1.08, (count, 1)) + [0, 0, middle]
        matrices = turns(rng.uniform(0, 360, count), rng.uniform(-60, 60, count), rng.uniform(-60, 60, count))
        kit.add(scattered(blade, matrices * rng.uniform(0.6, 1.3, (count, 1, 1)), places), material)
    if trunk:
        kit.add(
            tube(np.array([[0, 0, 0], [0.02, 0, middle / 2], [0, 0, middle]]), rng.uniform(0.03, 0.06)),
            kit.wood(),
        )


def tree(kit: Kit) -> None:
    """A tree trunk with a few bare or leafy branches."""
    rng = kit.rng
    height, radius = rng.uniform(1.6, 2.4), rng.uniform(0.09, 0.22)
    colour = hsv(rng.uniform(0.05, 0.1), rng.uniform(0.1, 0.45), rng.uniform(0.2, 0.55))
    bark = Material(BARK, colour, hsv(0.2, 0.3, 0.35), phase=kit.phase())
    t = np.linspace(0, 1, 16)
    bend = rng.normal(0, 0.12, 2)
    path = np.stack([bend[0] * t**2, bend[1] * t**2, height * t], 1)
    kit.add(tube(path, radius * (1 + 0.5 * np.exp(-9 * t) - 0.3 * t), 20).rough(0.012, 7, kit.phase()), bark)
    greens = [kit.green() for _ in range(2)]
    for _ in range(rng.integers(0, 6)):
        start = path[rng.integers(7, 15)]
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(0.3, 0.8)
        along = np.array([np.cos(angle), np.sin(angle), rng.uniform(0.3, 1.2)]) * reach
        curve = start + t[::3, None] * along + 0.06 * rng.normal(size=(6, 3)) * t[::3, None]
        kit.add(tube(curve, radius * 0.3 * (1.15 - t[::3]), 8), bark)
        count = int(rng.integers(0, 30))
        places = start + rng.uniform(0.3, 1.05, (count, 1)) * along + rng.normal(0, 0.07, (count, 3))
        matrices = turns(rng.uniform(0, 360, count), rng.uniform(-50, 50, count))
        if count:
            kit.add(scattered(leaf(0.1, 0.055, 0.5, rows=4), matrices, places), greens[rng.integers(2)])


def flowers(kit: Kit) -> None:
    """A bunch of flowers or tall grass."""
    rng, stem = kit.rng, kit.green()
    grass = rng.random() < 0.35
    petals = Material(PLAIN, hsv(rng.random(), rng.uniform(0.2, 0.9), rng.uniform(0.6, 0.95)), wrap=0.4)
    for _ in range(int(rng.integers(40, 90)) if grass else int(rng.integers(7, 18))):
        tip = np.array([rng.normal(0, 0.2), rng.normal(0, 0.15), rng.uniform(0.4, 0.8)])
        t = np.linspace(0, 1, 7)[:, None]
        base = np.array([rng.normal(0, 0.12 if grass else 0.03), rng.normal(0, 0.05), 0])
        kit.add(
            tube(base + (tip - base) * np.concatenate([t**1.5, t**1.5, t], 1), 0.006 * (1.2 - t[:, 0]), 5),
            stem,
        )
        if grass:
            continue
        size = rng.uniform(0.035, 0.075)
        crown = scattered(
            leaf(size * 1.4, size, 0.4, rows=4),
            turns(60.0 * np.arange(6), np.full(6, 35.0)),
            np.zeros((6, 3)),
        )
        kit.add(crown.moved(rotation(X_AXIS, 40), tip), petals)
        kit.add(
            ball((size * 0.3, size * 0.3, size * 0.25)).moved(offset=tip),
            Material(PLAIN, hsv(0.13, 0.8, 0.8)),
        )
        kit.add(
            leaf(0.14, 0.04, 0.9, rows=5).moved(
                rotation(Z_AXIS, rng.uniform(0, 360)), base + (tip - base) * 0.55
            ),
            stem,
        )


def board(kit: Kit) -> None:
    """A surfboard, skateboard, guitar-like or racket-like thing."""
    rng, style = kit.rng, kit.rng.integers(3)
    art = Material(int(rng.choice([POSTER, HSTRIPE, PLAIN, VSTRIPE])), cloth_colour(rng), cloth_colour(rng), cloth_colour(rng),
                   rng.uniform(4, 12), kit.phase(), specular=0.4, gloss=40)  # fmt: skip
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


KINDS: dict[str, Callable[[Kit], None]] = {
    "chair": chair, "table": table, "sofa": sofa, "carton": carton, "suitcase": suitcase, "bag": bag, "bottle": bottle,
    "bucket": bucket, "balloons": balloons, "furry animal": furry, "screen": screen, "shelf": shelf, "lamp": lamp,
    "bicycle": bicycle, "wheel": wheel, "car": car, "traffic cone": cone, "sign": sign, "post": post, "bench": bench,
    "picket fence": picket_fence, "railing": railing, "bars": bars, "ladder": ladder, "umbrella": umbrella,
    "cloth": cloth_sheet, "potted plant": potted_plant, "bush": bush, "tree": tree, "flowers": flowers, "board": board,
    "wall": wall_end, "barrier": barrier, "stroller": stroller,
}  # fmt: skip


def build_object(kind: str, rng: np.random.Generator) -> Mesh:
    """The mesh of a random thing of one of `KINDS`, standing on z = 0 around the origin, its front towards -y."""
    kit = Kit(rng)
    KINDS[kind](kit)
    return kit.builder.build()
