"""Errors that a user can fix. Each message says what came, what was expected, and how to fix it."""


class DeoccError(ValueError):
    """Bad input. The command line prints it as one line and exits with status 2."""


class PlacementError(DeoccError):
    """No position of the occluder hides the requested share of the person."""
