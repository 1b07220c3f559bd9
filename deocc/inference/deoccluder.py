"""`Deoccluder`: both stages behind one call."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from deocc.device import pick_device
from deocc.inference.answers import Completion, Deocclusion, as_array, completion_of
from deocc.inference.photo import masks_on_photo, to_photo
from deocc.inference.prepared import Prepared, prepare
from deocc.inference.prompts import follow_prompts
from deocc.inference.samples import check_samples, paint_answer
from deocc.inference.second_look import closer, mean_of_looks, share_of_second
from deocc.inference.shrink import enlarged
from deocc.inference.user_mask import hold_on
from deocc.inference.views import View, check_detail, make_view
from deocc.inference.weights import default_detail, file_digest, find_weights, input_size, require_class
from deocc.inference.window import on_whole_photo
from deocc.io import PathLike
from deocc.labels import NUM_CLASSES, parts_of_logits, swap_sides
from deocc.models import ContentRecoveryNet, MaskCompletionNet, load_weights
from deocc.models.content_recovery import paints_whole

log = logging.getLogger("deocc")
DECIDED = 6.0  # log-odds of what a prompt has decided against stage 1


class Deoccluder:
    """De-occludes a person of a photo. Stage 2 gets stage 1's output, as in the paper.

    Example:
        >>> deoccluder = Deoccluder.from_pretrained("small")
        >>> answer = deoccluder.deocclude(read_image("photo.jpg"), box=(40, 20, 210, 400))
        >>> write_image("recovered.png", answer.recovered)
    """

    def __init__(
        self,
        mask_net: nn.Module,
        content_net: nn.Module,
        size: int = 128,
        device: str | torch.device | None = None,
        flip: bool = False,
        identity: dict[str, str] | None = None,
        mask_size: int | None = None,
        texture: float = 0.0,
        exemplar: bool = False,
        soft_parts: bool = False,
    ) -> None:
        """Wraps two networks.

        Args:
            mask_net: stage 1, `MaskCompletionNet` or a network of the same signature.
            content_net: stage 2, `ContentRecoveryNet` or a network of the same signature.
            size: side of the square that stage 2 sees, in pixels.
            device: "cpu", "cuda", ...; None takes the GPU if there is one.
            flip: average stage 1 over the picture and its mirror image; stage 1 then takes twice as long.
            identity: names of the weights, stored with predictions, so that a resumed run can compare them.
            mask_size: side of the square that stage 1 sees; None: as stage 2.
            texture: share of the fine detail of visible body parts that hidden ones get, 0 to 1; see
                `deocc.inference.texture.transfer_texture`.
            exemplar: copy patches of visible clothes into hidden ones instead, and calm parts that show
                nowhere; see `deocc.inference.detail.add_detail`.
            soft_parts: stage 2 is given stage 1's probabilities of body parts, not the likeliest labels.

        Raises:
            DeoccError: the device is not available, `texture` is out of range, or `exemplar` is on, too.
        """
        check_detail(texture, exemplar)
        self.device = pick_device(device)
        self.mask_net = mask_net.to(self.device).eval()
        self.content_net = content_net.to(self.device).eval()
        self.size = size
        self.mask_size = mask_size or size
        self.flip = flip
        self.texture = texture
        self.exemplar = exemplar
        self.soft_parts = soft_parts
        self.identity = dict(identity or {})

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: PathLike = "small",
        device: str | torch.device | None = None,
        flip: bool = True,
        texture: float | None = None,
        exemplar: bool | None = None,
    ) -> "Deoccluder":
        """Loads both stages.

        Args:
            name_or_path: bundled weights ("small"), or a folder with one mask*.safetensors and one
                content*.safetensors.
            device, flip: see `Deoccluder`.
            texture: see `Deoccluder`; None: the default of the weights (0 for painters of whole holes).
            exemplar: see `Deoccluder`; None: for painters of whole holes, unless `texture` is given.
                True leaves out the texture that the weights have by default.

        Raises:
            DeoccError: weights are missing, truncated, foreign, or do not say their input size.
        """
        chosen = pick_device(device)
        paths = find_weights(name_or_path)
        mask_net = require_class(load_weights(paths[0], chosen), MaskCompletionNet, paths[0])
        content_net = require_class(load_weights(paths[1], chosen), ContentRecoveryNet, paths[1])
        mask_size, size = (input_size(path) for path in paths)
        identity = {path.name: file_digest(path) for path in paths}
        share, copies = default_detail(content_net)
        if exemplar is None:
            exemplar = copies and texture is None
        if texture is None:
            texture = 0.0 if exemplar else share
        soft = content_net.soft_parts
        return cls(mask_net, content_net, size, chosen, flip, identity, mask_size, texture, exemplar, soft)

    @classmethod
    def masks_only(
        cls, path: PathLike, device: str | torch.device | None = None, flip: bool = True
    ) -> "Deoccluder":
        """Stage 1 alone, for `deocclude_views(..., paint=False)`; arguments as of `from_pretrained`."""
        chosen = pick_device(device)
        path = Path(path)
        net = load_weights(path, chosen)
        require_class(net, MaskCompletionNet, path)
        return cls(net, nn.Identity(), input_size(path), chosen, flip, {path.name: file_digest(path)})

    # ------------------------------------------------------------------ one photo

    def deocclude(
        self,
        image: np.ndarray,
        mask: np.ndarray | None = None,
        box: Sequence[float] | None = None,
        segmenter: str = "auto",
        exact: bool = False,
        points: Sequence[Sequence[float]] = (),
        paint: bool = True,
        samples: int = 1,
        seed: int = 0,
    ) -> Deocclusion:
        """Completes one person of a photo.

        Args:
            image: H x W x 3 uint8 RGB, any size.
            mask: H x W bool, the visible person, roughly unless `exact`. On the network's grid, stage 1 may
                drop only a limited share of a rough mask if it is unsure (`deocc.inference.user_mask`); fine
                borders come after that.
            box: (x0, y0, x1, y1) around the visible person, half-open pixels. Without a mask, `segmenter`
                finds the rough mask: stage 1 near the box, others inside it; what stage 1 then shows as
                visible farther from the box than a fifth of its longer side is not taken for the person. With
                a mask, the mask counts only inside the box.
            segmenter: how to find a mask in a box: "auto", "stage1" (stage 1 runs on first guesses, then on
                its own visible mask), or one of `deocc.segmenters.segment`.
            exact: the mask is the visible person, bit for bit. Hidden parts lie outside it; none of its
                pixels is painted.
            points: clicks (x, y, is_person) in photo pixels, in order, each on the answer to those before
                it, and followed around it. A "no" to a part shown as hidden means that the person is not
                there at all: as much of it goes as `deocc.inference.clicks.without_invented` says. An exact
                mask takes only such clicks.
            paint: False leaves stage 2 out; `recovered` is the photo itself then.
            samples: number of different completions (`deocc.inference.samples`); more than 1 needs weights
                that can.
            seed: of the second and later completions, at least 0.

        Returns:
            Masks, body parts and the recovered photo at full resolution. Outside the predicted invisible
            mask, the recovered photo equals `image` bit for bit.

        Raises:
            DeoccError: neither mask nor box; an empty mask or one of another size; a box or a point outside
                the photo; `exact` without a mask, or with other points; more samples than the weights can
                paint; a negative seed.
        """
        view = make_view(image, mask, box, segmenter, exact, points)
        return self.deocclude_views([view], paint, samples, seed)[0]

    # ------------------------------------------------------------------ networks

    def deocclude_views(
        self, views: Sequence[View | Prepared], paint: bool = True, samples: int = 1, seed: int = 0
    ) -> list[Deocclusion]:
        """Completes several people in one batch.

        Args:
            views: N of them, in photos of any sizes; those that are prepared take less time.
            paint: False leaves stage 2 out; `recovered` is the photo itself then.
            samples: completions of each.
            seed: of the second and later ones.
        """
        check_samples(samples, self.content_net, seed)
        if not views:
            return []
        ready = [view if isinstance(view, Prepared) else prepare(view) for view in views]
        worked = [follow_prompts(one.worked, self._ask, self._show, one.guesses) for one in ready]
        found = self._answers(worked, paint)
        answers = [answer for answer, _ in found]
        if paint and paints_whole(self.content_net):
            each = zip(worked, found, strict=True)
            answers = [paint_answer(self, view, *both, samples, seed) for view, both in each]
        whole = [
            on_whole_photo(enlarged(answer, one.local), one.view, one.window)
            for answer, one in zip(answers, ready, strict=True)
        ]
        if paint:
            return whole
        return [replace(answer, recovered=one.view.image) for answer, one in zip(whole, ready, strict=True)]

    def _answers(self, views: Sequence[View], paint: bool) -> list[tuple[Deocclusion, Tensor]]:
        """Answers to views whose prompts have been followed, each with its parts' logits, 20 x S x S."""
        seen = self.tensors(views, self.mask_size)
        masks = self._masks(views, seen)
        each = [Completion(*(kind[i] for kind in masks)) for i in range(len(views))]
        found = [masks_on_photo(view, one) for view, one in zip(views, each, strict=True)]
        prompted = _as_prompted(masks, views, found)
        painted: list[tuple[Tensor, Tensor]] | list[None] = [None] * len(views)
        if paint and not paints_whole(self.content_net):
            same = self.mask_size == self.size
            image, _, photo_mask = seen if same else self.tensors(views)
            answer = prompted if same else prompted.resized(self.size)
            recovered, invisible = self.stage2(image, photo_mask, answer)
            painted = list(zip(recovered, invisible, strict=True))
        parts = zip(views, each, found, painted, strict=True)
        detail = self.texture, self.exemplar
        return [
            (to_photo(view, one, *both, picture, *detail), one.parsing_amodal)
            for view, one, both, picture in parts
        ]

    def _masks(self, views: Sequence[View], seen: tuple[Tensor, Tensor, Tensor]) -> Completion:
        """Stage 1's answers to views and their `tensors`, after a second look and with trust in M_i."""
        answer = _held_on(self._looked_at_again(views, seen[1], self.stage1(*seen)), views, seen[1])
        return _within_limits(answer, views)

    def _looked_at_again(self, views: Sequence[View], initial: Tensor, first: Completion) -> Completion:
        """Stage 1's answer after a second look (`deocc.inference.second_look`) at people with poor masks."""
        refined = _held_on(first, views, initial).modal[:, 0].cpu().numpy()
        given = initial[:, 0].cpu().numpy() > 0
        shares = [share_of_second(*both) for both in zip(given, refined > 0, strict=True)]
        chosen = [i for i, view in enumerate(views) if shares[i] and not (view.exact or view.amended)]
        if not chosen:
            return first
        seconds = []
        for view, odds in ((views[i], refined[i]) for i in chosen):
            found = view.frame.paste(odds, view.initial_mask.shape) > 0
            seconds.append(replace(view, initial_mask=found, frame=closer(view.frame)))
        answers = self.stage1(*self.tensors(seconds, self.mask_size))
        mean = [maps.clone() for maps in first]
        for k, i in enumerate(chosen):
            one, other = (Completion(*(maps[n] for maps in kind)) for kind, n in ((first, i), (answers, k)))
            for maps, found_maps in zip(mean, mean_of_looks(one, other, shares[i]), strict=True):
                maps[i] = found_maps
        return Completion(*mean)

    def _ask(self, views: Sequence[View]) -> list[np.ndarray]:
        """Stage 1's log-odds of the visible person for each view, S x S float32."""
        return [as_array(odds) for odds in self.stage1(*self.tensors(views, self.mask_size)).modal]

    def _show(self, view: View) -> tuple[np.ndarray, np.ndarray]:
        """Visible and whole mask of the answer to one view, H x W bool: what a click corrects."""
        masks = self._masks([view], self.tensors([view], self.mask_size))
        return masks_on_photo(view, Completion(*(kind[0] for kind in masks)))

    def tensors(self, views: Sequence[View], size: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """What the networks see of N views, on their device.

        Args:
            views: N of them.
            size: S, side of the square; None: stage 2's.

        Returns:
            image N x 3 x S x S in [0, 1], 0 outside the photo; initial_mask and photo_mask N x 1 x S x S {0,
            1}.
        """
        size = size or self.size
        crops = [view.frame.crop_image(view.image, size) for view in views]
        masks = [view.frame.crop_rough_mask(view.initial_mask, size) for view in views]
        inside = [view.frame.photo_mask(view.image.shape[:2], size) for view in views]
        image = torch.from_numpy(np.stack(crops)).to(self.device).permute(0, 3, 1, 2).float() / 255
        initial, photo_mask = (
            torch.from_numpy(np.stack(m)).to(self.device)[:, None].float() for m in (masks, inside)
        )
        return image * photo_mask, initial, photo_mask

    @torch.inference_mode()
    def stage1(self, image: Tensor, initial_mask: Tensor, photo_mask: Tensor) -> "Completion":
        """Refined mask completion of a batch (eq. 1 and 2, Sec. 3.2).

        Args:
            image: N x 3 x S x S in [0, 1], 0 outside the photo.
            initial_mask, photo_mask: N x 1 x S x S {0, 1}.

        Returns:
            Log-odds and logits; averaged over the mirror image where `flip` is set.
        """
        answer = completion_of(self.mask_net(image, initial_mask, photo_mask))
        if self.flip:
            mirrored = completion_of(self.mask_net(image.flip(3), initial_mask.flip(3), photo_mask.flip(3)))
            answer = Completion(*(_mean_with_mirror(a, b) for a, b in zip(answer, mirrored, strict=True)))
        # answers outside the photo are untrained; 0 keeps them from bleeding over its border
        return answer._replace(modal=answer.modal * photo_mask, amodal=answer.amodal * photo_mask)

    @torch.inference_mode()
    def stage2(self, image: Tensor, photo_mask: Tensor, masks: "Completion") -> tuple[Tensor, Tensor]:
        """Parsing guided content recovery of a batch, from stage 1's answer (eq. 5, Sec. 3.3).

        Returns:
            The network's picture, N x 3 x S x S in [0, 1], and the invisible mask that it filled,
            N x 1 x S x S {0, 1}.
        """
        modal, amodal = masks.modal > 0, masks.amodal > 0
        invisible = (amodal & ~modal).float() * photo_mask
        valid = photo_mask * (1 - invisible)
        logits = masks.parsing_modal, masks.parsing_amodal
        parts = [parts_of_logits(maps, self.soft_parts) * photo_mask for maps in logits]
        return self.content_net(image, valid, (amodal | modal).float() * photo_mask, *parts), invisible


def _held_on(masks: Completion, views: Sequence[View], initial_mask: Tensor) -> Completion:
    """Stage 1's answer with `hold_on` of every view that is not exact; `initial_mask` is N x 1 x S x S."""
    modal = masks.modal.clone()
    for i, view in enumerate(views):
        if not view.exact:
            held = hold_on(modal[i, 0].cpu().numpy(), initial_mask[i, 0].cpu().numpy() > 0)
            modal[i, 0] = torch.from_numpy(held).to(modal.device)
    return masks._replace(modal=modal)


def _within_limits(masks: Completion, views: Sequence[View]) -> Completion:
    """Stage 1's answer without anybody who shows outside `View.limit`: that is another person, or a thing."""
    modal, amodal = masks.modal.clone(), masks.amodal.clone()
    for i, view in enumerate(views):
        if view.limit is not None:
            x0, y0, x1, y1 = view.limit
            beyond = np.ones(view.image.shape[:2], bool)
            beyond[y0:y1, x0:x1] = False
            outside = torch.from_numpy(view.frame.crop_mask(beyond, modal.shape[-1])).to(modal.device)
            others = outside & (modal[i, 0] > 0)
            for odds in (modal, amodal):
                odds[i, 0] = torch.where(others, -DECIDED, odds[i, 0])
    return masks._replace(modal=modal, amodal=amodal)


def _as_prompted(
    masks: Completion, views: Sequence[View], found: Sequence[tuple[np.ndarray, np.ndarray]]
) -> Completion:
    """Stage 1's masks for stage 2, with the signs of the masks on the photo: prompts and borders decide."""
    changed = [kind.clone() for kind in masks[:2]]
    for i, view in enumerate(views):
        for odds, mask in zip(changed, found[i], strict=True):
            inside = torch.from_numpy(view.frame.crop_mask(mask, odds.shape[-1])).to(odds.device)
            wrong = (odds[i, 0] > 0) != inside
            odds[i, 0] = torch.where(wrong, torch.where(inside, DECIDED, -DECIDED), odds[i, 0])
    return masks._replace(modal=changed[0], amodal=changed[1])


def _mean_with_mirror(maps: Tensor, mirrored: Tensor) -> Tensor:
    """Mean of maps (N x C x S x S) and the mirror image's maps, mirrored back, with sides exchanged."""
    back = mirrored.flip(3)
    if maps.shape[1] == NUM_CLASSES:
        back = back[:, swap_sides(torch.arange(NUM_CLASSES, device=maps.device))]
    return (maps + back) / 2
