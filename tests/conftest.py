"""Fixtures that several test files share."""

from pathlib import Path

import pytest
import torch

from deocc.models import ContentRecoveryNet, MaskCompletionNet, save_weights

TINY_INPUT = 64  # pixels a side


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with small, randomly drawn weights of both stages: right in form, meaningless in content."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    about = {"input_size": str(TINY_INPUT)}
    save_weights(
        folder / "mask-tiny.safetensors", MaskCompletionNet(8, templates=(8, 16, 16), levels=4), about
    )
    save_weights(folder / "content-tiny.safetensors", ContentRecoveryNet(8, levels=5), about)
    return folder


def pytest_collection_modifyitems(items):  # type: ignore[no-untyped-def]
    """Tests listed in known_failures.txt are run and reported as xfail until their cause is mended."""
    from pathlib import Path

    import pytest

    path = Path(__file__).with_name("known_failures.txt")
    known = set(path.read_text().splitlines()) if path.is_file() else set()
    for item in items:
        if item.nodeid in known:
            item.add_marker(pytest.mark.xfail(reason="tests/known_failures.txt", strict=False))
