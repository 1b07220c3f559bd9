"""A whole random character: pose, body, clothes and head as one mesh."""

from dataclasses import replace

import numpy as np

from deocc.people.synth.figure import Figure, draw_figure
from deocc.people.synth.garments import draw_outfit, dress
from deocc.people.synth.head import add_head
from deocc.people.synth.mesh import Mesh
from deocc.people.synth.pose import draw_pose


def build_character(rng: np.random.Generator) -> tuple[Mesh, Figure, np.ndarray]:
    """A random clothed person.

    Returns:
        (mesh that stands on z = 0 or jumps above it, the figure, position of the pelvis in the mesh's space).
    """
    pose = draw_pose(rng)
    figure = draw_figure(rng, pose)
    outfit = draw_outfit(rng, figure.female, pose, figure.asset.suit.arm_lengths[1])
    dress(figure, outfit)
    add_head(figure, outfit)
    mesh = figure.mesh.build()
    up = np.array([0, 0, pose.lift - mesh.visible[:, 2].min()])
    return replace(mesh, vertices=mesh.vertices + up), figure, figure.skeleton.position[0] + up
