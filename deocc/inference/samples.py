"""Several completions of one person.

All completions share the masks. The colours of body parts that are wholly hidden are drawn from what people
wear there. The layout of hidden parts varies with the frame in which stage 1 sees the person. Texture varies
with the network's noise.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from deocc.errors import DeoccError
from deocc.inference.answers import Deocclusion
from deocc.inference.detail import add_detail
from deocc.inference.painting import PaintingTask, paint
from deocc.inference.photo import paste_parsing
from deocc.inference.user_mask import without_strays
from deocc.inference.views import View, check_count
from deocc.masks import person_frame
from deocc.models.content_recovery import paints_whole

SHIFT, SCALE = 0.08, 0.2  # largest move of stage 1's frame in shares of its side, of the log of its side
OPEN = 0.35  # evidence below which a hidden part's colour is open


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
        DeoccError: count out of range, or weights that paint one picture only.

    Source: ours; the paper completes once.
    """
    check_samples(count, deoccluder.content_net)
    network, size = deoccluder.content_net, deoccluder.size
    pictures = [paint(network, task, size)]
    layouts = _layouts(deoccluder, view, task, count, seed)
    for k in range(1, count):
        generator = torch.Generator().manual_seed(1000 * seed + k)
        drawn = Redraw(network.palette, generator)
        pictures.append(paint(network, replace(task, parsing=layouts[k]), size, 1000 * seed + k, drawn))
    return tuple(pictures)


def paint_answer(
    deoccluder: Any, view: View, answer: Deocclusion, samples: int, seed: int = 0
) -> Deocclusion:
    """Stage 1's answer with the pictures of a painter of whole holes. Arguments as of `paint_samples`."""
    task = PaintingTask(view.image, answer.modal_mask, answer.amodal_mask, answer.parsing)
    details = task.modal_mask, task.amodal_mask, task.parsing, deoccluder.texture, deoccluder.exemplar
    drawn = paint_samples(deoccluder, view, task, samples, seed)
    pictures = tuple(add_detail(view.image, picture, *details) for picture in drawn)
    return replace(answer, recovered=pictures[0], samples=pictures if samples > 1 else ())


def check_samples(count: int, network: torch.nn.Module) -> None:
    """Raises DeoccError unless a network of stage 2 can paint so many pictures."""
    check_count(count)
    if count > 1 and not paints_whole(network):
        raise DeoccError(f"samples is {count}, but these weights of stage 2 paint one picture; ask for 1")


class Redraw:
    """Draws the colours of wholly hidden parts, in the form that `paint` takes.

    Args:
        palette: parts x C x 4, RGB in [0, 1] and share.
        generator: of the draws.
    """

    def __init__(self, palette: Tensor, generator: torch.Generator) -> None:
        self.palette, self.generator = palette, generator

    def __call__(self, guess: Tensor, sure: Tensor, parts: Tensor) -> tuple[Tensor, Tensor]:
        """Shifts the guess of every open part to a drawn colour; twins (left and right) share it."""
        guess, sure = guess.clone(), sure.clone()
        colours: dict[int, Tensor] = {}
        for part in range(parts.shape[1]):
            where = parts[:, part : part + 1] * (sure < OPEN)
            area = where.sum()
            if area < 1 or not bool(self.palette[part].any()):
                continue
            key = {14: 13, 16: 15, 18: 17}.get(part, part)
            colour = colours.setdefault(key, self._draw(part).to(guess.device))
            mean = (guess * where).sum((2, 3), keepdim=True) / area
            guess = guess + where * (colour[None, :, None, None] - mean)
            sure = torch.maximum(sure, where)
        return guess.clamp(0, 1), sure

    def _draw(self, part: int) -> Tensor:
        """A random RGB colour, weighted by how often people wear it."""
        choice = torch.multinomial(self.palette[part, :, 3].cpu(), 1, generator=self.generator)
        return self.palette[part, int(choice), :3]


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
        layouts.append(np.where(task.modal_mask, task.parsing, labels))
    return layouts


def _varied(view: View, rng: np.random.Generator) -> View:
    """The same view in another frame."""
    shift = rng.uniform(-SHIFT, SHIFT, 2)
    scale = 2.0 * np.exp(rng.uniform(-SCALE, SCALE))
    main = without_strays(view.initial_mask)[0]
    return replace(
        view, frame=person_frame(main, float(scale), (float(shift[0]), float(shift[1])), main.shape)
    )
