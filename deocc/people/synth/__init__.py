"""Rendered clothed people and occluders with exact ground truth."""

from deocc.people.synth.batch import render_people
from deocc.people.synth.occluder import render_occluder
from deocc.people.synth.person import render_person

__all__ = ["render_occluder", "render_people", "render_person"]
