"""What the photo studio says."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deocc.inference.answers import Deocclusion
    from deocc.widgets.session import Question

LABEL = "your photo; mark a person with a box, a brush or clicks"
FIRST = "Draw a box around what is visible of the person."
WORKING = "working ..."
LOST = "a piece was lost on its way, or it is no file that can be read; open it again"
NO_BACKGROUND = "there is no picture of yours yet: open a background first"
BASE_TIP = "the original: all pixels are real; the recovered one: what stood in front is painted over"


def sentences(notes: Sequence[str]) -> list[str]:
    """Notes as sentences with a capital letter and a full stop."""
    return [note[:1].upper() + note[1:] + "." for note in notes]


def of_failure(error: BaseException) -> str:
    """What went wrong against all expectation, or was interrupted."""
    return f"{type(error).__name__}: {str(error) or 'stopped'}"


def of_answer(answer: Deocclusion) -> str:
    """How much of a person is hidden, and the notes; HTML."""
    share = f"{answer.occlusion_ratio:.0%} of the whole person is hidden; that is painted now."
    if not answer.invisible_mask.any():
        share = "nothing of the person is hidden; nothing was painted."
    return " ".join(map(escape, (f"By this answer, {share}", *sentences(answer.notes))))


def of_question(question: Question) -> str:
    """What the mask is now and what can be done with it; HTML."""
    if not question.mask.any():
        return " ".join(map(escape, (*sentences(question.notes), FIRST)))
    kind = (
        "The blue mask is exact: not one of its pixels will be painted over. A no beside it takes away what "
        "is hidden there."
        if question.exact
        else "The blue mask is rough: mend it with clicks or with the brush where it is wrong."
    )
    notes = () if question.exact else question.notes
    return " ".join(map(escape, (kind, *sentences(notes))))
