"""Readers of public datasets, which give candidates for a people folder (Sec. 4.1)."""

from deocc.people.sources.about import ABOUT, About

__all__ = ["ABOUT", "About"]
