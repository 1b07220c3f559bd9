"""Fixtures that several test files share."""

from pathlib import Path

import deocc  # noqa: F401  # before torch: its threads sleep while they wait

# isort: split
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
