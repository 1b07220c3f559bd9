"""Potted plants, shrubs, trees and flowers: one function each, standing on z = 0."""

import numpy as np

from deocc.people.synth.kit import Kit
from deocc.people.synth.materials import BARK, FOLIAGE, PLAIN, PLASTER, Material, hsv
from deocc.people.synth.pose import X_AXIS, Z_AXIS, rotation
from deocc.people.synth.shapes import ball, lathe, leaf, rod, scattered, tube, turns


def _pot(kit: Kit, radius: float, height: float) -> None:
    rng = kit.rng
    terracotta = Material(
        PLASTER,
        hsv(rng.uniform(0.02, 0.08), rng.uniform(0.2, 0.65), rng.uniform(0.35, 0.8)),
        phase=kit.phase(),
    )
    material = terracotta if rng.random() < 0.6 else kit.paint()
    kit.add(
        lathe(
            [
                (0.001, 0),
                (radius * 0.7, 0),
                (radius * 0.95, height * 0.85),
                (radius * 1.05, height * 0.86),
                (radius * 1.05, height),
                (radius * 0.9, height),
                (0.001, height * 0.93),
            ]
        ),
        material,
    )


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
    """A shrub or small tree: leaves on a lumpy ball, some with flowers. Args: trunk: None = now and then."""
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
