"""Makes pasted cut-outs look more natural: colours, sharpness, shadow and camera faults."""

from dataclasses import replace

import cv2
import numpy as np

from deocc.masks import as_bytes
from deocc.people import Occluder
from deocc.people.folder import CLEAR

SOLID = 200  # opacity from which a cut-out's pixel shows the thing alone


def match_colours(colours: np.ndarray, alpha: np.ndarray, image: np.ndarray, share: float) -> np.ndarray:
    """Moves a cut-out's mean and deviation in CIE Lab towards the photo's, by `share` (Reinhard et al.).

    In a photo without colour the cut-out loses its colours, whatever the share.

    Args:
        colours, alpha: h x w x 3 uint8 and h x w float32 in [0, 1].
        image: H x W x 3 uint8, the photo.
        share: in [0, 1].

    Returns:
        h x w x 3 uint8.
    """
    lab = cv2.cvtColor(colours, cv2.COLOR_RGB2LAB)
    inside = lab[::3, ::3][alpha[::3, ::3] > 0.5]
    if not len(inside):
        return colours
    photo = cv2.cvtColor(np.ascontiguousarray(image[::4, ::4]), cv2.COLOR_RGB2LAB).reshape(-1, 3)
    mean, spread, goal, goal_spread = inside.mean(0), inside.std(0) + 1, photo.mean(0), photo.std(0) + 1
    shares, gain = np.full(3, share), np.clip((goal_spread / spread) ** share, 0.5, 1.8)
    if goal_spread[1:].max() < 3:  # a black-and-white photo
        shares[1:], gain[1:] = 1.0, 0.0
    levels = np.arange(256)[:, None]
    table = np.clip((levels - mean) * gain + mean + shares * (goal - mean), 0, 255).astype(np.uint8)
    return cv2.cvtColor(cv2.LUT(lab, table[None]), cv2.COLOR_LAB2RGB)


def solid_rim(thing: Occluder) -> Occluder:
    """The same cut-out, with the thing's colours also where it ends and is transparent.

    Cut-outs are stored black where they are transparent, and half-transparent pixels may mix the thing with
    what was behind it. Resampled and blended, both show as an outline. Here, every pixel outside of the thing
    and on its half-transparent border has the colour of the nearest pixel that is opaque. Half-transparent
    pixels inside, as of a glass, stay.
    """
    if thing.alpha is None:
        known = thing.mask
    else:
        covered = as_bytes(thing.alpha > CLEAR)
        known = (cv2.erode(covered, np.ones((5, 5), np.uint8)) > 0) | (thing.alpha >= SOLID)
    if not known.any():
        known = thing.mask
    if known.all() or not known.any():
        return thing
    _, nearest = cv2.distanceTransformWithLabels(
        as_bytes(~known), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colour_of = np.zeros((int(nearest.max()) + 1, 3), np.uint8)
    colour_of[nearest[known]] = thing.image[known]
    return replace(thing, image=colour_of[nearest])


def _fineness(image: np.ndarray, inside: np.ndarray | None = None) -> float:
    """Mean difference of neighbours over that of pixels three apart: about 0.3 (smooth) to 1 (crisp)."""
    grey = image[..., 1].astype(np.float32)
    near, far = np.abs(grey[:, 1:-2] - grey[:, :-3]), np.abs(grey[:, 3:] - grey[:, :-3])
    if inside is not None:
        both = inside[:, 3:] & inside[:, :-3]
        near, far = near[both], far[both]
    return float(near.sum() / max(far.sum(), 1e-3)) if near.size else 1.0


def match_sharpness(
    colours: np.ndarray, alpha: np.ndarray, image: np.ndarray, person: np.ndarray
) -> np.ndarray:
    """Blurs or sharpens a cut-out until its share of fine detail is like the person's.

    Args:
        colours, alpha: h x w x 3 uint8 and h x w float32 in [0, 1].
        image: H x W x 3 uint8, the photo.
        person: H x W bool, the pixels to be like.

    Returns:
        h x w x 3 uint8.
    """
    inside, goal = alpha > 0.5, _fineness(image, person)
    fineness = _fineness(colours, inside)
    if fineness < 0.9 * goal:  # enlarged cut-outs are soft
        soft = cv2.GaussianBlur(colours, (0, 0), 1.2)
        return cv2.addWeighted(colours, 1.8, soft, -0.8, 0)
    for sigma in (0.4, 0.6, 0.8):
        if fineness <= 1.1 * goal:
            break
        colours = cv2.GaussianBlur(colours, (0, 0), sigma)
        fineness = _fineness(colours, inside)
    return colours


def contact_shadow(image: np.ndarray, covered: np.ndarray, strength: float, reach: float) -> np.ndarray:
    """Darkens the photo around a pasted object, most at its foot; the pasted pixels stay.

    Args:
        image: H x W x 3 uint8 with the thing pasted.
        covered: H x W bool, the thing.
        strength: largest darkening, in [0, 1].
        reach: blur of the shadow, pixels.
    """
    small = cv2.resize(covered.astype(np.float32), None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    shift = np.array([[1, 0, 0], [0, 1, reach / 4]])  # light comes from above
    moved = cv2.warpAffine(small, shift, small.shape[::-1])
    soft = cv2.GaussianBlur(moved, (0, 0), max(reach / 2, 0.5))
    shade = 1 - strength * cv2.resize(soft, covered.shape[::-1], interpolation=cv2.INTER_LINEAR)
    shade[covered] = 1
    return (image * shade[..., None]).astype(np.uint8)


def degrade(images: list[np.ndarray], rng: np.random.Generator) -> list[np.ndarray]:
    """The same random blur, noise and JPEG compression for several pictures, as if from one camera.

    Args:
        images: H x W x 3 uint8 each, of one size.
        rng: source of the draws.

    Returns:
        As `images`; each fault is applied to about half of the calls.
    """
    sigma = rng.uniform(0.3, 1.1) if rng.random() < 0.5 else 0.0
    noise = None
    if rng.random() < 0.5:
        noise = rng.standard_normal((*images[0].shape[:2], 1), dtype=np.float32)
        noise *= np.float32(rng.uniform(1, 8))
    quality = int(rng.integers(35, 90)) if rng.random() < 0.5 else 0
    return [_degrade(image, sigma, noise, quality) for image in images]


def _degrade(picture: np.ndarray, sigma: float, noise: np.ndarray | None, quality: int) -> np.ndarray:
    if sigma:
        picture = cv2.GaussianBlur(picture, (0, 0), sigma)
    if noise is not None:
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if not quality:
        return picture
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))


def colour_jitter(strength: float, rng: np.random.Generator) -> np.ndarray:
    """A 3 x 4 colour map that changes brightness, contrast and saturation.

    Args:
        strength: 0 and up; 0 changes nothing.
        rng: of the draw.
    """
    gain, saturation = np.exp(rng.uniform(-strength, strength, 2) * (1.0, 1.5))
    grey = np.full((3, 3), 1 / 3)
    colour = gain * (saturation * np.eye(3) + (1 - saturation) * grey)
    return np.hstack([colour, np.full((3, 1), rng.uniform(-strength, strength) * 60)])
