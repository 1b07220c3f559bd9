"""Every command block of the README and of docs/ runs as it is written, in order, in one folder.

Only sizes are changed (`SMALLER`), placeholders filled in (`PLACEHOLDERS`), and what cannot run here is left
out by name, with the reason (`LEFT_OUT`). A line that no rule knows is an error.
"""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from test_sources import make_ahp, make_coco, make_lip

import deocc.cli.commands
import deocc.paths
from deocc.cli.main import main
from deocc.io import write_image, write_mask
from deocc.masks import mask_box
from deocc.occlusion import CaseFolder
from deocc.paths import DATA, PEOPLE_MINI
from deocc.people import PeopleFolder
from deocc.tables.rows import get_plan

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

LEFT_OUT = {
    r"docker ": "no Docker; tests/test_project.py checks what the container files name",
    r"make ": "sets up an environment of its own; tests/test_project.py checks that the targets exist",
    r"(python -m )?pip install ": "downloads",
    r"deocc people fetch ": "downloads; tests/test_fetch.py does it from a local server",
    r"python tools/campaign.py ": "hours of training; tests/test_campaign.py runs it at preset tiny",
    r"deocc people recipe ": "needs three public datasets; tests/test_recipe.py has small ones",
    r"@inproceedings": "a citation",
    r"torchrun |CUDA_VISIBLE_DEVICES=": "several processes or GPUs; tests/test_two_ranks.py trains in two",
    r"#!|#SBATCH |export |srun ": "Slurm",
}
PLACEHOLDERS = {
    "PHOTO": "photo.jpg", "X0 Y0 X1 Y1": "120 40 360 610", "--out DIR": "--out from-box", "PEOPLE": "synth",
    "PNG": "rough.png", "X,Y,no": "122,42,no",
}  # fmt: skip
SMALLER = (  # pattern, what stands for it; on every `deocc` line
    (r"--count \d+", "--count 6"),
    (r" --precision bf16", ""),  # slow where the processor emulates it
    (r"--workers \d+", "--workers 1"),
    (r"^deocc people (coco|lip)", r"deocc people \1 --min-side 50"),
    (r"^deocc bench", "deocc bench --count 1"),
    (r"^deocc render", "deocc render --size 64"),
    (r"^deocc (occlude .*)", r"deocc \1 --per-person 1"),
    (r"^deocc (train .*)", r"deocc \1 --steps 1 --threads 1 --set held_out=2"),
    (r"^deocc (train (mask|content)/.*)", r"deocc \1 --set \2.train.batch_size=2 --set \2.train.workers=0"),
    (r"^deocc (train mask/.*)", r"deocc \1 --set mask.settings.template_samples=32"),
    (r"^deocc (train mask/.*)", r"deocc \1 --set mask.settings.templates=8"),
    (r"^(deocc table .*)--preset small(.* --train)", r"\1--preset tiny\2"),
    (r"^(deocc table .*)--images \d+", r"\1--images 8"),
)


def blocks(page: Path) -> list[tuple[str, str]]:
    """Language and text of each fenced block of a page."""
    return FENCE.findall(page.read_text(encoding="utf-8"))


def runnable(line: str) -> list[str]:
    """Words of a `deocc` line with smaller sizes; none where it is left out. An unknown line is an error."""
    line = line.split("  #")[0].strip()
    if any(re.match(pattern, line) for pattern in LEFT_OUT):
        return []
    assert line.startswith("deocc "), f"no rule for {line!r}: make it run here, or leave it out by name"
    for placeholder, value in PLACEHOLDERS.items():
        line = line.replace(placeholder, value)
    for pattern, smaller in SMALLER:
        line = re.sub(pattern, smaller, line)
    words = shlex.split(line)[1:]
    if words[0] == "table" and "--train" in words:  # one row of the table
        rows = [row.key for row in get_plan(words[1]).rows if row.kind == "trained"]
        words += ["--only", rows[-1], *([] if "--images" in words else ["--images", "8"])]
    return words


def run_line(line: str) -> None:
    """Runs a line of a block in this process; fails where it ends with an error."""
    words = runnable(line)
    if words:
        with pytest.raises(SystemExit) as stop:
            main(words)
        assert not stop.value.code, f"`{line}` (here: deocc {shlex.join(words)}) ended with {stop.value.code}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader brings along: a photo, its rough mask, two public datasets; and the clone's data/."""
    path = tmp_path_factory.mktemp("reader")
    person = PeopleFolder(PEOPLE_MINI, "val")[0]  # at the place of the README's box
    x0, y0, x1, y1 = mask_box(person.amodal_mask)
    photo, mask = np.full((640, 400, 3), 128, np.uint8), np.zeros((640, 400), np.uint8)
    for whole, part in ((photo, person.image), (mask, person.amodal_mask.astype(np.uint8))):
        whole[45:605, 125:355] = cv2.resize(part[y0:y1, x0:x1], (230, 560), interpolation=cv2.INTER_NEAREST)
    write_image(path / "photo.jpg", photo)
    for name in ("rough.png", "exact.png"):
        write_mask(path / name, mask > 0)
    make_coco(path / "originals" / "coco")
    make_lip(path / "originals" / "lip")
    make_ahp(path / "originals" / "ahp")
    (path / "data").mkdir()
    (path / "data" / "people-mini").symlink_to(PEOPLE_MINI)
    shutil.copytree(DATA / "results", path / "data" / "results")
    for name in CaseFolder(DATA / "demo-cases").ids[:2]:
        shutil.copytree(DATA / "demo-cases" / name, path / "demo-cases" / name)
    return path


@pytest.fixture
def reader(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Works in the reader's folder; two demo cases, and tables are written there, not into the checkout."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(deocc.paths, "RESULTS", folder / "data" / "results")
    monkeypatch.setattr(deocc.cli.commands, "DEMO_CASES", folder / "demo-cases")
    yield folder


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_blocks_run_as_written(page: Path, reader: Path) -> None:
    for language, text in blocks(page):
        if language == "python":
            exec(compile(text, f"{page.name}: {text.splitlines()[0]}", "exec"), {"__name__": "__main__"})
        elif not any(re.match(pattern, text) for pattern in LEFT_OUT if pattern.startswith("@")):
            for line in filter(None, map(str.strip, text.splitlines())):
                run_line(line)


def test_pipeline_left_what_it_says(reader: Path) -> None:
    """After the blocks: the folders that the prose promises."""
    assert len(PeopleFolder("synth")) == 6
    predicted = [path.name for path in Path("pred").iterdir() if path.is_dir()]
    assert sorted(predicted) == CaseFolder("cases").ids
    assert len(predicted) == len(PeopleFolder("synth", "val"))
    assert (reader / "result" / "recovered.png").is_file() and (reader / "scores.json").is_file()
    for run in ("stage1", "mask", "content"):
        assert (reader / "runs" / run / "weights.safetensors").is_file()
    assert "mask-small.safetensors" in (reader / "runs" / "content" / "model_card.json").read_text()


@pytest.mark.parametrize(
    "line",
    ["deocc evaluate nowhere pred", "deocc occlude synth --rato 0.1 0.2 --out x", "docc demo", "rm -r data"],
)
def test_a_broken_line_fails(line: str, reader: Path) -> None:
    with pytest.raises(AssertionError):
        run_line(line)
