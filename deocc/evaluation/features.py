"""Feature networks that judge recovered pictures. No painter is ever trained with one of them.

The trunks of stage 1 and of three mask baselines also start from EfficientNet-lite0 (`deocc.models.trunk`).
They only predict masks; no gradient of a judge reaches a painter.

`Lite0Features` (EfficientNet-lite0, ImageNet) ships inside a package and works offline; `InceptionFeatures`
is the network of FID, used through pytorch-fid when its weights are on this machine.
"""

import hashlib
import logging
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, Protocol
from unittest import mock

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deocc.errors import DeoccError
from deocc.models.trunk import load_lite0

LOG = logging.getLogger("deocc")
INCEPTION_FILE = "pt_inception-2015-12-05-6726825d.pth"  # ends in the first 8 digits of its SHA-256


class JudgedPictures(NamedTuple):
    """Features of pictures.

    Attributes:
        levels: feature maps from fine to coarse, N x C x h x w each (empty where there is none).
        pooled: N x D.
    """

    levels: tuple[Tensor, ...]
    pooled: Tensor


class Judge(Protocol):
    """A feature network, with the name of its Frechet distance."""

    frechet_name: str
    input_size: int

    def __call__(self, images: Tensor) -> JudgedPictures:
        """images: N x 3 x H x W in [0, 1]."""


class Lite0Features(nn.Module):
    """EfficientNet-lite0: five feature levels (strides 2 to 32) and 1280 pooled features.

    Raises:
        DeoccError: the packages with the network and its weights are not installed.
    """

    frechet_name = "FD-Lite0"
    input_size = 224  # the size the network was trained at
    level_ends = (0, 2, 4, 10, 15)  # last block of each stride

    def __init__(self) -> None:
        super().__init__()
        self.net = load_lite0()
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> JudgedPictures:
        """Args: images: N x 3 x H x W float in [0, 1], any size (resampled to 224 x 224)."""
        size = (self.input_size, self.input_size)
        if images.shape[-2:] != size:
            images = F.interpolate(images, size, mode="bilinear", antialias=True, align_corners=False)
        net = self.net
        x = net._swish(net._bn0(net._conv_stem((images * 255 - 127) / 128)))  # N x 32 x 112 x 112
        levels = []
        for index, block in enumerate(net._blocks):
            x = block(x)
            if index in self.level_ends:
                levels.append(x)
        pooled = net._swish(net._bn1(net._conv_head(x))).mean((2, 3))  # N x 1280
        return JudgedPictures(tuple(levels), pooled)


def inception_path() -> Path:
    """Where pytorch-fid looks for its Inception weights: $TORCH_HOME/hub/checkpoints."""
    return Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE


def _checked_inception(path: Path) -> Path:
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if not digest.startswith(path.stem.rsplit("-", 1)[1]):
        raise DeoccError(f"{path}: damaged, its SHA-256 starts with {digest[:8]}; fetch the file again")
    return path


class InceptionFeatures(nn.Module):
    """The Inception-v3 of FID (2048 pooled features), through pytorch-fid, from a local file only.

    Args:
        path: the weights; by default `inception_path()`, whose checksum is tested.

    Raises:
        DeoccError: the weights are missing or damaged.
    """

    frechet_name = "FID"
    input_size = 299

    def __init__(self, path: Path | None = None) -> None:
        super().__init__()
        from pytorch_fid import inception

        if path is None:
            path = inception_path()
            if not path.is_file():
                raise DeoccError(f"{path}: no such file; FID needs pytorch-fid's Inception weights there")
            _checked_inception(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
        # pytorch-fid has no argument for a weights file and unpickles without weights_only
        with mock.patch.object(inception, "load_state_dict_from_url", lambda *args, **kwargs: state):
            self.net = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[2048]])
        self.eval().requires_grad_(False)

    def forward(self, images: Tensor) -> JudgedPictures:
        """Args: images: N x 3 x H x W float in [0, 1]; pytorch-fid resamples them to 299 x 299."""
        return JudgedPictures((), self.net(images)[0].flatten(1))


@lru_cache(maxsize=2)
def lite0_features(device: str = "cpu") -> Lite0Features:
    """The shared EfficientNet-lite0 of a device, loaded once; do not move it to another device."""
    return Lite0Features().to(device)


@lru_cache(maxsize=2)
def _inception_features(path: Path, device: str) -> InceptionFeatures:
    return InceptionFeatures().to(device)


def frechet_judge(device: str = "cpu") -> Judge:
    """Inception (FID) when its weights are on this machine, else EfficientNet-lite0 (FD-Lite0), logged."""
    path = inception_path()
    if path.is_file():
        return _inception_features(path, device)
    LOG.info("no FID: %s is missing; Frechet distances are FD-Lite0", path.name)
    return lite0_features(device)
