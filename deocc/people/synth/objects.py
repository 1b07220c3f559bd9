"""Meshes of everyday things, which stand in front of people or in the background."""

from collections.abc import Callable

import numpy as np

from deocc.people.synth import household, plants, street
from deocc.people.synth.kit import Kit
from deocc.people.synth.mesh import Mesh

KINDS: dict[str, Callable[[Kit], None]] = {
    "chair": household.chair,
    "table": household.table,
    "sofa": household.sofa,
    "carton": household.carton,
    "suitcase": household.suitcase,
    "bag": household.bag,
    "bottle": household.bottle,
    "bucket": household.bucket,
    "balloons": household.balloons,
    "furry animal": household.furry,
    "screen": household.screen,
    "shelf": household.shelf,
    "lamp": household.lamp,
    "bicycle": street.bicycle,
    "wheel": street.wheel,
    "car": street.car,
    "traffic cone": street.cone,
    "sign": street.sign,
    "post": street.post,
    "bench": street.bench,
    "picket fence": street.picket_fence,
    "railing": street.railing,
    "bars": street.bars,
    "ladder": street.ladder,
    "umbrella": household.umbrella,
    "cloth": household.cloth_sheet,
    "potted plant": plants.potted_plant,
    "bush": plants.bush,
    "tree": plants.tree,
    "flowers": plants.flowers,
    "board": household.board,
    "wall": street.wall_end,
    "barrier": street.barrier,
    "stroller": street.stroller,
}


def build_object(kind: str, rng: np.random.Generator) -> Mesh:
    """The mesh of a random thing of one of `KINDS`, standing on z = 0 at the origin, facing -y."""
    kit = Kit(rng)
    KINDS[kind](kit)
    return kit.builder.build()
