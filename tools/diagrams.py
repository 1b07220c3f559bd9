"""Draws figures/stage1.svg and figures/stage2.svg, a diagram per stage, and figures/layout.svg, the package.

`python tools/diagrams.py` writes all three. Texts are real text, so that a page can be searched and zoomed.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from deocc.figures.colours import INVISIBLE, MORE, OCCLUDER, VISIBLE, WHOLE, Colour

FIGURES = Path(__file__).resolve().parent.parent / "figures"
FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"
Point = tuple[float, float]


class Drawing:
    """Shapes and texts in drawing order. Attributes: width, height: in pixels."""

    def __init__(self, width: int, height: int, title: str, about: str) -> None:
        self.width, self.height, self._title, self._about = width, height, title, about
        self._shapes: list[str] = []

    def text(
        self, x: float, y: float, words: str, size: int = 13, anchor: str = "middle", bold: bool = False
    ) -> None:
        """A line of text; `M_a` sets an index, middle of the line at y."""
        weight = " font-weight='bold'" if bold else ""
        self._shapes.append(
            f"<text x='{x:g}' y='{y + 0.35 * size:g}' font-size='{size}' text-anchor='{anchor}'{weight}>"
            f"{_indexed(words, size)}</text>"
        )

    def box(
        self, x: float, y: float, width: float, height: float, words: Sequence[str], colour: Colour
    ) -> None:
        """A rounded box, its middle at (x, y), with lines of text."""
        self._shapes.append(
            f"<rect x='{x - width / 2:g}' y='{y - height / 2:g}' width='{width:g}' height='{height:g}' "
            f"rx='6' {_paint(colour)}/>"
        )
        self._lines(x, y, words)

    def hourglass(
        self, x: float, y: float, width: float, height: float, words: Sequence[str], colour: Colour
    ) -> None:
        """Two trapezia, narrow in the middle."""
        w, h, waist = width / 2, height / 2, 0.32 * height / 2
        points = [
            (x - w, y - h),
            (x, y - waist),
            (x + w, y - h),
            (x + w, y + h),
            (x, y + waist),
            (x - w, y + h),
        ]
        corners = " ".join(f"{a:g},{b:g}" for a, b in points)
        self._shapes.append(f"<polygon points='{corners}' {_paint(colour)}/>")
        self._lines(x, y + h + 12 * len(words), words)

    def _lines(self, x: float, y: float, words: Sequence[str]) -> None:
        for number, line in enumerate(words):
            self.text(x, y + 17 * (number - (len(words) - 1) / 2), line)

    def arrow(self, *points: Point, dashed: bool = False) -> None:
        """A line through points, with a head at its end."""
        path = " ".join(f"{x:g},{y:g}" for x, y in points)
        dashes = " stroke-dasharray='5 4'" if dashed else ""
        self._shapes.append(
            f"<polyline points='{path}' fill='none' stroke='#333' stroke-width='1.5'{dashes} "
            "marker-end='url(#head)'/>"
        )

    def frame(self, x: float, y: float, width: float, height: float) -> None:
        """A dashed border around a part of the drawing; (x, y) is its upper left corner."""
        self._shapes.append(
            f"<rect x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' fill='none' stroke='#999' "
            "stroke-dasharray='3 3'/>"
        )

    def svg(self) -> str:
        """The whole file."""
        head = (
            "<marker id='head' viewBox='0 0 8 8' refX='7' refY='4' markerWidth='7' markerHeight='7' "
            "orient='auto'>"
            "<path d='M0,0 L8,4 L0,8 z' fill='#333'/></marker>"
        )
        size = f"viewBox='0 0 {self.width} {self.height}' width='{self.width}' height='{self.height}'"
        return "\n".join(
            [
                f"<svg xmlns='http://www.w3.org/2000/svg' {size} {FONT} role='img' "
                "aria-labelledby='title about'>",
                f"<title id='title'>{escape(self._title)}</title>",
                f"<desc id='about'>{escape(self._about)}</desc>",
                f"<defs>{head}</defs>",
                f"<rect width='{self.width}' height='{self.height}' fill='white'/>",
                *self._shapes,
                "</svg>\n",
            ]
        )


def _paint(colour: Colour) -> str:
    red, green, blue = (round(255 - 0.35 * (255 - value)) for value in colour)
    return f"fill='rgb({red},{green},{blue})' stroke='rgb{colour}' stroke-width='1.5'"


def _indexed(words: str, size: int) -> str:
    """`M_a of N_m` with small, lowered indices; an index is one letter, or what stands in braces."""
    out, rest = "", escape(words)
    while "_" in rest:
        before, _, rest = rest.partition("_")
        index, rest = rest[1:].split("}", 1) if rest.startswith("{") else (rest[:1], rest[1:])
        small = f"<tspan dy='{0.25 * size:g}' font-size='{0.75 * size:g}'>{index}</tspan>"
        out += f"{before}{small}<tspan dy='{-0.25 * size:g}'>&#8203;</tspan>"
    return out + rest


def stage_one() -> Drawing:
    """Eq. 1 to 4: two stacked hourglasses, templates, losses."""
    d = Drawing(
        1000, 520, "Stage 1, refined mask completion",
        "Image and rough mask go through hourglass N_m, whose branch gives the visible mask and its body "
        "parts. Image and N_m's last feature, concatenated, go through hourglass N_a, whose branch, told "
        "re-weighted templates, gives the whole mask and its body parts.",
    )  # fmt: skip
    top, bottom = 110, 370
    d.text(500, 24, "Stage 1: from a rough mask to the whole person (eq. 1 to 4)", 16, bold=True)
    d.box(68, top, 112, 62, ["image I,", "rough mask M_i"], OCCLUDER)
    d.box(68, bottom, 112, 46, ["image I"], OCCLUDER)
    for y, name, index in ((top, "finds what is visible", "m"), (bottom, "imagines the whole", "a")):
        d.box(178, y, 66, 40, ["stem"], MORE)
        d.hourglass(345, y, 130, 100, [f"hourglass N_{index}", name], MORE)
        d.box(555, y, 92, 50, ["branch"], MORE)
        d.arrow((124, y), (144, y))
        d.arrow((410, y), (508, y))
        d.text(458, y - 13, f"F_{index}")
    d.arrow((211, top), (279, top))
    d.box(244, bottom, 40, 44, ["[ , ]", "1 x 1"], MORE)  # concatenated, then a convolution
    d.arrow((211, bottom), (223, bottom))
    d.arrow((264, bottom), (279, bottom))
    d.arrow((435, top), (435, 228), (244, 228), (244, 347))
    d.text(340, 216, "what N_m understood: F_m")
    d.box(770, top - 30, 150, 40, ["visible mask M_m"], VISIBLE)
    d.box(770, top + 30, 150, 40, ["its body parts P_m"], VISIBLE)
    d.box(770, bottom - 30, 150, 40, ["whole mask M_a"], WHOLE)
    d.box(770, bottom + 30, 150, 40, ["its body parts P_a"], WHOLE)
    for y in (top, bottom):
        d.arrow((601, y), (640, y), (640, y - 30), (694, y - 30))
        d.arrow((601, y), (640, y), (640, y + 30), (694, y + 30))
    d.box(815, 240, 236, 58, ["compare M_m with templates T_k:", "w = softmax(-d / tau)"], INVISIBLE)
    d.arrow((845, top - 30), (880, top - 30), (880, 210))
    d.box(555, 240, 170, 58, ["K maps w_k T_k,", "one 3 x 3 convolution"], INVISIBLE)
    d.arrow((697, 240), (641, 240))
    d.arrow((555, 269), (555, 344))
    losses = ("CE", "CE", "CE; L1, perceptual; PatchGAN sees (I, M_a)", "CE")
    for y, words in zip((top - 59, top + 60, bottom - 60, bottom + 61), losses, strict=True):
        d.text(770, y, f"loss: {words}", 11)
    d.text(
        500,
        500,
        "[ , ]: concatenated. CE: cross-entropy. Preset small adds features of a pretrained trunk at each "
        "level (ours).",
        12,
    )
    return d


def stage_two() -> Drawing:
    """Eq. 5 to 7: the U-Net of partial convolutions with PGA, and what one PGA module does."""
    d = Drawing(
        1180, 690, "Stage 2, parsing guided content recovery",
        "A U-Net of partial convolutions paints the hidden part; both masks enter every level. Parsing "
        "guided attention stands after encoder levels 3 and 5 and decoder levels 5 and 3. Below, one such "
        "module: stream B compares body parts, stream T gathers visible features, a convolution fuses both.",
    )  # fmt: skip
    d.text(590, 24, "Stage 2: paint what is hidden (eq. 5 to 7)", 16, bold=True)
    inputs = ["I' = I M_a + alpha I (1 - M_a)"], ["known pixels M_v"], ["whole person M_a"]
    for y, words in zip((78, 120, 162), inputs, strict=True):
        d.box(120, y, 220, 34, words, OCCLUDER)
    d.box(120, 214, 220, 34, ["body parts P_m, P_a"], VISIBLE)
    d.arrow((231, 120), (244, 120), (244, 162), (257, 162))
    d.arrow((231, 162), (257, 162))
    d.arrow((231, 214), (257, 214))
    for y, words in ((157, "to every level"), (171, "of E and D"), (209, "to each PGA,"), (223, "with M_v")):
        d.text(262, y, words, 11, "start")
    d.text(120, 270, "E, D: partial convolutions; dashed: skips,", 11)
    d.text(120, 286, "what went into E joins D", 11)
    d.text(120, 308, "channels: 1, 2, 4, 8, 8, 8 times the width", 11)
    _u_net(d)
    d.arrow((231, 78), (269, 78))
    d.arrow((971, 78), (1029, 78))
    d.box(1080, 78, 100, 40, ["I_o"], WHOLE)
    for y, words in ((112, "painted into the hole;"), (127, "the rest stays as it was"),
                     (152, "loss: L1, style,"), (167, "perceptual, PatchGAN")):  # fmt: skip
        d.text(1080, y, words, 11)
    _pga(d)
    return d


def _u_net(d: Drawing) -> None:
    """Six levels down, six up, each joined by a skip; PGA on the way from level 3, 5 and 5, 3."""
    down = [(290 + 58 * k, 78 + 52 * k) for k in range(6)]
    up = [(1240 - x, y) for x, y in down]
    for k, ((x, y), (right, _)) in enumerate(zip(down, up, strict=True)):
        d.arrow((x + 20, y), (right - 21, y), dashed=k < 5)
        d.box(x, y, 40, 28, [f"E{k + 1}"], MORE)
        d.box(right, y, 40, 28, [f"D{k + 1}"], MORE)
        if k == 5:
            continue
        (next_x, below), (before, _) = down[k + 1], up[k + 1]
        d.arrow((x, y + 14), (x, below), (next_x - 21, below))
        d.arrow((before + 20, below), (right, below), (right, y + 15))
        if k + 1 in (3, 5):
            d.box(x, y + 30, 40, 20, ["PGA"], INVISIBLE)
        if k + 2 in (3, 5):
            d.box(right, y + 34, 40, 20, ["PGA"], INVISIBLE)


def _pga(d: Drawing) -> None:
    """One PGA module, below the U-Net."""
    y = 540
    d.frame(15, 405, 1150, 275)
    d.text(30, 424, "One PGA module (eq. 6)", 14, "start", True)
    d.box(85, y, 84, 40, ["feature F"], MORE)
    d.box(280, 465, 190, 44, ["F to one channel per part,", "times p_m"], VISIBLE)
    d.box(280, 521, 190, 44, ["F to one channel per part,", "times p_a"], WHOLE)
    d.box(530, 493, 150, 44, ["a convolution", "compares them: b"], MORE)
    d.box(280, 590, 190, 36, ["key K = conv([F, p_m])"], VISIBLE)
    d.box(280, 643, 190, 36, ["query Q = conv([F, p_a])"], WHOLE)
    d.box(530, 615, 200, 60, ["R: each invisible position", "asks all visible ones"], INVISIBLE)
    d.box(790, 615, 150, 44, ["t: their features,", "weighted by R"], MORE)
    d.box(960, y, 140, 50, ["a convolution", "of [F, b, t]; + F"], MORE)
    for end in (465, 521, 590, 643):
        d.arrow((127, y), (155, y), (155, end), (184, end))
    for start in (465, 521):
        d.arrow((375, start), (410, start), (410, 493), (454, 493))
    for start in (590, 643):
        d.arrow((375, start), (400, start), (400, 615), (429, 615))
    d.arrow((630, 615), (714, 615))
    d.arrow((605, 493), (790, 493), (790, y - 8), (889, y - 8))
    d.arrow((790, 593), (790, y + 8), (889, y + 8))
    d.arrow((1030, y), (1120, y))
    d.text(530, 455, "stream B: body parts", 12)
    d.text(530, 662, "stream T: from visible to invisible", 12)


LAYERS: tuple[tuple[tuple[str, str], ...], ...] = (
    (("errors", ""), ("threads", "")),
    tuple((name, "") for name in ("checks", "labels", "paths", "parallel", "memory", "markdown", "paper",
                                  "device", "clusters", "compiled")),
    (("io", "files and folders"), ("masks", "polarity, boxes, frames, ratio")),
    (("metrics", "masks, pixels, Frechet distances"), ("segmenters", "sources of M_i")),
    (("people", "Sec. 4.1: the people folder, its sources, filtering, routing; synth, the renderer"),),
    (("occlusion", "Sec. 5.1: placement, cases, datasets, segmenter errors"),),
    (("models", "Sec. 3.2 and 3.3: the networks"),),
    (("training", "systems, losses (eq. 3, 4, 7), templates, the loop"),),
    (("inference", "Deoccluder, prompts, pasting back"), ("baselines", "one file per system of the tables"),
     ("released", "departures of the released code")),
    (("experiments", "presets, people, registry, runs"), ("evaluation", "cases, systems, judge, report")),
    (("tables", "rows, runs, report, scorecard"), ("studies", "ratio shift, uncertainty, pitfalls, speed")),
    (("figures", "all pictures of the notebooks"), ("exercises", "what the notebooks ask, and the checks")),
    (("widgets", "interactive parts of the notebooks"),),
    (("cli", "the command line"),),
)  # fmt: skip
"""The package from the ground up, a row per level: chapter and what it holds, as in tests/test_layout.py."""
OF_THE_PAPER = {"people", "occlusion", "models", "training"}


def layout() -> Drawing:
    """The folders of the package, each level importing from those above it."""
    step, left, right = 62, 90, 980
    d = Drawing(
        1000, 70 + step * len(LAYERS), "The package, level by level",
        "Rows of boxes, one a folder or module. Each imports only from rows above its own. From the top: "
        + "; ".join(", ".join(name for name, _ in row) for row in LAYERS) + ".",
    )  # fmt: skip
    d.text(500, 24, "deocc: each row imports from rows above it", 16, bold=True)
    for number, row in enumerate(LAYERS):
        width = (right - left) / len(row)
        for k, (name, about) in enumerate(row):
            colour = VISIBLE if name in OF_THE_PAPER else OCCLUDER
            middle = left + width * (k + 0.5), 75 + step * number
            d.box(*middle, width - 10, 46, [word for word in (name, about) if word], colour)
    d.arrow((45, 50 + step * len(LAYERS)), (45, 52))
    d.text(45, 40, "imports", 12)
    d.text(500, 55 + step * len(LAYERS), "blue: chapters of the paper", 12)
    return d


DRAWINGS = {"stage1": stage_one, "stage2": stage_two, "layout": layout}


def main() -> None:
    for name, draw in DRAWINGS.items():
        path = FIGURES / f"{name}.svg"
        path.write_text(draw().svg(), encoding="utf-8")
        print(path.relative_to(FIGURES.parent))


if __name__ == "__main__":
    main()
