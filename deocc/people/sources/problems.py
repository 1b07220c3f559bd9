"""The error for a candidate or photo that is left out."""

from deocc.errors import DeoccError


class Unusable(DeoccError):
    """A candidate or photo that cannot be used.

    Attributes:
        reason: the kind of problem in a few words; the report counts by it.
        words: the details.
    """

    def __init__(self, reason: str, words: str) -> None:
        super().__init__(f"{reason}: {words}")
        self.reason, self.words = reason, words

    def __reduce__(self) -> tuple[type["Unusable"], tuple[str, str]]:
        return Unusable, (self.reason, self.words)  # a worker hands it over
