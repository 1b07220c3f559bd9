"""Errors that a user can mend: each message says what came, what was expected, and how to mend it."""


class DeoccError(ValueError):
    """Bad input. The command line prints it as one line and exits with status 2."""


class PlacementError(DeoccError):
    """No offset of the occluder hides the wanted share of the person."""
