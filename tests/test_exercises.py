"""Exercises: every check rejects the stub and a wrong answer, and accepts the notebook's folded answer."""

import importlib
import itertools
import re
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from deocc.exercises import Verdict, Wrong, ask, exercise, near, require

NOTEBOOKS = sorted((Path(__file__).resolve().parent.parent / "notebooks").glob("[0-9]*.ipynb"))
CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)
WRONG: dict[str, dict[str, list[str]]] = {
    "00": {
        "my_ratio": [
            "def my_ratio(a, o): return (a & o).sum() / o.sum()",
            "def my_ratio(a, o): return o.mean()",
        ],
        "side_quotient": [
            "def side_quotient(a, m): return (a.sum() / m.sum()) ** 0.5",
            "def side_quotient(a, m): return np.ptp(a.any(1).nonzero()[0]) / np.ptp(m.any(1).nonzero()[0])",
        ],
        "flat_fill": [
            "def flat_fill(i, p, m, h): return np.where(h[..., None], i[m].mean(0).round(), i)",
            "def flat_fill(i, p, m, h):\n out = i.copy()\n for k in np.unique(p[h]):\n  seen = p == k\n"
            "  out[h & seen] = i[seen].mean(0).round()\n return out",
            "def flat_fill(i, p, m, h): return i * 0",
        ],
    },
    "01": {
        "preserved_share": [
            "def preserved_share(b, shape, g): return np.mean((b[:, :2] >= g).all(1))",
            "def preserved_share(b, shape, g):\n"
            " gap = np.minimum(b[:, :2].min(1), (np.array(shape) - b[:, 2:]).min(1))\n"
            " return np.mean(gap >= g)",
            *(  # one border forgotten
                "def preserved_share(b, shape, g):\n x0, y0, x1, y1 = b.T\n"
                f" return np.mean(np.minimum.reduce([{', '.join(gaps)}]) >= g)"
                for gaps in itertools.combinations(("x0", "y0", "shape[1] - x1", "shape[0] - y1"), 3)
            ),
        ],
        "caught_at": [
            "def caught_at(bad, good, allowed): return np.mean(bad < np.quantile(good, allowed))",
            "def caught_at(bad, good, allowed): return np.mean(bad < good.min())",
        ],
        "contact_share": [
            "def contact_share(mask, others, d): return np.mean(mask & others)",
            "def contact_share(mask, others, d):\n a, b = np.argwhere(mask), np.argwhere(others)\n"
            " near = ((a[:, None] - b[None]) ** 2).sum(2) <= d * d\n return np.mean(near.any(1))",
        ],
    },
    "02": {
        "hidden_by_box": [
            "def hidden_by_box(m, a, b): return np.zeros((m.shape[0] + a - 1, m.shape[1] + b - 1), int)",
            "def hidden_by_box(m, a, b): return m.astype(int)",
        ],
        "mean_drops": [
            "def mean_drops(s, r, t): return 1 / np.mean(s <= r + t)",
            "def mean_drops(s, r, t): return s.size / max(1, (np.abs(s - r) <= t).sum())",
        ],
        "bin_share": [
            "def bin_share(low, high, a, b): return (high - low) / (b - a)",
            "def bin_share(low, high, a, b): return (min(high, b) - max(low, a)) / (b - a)",
        ],
    },
    "03": {
        "temperature_for": [
            "def temperature_for(d, n): return 0.01",
            "def temperature_for(d, n): return d.mean() / n",
            "def temperature_for(d, n): return -1",
        ],
        "my_soft_iou": [
            "def my_soft_iou(p, m): return 1 - (p * m).sum() / (p + m).sum()",
            "def my_soft_iou(p, m): return (p * m).sum() / (p + m - p * m).sum()",
        ],
        "best_probability": [
            "def best_probability(w, s): return s",
            "def best_probability(w, s): return min(w * s, 0.999)",
        ],
        "mirror_average": [
            "def mirror_average(p, q): return (p + q.flip(3)) / 2",
            "def mirror_average(p, q): return ((torch.logit(p) + torch.logit(q)) / 2).sigmoid()",
        ],
    },
    "04": {
        "grow": [
            "def grow(v, k, s): return F.max_pool2d(v, k, s)",
            "def grow(v, k, s): return F.avg_pool2d(v, k, s, k // 2)",
        ],
        "best_grey": [
            "def best_grey(t): return t.mean(0, keepdim=True)",
            "def best_grey(t): return t[:1]",
            "def best_grey(t): return t.median(0).values",
        ],
        "paint_by_relevance": [
            "def paint_by_relevance(c, r): return r.T @ c",
            "def paint_by_relevance(c, r): return c[r.argmax(1)]",
        ],
        "moved_distance": [
            "def moved_distance(v): return np.linalg.norm(v)",
            "def moved_distance(v): return (v ** 2).mean()",
        ],
    },
    "05": {
        "least_gap": [
            "def least_gap(n):\n from scipy.stats import t\n return t.ppf(0.95, 2 * n - 2) * (2 / n) ** 0.5",
            "def least_gap(n):\n from scipy.stats import t\n return t.ppf(0.975, n - 1) * (2 / n) ** 0.5",
            "def least_gap(n): return 1.96 * (2 / n) ** 0.5",
        ],
        "times_the_people": [
            "def times_the_people(a, b): return (a.std() + b.std()) / (a - b).std()",
            "def times_the_people(a, b): return a.var() / (a - b).var()",
            "def times_the_people(a, b): return 1 / (1 - np.corrcoef(a, b)[0, 1])",
        ],
        "any_found": [
            "def any_found(n, level): return min(1, n * level)",
            "def any_found(n, level): return level",
            "def any_found(n, level): return n * level * (1 - level) ** (n - 1)",
        ],
        "my_verdict": [
            "def my_verdict(c): return 'matched' if all(v > 0 for v, d, s in c) else 'contradicted'",
            "def my_verdict(c): return 'proved'",
            "def my_verdict(c):\n if all(v > 0 for v, d, s in c):\n"
            "  many = max(s for v, d, s in c) >= 2\n"
            "  return 'matched' if all(d for v, d, s in c) and many else 'trend only'\n"
            " return 'contradicted' if any(v < 0 and d and s >= 2 for v, d, s in c) else 'not decided'",
            "def my_verdict(c):\n if all(v > 0 for v, d, s in c):\n"
            "  return 'matched' if all(d and s >= 2 for v, d, s in c) else 'trend only'\n"
            " return 'contradicted' if all(d and s >= 2 for v, d, s in c) else 'not decided'",
            "def my_verdict(c):\n good = all(v > 0 for v, d, s in c)\n sure = all(d for v, d, s in c)\n"
            " if good: return 'matched' if sure else 'trend only'\n"
            " return 'contradicted' if sure else 'not decided'",
        ],
    },
    "06": {
        "iou_lost": [
            "def iou_lost(m, p): return 4 * p / m.sum() ** 0.5",
            "def iou_lost(m, p):\n import cv2\n"
            " cross = np.array([[0, 1, 0], [1, 1, 1], [0, 1, 0]], np.uint8)\n"
            " wide = cv2.dilate(m.astype(np.uint8), cross, iterations=p) > 0\n"
            " return 1 - (m & wide).sum() / (m | wide).sum()",
            "def iou_lost(m, p):\n wide = np.roll(m, p, 0) | np.roll(m, -p, 0) | m\n"
            " return 1 - m.sum() / wide.sum()",
        ],
        "shrink": [
            "def shrink(c, n):\n import cv2\n return cv2.resize(c, (n, n), interpolation=cv2.INTER_AREA)",
            "def shrink(c, n):\n import cv2\n return cv2.resize(c, (n, n), interpolation=0) // 2",
            "def shrink(c, n):\n import cv2\n return cv2.resize(c, (n, n), interpolation=0)",
            "def shrink(c, n):\n import cv2\n return cv2.resize(c, (n, n))",
        ],
        "first_missed": [
            "def first_missed(f, t):\n y, x = np.argwhere(t & ~f)[0]\n return x, y",
            "def first_missed(f, t):\n y, x = np.argwhere(t & ~f).mean(0).astype(int)\n return y, x",
            "def first_missed(f, t): return 0, 0",
            "def first_missed(f, t):\n y, x = np.argwhere(t & ~f).mean(0).round().astype(int)\n return x, y",
        ],
    },
    "07": {
        "straight_through": [
            "def straight_through(logits): return logits.argmax(1, keepdim=True).float()",
            "def straight_through(logits): return logits.softmax(1)[:, 1:]",
            "def straight_through(logits):\n p = logits[:, 1:] - logits[:, :1]\n"
            " return (p > 0).float() + p - p.detach()",
        ],
        "lost_factor": [
            "def lost_factor(channels, kernels): return sum(c * k * k for c, k in zip(channels, kernels))",
            "def lost_factor(channels, kernels): return np.prod(kernels) ** 2",
        ],
        "similarity": [
            "def similarity(masks, templates): return masks @ templates.T",
            "def similarity(masks, templates): return masks @ templates.T / templates.sum(1)",
        ],
        "pull_on_fakes": [
            "def pull_on_fakes(x): return 1 / (1 + np.exp(-x))",
            "def pull_on_fakes(x): return np.sign(x)",
        ],
    },
}

PREMULTIPLIED = """
def shrink(c, n):
    from PIL import Image
    return np.asarray(Image.fromarray(c).convert("RGBa").resize((n, n), Image.{how}).convert("RGBA"))
"""
RIGHT: dict[str, dict[str, list[str]]] = {  # other ways than the folded answer's
    "02": {
        "mean_drops": [
            "def mean_drops(s, r, t):\n p = np.mean((s >= r - t) & (s <= r + t))\n"
            " return 1 / p if p else np.inf",
            "def mean_drops(s, r, t):\n n = sum(abs(x - r) <= t for x in s.ravel().tolist())\n"
            " return s.size / n if n else np.inf",
        ],
    },
    "06": {
        "shrink": [
            *(PREMULTIPLIED.format(how=how) for how in ("BOX", "BILINEAR", "BICUBIC", "LANCZOS")),
            "def shrink(c, n):\n import cv2\n o = c[..., 3:].astype(np.float32) / 255\n"
            " s = cv2.resize(np.concatenate([c[..., :3] * o, 255 * o], 2), (n, n))\n"
            " s[..., :3] /= np.maximum(s[..., 3:] / 255, 1e-6)\n"
            " return s.round().clip(0, 255).astype(np.uint8)",
        ],
        "first_missed": [
            "def first_missed(f, t):\n from scipy import ndimage\n label, n = ndimage.label(t & ~f)\n"
            " largest = np.argmax(np.bincount(label.ravel())[1:]) + 1\n"
            " y, x = ndimage.center_of_mass(label == largest)\n return round(x), round(y)",
        ],
    },
}


def tagged(path: Path, kind: str) -> dict[str, nbformat.NotebookNode]:
    """Cells of a notebook with a tag "kind:NAME", by name."""
    found = {}
    for cell in nbformat.read(path, as_version=4).cells:
        for tag in cell.metadata.get("tags", []):
            if tag.startswith(f"{kind}:"):
                found[tag.split(":")[1]] = cell
    return found


def module_of(path: Path) -> Any:
    return importlib.import_module(f"deocc.exercises.notebook_{path.stem[:2]}")


def defined(source: str, name: str) -> Any:
    """The function that a piece of code defines."""
    names: dict[str, Any] = {"np": np, "torch": torch, "F": F}
    exec(source, names)
    return names[name]


TASKS = [(path, name) for path in NOTEBOOKS for name in tagged(path, "exercise")]
IDS = [f"{path.stem[:2]}-{name}" for path, name in TASKS]


def test_there_are_exercises_and_each_has_its_cells():
    assert len(TASKS) >= 4
    for path in NOTEBOOKS:
        kinds = [set(tagged(path, kind)) for kind in ("exercise", "check", "answer")]
        assert kinds[0] == kinds[1] == kinds[2], path.stem
        assert kinds[0] == set(WRONG.get(path.stem[:2], {})), f"{path.stem}: give each a wrong answer here"


@pytest.mark.parametrize(("path", "name"), TASKS, ids=IDS)
def test_the_stub_is_open_and_the_folded_answer_right(path, name):
    check = getattr(module_of(path), name)
    stub = check(defined(tagged(path, "exercise")[name].source, name))
    assert not stub and "dots" in stub.text
    folded = tagged(path, "answer")[name].source
    assert folded.startswith("<details>") and folded.rstrip().endswith("</details>")
    verdict = check(defined(CODE.search(folded).group(1), name))
    assert verdict, verdict


@pytest.mark.parametrize(("stem", "name"), [(stem, name) for stem, names in RIGHT.items() for name in names])
def test_another_right_answer_is_right(stem, name):
    for source in RIGHT[stem][name]:
        module = importlib.import_module(f"deocc.exercises.notebook_{stem}")
        verdict = getattr(module, name)(defined(source, name))
        assert verdict, (verdict, source)


@pytest.mark.parametrize(("path", "name"), TASKS, ids=IDS)
def test_wrong_answers_are_told_what_is_wrong(path, name):
    for source in WRONG[path.stem[:2]][name]:
        verdict = getattr(module_of(path), name)(defined(source, name))
        assert not verdict and "raised" not in verdict.text and "dots" not in verdict.text, source


@pytest.mark.parametrize(("path", "name"), TASKS, ids=IDS)
def test_the_check_cell_asks_about_the_stub(path, name):
    cell = tagged(path, "check")[name]
    assert cell.source.rstrip().endswith(f".{name}({name})")
    assert "Not solved yet" in str(cell.outputs), "run the notebook"


def test_a_verdict_reports_and_never_raises():
    @exercise
    def double(answer: Any) -> str:
        near(ask(answer, 3), 6, "twice three")
        require(answer(0) == 0, "zero stays zero")
        return "twice."

    assert double(lambda x: 2 * x) == Verdict(True, "twice.")
    assert repr(double(lambda x: 2 * x)) == "Solved: twice."
    for answer, word in (
        (lambda x: ..., "dots"), (lambda x: None, "dots"), (lambda x: x, "expected 6"), (6, "itself"),
        (lambda x: x / 0, "ZeroDivisionError"), (lambda x: np.ones(2), "shape"), (lambda x: np.nan, "nan"),
        (lambda x: 2 * x if x else 1, "zero"),
    ):  # fmt: skip
        verdict = double(answer)
        assert not verdict and word in verdict.text, verdict
    with pytest.raises(Wrong):
        require(False, "no")
