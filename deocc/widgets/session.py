"""`PhotoSession`: the state of the photo studio, without a page.

A question starts with a box or a brush. Clicks (stage 1 runs again) and the brush (the mask is then exact)
change it. `PhotoStudio` is its interface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from deocc.errors import DeoccError
from deocc.inference.views import check_image, make_view
from deocc.widgets.canvas import Stroke, paint_stroke

if TYPE_CHECKING:
    from deocc.inference.answers import Deocclusion
    from deocc.inference.deoccluder import Deoccluder

KEPT = 12  # steps that can be taken back: each holds masks of the photo's size
BASES = ("original", "recovered")
Points = tuple[tuple[float, float, bool], ...]


@dataclass(frozen=True)
class Question:
    """The prompts for one person so far, and stage 1's answer.

    Attributes:
        mask: H x W bool, the visible person as it is shown and mended.
        hidden: H x W bool, what stage 1 expects to be hidden.
        box: drawn last, half-open photo pixels, or None.
        start: H x W bool, a mask that clicks start from; None: they start from the box.
        points: clicks (x, y, is_person) since box or mask changed.
        exact: the mask is the visible person, bit for bit.
        beside: clicks "no" beside an exact mask: nobody is there. Those that the mask comes to cover, or that
            its frame no longer reaches, go.
        notes: stage 1's, one sentence each.
    """

    mask: np.ndarray
    hidden: np.ndarray
    box: tuple[float, ...] | None = None
    start: np.ndarray | None = None
    points: Points = ()
    exact: bool = False
    beside: Points = ()
    notes: tuple[str, ...] = ()

    @property
    def clicks(self) -> Points:
        """Those that count for the present mask."""
        return self.beside if self.exact else self.points

    def is_beside(self, x: float, y: float) -> bool:
        """Whether a place lies outside the mask, in the photo."""
        height, width = self.mask.shape
        return 0 <= x < width and 0 <= y < height and not self.mask[int(y), int(x)]


@dataclass(frozen=True)
class Accepted:
    """One finished person. Attributes: name; photo: what was asked about, H x W x 3 uint8; answer."""

    name: str
    photo: np.ndarray
    answer: Deocclusion


@dataclass
class PhotoSession:
    """A photo and the work on it. Messages of its errors can be shown to the user.

    Attributes:
        deoccluder: both stages.
        photo: H x W x 3 uint8, as it was opened.
        source: the picture that the next question is about: `photo`, or the one recovered so far.
        people: accepted ones, in order.
        question: the prompts for the present person.
        answer: the last one, painted; None until `deocclude`.
        answered: the question that it answers.
    """

    deoccluder: Deoccluder
    photo: np.ndarray
    people: list[Accepted] = field(default_factory=list)
    answer: Deocclusion | None = None
    answered: Question | None = None

    def __post_init__(self) -> None:
        check_image(self.photo)
        self.begin(self.photo)

    def begin(self, source: np.ndarray) -> None:
        """A new question about a picture of the photo's size."""
        nothing = np.zeros(source.shape[:2], bool)
        self.source, self.answer, self.answered = source, None, None
        self.question = Question(nothing, nothing)
        self._past: list[Question] = []

    # ------------------------------------------------------------------ the question

    def draw_box(self, box: Sequence[float]) -> None:
        """A box around the visible person: stage 1 finds the rough mask."""
        self._look(Question(self.question.mask, self.question.hidden, box=tuple(box)))

    def click(self, x: float, y: float, is_person: bool) -> None:
        """One spot is the person, or is not; stage 1 is asked again.

        A "no" beside an exact mask leaves it exact: what is hidden there goes. Other clicks make it rough.

        Raises:
            DeoccError: nothing to mend.
        """
        now = self.question
        if now.box is None and not now.mask.any():
            raise DeoccError("draw a box around the person first, or paint them with the brush")
        if now.exact and not is_person and now.is_beside(x, y):
            self._look(replace(now, beside=(*now.beside, (x, y, False))))
            return
        if now.exact or (now.box is None and now.start is None):  # the brushed mask is what the clicks mend
            now = replace(now, start=now.mask, points=now.beside, exact=False, beside=())
        self._look(replace(now, points=(*now.points, (x, y, is_person))))

    def brush(self, stroke: Stroke) -> None:
        """Paints or rubs out the visible mask, which is exact from then on. Args: stroke: photo pixels."""
        mask = paint_stroke(self.question.mask, stroke)
        hidden = self.question.hidden & ~mask
        changed = replace(self.question, mask=mask, hidden=hidden, start=mask, points=(), exact=True)
        self._take(replace(changed, notes=()))  # the notes were of the rough mask

    def give_mask(self, mask: np.ndarray, exact: bool = True) -> None:
        """A visible mask from elsewhere, H x W bool. Raises: DeoccError: it has another size."""
        if mask.shape != self.source.shape[:2] or mask.dtype != bool:
            raise DeoccError(f"mask {mask.dtype} {mask.shape}: bool {self.source.shape[:2]} was expected")
        self._take(Question(mask, np.zeros_like(mask), start=mask, exact=exact))

    def set_exact(self, exact: bool) -> None:
        """Whether the mask is kept bit for bit. Clicks beside an exact mask mend the rough one, too."""
        now = self.question
        if now.exact and not exact and now.beside:
            now = replace(now, start=now.mask, points=now.beside)
        if exact != now.exact:
            self._take(replace(now, exact=exact))

    def undo(self) -> bool:
        """Takes the last step back; False where there is none."""
        if not self._past:
            return False
        self.question = self._past.pop()
        return True

    def _take(self, question: Question) -> None:
        if question.exact and question.beside and question.mask.any():
            question = replace(question, beside=self._reached(question))
        self._past = [*self._past, self.question][-KEPT:]
        self.question = question

    def _reached(self, question: Question) -> Points:
        """The clicks beside an exact mask that a call of `Deoccluder.deocclude` takes."""
        frame = make_view(self.source, question.mask, exact=True).frame
        return tuple(
            (x, y, yes) for x, y, yes in question.beside if question.is_beside(x, y) and frame.holds(x, y)
        )

    def _look(self, question: Question) -> None:
        """Stage 1's masks for a question, no painting."""
        found = self.deoccluder.deocclude(self.source, **_asked(question), paint=False)
        self._take(replace(question, mask=found.modal_mask, hidden=found.invisible_mask, notes=found.notes))

    # ------------------------------------------------------------------ the answer

    def deocclude(self) -> Deocclusion:
        """Both stages answer the question. Raises: DeoccError: there is no question."""
        now = self.question
        if now.box is None and not now.mask.any():
            raise DeoccError("nobody is marked yet: draw a box around the visible part of the person")
        self.answer, self.answered = self.deoccluder.deocclude(self.source, **_asked(now)), now
        return self.answer

    @property
    def is_current(self) -> bool:
        """Whether there is an answer, and it answers the present question."""
        return self.answered is not None and _is_same(self.answered, self.question)

    def accept(self, base: str = "original") -> Accepted:
        """Lists the present person as finished and begins the next one.

        Args:
            base: what the next question is about: the "original" photo (its pixels are all real), or the
                "recovered" one (what stood in front of the first person is painted over there).

        Raises:
            DeoccError: no answer yet, none since the question changed, or no such base.
        """
        if self.answer is None:
            raise DeoccError("there is no answer to accept: de-occlude the person first")
        if not self.is_current:
            raise DeoccError("the marks have changed since the answer: de-occlude again, or undo the change")
        if base not in BASES:
            raise DeoccError(f"base {base!r} is unknown; choose from {', '.join(BASES)}")
        done = Accepted(f"person {len(self.people) + 1}", self.source, self.answer)
        self.people.append(done)
        self.begin(self.photo if base == "original" else self.together())
        return done

    def together(self, present: bool = False) -> np.ndarray:
        """The photo with the hidden parts of all accepted people painted, later ones on top; H x W x 3.

        Args:
            present: the last answer, too.
        """
        out = self.photo.copy()
        answers = [person.answer for person in self.people]
        if present and self.answer is not None:
            answers.append(self.answer)
        for answer in answers:
            out[answer.invisible_mask] = answer.recovered[answer.invisible_mask]
        return out


def _is_same(one: Question, other: Question) -> bool:
    """Whether two questions ask for the same; masks are compared as objects, since no step changes one."""
    values = ("box", "clicks", "exact")
    return (
        one.mask is other.mask
        and one.start is other.start
        and all(getattr(one, name) == getattr(other, name) for name in values)
    )


def _asked(question: Question) -> dict[str, Any]:
    """Arguments of `Deoccluder.deocclude`."""
    if question.exact:
        return {"mask": question.mask, "exact": True, "points": question.beside}
    if question.start is not None:
        return {"mask": question.start, "points": question.points}
    return {"box": question.box, "points": question.points}
