"""Several completions of one person.

All completions share the masks. Hidden parts are lighter or darker than the first guess, the layout varies
with the frame in which stage 1 sees the person, and texture with the network's noise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from skimage.color import lab2rgb, rgb2lab
from torch import Tensor

from deocc.errors import DeoccError
from deocc.inference.answers import Deocclusion
from deocc.inference.detail import add_detail
from deocc.inference.painting import PaintingTask, SoftParts, paint
from deocc.inference.photo import paste_parsing
from deocc.inference.symmetry import as_the_other_side
from deocc.inference.user_mask import without_strays
from deocc.inference.views import View, check_count
from deocc.labels import FLIP_PAIRS
from deocc.masks import Frame, person_frame
from deocc.models.content_recovery import paints_whole
from deocc.models.prior import SKIN

SHIFT, SCALE = 0.08, 0.2  # largest move of stage 1's frame in shares of its side, of the log of its side
SAME = 1e-3  # change of a frame, in its sides, that is none
LIGHTNESS, HUE = 18.0, 3.0  # largest change of lightness, deviation of a and b; CIE Lab
ON_SKIN = 0.4  # share of both for face, arms and legs
UPPER = (1, 2, 3, 4, 5, 7, 11, 13, 14, 15)  # LIP classes above the waist
MOST_SEEDS = 2**63  # that PyTorch takes
TWINS = {right: left for left, right in FLIP_PAIRS}


def paint_samples(
    deoccluder: Any, view: View, task: PaintingTask, count: int, seed: int = 0
) -> tuple[np.ndarray, ...]:
    """Paints one hole in several ways.

    Args:
        deoccluder: `Deoccluder`; its stage 2 paints whole holes (`paints_whole`).
        view: the view that stage 1 answered.
        task: the photo with stage 1's answer.
        count: K, 1 to 16.
        seed: of what is drawn for the second and later ones.

    Returns:
        K pictures, H x W x 3 uint8; the first is the default answer, all equal the photo outside the hole.

    Raises:
        DeoccError: count out of range, a negative seed, or weights that paint one picture only.

    Source: ours; the paper completes once.
    """
    check_samples(count, deoccluder.content_net, seed)
    network, size = deoccluder.content_net, deoccluder.size
    pictures = [paint(network, task, size)]
    layouts = _layouts(deoccluder, view, task, count, seed)
    for k in range(1, count):
        own = (1000 * seed + k) % MOST_SEEDS
        drawn = Recolour(k, torch.Generator().manual_seed(own))
        pictures.append(paint(network, replace(task, parsing=layouts[k]), size, own, drawn))
    return tuple(pictures)


def paint_answer(
    deoccluder: Any, view: View, answer: Deocclusion, logits: Tensor, samples: int, seed: int = 0
) -> Deocclusion:
    """Stage 1's answer with the pictures of a painter of whole holes.

    Args:
        deoccluder, view, samples, seed: as of `paint_samples`.
        answer: stage 1's masks and body parts.
        logits: of the whole person's parts, 20 x S x S in the view's frame.
    """
    soft = SoftParts.of_logits(logits, view.frame)
    task = PaintingTask(view.image, answer.modal_mask, answer.amodal_mask, answer.parsing, soft)
    details = task.modal_mask, task.amodal_mask, task.parsing, deoccluder.texture, deoccluder.exemplar
    drawn = paint_samples(deoccluder, view, task, samples, seed)
    pictures = tuple(add_detail(view.image, picture, *details) for picture in drawn)
    return replace(answer, recovered=pictures[0], samples=pictures if samples > 1 else ())


def check_samples(count: int, network: torch.nn.Module, seed: int = 0) -> None:
    """Raises DeoccError unless a network of stage 2 can paint so many pictures, with this seed."""
    check_count(count, seed)
    if count > 1 and not paints_whole(network):
        raise DeoccError(f"samples is {count}, but these weights of stage 2 paint one picture; ask for 1")


class Recolour:
    """Makes the first guess of hidden parts lighter or darker, in the form that `paint` takes.

    How light a hidden garment is, is what the guess knows least. The second and third picture have all parts
    lighter and darker, the fourth and fifth the upper body against the lower; hues vary a little. Twins (left
    and right) change alike, skin less, and pixels the less, the nearer their evidence is.

    Args:
        number: of the picture, 1 and up; 0 is the guess itself.
        generator: of the hues, and of lightness from the sixth picture on.
    """

    def __init__(self, number: int, generator: torch.Generator) -> None:
        self.number, self.generator = number, generator

    def __call__(self, guess: Tensor, sure: Tensor, parts: Tensor) -> tuple[Tensor, Tensor]:
        """Maps the guess, its evidence (1 x 1 x S x S in [0, 1]) and P_a to another guess and evidence."""
        shifts: dict[int, Tensor] = {}
        new, free = guess.clone(), 1 - sure
        for part in range(parts.shape[1]):
            share = parts[:, part : part + 1] * free
            if share.sum() < 1:
                continue
            mean = (guess * share).sum((2, 3))[0] / share.sum()
            key = TWINS.get(part + 1, part + 1)
            if key not in shifts:
                shifts[key] = self._shift(key, mean)
            new = new + share * shifts[key][None, :, None, None]
        return new.clamp(0, 1), torch.maximum(sure, parts.sum(1, keepdim=True).clamp(0, 1) * free)

    def _shift(self, label: int, colour: Tensor) -> Tensor:
        """What a part's mean RGB colour in [0, 1] changes by, in RGB."""
        step, *hue = torch.randn(3, generator=self.generator).tolist()
        upper = 1.0 if label in UPPER else -1.0
        step = {1: 1.0, 2: -1.0, 3: upper, 4: -upper}.get(self.number, step)
        less = ON_SKIN if label - 1 in SKIN else 1.0
        lab = rgb2lab(colour.cpu().numpy()[None, None])[0, 0]
        lab += less * np.array([LIGHTNESS * step, HUE * hue[0], HUE * hue[1]])
        lab[0] = np.clip(lab[0], 2, 98)
        other = np.clip(lab2rgb(lab[None, None])[0, 0], 0, 1).astype(np.float32)
        return torch.from_numpy(other).to(colour.device) - colour


def _layouts(deoccluder: Any, view: View, task: PaintingTask, count: int, seed: int) -> list[np.ndarray]:
    """Labels of the whole person, K x H x W uint8: stage 1's answer, then its answers in varied frames."""

    if count == 1:
        return [task.parsing]
    rng = np.random.default_rng(seed)
    views = [_varied(view, rng) for _ in range(count - 1)]
    found = deoccluder.stage1(*deoccluder.tensors(views, deoccluder.mask_size))
    maps = found.parsing_amodal.permute(0, 2, 3, 1).cpu().numpy()
    layouts = [task.parsing]
    for logits, varied in zip(maps, views, strict=True):
        labels = paste_parsing(np.ascontiguousarray(logits), varied.frame, task.amodal_mask)
        labels = np.where(task.modal_mask, task.parsing, labels)
        layouts.append(as_the_other_side(task.modal_mask, task.amodal_mask, labels))
    return layouts


def _varied(view: View, rng: np.random.Generator) -> View:
    """The same view in another frame; where the person fills the photo, it may stick out of the photo."""
    shift = rng.uniform(-SHIFT, SHIFT, 2)
    scale = np.exp(rng.uniform(-SCALE, SCALE))
    main, own = without_strays(view.initial_mask)[0], view.frame
    frame = person_frame(main, float(2.0 * scale), (float(shift[0]), float(shift[1])), main.shape)
    moved = max(abs(frame.x0 - own.x0), abs(frame.y0 - own.y0), abs(frame.side - own.side))
    if moved < SAME * own.side:  # fitted to the photo, it shows the same again
        side = float(own.side * scale)
        across, down = (float(by) * side + (own.side - side) / 2 for by in shift)
        frame = Frame(own.x0 + across, own.y0 + down, side)
    return replace(view, frame=frame)
