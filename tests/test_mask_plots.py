"""Pictures of stage 1, on hand-made maps."""

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from deocc import figures as P
from deocc.figures.colours import AGREES, LESS, LINES, MISSED, MORE, OUTSIDE, WHOLE
from deocc.figures.output import figure_array
from deocc.studies.uncertainty import reliability


def test_signs_have_colours_and_zero_is_white():
    picture = P.signed_picture(np.array([[1.0, 0.0, -1.0], [0.5, 0.0, -9.0]]), limit=1.0)
    assert tuple(picture[0, 0]) == MORE and tuple(picture[0, 1]) == (255, 255, 255)
    assert tuple(picture[0, 2]) == tuple(picture[1, 2]) == LESS
    assert (picture[1, 0] > picture[0, 0]).any(), "half as much is paler"
    assert (P.signed_picture(np.zeros((4, 4))) == 255).all()


def test_probabilities_get_brighter():
    brightness = P.probability_picture(np.linspace(0, 1, 11)[None]).mean(axis=2)[0]
    assert (np.diff(brightness) > 0).all()
    beyond, ends = (P.probability_picture(np.array([pair])) for pair in ([-1.0, 2.0], [0.0, 1.0]))
    assert (beyond == ends).all()


def test_heaviest_templates_come_first():
    templates = np.stack([np.full((4, 4), v) for v in (0.0, 0.5, 1.0)])
    panels = P.template_panels(templates, np.array([0.2, 0.1, 0.7]), count=2, size=8)
    assert list(panels) == ["T2: 0.70", "T0: 0.20"]
    assert (panels["T2: 0.70"] == P.probability_picture(np.ones((8, 8)))).all()


def test_effective_number_runs_from_one_to_all():
    assert P.effective_number(np.array([1.0, 0.0, 0.0])) == pytest.approx(1)
    assert P.effective_number(np.full(8, 1 / 8)) == pytest.approx(8)


def test_enlarging_repeats_pixels():
    assert (P.enlarge(np.arange(4, dtype=np.uint8).reshape(2, 2), 4)[:2, 2:] == 1).all()


def drawn(figure: Figure) -> bool:
    return bool((figure_array(figure) < 250).any())


def test_curves_read_a_training_log():
    log = [
        {"step": 5, "losses": {"l1": 0.2, "ce_amodal": 0.4}},
        {"step": 10, "losses": {"l1": 0.1, "ce_amodal": 0.3, "perceptual": 0.05}},
        {"step": 10, "evaluation": {"amodal_given_initial": 0.5}},
    ]
    figure = P.training_curves(log, "toy")
    left, right = figure.axes
    assert [line.get_label() for line in left.lines] == ["L1 of M_m and M_a", "CE of M_a", "perceptual"]
    assert left.lines[0].get_ydata().tolist() == [0.2, 0.1] and right.lines[0].get_ydata().tolist() == [0.5]
    assert right.lines[0].get_label() == "M_a, rough mask given"
    assert right.get_ylim() == (0, 1) and drawn(figure)
    right = P.training_curves([log[0], {"step": 5, "evaluation": {"psnr": 14.0}}], score="PSNR (dB)").axes[1]
    assert right.get_ylabel() == "PSNR (dB)" and right.get_ylim()[1] > 13


def test_a_running_mean_follows_the_values_and_leaves_gaps_out():
    values = [1.0, 3.0, float("nan"), 5.0, 7.0]
    assert P.running_mean(values, 1).tolist()[:2] == [1, 3]
    assert P.running_mean(values, 3).tolist() == [2, 2, 4, 6, 6]
    assert np.isnan(P.running_mean([float("nan")] * 3, 3)).all()


def test_long_logs_get_running_means_and_no_colour_twice():
    """Nine terms that jump from step to step: each line is smooth, each has its own colour."""
    rng = np.random.default_rng(0)
    names = [f"term {k}" for k in range(9)]
    log = [{"step": s, "losses": {n: float(rng.uniform(0.1, 1)) for n in names}} for s in range(120)]
    log.append({"step": 119, "evaluation": {"amodal": 0.5}})
    left = P.training_curves(log).axes[0]
    assert len({line.get_color() for line in left.lines}) == 9 <= len(LINES)
    raw = np.array([row["losses"]["term 0"] for row in log[:-1]])
    assert np.std(np.diff(left.lines[0].get_ydata())) < 0.2 * np.std(np.diff(raw))
    assert len(left.collections) == 9 and "running mean of 11" in left.get_title()


def test_the_heat_map_writes_differences_from_the_matched_training():
    matrix = np.array([[0.5, 0.4], [0.3, 0.6], [0.5, 0.55]])
    figure = P.shift_heat_map({"a": matrix}, ["low", "high", "all"], ["low", "high"])
    texts = [text.get_text() for text in figure.axes[0].texts]
    gains = ["(-0.200)", "(-0.200)", "(+0.000)", "(-0.050)"]
    assert texts[0] == "0.500" and texts[3] == "0.600", "matched trainings have no difference"
    assert [text.split("\n")[1] for text in texts if "\n" in text] == gains
    assert drawn(figure)


def test_the_reliability_diagram_names_its_error():
    found = reliability(np.array([0.2, 0.2, 0.9, 0.9]), np.array([False, False, True, True]))
    figure = P.reliability_diagram({"toy": found}, "N = 4")
    assert figure.axes[0].lines[1].get_label() == "toy, ECE 0.150"
    assert drawn(figure)


def test_panels_compare_with_the_truth():
    """An answer that misses the left half of the whole person and refines nothing."""
    whole = torch.zeros(1, 1, 8, 8)
    whole[..., 2:6, :] = 1
    visible = whole.clone()
    visible[..., :4] = 0
    batch = {"image": torch.rand(1, 3, 8, 8), "photo_mask": torch.ones(1, 1, 8, 8), "initial_mask": visible}
    batch |= {"modal_mask": visible, "amodal_mask": whole}
    batch["photo_mask"][..., 0] = 0
    panels = P.stage1_panels(batch, {"modal_mask": visible, "amodal_mask": visible}, 0, size=8)
    assert (panels["refined $M_m$"] == panels["given $M_i$"]).all()
    assert tuple(panels["whole $M_a$"][3, 1]) == MISSED and tuple(panels["whole $M_a$"][3, 6]) == AGREES
    assert all((panel[:, 0] == 225).all() for panel in panels.values()), "outside the photo all are grey"
    assert (P.item_image(batch, 0)[:, 0] == 225).all() and P.item_image(batch, 0, 16).shape == (16, 16, 3)
    assert not P.item_mask(batch["modal_mask"], 0)[3, 2] and P.item_mask(batch["amodal_mask"], 0, 16)[6, 4]


def test_body_parts_are_grey_outside_the_photo_and_only_shown_ones_have_a_name():
    """A network also answers in the padding; its last column here is padding, with a part of its own."""
    whole, photo = torch.ones(1, 1, 8, 8), torch.ones(1, 1, 8, 8)
    photo[..., 7] = 0
    labels = torch.full((1, 8, 8), 5)
    labels[..., 7] = 13
    found = {"parsing_modal": labels, "parsing_amodal": labels}
    panels, shown = P.parts_panels({"amodal_mask": whole, "photo_mask": photo}, found, 0, 16)
    assert list(panels) == ["parts $P_m$", "parts $P_a$"]
    assert all((panel[:, 14:] == OUTSIDE).all() for panel in panels.values())
    assert [patch.get_label() for patch in P.parts_legend(shown)] == ["upper-clothes"]


def test_an_outline_marks_the_truth_alone():
    truth = np.zeros((8, 8), bool)
    truth[2:6, 2:6] = True
    picture = P.probability_picture(np.full((8, 8), 0.5), truth)
    assert tuple(picture[2, 3]) == WHOLE and (picture[4, 4] == picture[0, 0]).all()


def test_paired_changes_show_means_and_two_standard_errors():
    values = np.array([[0.1, 0.0], [0.3, 0.0], [0.2, 0.0], [0.2, 0.0]])
    figure = P.paired_changes({"toy": values, "other": -values}, ["up", "none"], "four cases")
    toy, other = figure.axes
    ends = toy.containers[0].lines[2][0].get_segments()  # the bars, from end to end
    assert toy.containers[0].lines[0].get_xdata().tolist() == pytest.approx([0.2, 0.0])
    reach = 2 * np.sqrt(0.02 / 3) / 2  # deviation of the first column over the root of N = 4, twice
    assert ends[0][:, 0].tolist() == pytest.approx([0.2 - reach, 0.2 + reach])
    assert ends[1][:, 0].tolist() == pytest.approx([0.0, 0.0])
    assert [label.get_text() for label in toy.get_yticklabels()] == ["up", "none"] and toy.yaxis_inverted()
    assert "N = 4" in other.get_title() and drawn(figure)
