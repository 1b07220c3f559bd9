"""`Deoccluder`: a photo and a rough mask, or a box, of one person -> masks, body parts, recovered photo."""

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from deocc.borders import finish_masks
from deocc.errors import DeoccError
from deocc.io import PathLike, write_image, write_mask, write_parsing
from deocc.labels import NUM_CLASSES, parts_of_logits, swap_sides
from deocc.masks import Box, Frame, mask_box, person_frame
from deocc.models import ContentRecoveryNet, MaskCompletionNet, MaskLogits, load_weights, read_metadata
from deocc.models.content_recovery import wants_soft_parts
from deocc.occlusion import CaseFolder
from deocc.paths import WEIGHTS
from deocc.segmenters import segment
from deocc.texture import GAIN, transfer_texture

log = logging.getLogger("deocc")

Given = Literal["initial", "modal", "box"]
NEAR = 0.02  # least share of filled frame pixels from which a photo pixel is interpolated
PHOTO_LIMIT = 32_000  # OpenCV resamples pictures of fewer than 2^15 pixels a side


@dataclass(frozen=True)
class View:
    """One person in one photo, as the networks are asked about them.

    Attributes:
        image: H x W x 3 uint8 RGB.
        initial_mask: H x W bool, M_i.
        frame: the square window that the networks see.
        notes: repairs and fallbacks taken so far.
    """

    image: np.ndarray
    initial_mask: np.ndarray
    frame: Frame
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Deocclusion:
    """One de-occluded person, at the photo's own size.

    Attributes:
        modal_mask: H x W bool, the visible person as stage 1 refined it (M_m).
        amodal_mask: H x W bool, the whole person (M_a); it contains `modal_mask`.
        invisible_mask: H x W bool, amodal and not modal: what was imagined.
        parsing: H x W uint8, LIP class of every pixel of the whole person (P_a); 0 outside `amodal_mask`.
        recovered: H x W x 3 uint8; the photo itself outside `invisible_mask`, painted inside it (I_o).
        initial_mask: H x W bool, the rough mask that stage 1 was given (M_i).
        frame: the square window of the photo that the networks saw.
        notes: repairs and fallbacks, one sentence each; empty when there were none.
    """

    modal_mask: np.ndarray
    amodal_mask: np.ndarray
    invisible_mask: np.ndarray
    parsing: np.ndarray
    recovered: np.ndarray
    initial_mask: np.ndarray
    frame: Frame
    notes: tuple[str, ...] = ()

    @property
    def occlusion_ratio(self) -> float:
        """The hidden share of the person, as predicted; in [0, 1]."""
        return float(self.invisible_mask.sum() / max(int(self.amodal_mask.sum()), 1))

    def save(self, folder: PathLike, picture: bool = True) -> Path:
        """Writes modal.png, amodal.png, parsing.png and, where wanted, recovered.png into `folder`."""
        folder = Path(folder)
        write_mask(folder / "modal.png", self.modal_mask)
        write_mask(folder / "amodal.png", self.amodal_mask)
        write_parsing(folder / "parsing.png", self.parsing)
        if picture:
            write_image(folder / "recovered.png", self.recovered)
        return folder


def pick_device(device: str | torch.device | None = None) -> torch.device:
    """The device to run on: the GPU where there is one, unless told otherwise.

    Raises:
        DeoccError: the name is no device of this machine.
    """
    if device in (None, "auto"):
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise DeoccError(f"device {device!r} is not to be had here; use cpu, or leave it out") from None
    return chosen


def check_image(image: np.ndarray) -> None:
    """Raises DeoccError unless `image` is H x W x 3 uint8 of a size that can be resampled."""
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        came = f"{image.dtype} {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
        raise DeoccError(f"image: {came} came, uint8 H x W x 3 expected; read it with deocc.io.read_image")
    if not 0 < min(image.shape[:2]) <= max(image.shape[:2]) < PHOTO_LIMIT:
        height, width = image.shape[:2]
        raise DeoccError(f"image: {width} x {height} pixels, 1 to {PHOTO_LIMIT - 1} a side fit; resize it")


def check_mask(mask: np.ndarray, image: np.ndarray) -> None:
    """Raises DeoccError unless `mask` is a non-empty H x W bool array of the image's size."""
    if not isinstance(mask, np.ndarray) or mask.dtype != bool or mask.ndim != 2:
        came = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask).__name__
        raise DeoccError(f"mask: {came} came, bool H x W was expected; read it with deocc.io.read_mask")
    if mask.shape != image.shape[:2]:
        (height, width), (rows, columns) = mask.shape, image.shape[:2]
        turned = (width, height) == (rows, columns)
        hint = " (is the photo turned by its EXIF tag and the mask not?)" if turned else ""
        raise DeoccError(
            f"mask: {width} x {height} pixels, but the photo has {columns} x {rows}{hint}; "
            "give a mask of the photo's size"
        )
    if not mask.any():
        raise DeoccError("mask: it is empty; mark at least a part of the visible person")


def check_box(box: Sequence[float], image: np.ndarray) -> tuple[Box, tuple[str, ...]]:
    """Rounds a box outwards and cuts it to the photo.

    Returns:
        The box (x0, y0, x1, y1), half-open, and a note where it was cut.

    Raises:
        DeoccError: it is not four finite numbers, has no area, or lies outside the photo.
    """
    height, width = image.shape[:2]
    values = np.asarray(box, np.float64)
    if values.shape != (4,) or not np.isfinite(values).all():
        raise DeoccError(f"box {tuple(box)}: four finite numbers were expected; give X0 Y0 X1 Y1 in pixels")
    x0, y0, x1, y1 = (int(v) for v in (*np.floor(values[:2]), *np.ceil(values[2:])))
    if x1 <= x0 or y1 <= y0:
        raise DeoccError(f"box {x0} {y0} {x1} {y1} has no area; give X0 Y0 X1 Y1 with X0 < X1 and Y0 < Y1")
    cut = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
    if cut[2] <= cut[0] or cut[3] <= cut[1]:
        raise DeoccError(f"box {x0} {y0} {x1} {y1} is outside the {width} x {height} photo; move it inside")
    notes = () if cut == (x0, y0, x1, y1) else (f"the box was cut to the photo: {_words(cut)}",)
    return cut, notes


def _words(box: Box) -> str:
    return " ".join(str(v) for v in box)


def make_view(
    image: np.ndarray,
    mask: np.ndarray | None = None,
    box: Sequence[float] | None = None,
    segmenter: str = "auto",
) -> View:
    """Checks what `Deoccluder.deocclude` is given, and chooses the rough mask and the frame.

    Args, Raises: see there.
    """
    check_image(image)
    if mask is None and box is None:
        raise DeoccError("neither mask nor box came; give one of them to say which person is meant")
    if mask is not None:
        check_mask(mask, image)
    if box is None:
        assert mask is not None
        return View(image, mask, person_frame(mask, photo=mask.shape))
    cut, notes = check_box(box, image)
    if mask is None:
        initial, name = segment(image, cut, segmenter)
        found = "the whole box stands in for the rough mask" if name == "box" else f"rough mask by {name}"
        return View(image, initial, person_frame(cut, photo=image.shape[:2]), (*notes, found))
    inside = np.zeros_like(mask)
    inside[cut[1] : cut[3], cut[0] : cut[2]] = mask[cut[1] : cut[3], cut[0] : cut[2]]
    if not inside.any():
        raise DeoccError(f"mask: it is empty inside the box {_words(cut)}; leave one of the two out")
    return View(image, inside, person_frame(inside, photo=inside.shape), notes)


def find_weights(name_or_path: PathLike = "small") -> tuple[Path, Path]:
    """The weight files of both stages: bundled ones by name, or the two in a folder.

    Raises:
        DeoccError: there is no such pair.
    """
    bundled = tuple(WEIGHTS / f"{stage}-{name_or_path}.safetensors" for stage in ("mask", "content"))
    if all(path.is_file() for path in bundled):
        return bundled[0], bundled[1]
    folder = Path(name_or_path)
    if not folder.is_dir():
        missing = next(path for path in bundled if not path.is_file())
        raise DeoccError(
            f"weights {str(name_or_path)!r}: {missing.name} is not in {WEIGHTS} and no folder has that name; "
            "name bundled weights, or a folder with mask*.safetensors and content*.safetensors"
        )
    return _only_file(folder, "mask*.safetensors"), _only_file(folder, "content*.safetensors")


def _only_file(folder: Path, pattern: str) -> Path:
    files = sorted(folder.glob(pattern))
    if len(files) != 1:
        came = "none" if not files else ", ".join(path.name for path in files)
        raise DeoccError(f"{folder}: one file {pattern} was expected, found {came}; keep one pair a folder")
    return files[0]


def _require_class(net: nn.Module, wanted: type[nn.Module], path: Path) -> None:
    if not isinstance(net, wanted):
        raise DeoccError(
            f"{path}: holds {type(net).__name__}, {wanted.__name__} was expected; rename the files"
        )


def _input_size(path: Path) -> int:
    """Side of the square that weights were trained for, in pixels."""
    size = read_metadata(path).get("input_size", "")
    if not size.isdecimal() or int(size) < 16:
        raise DeoccError(f"{path}: its metadata lack input_size; export it again with `deocc train`")
    return int(size)


def _file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()[:16]


class Deoccluder:
    """Both stages behind one call; stage 2's input is stage 1's output, end to end, as in the paper.

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
    ) -> None:
        """Wraps two networks.

        Args:
            mask_net: stage 1, `MaskCompletionNet` or a network of the same signature.
            content_net: stage 2, `ContentRecoveryNet` or a network of the same signature.
            size: side of the square that stage 2 sees, in pixels.
            device: "cpu", "cuda", ...; None takes the GPU where there is one.
            flip: average stage 1 over the picture and its mirror image; stage 1 then takes twice as long.
            identity: names of the weights, kept beside predictions so that a resumed run can tell.
            mask_size: side of the square that stage 1 sees; None: as stage 2.
            texture: share of the fine detail of visible body parts that hidden ones get, 0 to 1; see
                `deocc.texture.transfer_texture`.

        Raises:
            DeoccError: the device is not to be had, or `texture` is out of range.
        """
        if not 0 <= texture <= 1:
            raise DeoccError(f"texture is {texture}; expected a share from 0 to 1; 0 leaves it out")
        self.device = pick_device(device)
        self.mask_net = mask_net.to(self.device).eval()
        self.content_net = content_net.to(self.device).eval()
        self.size = size
        self.mask_size = mask_size or size
        self.flip = flip
        self.texture = texture
        self.identity = dict(identity or {})

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: PathLike = "small",
        device: str | torch.device | None = None,
        flip: bool = True,
        texture: float = GAIN,
    ) -> "Deoccluder":
        """Loads both stages.

        Args:
            name_or_path: bundled weights ("small"), or a folder with one mask*.safetensors and one
                content*.safetensors.
            device, flip, texture: see `Deoccluder`.

        Raises:
            DeoccError: weights are missing, truncated, foreign, or do not say their input size.
        """
        chosen = pick_device(device)
        paths = find_weights(name_or_path)
        mask_net, content_net = (load_weights(path, chosen) for path in paths)
        _require_class(mask_net, MaskCompletionNet, paths[0])
        _require_class(content_net, ContentRecoveryNet, paths[1])
        mask_size, size = (_input_size(path) for path in paths)
        identity = {path.name: _file_digest(path) for path in paths}
        return cls(mask_net, content_net, size, chosen, flip, identity, mask_size, texture)

    @classmethod
    def masks_only(
        cls, path: PathLike, device: str | torch.device | None = None, flip: bool = True
    ) -> "Deoccluder":
        """Stage 1 alone, for `deocclude_views(..., paint=False)`; arguments as of `from_pretrained`."""
        chosen = pick_device(device)
        path = Path(path)
        net = load_weights(path, chosen)
        _require_class(net, MaskCompletionNet, path)
        return cls(net, nn.Identity(), _input_size(path), chosen, flip, {path.name: _file_digest(path)})

    # ------------------------------------------------------------------ one photo

    def deocclude(
        self,
        image: np.ndarray,
        mask: np.ndarray | None = None,
        box: Sequence[float] | None = None,
        segmenter: str = "auto",
    ) -> Deocclusion:
        """Completes one person of a photo.

        Args:
            image: H x W x 3 uint8 RGB, any size.
            mask: H x W bool, a rough mask of the visible person.
            box: (x0, y0, x1, y1) around the visible person, half-open pixels. Without a mask, a segmenter
                finds the rough mask inside the box; with one, the mask counts only inside the box.
            segmenter: how to find a mask in a box; see `deocc.segmenters.segment`.

        Returns:
            Masks, body parts and the recovered photo at full resolution. Outside the predicted invisible
            mask, the recovered photo equals `image` bit for bit.

        Raises:
            DeoccError: neither mask nor box; an empty mask or one of another size; a box outside the photo.
        """
        return self.deocclude_views([make_view(image, mask, box, segmenter)])[0]

    # ------------------------------------------------------------------ networks

    def deocclude_views(self, views: Sequence[View], paint: bool = True) -> list[Deocclusion]:
        """Completes several people in one batch.

        Args:
            views: N of them, in photos of any sizes.
            paint: False leaves stage 2 out; `recovered` is the photo itself then.
        """
        seen = self.tensors(views, self.mask_size)
        masks = self.stage1(*seen)
        if paint:
            same = self.mask_size == self.size
            image, _, photo = seen if same else self.tensors(views)
            recovered, invisible = self.stage2(image, photo, masks if same else masks.resized(self.size))
        answers = []
        for i, view in enumerate(views):
            painted = (recovered[i], invisible[i]) if paint else None
            answers.append(_to_photo(view, Completion(*(kind[i] for kind in masks)), painted, self.texture))
        return answers

    def tensors(self, views: Sequence[View], size: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """What the networks see of N views, on their device.

        Args:
            views: N of them.
            size: S, side of the square; None: stage 2's.

        Returns:
            image N x 3 x S x S in [0, 1], 0 outside the photo; initial_mask and photo N x 1 x S x S {0, 1}.
        """
        size = size or self.size
        crops = [view.frame.crop_image(view.image, size) for view in views]
        masks = [view.frame.crop_mask(view.initial_mask, size) for view in views]
        inside = [view.frame.photo_mask(view.image.shape[:2], size) for view in views]
        image = torch.from_numpy(np.stack(crops)).to(self.device).permute(0, 3, 1, 2).float() / 255
        initial, photo = (
            torch.from_numpy(np.stack(m)).to(self.device)[:, None].float() for m in (masks, inside)
        )
        return image * photo, initial, photo

    @torch.inference_mode()
    def stage1(self, image: Tensor, initial_mask: Tensor, photo: Tensor) -> "Completion":
        """Refined mask completion of a batch (eq. 1 and 2, Sec. 3.2).

        Args:
            image: N x 3 x S x S in [0, 1], 0 outside the photo.
            initial_mask, photo: N x 1 x S x S {0, 1}.

        Returns:
            Log-odds and logits; averaged over the mirror image where `flip` is set.
        """
        answer = _completion(self.mask_net(image, initial_mask, photo))
        if self.flip:
            mirrored = _completion(self.mask_net(image.flip(3), initial_mask.flip(3), photo.flip(3)))
            answer = Completion(*(_mean_with_mirror(a, b) for a, b in zip(answer, mirrored, strict=True)))
        # no loss reaches answers outside the photo; 0 there keeps them from bleeding over its border
        return answer._replace(modal=answer.modal * photo, amodal=answer.amodal * photo)

    @torch.inference_mode()
    def stage2(self, image: Tensor, photo: Tensor, masks: "Completion") -> tuple[Tensor, Tensor]:
        """Parsing guided content recovery of a batch, from stage 1's answer (eq. 5, Sec. 3.3).

        Returns:
            The network's picture, N x 3 x S x S in [0, 1], and the invisible mask that it filled,
            N x 1 x S x S {0, 1}.
        """
        modal, amodal = masks.modal > 0, masks.amodal > 0
        invisible = (amodal & ~modal).float() * photo
        valid = photo * (1 - invisible)
        logits = masks.parsing_modal, masks.parsing_amodal
        parts = [parts_of_logits(maps, wants_soft_parts(self.content_net)) * photo for maps in logits]
        return self.content_net(image, valid, (amodal | modal).float() * photo, *parts), invisible

    def predict_cases(
        self,
        cases: PathLike | CaseFolder,
        out: PathLike,
        given: Given = "initial",
        batch: int = 16,
        segmenter: str = "auto",
        overwrite: bool = False,
        progress: bool = True,
    ) -> list[str]:
        """Writes a prediction folder for a case folder; see `deocc.predictions.predict_cases`."""
        from deocc.predictions import predict_cases  # it builds on this module

        return predict_cases(self, cases, out, given, batch, segmenter, overwrite, progress)


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


def _completion(logits: MaskLogits) -> Completion:
    """Two-class logits -> log-odds, which average and interpolate as probabilities do not."""
    if logits.parsing_modal is None or logits.parsing_amodal is None:
        raise DeoccError(
            "stage 1 has no parsing branches, and stage 2 needs body parts; use weights with parsing=True"
        )
    modal, amodal = ((maps[:, 1:] - maps[:, :1]).float() for maps in (logits.modal, logits.amodal))
    return Completion(modal, amodal, logits.parsing_modal.float(), logits.parsing_amodal.float())


def _mean_with_mirror(maps: Tensor, mirrored: Tensor) -> Tensor:
    """Mean of maps (N x C x S x S) and of those of the mirror image, turned back, sides exchanged."""
    back = mirrored.flip(3)
    if maps.shape[1] == NUM_CLASSES:
        back = back[:, swap_sides(torch.arange(NUM_CLASSES, device=maps.device))]
    return (maps + back) / 2


def _array(maps: Tensor) -> np.ndarray:
    """C x S x S tensor -> S x S x C (S x S for one channel) float32 array."""
    array = maps.float().permute(1, 2, 0).cpu().numpy()
    return np.ascontiguousarray(array[..., 0] if array.shape[2] == 1 else array)


def _to_photo(
    view: View, masks: Completion, painted: tuple[Tensor, Tensor] | None, texture: float
) -> Deocclusion:
    """One view's answers (C x S x S), resampled onto the photo; painted: stage 2's picture and hole."""
    modal, amodal = finish_masks(
        view.image, view.initial_mask, _array(masks.modal), _array(masks.amodal), view.frame
    )
    hidden = amodal & ~modal
    parsing = paste_parsing(_array(masks.parsing_amodal), view.frame, amodal)
    picture = view.image
    if painted is not None:
        recovered, filled = (_array(maps) for maps in painted)
        picture = paste_pixels(view.image, recovered, filled, view.frame, hidden)
        picture = transfer_texture(view.image, picture, modal, amodal, parsing, texture)
    notes = list(view.notes)
    if not modal.any():
        notes.append("stage 1 found no visible person under the mask; check that the mask covers the person")
    if not hidden.any():
        notes.append("stage 1 found nothing hidden; the recovered photo is the photo itself")
    for note in notes:
        log.info(note)
    return Deocclusion(modal, amodal, hidden, parsing, picture, view.initial_mask, view.frame, tuple(notes))


def _window(frame: Frame, mask: np.ndarray) -> tuple[tuple[slice, slice], Frame]:
    """The box of a mask as slices, and the frame as seen from the box's corner."""
    x0, y0, x1, y1 = mask_box(mask)
    return np.s_[y0:y1, x0:x1], Frame(frame.x0 - x0, frame.y0 - y0, frame.side)


def paste_parsing(logits: np.ndarray, frame: Frame, amodal_mask: np.ndarray) -> np.ndarray:
    """Body parts at the photo's size: the likeliest part at every pixel of the whole person.

    Args:
        logits: S x S x 20 float32.
        frame: where they lie.
        amodal_mask: H x W bool.

    Returns:
        H x W uint8; 1..19 inside the mask, 0 outside.
    """
    out = np.zeros(amodal_mask.shape, np.uint8)
    if not amodal_mask.any():
        return out
    window, local = _window(frame, amodal_mask)
    labels = out[window]
    best = np.full(labels.shape, -np.inf, np.float32)
    for part in range(1, NUM_CLASSES):  # one at a time: twenty maps of a large photo would fill the memory
        score = local.paste(np.ascontiguousarray(logits[..., part]), labels.shape)
        better = score > best
        labels[better], best[better] = part, score[better]
    labels[~amodal_mask[window]] = 0
    return out


def paste_pixels(
    image: np.ndarray, recovered: np.ndarray, filled: np.ndarray, frame: Frame, invisible_mask: np.ndarray
) -> np.ndarray:
    """Paints the network's picture into the invisible pixels of a photo; every other pixel stays as it is.

    Only what the network filled is interpolated: its picture of the occluder beside the hole does not bleed.

    Args:
        image: H x W x 3 uint8.
        recovered: S x S x 3 float32 in [0, 1].
        filled: S x S float32 {0, 1}, the hole that the network was given.
        frame: where both lie.
        invisible_mask: H x W bool.
    """
    out = image.copy()
    if not invisible_mask.any():
        return out
    window, local = _window(frame, invisible_mask)
    hidden = invisible_mask[window]
    weighted = local.paste(np.dstack([recovered * filled[..., None], filled]), hidden.shape)[hidden]  # P x 4
    share = weighted[:, 3:]
    colours = weighted[:, :3] / np.maximum(share, NEAR)
    far = share[:, 0] < NEAR  # beyond what the network filled: rounding at the hole's border
    if far.any():
        colours[far] = local.paste(recovered, hidden.shape)[hidden][far]
    out[window][hidden] = np.rint(colours.clip(0, 1) * 255).astype(np.uint8)
    return out
