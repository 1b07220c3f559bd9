"""Exemplar synthesis: fills hidden clothes with texture from visible clothes of the same person.

A network with few pixels paints the colour of a hidden sleeve, but not its texture. Visible pixels of the
same body part have that texture. Guided PatchMatch, from coarse to fine, finds a visible pixel for every
hidden one, such that its surroundings resemble the painted ones. Low frequencies come from the network, the
rest from the copy. Where the copy does not fit, the network's detail is weakened. If too little of a part is
visible, the network's pixels stay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from deocc.inference.blurs import blurred
from deocc.inference.calm import calm
from deocc.inference.patches import Search, renew, sweep, vote
from deocc.inference.texture import dominant_shifts
from deocc.labels import IGNORE, LIP_CLASSES
from deocc.masks import around, as_bytes, distance_from, mask_box

STRUCTURED = ("face", "sunglasses")  # eyes cannot be copied from elsewhere
SKIN = ("left-arm", "right-arm", "left-leg", "right-leg")  # smooth, and round: shading, not texture
SHAPED = ("left-shoe", "right-shoe", "socks", "glove")  # more shape than texture: straps would go up a leg


@dataclass(frozen=True)
class ExemplarSettings:
    """How textures are copied; lengths are shares of the height of the person's box."""

    rim: float = 0.015  # nothing is copied, or trusted, nearer to the hidden part: the occluder bleeds in
    edge: float = 0.005  # nor nearer to the outline, where the background does
    blur: float = 0.02  # standard deviation that parts the network's frequencies from the copied ones
    guide: float = 2.0  # what a difference of blurred colours counts, against one of patches
    guide_blur: float = 0.03  # standard deviation of that blur
    known: float = 2.0  # what a visible pixel of a target patch counts, against an estimated one
    least: float = 0.002  # visible pixels without which a part has no texture, in squares of the height
    share: float = 0.1  # and the least share of the hidden pixels that they must be
    unusual: float = 1.25  # contrast above which a pixel is not copied, in the part's median contrast
    vicinity: float = 0.015  # standard deviation of the window in which contrast is measured
    strange: float = 3.5  # difference to the painting at which nothing is copied, in contrasts of the part
    slack: float = 10.0  # grey levels that are added to each contrast
    gain: float = 1.0  # share of the copied frequencies
    thin: float = 0.5  # below this share the copied detail fades: little material would repeat
    tear: float = 2.0  # what it costs a pixel to be copied from elsewhere than its neighbours
    shifts: int = 6  # whole pieces of a part that the search starts with
    side: int = 512  # the search runs at this height at most; a larger photo is copied by the same field
    coarse: int = 56  # height at which it starts
    tries: int = 4  # random sources a pixel at the start
    rounds: int = 2  # estimates of the picture a level
    sweeps: int = 2  # passes of PatchMatch an estimate
    spread: float = 0.7  # standard deviation of the vote of neighbouring patches in the end, pixels


@dataclass
class _Level:
    """One size of the crop.

    Attributes:
        photo: h x w x 3 float32, 0..255, true where clean.
        painted: h x w x 3 float32, the network's picture where hidden.
        clean: h x w bool, trusted visible pixels.
        source, target: h x w bool, pixels to copy from, and to be filled.
        groups: h x w uint8, parts; 0 where nothing is copied.
        height: of the person, pixels.
        contrast: 256 float32, how far a part's pixels are from their blur, usually (grey levels).
    """

    photo: np.ndarray
    painted: np.ndarray
    clean: np.ndarray
    source: np.ndarray
    target: np.ndarray
    groups: np.ndarray
    height: float
    contrast: np.ndarray


def copy_texture(
    image: np.ndarray,
    recovered: np.ndarray,
    modal_mask: np.ndarray,
    amodal_mask: np.ndarray,
    parsing: np.ndarray,
    seed: int = 0,
    settings: ExemplarSettings = ExemplarSettings(),
) -> np.ndarray:
    """Gives hidden pixels the texture of visible pixels of the same body part.

    Args:
        image: H x W x 3 uint8, the photo.
        recovered: H x W x 3 uint8, with the hidden pixels painted.
        modal_mask, amodal_mask: H x W bool.
        parsing: H x W uint8, the part of every pixel of the whole person; 0 and 255 get no texture.
        seed: of the random draws; the same seed gives the same picture.
        settings: see there.

    Returns:
        H x W x 3 uint8, `recovered` outside the invisible mask and where a part shows too little.

    Source: ours. PatchMatch as in Barnes et al. 2009, with estimates and votes from coarse to fine as in
    Wexler et al. 2007, guides as in Hertzmann et al. 2001.
    Differs from the paper: this step is ours.
    """
    hidden = amodal_mask & ~modal_mask
    if not hidden.any() or not modal_mask.any():
        return recovered
    x0, y0, x1, y1 = mask_box(amodal_mask)
    window = np.s_[y0:y1, x0:x1]
    crops = (array[window] for array in (image, recovered, modal_mask, hidden, parsing))
    parts: tuple[Any, Any, Any, Any, Any] = tuple(crops)  # type: ignore[assignment]
    full = _full_level(*parts, settings)
    if not full.target.any():
        return recovered
    copied = _synthesize(full, np.random.default_rng(seed), settings)
    out = recovered.copy()
    out[window][full.target] = _blended(full, copied, settings)
    return out


def warm_up() -> None:
    """Loads, or for the first time compiles, the functions of the search, so that no photo waits for it."""
    image = np.zeros((96, 64, 3), np.uint8)
    image[::2] = 40
    amodal, modal = np.ones((2, 96, 64), bool)
    modal[60:] = False
    copy_texture(image, image, modal, amodal, np.full((96, 64), LIP_CLASSES.index("coat"), np.uint8))


def _full_level(
    image: np.ndarray,
    recovered: np.ndarray,
    modal: np.ndarray,
    hidden: np.ndarray,
    parsing: np.ndarray,
    s: ExemplarSettings,
) -> _Level:
    """The crop with its sources and targets."""
    height = len(modal)
    clean = modal & (distance_from(hidden) > max(2.0, s.rim * height))
    clean &= distance_from(np.pad(~modal, 1, constant_values=True))[1:-1, 1:-1] > max(1.0, s.edge * height)
    apart = (parsing == IGNORE) | np.isin(parsing, _NOT_COPIED)
    groups = np.where(apart, 0, parsing).astype(np.uint8)
    clear = clean & (_from_borders(groups) > max(1.0, s.edge * height))
    photo, painted = image.astype(np.float32), recovered.astype(np.float32)
    clear, contrast = _typical(photo, clear, groups, s)
    seen, wanted = (np.bincount(groups[mask], minlength=256) for mask in (clear, hidden))
    enough = seen >= np.maximum(s.least * height**2, s.share * wanted)
    enough[0] = False
    fits = enough[groups]
    return _Level(photo, painted, clean, clear & fits, hidden & fits, groups, float(height), contrast)


_NOT_COPIED = [LIP_CLASSES.index(name) for name in (*STRUCTURED, *SKIN, *SHAPED)]


def _typical(
    photo: np.ndarray, clear: np.ndarray, groups: np.ndarray, s: ExemplarSettings
) -> tuple[np.ndarray, np.ndarray]:
    """Pixels whose surroundings have at most the usual contrast of their part, and that usual contrast.

    Otherwise, buttons, belts, folds and wrongly labelled pixels would be repeated all over the hole. A person
    taller than the search is measured at its height.
    """
    if len(clear) > s.side:
        size = max(1, round(clear.shape[1] * s.side / len(clear))), s.side
        share = cv2.resize(clear.astype(np.float32), size, interpolation=cv2.INTER_AREA)
        known = cv2.resize(photo * clear[..., None], size, interpolation=cv2.INTER_AREA)
        known /= np.maximum(share, 1e-3)[..., None]
        small = cv2.resize(groups, size, interpolation=cv2.INTER_NEAREST)
        usual_ones, contrast = _typical(known, share > 0.5, small, s)
        return clear & (
            cv2.resize(as_bytes(usual_ones), clear.shape[::-1], interpolation=cv2.INTER_NEAREST) > 0
        ), contrast
    height, out, contrast = len(clear), np.zeros(clear.shape, bool), np.zeros(256, np.float32)
    for group in np.unique(groups[clear]):
        mine = clear & (groups == group)
        detail = photo - blurred(photo, mine, s.blur * height)
        energy = blurred(np.square(detail).sum(-1, keepdims=True), mine, s.vicinity * height)[..., 0]
        usual = np.median(energy[mine])
        contrast[group] = np.sqrt(usual)
        out |= mine & (energy <= s.unusual**2 * usual)
    return out, contrast


def _from_borders(groups: np.ndarray) -> np.ndarray:
    """Distance of each pixel from the next one of another part, pixels."""
    plus = np.ones((3, 3), np.uint8)
    return distance_from(cv2.dilate(groups, plus) != cv2.erode(groups, plus)) + 1


# --- sizes ----------------------------------------------------------------------------------------


@dataclass
class _Sums:
    """The crop for smaller versions, at the search's full height at most: colours are sums over pixels."""

    photo: np.ndarray  # h x w x 3 float32, 0 where not clean
    painted: np.ndarray  # h x w x 3 float32, 0 where not hidden
    masks: np.ndarray  # h x w x 3 float32, shares of clean, source and target pixels
    groups: np.ndarray  # h x w uint8

    def at(self, size: tuple[int, ...]) -> _Sums:
        """Another size (width, height)."""
        kinds = (self.photo, self.painted, self.masks)
        photo, painted, masks = (cv2.resize(maps, size, interpolation=cv2.INTER_AREA) for maps in kinds)
        groups = cv2.resize(self.groups, size, interpolation=cv2.INTER_NEAREST)
        return _Sums(photo, painted, masks, groups)


def _sums(level: _Level, height: float) -> _Sums:
    """A level for shrinking, at most so high."""
    photo, painted = level.photo * level.clean[..., None], level.painted * level.target[..., None]
    masks = np.dstack([level.clean, level.source, level.target]).astype(np.float32)
    sums = _Sums(photo, painted, masks, level.groups)
    return sums if level.height <= height else sums.at(_size(level, height))


def _size(level: _Level, height: float) -> tuple[int, ...]:
    """Width and height of the crop, pixels, for a person of another height."""
    return tuple(max(1, round(n * height / level.height)) for n in level.clean.shape[::-1])


def _resized(level: _Level, sums: _Sums, height: float) -> _Level:
    """A smaller version of the crop; colours average only clean, or only hidden, pixels."""
    small = sums.at(_size(level, height))
    clean, source, target = np.moveaxis(small.masks, -1, 0)
    photo = small.photo / np.maximum(clean, 1e-3)[..., None]
    painted = small.painted / np.maximum(target, 1e-3)[..., None]
    groups = small.groups
    filled = (target > 0.3) & (groups > 0)
    usable = (source > 0.7) & ~filled
    shown = np.bincount(groups[usable], minlength=256)
    return _Level(
        photo,
        painted,
        (clean > 0.5) & ~filled,
        usable,
        filled & (shown[groups] > 0),
        groups,
        height,
        level.contrast,
    )


def _heights(height: float, s: ExemplarSettings) -> list[float]:
    """Heights of the person at the levels of the search, coarse to fine."""
    heights = [min(height, float(s.side))]
    while heights[-1] / 2 >= s.coarse:
        heights.append(heights[-1] / 2)
    return heights[::-1]


# --- search ---------------------------------------------------------------------------------------


def _synthesize(full: _Level, rng: np.random.Generator, s: ExemplarSettings) -> np.ndarray:
    """The copied colours of the target pixels, T x 3 float32 (T in order of rows)."""
    state = rng.integers(1, 2**63, 1).astype(np.uint64)
    field: Any = None
    sums = _sums(full, s.side)
    for height in _heights(full.height, s):
        level = full if height == full.height else _resized(full, sums, height)
        field = None if field is None else _enlarged(field, level)
        field = _search(level, field, state, s)
    if level is not full:
        field = _enlarged(field, full)
        level = full
    copied = vote(level.photo, level.clean, field, _pixels(level.target), s.spread)
    return np.where(np.isnan(copied), level.painted[level.target], copied)


def _search(level: _Level, field: np.ndarray | None, state: np.ndarray, s: ExemplarSettings) -> np.ndarray:
    """Sources of one level's targets, starting from a coarser level's."""
    targets, pool = _pixels(level.target), _pixels(level.source)
    if not len(targets):
        return np.full((*level.target.shape, 2), -1, np.int32)
    group = level.groups[level.source]
    pool = np.ascontiguousarray(pool[np.argsort(group, kind="stable")])
    first = np.r_[0, np.cumsum(np.bincount(group, minlength=256))]
    tries = s.tries if field is None else 1
    picture = np.where(level.target[..., None], level.painted, level.photo)
    if field is None:
        field = np.full((*level.target.shape, 2), -1, np.int32)
    else:
        picture[level.target] = _voted(level, field, targets, 1.0)
    weight = np.where(level.target, 1.0, np.where(level.clean, s.known, 0.0)).astype(np.float32)
    cost = np.empty(level.target.shape, np.float32)
    guides = _guides(level, s)
    reach = max(2, round(max(level.target.shape) / 8))
    shifts = _shifts(level, s) if tries > 1 else np.zeros((0, 3), np.int32)
    search = Search(picture, weight, level.clean, guides, level.groups, level.source, field, cost, s.tear)
    for turn in range(s.rounds):
        renew(search, targets, shifts, pool, first, 0 if turn else tries, state)
        for back in range(s.sweeps):
            sweep(search, targets, back % 2 == 1, reach, state)
        picture[level.target] = _voted(level, field, targets, 1.0)
    return field


def _shifts(level: _Level, s: ExemplarSettings) -> np.ndarray:
    """The shifts that lead most of each part's targets to sources; K x 3 int32: part, down, right."""
    rows = []
    for group in np.unique(level.groups[level.target]):
        mine = level.groups == group
        found = dominant_shifts(level.target & mine, level.source & mine, s.shifts)
        rows += [(group, *shift) for shift in found]
    return np.array(rows, np.int32).reshape(-1, 3)


def _voted(level: _Level, field: np.ndarray, targets: np.ndarray, spread: float) -> np.ndarray:
    """The estimate of a field; the painted colours where it has none."""
    colours = vote(level.photo, level.clean, field, targets, spread)
    return np.where(np.isnan(colours), level.painted[level.target], colours)


def _pixels(mask: np.ndarray) -> np.ndarray:
    """Rows and columns of a mask's pixels, N x 2 int32, in order of rows."""
    return np.argwhere(mask).astype(np.int32)


def _guides(level: _Level, s: ExemplarSettings) -> np.ndarray:
    """Blurred colours of the whole person, photo and painting as one; h x w x 3 float32."""
    known = level.target | level.clean
    picture = np.where(level.target[..., None], level.painted, level.photo)
    return np.sqrt(np.float32(s.guide)) * blurred(picture, known, s.guide_blur * level.height)


def _enlarged(field: np.ndarray, level: _Level) -> np.ndarray:
    """A coarser field for a finer level: each target keeps its place relative to its source."""
    (rows, columns), (height, width) = field.shape[:2], level.target.shape
    out = np.full((height, width, 2), -1, np.int32)
    y, x = np.nonzero(level.target)
    up, left = rows / height, columns / width
    coarse_y = np.minimum(((y + 0.5) * up).astype(int), rows - 1)
    coarse_x = np.minimum(((x + 0.5) * left).astype(int), columns - 1)
    found = field[coarse_y, coarse_x]
    v = np.floor(y + (found[:, 0] - coarse_y) / up + 0.5).astype(int).clip(0, height - 1)
    u = np.floor(x + (found[:, 1] - coarse_x) / left + 0.5).astype(int).clip(0, width - 1)
    fits = (found[:, 0] >= 0) & level.source[v, u] & (level.groups[v, u] == level.groups[y, x])
    out[y[fits], x[fits]] = np.stack([v, u], 1)[fits]
    return out


# --- blending -------------------------------------------------------------------------------------


def _blended(full: _Level, copied: np.ndarray, s: ExemplarSettings) -> np.ndarray:
    """The copy with the painting's low frequencies, a part at a time; T x 3 uint8.

    The blurred difference of painting and copy is added to the copy, so that colour and light come from the
    painting, and only detail from the copy. Where the copy does not fit, the painting is left, but calmer.
    """
    lack = np.zeros_like(full.painted)
    lack[full.target] = full.painted[full.target] - copied
    out = copied.copy()
    inside = full.groups[full.target]
    material = np.bincount(full.groups[full.source], minlength=256)
    for group in np.unique(inside):
        whole = full.target & (full.groups == group)
        box = around(whole)
        where, mine = whole[box], inside == group
        lacking = blurred(lack[box], where, s.blur * full.height)[where]
        amount = s.gain * min(1.0, material[group] / (len(lacking) * s.thin))
        share = amount * _familiar(lack[box], where, full.contrast[group], full.height, s)
        rest = calm(full.painted[box], where, full.height)
        out[mine] = rest + share * (out[mine] + lacking - rest)
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def _familiar(
    lack: np.ndarray, where: np.ndarray, contrast: float, height: float, s: ExemplarSettings
) -> np.ndarray:
    """Weight of a copy, P x 1 in [0, 1]: low where its colours are far from the painting's."""
    apart = np.einsum("ijk,ijk->ij", lack, lack)[..., None]
    apart = np.sqrt(blurred(apart, where, s.vicinity * height)[where])
    return np.clip(2 - 2 * apart / (s.strange * (contrast + s.slack)), 0, 1)
