"""The package of figures gives every name it lists, whichever module it comes from."""

import deocc.figures


def test_every_listed_name_is_there() -> None:
    assert [name for name in deocc.figures.__all__ if not hasattr(deocc.figures, name)] == []
