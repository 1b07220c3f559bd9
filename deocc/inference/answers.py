"""Answers of the stages: `Completion` in the frame, `Deocclusion` on the photo."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from deocc.errors import DeoccError
from deocc.io import PathLike, write_image, write_mask, write_parsing
from deocc.masks import Frame
from deocc.models import MaskLogits


@dataclass(frozen=True)
class Deocclusion:
    """One de-occluded person, at the photo's own size.

    Attributes:
        modal_mask: H x W bool, the visible person as stage 1 refined it (M_m).
        amodal_mask: H x W bool, the whole person (M_a); it contains `modal_mask`.
        invisible_mask: H x W bool, amodal and not modal: the hidden person.
        parsing: H x W uint8, LIP class of every pixel of the whole person (P_a); 0 outside `amodal_mask`.
        recovered: H x W x 3 uint8; the photo itself outside `invisible_mask`, painted inside it (I_o).
        initial_mask: H x W bool, the rough mask that stage 1 was given (M_i).
        frame: the square window of the photo that the networks saw.
        notes: repairs and fallbacks, one sentence each; empty when there were none.
        samples: K different completions, each H x W x 3 uint8, if several were requested; the first one is
            `recovered`. Else empty.
    """

    modal_mask: np.ndarray
    amodal_mask: np.ndarray
    invisible_mask: np.ndarray
    parsing: np.ndarray
    recovered: np.ndarray
    initial_mask: np.ndarray
    frame: Frame
    notes: tuple[str, ...] = ()
    samples: tuple[np.ndarray, ...] = ()

    @property
    def occlusion_ratio(self) -> float:
        """The hidden share of the person, as predicted; in [0, 1]."""
        return float(self.invisible_mask.sum() / max(int(self.amodal_mask.sum()), 1))

    def save(self, folder: PathLike, picture: bool = True) -> Path:
        """Writes modal.png, amodal.png, parsing.png and, optionally, recovered.png into `folder`.

        Samples go to recovered_1.png, recovered_2.png, ...
        """
        folder = Path(folder)
        jobs: list[tuple[Any, ...]] = [
            (write_mask, "modal.png", self.modal_mask),
            (write_mask, "amodal.png", self.amodal_mask),
            (write_parsing, "parsing.png", self.parsing),
        ]
        if picture:
            pictures = {"recovered.png": self.recovered}
            pictures |= {f"recovered_{number}.png": sample for number, sample in enumerate(self.samples, 1)}
            jobs = [*((write_image, *picture) for picture in pictures.items()), *jobs]  # the slow ones first
        with ThreadPoolExecutor(2) as pool:  # packing releases the interpreter's lock
            done = [pool.submit(write, folder / name, array) for write, name, array in jobs]
        for job in done:
            job.result()
        return folder


class Completion(NamedTuple):
    """Stage 1's answer for a batch; > 0 is inside."""

    modal: Tensor  # N x 1 x S x S log-odds of the visible person
    amodal: Tensor  # N x 1 x S x S log-odds of the whole person
    parsing_modal: Tensor  # N x 20 x S x S logits, parts of the visible person
    parsing_amodal: Tensor  # N x 20 x S x S logits, parts of the whole person

    def resized(self, size: int) -> "Completion":
        """The same on a grid of size x size, averaged over areas where it becomes coarser."""
        options: dict[str, Any] = {"mode": "bilinear", "align_corners": False, "antialias": True}
        return Completion(*(F.interpolate(maps, (size, size), **options) for maps in self))


def completion_of(logits: MaskLogits) -> Completion:
    """Two-class logits -> log-odds, which are better to average and to interpolate than probabilities."""
    if logits.parsing_modal is None or logits.parsing_amodal is None:
        raise DeoccError(
            "stage 1 has no parsing branches, and stage 2 needs body parts; use weights with parsing=True"
        )
    modal, amodal = ((maps[:, 1:] - maps[:, :1]).float() for maps in (logits.modal, logits.amodal))
    return Completion(modal, amodal, logits.parsing_modal.float(), logits.parsing_amodal.float())


def as_array(maps: Tensor) -> np.ndarray:
    """C x S x S tensor -> S x S x C (S x S for one channel) float32 array."""
    array = maps.float().permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(array[..., 0] if array.shape[2] == 1 else array)
