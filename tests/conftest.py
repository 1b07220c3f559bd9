"""Fixtures that several test files share."""

import os
from pathlib import Path

import deocc  # noqa: F401  # before torch: its threads sleep while they wait

# isort: split
import pytest
import torch

from deocc.models import ContentRecoveryNet, MaskCompletionNet, save_weights

TINY_INPUT = 64  # pixels a side


def pytest_configure(config: pytest.Config) -> None:
    """Weights that were fetched on this machine change what is computed: tests see none."""
    os.environ["TORCH_HOME"] = str(Path(__file__).parent / "no-fetched-weights")


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
