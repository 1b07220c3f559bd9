"""The mesh builder of things, with its materials."""

import numpy as np

from deocc.people.synth.materials import (
    CAMO,
    CHECK,
    DOTS,
    FLORAL,
    HSTRIPE,
    LEAF,
    METAL,
    PLAIN,
    VSTRIPE,
    WOOD,
    Material,
    cloth_colour,
    draw_cloth,
    grey,
    hsv,
)
from deocc.people.synth.mesh import MeshBuilder
from deocc.people.synth.shapes import Solid


class Kit:
    """A mesh builder with its materials; one per thing."""

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
