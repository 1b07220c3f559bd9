"""Exercises of the notebooks that check themselves: one module a notebook, one function an exercise.

A notebook holds a stub, a cell that asks the check about the reader's answer, and the answer folded. A check
reports instead of raising, so that a notebook with open exercises still runs from top to bottom.
"""

from deocc.exercises.verdict import Verdict, Wrong, ask, exercise, near, require

__all__ = ["Verdict", "Wrong", "ask", "exercise", "near", "require"]
