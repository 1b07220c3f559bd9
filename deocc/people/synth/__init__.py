"""Rendered clothed people and occluders with exact ground truth."""

from deocc.people.synth.person import render_person

__all__ = ["render_person"]
