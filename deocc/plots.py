"""Pictures and figures: one palette, overlays, case strips, image grids, scores by occlusion ratio.

Functions that return arrays are pure: NumPy in, uint8 H x W x 3 RGB out. Functions that return a matplotlib
`Figure` never touch pyplot's global state; a notebook shows the figure that ends a cell.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Patch
from PIL import Image, ImageDraw, ImageFont

from deocc.errors import DeoccError
from deocc.io import PathLike, write_image
from deocc.labels import IGNORE, LIP_CLASSES, PALETTE, colorize
from deocc.masks import Frame, person_frame
from deocc.metrics import RATIO_EDGES, mask_iou, ratio_bins
from deocc.occlusion import OcclusionCase, RatioDensity, occlude, segmenter_error
from deocc.people import Occluder, Person

if TYPE_CHECKING:  # figures take answers, they do not make them
    from deocc.pipeline import Deoccluder, Deocclusion

Colour = tuple[int, int, int]

# Okabe and Ito's palette: told apart with any colour vision, and in this order also by brightness.
VISIBLE: Colour = (86, 180, 233)  # sky blue
INVISIBLE: Colour = (213, 94, 0)  # vermilion
OCCLUDER: Colour = (240, 228, 66)  # yellow
ADDED: Colour = (204, 121, 167)  # reddish purple: in a mask, but wrong
WHOLE: Colour = (0, 158, 115)  # bluish green: the whole person, visible and invisible alike
OUTSIDE = np.uint8(225)  # grey where a frame sticks out of its photo
INK: Colour = (0, 0, 0)
PAPER: Colour = (255, 255, 255)
LINES: tuple[Colour, ...] = ((0, 114, 178), INVISIBLE, (0, 158, 115), ADDED, (0, 0, 0), VISIBLE)
MARKERS = "osD^vP"  # beside colour, so that lines are told apart in grey

JPEG_QUALITY = 82
DPI = 110  # a figure of 8 inches is as wide as a page of GitHub


# ---------------------------------------------------------------------------------------------- overlays


def overlay(
    image: np.ndarray, mask: np.ndarray, colour: Colour, alpha: float = 0.55, outline: int = 1
) -> np.ndarray:
    """Tints a region of a picture and draws its border.

    Args:
        image: H x W x 3 uint8.
        mask: H x W bool.
        colour: RGB, 0..255.
        alpha: opacity of the tint inside, in [0, 1].
        outline: width of the border in pixels; 0 = none.

    Returns:
        H x W x 3 uint8, a new array; pixels outside mask and border are untouched.

    Raises:
        DeoccError: the sizes differ.
    """
    if mask.shape != image.shape[:2]:
        raise DeoccError(f"mask {mask.shape} and image {image.shape[:2]} differ; crop both by one frame")
    out = image.copy()
    inside = image[mask].astype(np.float32)
    out[mask] = np.rint(inside * (1 - alpha) + np.array(colour, np.float32) * alpha).astype(np.uint8)
    if outline > 0:
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(out, contours, -1, colour, outline)
    return out


def overlay_masks(
    image: np.ndarray,
    modal_mask: np.ndarray | None = None,
    amodal_mask: np.ndarray | None = None,
    occluder_mask: np.ndarray | None = None,
    alpha: float = 0.55,
) -> np.ndarray:
    """Tints visible (blue), invisible (vermilion) and, off the person, occluder (yellow) pixels.

    Args:
        image: H x W x 3 uint8.
        modal_mask, amodal_mask, occluder_mask: H x W bool, or None where unknown.
        alpha: opacity of the tints.

    Returns:
        H x W x 3 uint8.
    """
    visible = np.zeros(image.shape[:2], bool) if modal_mask is None else modal_mask
    out = image
    if occluder_mask is not None:
        person = visible if amodal_mask is None else visible | amodal_mask
        out = overlay(out, occluder_mask & ~person, OCCLUDER, alpha)
    out = overlay(out, visible, VISIBLE, alpha)
    return out if amodal_mask is None else overlay(out, amodal_mask & ~visible, INVISIBLE, alpha)


def mask_layer(masks: Sequence[tuple[np.ndarray, Colour]], alpha: float = 0.55) -> np.ndarray:
    """Tinted masks as a layer to lay over a picture; with `alpha` it looks as `overlay` does.

    Args:
        masks: (H x W bool, RGB) pairs of one size, at least one; later ones cover earlier ones.
        alpha: opacity inside; borders are opaque.

    Returns:
        H x W x 4 uint8 RGBA; fully transparent elsewhere.
    """
    out = np.zeros((*masks[0][0].shape, 4), np.uint8)
    for mask, colour in masks:
        out[mask] = (*colour, round(255 * alpha))
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(out, contours, -1, (*colour, 255), 1)
    return out


def mask_errors(mask: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Compares two masks: agreement blue, missed pixels vermilion, added pixels purple, on white.

    Args:
        mask, truth: H x W bool.

    Returns:
        H x W x 3 uint8.
    """
    out = np.full((*mask.shape, 3), PAPER, np.uint8)
    out[mask & truth], out[truth & ~mask], out[mask & ~truth] = VISIBLE, INVISIBLE, ADDED
    return out


def parsing_picture(parsing: np.ndarray, image: np.ndarray | None = None) -> np.ndarray:
    """Body parts in LIP's colours on white, or over a photo.

    Args:
        parsing: H x W uint8, 0..19 or 255 (light grey).
        image: H x W x 3 uint8 to paint on, or None.

    Returns:
        H x W x 3 uint8.
    """
    base = np.full((*parsing.shape, 3), PAPER, np.uint8) if image is None else image
    colours = colorize(parsing)
    if image is not None:
        colours = (0.35 * image + 0.65 * colours).astype(np.uint8)
    return np.where((parsing > 0)[..., None], colours, base)


# ---------------------------------------------------------------------------------------------- strips


def _title_bar(text: str, width: int, height: int) -> np.ndarray:
    """A white bar with centred text that shrinks until it fits; height x width x 3 uint8."""
    bar = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(bar)
    size = round(height * 0.72)
    while size > 7 and draw.textlength(text, font=ImageFont.load_default(size)) > width - 4:
        size -= 1
    font = ImageFont.load_default(size)
    draw.text((width / 2, height / 2), text, fill=INK, font=font, anchor="mm")
    return np.asarray(bar)


def strip(panels: Mapping[str, np.ndarray], gap: int = 4, title_height: int = 20) -> np.ndarray:
    """Sets pictures of one height side by side, each under its title.

    Args:
        panels: title -> H x W x 3 uint8, in order.
        gap: white pixels between panels.
        title_height: of the bar above each panel; 0 = no titles.

    Returns:
        (H + title_height) x (sum of widths and gaps) x 3 uint8.

    Raises:
        DeoccError: no panel, or panels of different heights.
    """
    heights = {panel.shape[0] for panel in panels.values()}
    if len(heights) != 1:
        raise DeoccError(f"panels of heights {sorted(heights)} came; give at least one, all of one height")
    columns: list[np.ndarray] = []
    for title, panel in panels.items():
        if columns:
            columns.append(np.full((panel.shape[0] + title_height, gap, 3), PAPER, np.uint8))
        bar = [_title_bar(title, panel.shape[1], title_height)] if title_height else []
        columns.append(np.concatenate([*bar, panel]))
    return np.concatenate(columns, axis=1)


def picture_grid(panels: Mapping[str, np.ndarray], columns: int, gap: int = 4) -> np.ndarray:
    """Pictures of one size in rows, each under its title, as one picture; white where the last row is short.

    Args:
        panels: title -> H x W x 3 uint8, in order.
        columns: panels a row.
        gap: white pixels between panels.

    Returns:
        H' x W' x 3 uint8.
    """
    rows = [strip(row, gap) for row in wrap(panels, columns)]
    short = rows[0].shape[1] - rows[-1].shape[1]
    rows[-1] = np.pad(rows[-1], ((0, 0), (0, short), (0, 0)), constant_values=PAPER[0])
    return np.concatenate(rows)


def case_frame(case: OcclusionCase, scale: float = 2.0) -> Frame:
    """The frame that the networks see: around the visible mask (or box), never around the whole person."""
    return person_frame(case.box_xyxy, scale, photo=case.image.shape[:2])


def case_panels(
    case: OcclusionCase, answer: Deocclusion | None = None, size: int = 160, scale: float = 2.0
) -> dict[str, np.ndarray]:
    """A case as a row of pictures, cropped as the networks see it.

    Args:
        case: what is known of it is shown.
        answer: what `Deoccluder.deocclude` made of it, or None.
        size: side of a panel in pixels.
        scale: side of the crop over the visible box's longer side.

    Returns:
        title -> size x size x 3 uint8: image, M_i, masks, body parts, recovered, target; unknown ones absent.
        Outside the photo everything is grey.
    """
    frame = case_frame(case, scale)
    outside = ~frame.photo_mask(case.image.shape[:2], size)
    outside = cv2.dilate(outside.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0  # and its blended rim
    image = frame.crop_image(case.image, size)

    def masks_over(modal_mask: np.ndarray, amodal_mask: np.ndarray) -> np.ndarray:
        return overlay_masks(image, frame.crop_mask(modal_mask, size), frame.crop_mask(amodal_mask, size))

    panels = {"image": image}
    initial = case.initial_mask if answer is None else answer.initial_mask
    if initial is not None:
        panels["initial mask"] = overlay(image, frame.crop_mask(initial, size), VISIBLE)
    if answer is not None:
        panels["masks"] = masks_over(answer.modal_mask, answer.amodal_mask)
        panels["body parts"] = parsing_picture(frame.crop_labels(answer.parsing, size))
        panels["recovered"] = frame.crop_image(answer.recovered, size)
    if case.amodal_mask is not None and case.modal_mask is not None:
        panels["true masks"] = masks_over(case.modal_mask, case.amodal_mask)
    if case.target is not None:
        panels["target"] = frame.crop_image(case.target, size)
    return {title: np.where(outside[..., None], OUTSIDE, panel) for title, panel in panels.items()}


def render_case(case: OcclusionCase, answer: Deocclusion | None = None, size: int = 160) -> np.ndarray:
    """`case_panels` as one picture; uint8 (size + 20) x W x 3."""
    return strip(case_panels(case, answer, size))


def render_answer(case: OcclusionCase, answer: Deocclusion, size: int = 160) -> np.ndarray:
    """What was given, what was answered and the truth, three panels a row; uint8 H x W x 3."""
    panels = case_panels(case, answer, size)
    order = ("initial mask", "masks", "true masks", "body parts", "recovered", "target")
    return picture_grid({title: panels[title] for title in order if title in panels}, 3)


def render_candidate(
    image: np.ndarray, mask: np.ndarray, style: str = "outline", side: int = 400
) -> np.ndarray:
    """Somebody to be routed: the whole photo, and the person near, both with the mask.

    Args:
        image: H x W x 3 uint8.
        mask: H x W bool, not empty.
        style: of the mask: "outline", "tint" or "none".
        side: of each of the two panels in pixels.

    Returns:
        side x (2 side + 4) x 3 uint8; grey outside the photo.
    """
    height, width = image.shape[:2]
    longer = max(height, width)
    whole = Frame((width - longer) / 2, (height - longer) / 2, longer)
    panels = {}
    for name, frame in (("whole", whole), ("near", person_frame(mask, 1.3))):
        panel = frame.crop_image(image, side)
        if style != "none":
            panel = overlay(panel, frame.crop_mask(mask, side), VISIBLE, 0.55 if style == "tint" else 0.0, 2)
        panels[name] = np.where(frame.photo_mask((height, width), side)[..., None], panel, OUTSIDE)
    return strip(panels, title_height=0)


class Occluded(NamedTuple):
    """A freshly occluded person, the answer to it, and both as one picture."""

    picture: np.ndarray  # H x W x 3 uint8, of `render_answer`
    case: OcclusionCase
    answer: Deocclusion


def answer_case(
    deoccluder: Deoccluder,
    case: OcclusionCase,
    severity: float = 0.0,
    rng: np.random.Generator | None = None,
    size: int = 160,
) -> Occluded:
    """Spoils a case's visible mask, de-occludes, and draws case and answer.

    Args:
        deoccluder: both stages.
        case: with ground truth.
        severity: of the segmenter's errors in the initial mask; 0 = the true visible mask, 1 = typical.
        rng: source of the errors; default: seed 0.
        size: side of a panel in pixels.

    Raises:
        DeoccError: nothing of the person is visible.
    """
    if case.modal_mask is None or not case.modal_mask.any():
        raise DeoccError(f"case {case.id}: nothing of the person is visible; uncover a part")
    rng = np.random.default_rng(0) if rng is None else rng
    masks = (case.modal_mask, case.amodal_mask, case.occluder_mask)
    initial = segmenter_error(*masks, severity=severity, rng=rng)  # type: ignore[arg-type]
    case = replace(case, initial_mask=initial)
    answer = deoccluder.deocclude(case.image, mask=initial)
    return Occluded(render_answer(case, answer, size), case, answer)


def render_occlusion(
    deoccluder: Deoccluder,
    person: Person,
    occluder: Occluder,
    ratio: float,
    severity: float = 0.0,
    seed: int = 0,
    size: int = 160,
) -> Occluded:
    """Occludes a person, spoils the visible mask, de-occludes; the same arguments give the same picture.

    Args:
        deoccluder: both stages.
        person, occluder: who, behind what.
        ratio: wanted hidden share of the person, in (0, 1].
        severity: of the segmenter's errors in the initial mask; 0 = the true visible mask, 1 = typical.
        seed: of the occluder's place and of the errors.
        size: side of a panel in pixels.

    Raises:
        PlacementError: this occluder cannot hide that share of this person.
    """
    rng = np.random.default_rng(seed)
    return answer_case(deoccluder, occlude(person, occluder, ratio, rng), severity, rng, size)


class Scores(NamedTuple):
    """How well one person's masks were completed; IoUs in [0, 1], per instance."""

    occlusion_ratio: float  # true hidden share
    modal: float
    amodal: float
    invisible: float


def score_masks(case: OcclusionCase, answer: Deocclusion) -> Scores:
    """IoU of the visible, whole and invisible masks at the photo's size.

    Raises:
        DeoccError: the case has no ground truth.
    """
    if case.modal_mask is None or case.amodal_mask is None:
        raise DeoccError(f"case {case.id} has no true masks; scores need modal.png and amodal.png")
    pairs = (
        (answer.modal_mask, case.modal_mask),
        (answer.amodal_mask, case.amodal_mask),
        (answer.invisible_mask, case.amodal_mask & ~case.modal_mask),
    )
    return Scores(case.occlusion_ratio, *(float(mask_iou(mask, truth)) for mask, truth in pairs))


# ---------------------------------------------------------------------------------------------- figures


def ratio_caption(ratios: Sequence[float], about: str = "") -> str:
    """The caption under every figure of cases: N and the range of true occlusion ratios."""
    known = [ratio for ratio in ratios if np.isfinite(ratio)]
    text = f"N = {len(ratios)}"
    if known:
        low, high = min(known), max(known)
        text += f", occlusion ratio {low:.2f}" + ("" if len(known) == 1 else f"-{high:.2f}")
    return f"{text}, {about}" if about else text


def mask_legend(errors: bool = False) -> list[Patch]:
    """Legend patches of `overlay_masks`, or of `mask_errors`."""
    entries = {"visible": VISIBLE, "invisible": INVISIBLE, "occluder": OCCLUDER}
    if errors:
        entries = {"agrees": VISIBLE, "missed": INVISIBLE, "added": ADDED}
    return [Patch(color=unit_colour(colour), label=name) for name, colour in entries.items()]


def parts_legend(parsing: np.ndarray) -> list[Patch]:
    """Legend patches of the body parts that a label map (H x W uint8) holds."""
    parts = [int(part) for part in np.unique(parsing) if part not in (0, IGNORE)]
    return [Patch(color=unit_colour(PALETTE[part]), label=LIP_CLASSES[part]) for part in parts]


def unit_colour(colour: Colour | np.ndarray) -> tuple[float, float, float]:
    """A colour of 0..255 as matplotlib wants it, 0..1."""
    red, green, blue = (float(value) / 255 for value in colour)
    return red, green, blue


def wrap(panels: Mapping[str, np.ndarray], columns: int) -> list[dict[str, np.ndarray]]:
    """Breaks a long row of panels into rows of at most `columns`, for `panel_grid`."""
    items = list(panels.items())
    return [dict(items[i : i + columns]) for i in range(0, len(items), columns)]


def panel_grid(
    rows: Sequence[Mapping[str, np.ndarray]],
    caption: str = "",
    row_labels: Sequence[str] = (),
    legend: Sequence[Patch] = (),
    width: float = 8.0,
) -> Figure:
    """Rows of pictures, each column under its title, with a caption below.

    Args:
        rows: each title -> H x W x 3 uint8 (or H x W bool); a title is not repeated below itself.
        caption: says N and ratio (see `ratio_caption`).
        row_labels: a short text left of each row.
        legend: patches, set beside the caption.
        width: in inches.

    Raises:
        DeoccError: no rows.
    """
    if not rows:
        raise DeoccError("no rows to draw; give at least one")
    columns = max(len(row) for row in rows)
    foot = 0.32 * bool(caption) + 0.32 * bool(legend)
    height = width / columns * len(rows) + 0.3 * len({tuple(row) for row in rows}) + foot
    rect = 0.0, foot / height, 1.0, 1.0 - foot / height  # leaves `foot` inches free at the bottom
    engine = ConstrainedLayoutEngine(w_pad=0.02, h_pad=0.04, wspace=0.02, hspace=0.02, rect=rect)
    figure = Figure(figsize=(width, height), dpi=DPI, layout=engine)
    grid = figure.subplots(len(rows), columns, squeeze=False)
    titles: list[str] = [""] * columns
    for i, row in enumerate(rows):
        _draw_row(grid[i], row, titles, row_labels[i] if i < len(row_labels) else "")
        titles = [*row, *titles[len(row) :]]
    _footer(figure, caption, legend, height)
    return figure


def _draw_row(cells: Sequence[Axes], row: Mapping[str, np.ndarray], above: Sequence[str], label: str) -> None:
    for axes in cells[len(row) :]:
        axes.set_axis_off()
    for axes, (title, picture), known in zip(cells, row.items(), above, strict=False):
        axes.imshow(picture, cmap="gray", interpolation="nearest")
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        if title != known:
            axes.set_title(title, fontsize=10, pad=3)
    cells[0].set_ylabel(label, fontsize=9)


def _footer(figure: Figure, caption: str, legend: Sequence[Patch], height: float) -> None:
    if legend:
        figure.legend(
            handles=list(legend), loc="lower center", ncols=min(len(legend), 7), fontsize=9, frameon=False,
            handlelength=1.0, bbox_to_anchor=(0.5, 0.26 / height if caption else 0.0), borderaxespad=0.1,
        )  # fmt: skip
    if caption:
        figure.text(0.5, 0.06 / height, caption, ha="center", va="bottom", fontsize=9)


def scores_by_ratio(
    ratios: Sequence[float],
    scores: Mapping[str, Sequence[float]],
    caption: str = "",
    edges: Sequence[float] = RATIO_EDGES,
    ylabel: str = "IoU",
    limits: tuple[float, float] | None = (-0.02, 1.02),
) -> Figure:
    """Each case as a faint point, and the mean of each occlusion-ratio bin as a line with markers.

    Args:
        ratios: true occlusion ratio a case.
        scores: name -> one score a case.
        caption: says what the cases are; N is added.
        edges: of the bins; the last one closes at 1.
        ylabel: name of the score.
        limits: of the vertical axis; None: what the scores need.
    """
    x, bins = np.asarray(ratios, float), ratio_bins(np.asarray(ratios, float), edges)
    figure = Figure(figsize=(7.0, 3.6), dpi=DPI, layout="constrained")
    axes = figure.subplots()
    for (name, values), colour, marker in zip(scores.items(), LINES, MARKERS, strict=False):
        y, rgb = np.asarray(values, float), unit_colour(colour)
        used = [b for b in np.unique(bins) if np.isfinite(y[bins == b]).any()]
        axes.scatter(x, y, s=9, color=rgb, alpha=0.25, linewidths=0)
        means = np.array([(np.nanmean(x[bins == b]), np.nanmean(y[bins == b])) for b in used])
        axes.plot(*means.T, marker=marker, ms=5, color=rgb, label=f"{name}, {np.nanmean(y):.2f}")
    axes.set(xlabel="true occlusion ratio", ylabel=ylabel, xlim=(0, None), ylim=limits)
    axes.grid(alpha=0.3)
    axes.legend(title="mean of all cases", fontsize=9, title_fontsize=9, frameon=False, loc="center left",
                bbox_to_anchor=(1.0, 0.5))  # fmt: skip
    axes.set_title(ratio_caption(ratios, caption), fontsize=9)
    return figure


# ---------------------------------------------------------------------------------------------- occlusion


def heat(values: np.ndarray, top: float | None = None, marked: np.ndarray | None = None) -> np.ndarray:
    """A map of numbers >= 0 as a picture, dark to bright; marked entries in vermilion.

    Args:
        values: H x W.
        top: the brightest value; default: the largest.
        marked: H x W bool, or None.

    Returns:
        H x W x 3 uint8.
    """
    scaled = np.clip(values / max(top or float(np.max(values)), 1e-9), 0, 1)
    grey = (30 + 225 * scaled).astype(np.uint8)
    picture = np.repeat(grey[..., None], 3, 2)
    if marked is not None:
        picture[marked] = INVISIBLE
    return picture


def density_curves(
    densities: Mapping[str, RatioDensity], draws: int = 4000, seed: int = 0, width: float = 7.0
) -> Figure:
    """Densities of occlusion ratios, normalised, and histograms of what they draw.

    Args:
        densities: name -> density.
        draws: ratios drawn from each.
        seed: of the draws.
        width: in inches.
    """
    figure = Figure(figsize=(width, 0.42 * width), dpi=DPI, layout="constrained")
    axes, grid = figure.subplots(), np.linspace(0, 1, 501)
    for (name, density), colour in zip(densities.items(), LINES, strict=False):
        heights = np.interp(grid, density.ratios, density.heights, left=0, right=0)
        rgb = unit_colour(colour)
        axes.plot(grid, heights / np.trapezoid(heights, grid), color=rgb, label=name)
        drawn = density.sample(np.random.default_rng(seed), draws)
        axes.hist(drawn, bins=np.linspace(0, 1, 41).tolist(), density=True, color=rgb, alpha=0.25)
    axes.set(xlabel="occlusion ratio", ylabel="density", xlim=(0, 1))
    axes.legend(fontsize=9, frameon=False)
    axes.set_title(f"N = {draws} ratios drawn from each curve", fontsize=9)
    return figure


def wanted_and_reached(wanted: Sequence[float], reached: Sequence[float], tolerance: float) -> Figure:
    """Each case's reached ratio over its wanted one, and a histogram of the difference."""
    apart = np.asarray(reached, float) - np.asarray(wanted, float)
    figure = Figure(figsize=(7.0, 2.9), dpi=DPI, layout="constrained")
    left, right = figure.subplots(1, 2)
    left.scatter(wanted, reached, s=6, color=unit_colour(LINES[0]), linewidths=0)
    left.plot([0, 1], [0, 1], color="black", lw=0.6)
    left.set(xlabel="wanted ratio", ylabel="reached ratio", xlim=(0, 0.75), ylim=(0, 0.75))
    bins = np.linspace(-1.5 * tolerance, 1.5 * tolerance, 31).tolist()
    right.hist(apart, bins=bins, color=unit_colour(LINES[0]))
    for edge in (-tolerance, tolerance):
        right.axvline(edge, color=unit_colour(INVISIBLE))
    right.set(xlabel="reached - wanted", ylabel="cases")
    within = float(np.mean(np.abs(apart) <= tolerance))
    figure.suptitle(f"N = {len(apart)}, {within:.1%} within {tolerance:g}", fontsize=9)
    return figure


# ---------------------------------------------------------------------------------------------- output


def figure_array(figure: Figure) -> np.ndarray:
    """A figure's pixels; H x W x 3 uint8."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def encode_jpeg(picture: np.ndarray, quality: int = JPEG_QUALITY) -> bytes:
    """JPEG bytes of an H x W x 3 uint8 picture, for a widget or a page."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def save_figure(figure: Figure, path: PathLike) -> None:
    """Writes a figure as JPEG or PNG, by the file's ending.

    Raises:
        DeoccError: the folder cannot be written.
    """
    write_image(path, figure_array(figure), JPEG_QUALITY)


def use_notebook_style(quality: int = JPEG_QUALITY) -> None:
    """Inline figures as JPEG: photos stay small enough for a notebook that is read on a web page."""
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("jpeg", pil_kwargs={"quality": quality}, bbox_inches=None)
