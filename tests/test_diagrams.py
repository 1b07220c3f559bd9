"""The diagrams of the networks and of the package: as their tool draws them, readable, and no other kind."""

import re
from xml.etree import ElementTree as ET

import pytest
from matplotlib.textpath import TextPath
from test_layout import LEVELS

import diagrams
import make_site
from deocc.models import MaskCompletionNet

SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("name", diagrams.DRAWINGS)
class TestDiagram:
    def test_the_file_is_as_its_tool_draws_it(self, name):
        drawn = diagrams.DRAWINGS[name]().svg()
        assert (diagrams.FIGURES / f"{name}.svg").read_text(encoding="utf-8") == drawn, (
            "run tools/diagrams.py"
        )

    def test_each_text_fits_its_box_and_the_page(self, name):
        root = ET.fromstring(diagrams.DRAWINGS[name]().svg())
        width, height = float(root.get("width", 0)), float(root.get("height", 0))
        boxes = [[float(r.get(k, 0)) for k in ("x", "y", "width", "height")] for r in root.iter(f"{SVG}rect")]
        for text in root.iter(f"{SVG}text"):
            words = re.sub("\u200b", "", "".join(text.itertext()))
            x, y, size = (float(text.get(k, 0)) for k in ("x", "y", "font-size"))
            long = TextPath((0, 0), words, size=size).get_extents().width
            left = x if text.get("text-anchor") == "start" else x - long / 2
            around = [b for b in boxes if b[0] <= x <= b[0] + b[2] and b[1] <= y <= b[1] + b[3]]
            x0, _, across, _ = min(around, key=lambda b: b[2] * b[3])
            assert x0 <= left and left + long <= x0 + across, f"{words!r} is wider than its box"
            assert 0 < y <= height and left >= 0 and left + long <= width

    def test_it_has_a_name_and_words_for_those_who_cannot_see_it(self, name):
        root = ET.fromstring(diagrams.DRAWINGS[name]().svg())
        labels = [root.find(f"{SVG}{tag}") for tag in ("title", "desc")]
        assert root.get("role") == "img" and all(label is not None and label.text for label in labels)


def test_stage_two_has_pga_where_the_network_has_it():
    from deocc.models.content_recovery import ATTENTION_LEVELS

    words = "".join(ET.fromstring(diagrams.stage_two().svg()).itertext())
    assert words.count("PGA") == 2 * len(ATTENTION_LEVELS) + 2, "four in the U-Net, one input, one title"


def test_no_input_of_stage_two_leads_nowhere():
    root = ET.fromstring(diagrams.stage_two().svg())
    inputs = [box for box in root.iter(f"{SVG}rect") if box.get("width") == "220"]
    starts = [line.get("points", "").split()[0] for line in root.iter(f"{SVG}polyline")]
    for box in inputs:
        right, middle = (float(box.get(a, 0)) + float(box.get(b, 0)) * s for a, b, s in
                         (("x", "width", 1), ("y", "height", 0.5)))  # fmt: skip
        assert f"{right + 1:g},{middle:g}" in starts
    assert len(inputs) == 4


def test_stage_one_hands_its_feature_on_as_the_network_does():
    """The network concatenates; a sum would take half the channels of the convolution behind it."""
    net = MaskCompletionNet(8, templates=(4, 8, 8), levels=2)
    words = "".join(ET.fromstring(diagrams.stage_one().svg()).itertext())
    assert net.amodal_join[0].in_channels == 2 * net.amodal_join[0].out_channels
    assert "[ , ]\n1 x 1" in words and ">+<" not in diagrams.stage_one().svg()


def test_the_layout_has_every_level():
    assert [{name for name, _ in row} for row in diagrams.LAYERS] == [set(names) for names in LEVELS]


@pytest.mark.parametrize("block", ["```mermaid\nflowchart TD\n```", "text\n\n~~~ {mermaid}\na-->b\n~~~"])
def test_a_page_with_an_undrawn_diagram_is_refused(tmp_path, block):
    site = make_site.Layout(tmp_path)
    with pytest.raises(SystemExit, match="diagrams.py"):
        make_site.lay_out_page(make_site.ROOT / "page.md", site, f"# Page\n\n{block}\n")
    make_site.lay_out_page(make_site.ROOT / "page.md", site, "# Page\n\nOf a mermaid.\n")


def test_no_page_has_an_undrawn_diagram():
    pages = [make_site.ROOT / "README.md", *make_site.sources(), *make_site.notebook_paths()]
    assert len(pages) > 20
    for path in pages:
        cells = make_site.nbformat.read(path, as_version=4).cells if path.suffix == ".ipynb" else []
        for text in [cell.source for cell in cells] or [path.read_text(encoding="utf-8")]:
            make_site.refuse_undrawn(path, text)
