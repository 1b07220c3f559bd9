"""The command line: a right answer, or one clear line, status 2 and nothing half-written."""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from deocc.cli import commands, make
from deocc.cli import main as cli
from deocc.inference import weights
from deocc.inference.views import preferred_segmenter
from deocc.io import read_image, read_json, read_mask, read_parsing, write_image, write_mask
from deocc.occlusion import CaseFolder
from deocc.occlusion.making import CaseOptions, write_cases
from deocc.paths import PEOPLE_MINI
from deocc.people import Occluder, PeopleFolder, Person, write_people

COMMANDS = ("demo", "deocclude", "predict", "evaluate", "bench", "render", "occlude", "train", "table")
HEIGHT, WIDTH = 70, 52


class Ran:
    """What a command left: its status, its output, its errors."""

    def __init__(self, status: int, out: str, err: str) -> None:
        self.status, self.out, self.err = status, out, err

    @property
    def error(self) -> str:
        """The one line of a refused command; asserts that it is one line and that the status is 2."""
        lines = [line for line in self.err.splitlines() if line.startswith("deocc: error: ")]
        assert self.status == 2 and len(lines) == 1, (self.status, self.err)
        assert self.err.endswith(lines[0] + "\n") and "Traceback" not in self.err
        return lines[0]


@pytest.fixture
def deocc(capsys: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command in this process."""

    def run(*words: object) -> Ran:
        capsys.readouterr()
        with pytest.raises(SystemExit) as stop:
            cli.main([str(word) for word in words])
        return Ran(int(stop.value.code or 0), *capsys.readouterr())

    return run


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """A noise photo, photo.png, and its mask, mask.png, in one folder."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[20:50, 15:35] = True
    write_mask(tmp_path / "mask.png", mask)
    return write_image(tmp_path / "photo.png", noise(HEIGHT, WIDTH))


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), dtype=np.uint8)


def make_people(path: Path) -> Path:
    """Two people and two occluders in split val, one of each in train; blocks instead of bodies."""
    amodal = np.zeros((64, 64), bool)
    amodal[12:52, 24:40] = True
    parsing = np.where(amodal, 5, 0).astype(np.uint8)
    splits = {"a": "val", "b": "val", "c": "train"}
    people = [Person(name, noise(64, 64), amodal, parsing, split, "test") for name, split in splits.items()]
    disc = np.hypot(*np.mgrid[-10:11, -10:11]) < 10
    occluders = [Occluder(f"{name}o", noise(21, 21), disc, "disc", split) for name, split in splits.items()]
    write_people(path, people, occluders)
    return path


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_people(tmp_path_factory.mktemp("data") / "people")


@pytest.fixture(scope="module")
def cases(people: Path) -> Path:
    out = people.parent / "cases"
    write_cases(people, out, CaseOptions(per_person=2), progress=False)
    return out


def cut_off(path: Path) -> None:
    """Leaves the first half of a file."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


# ------------------------------------------------------------------ help and usage


def test_help_needs_no_torch() -> None:
    heavy = "{'torch', 'cv2', 'numpy', 'PIL'}"
    code = f"import sys, deocc.cli.main; sys.exit(bool({heavy} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_console_script_and_module_agree() -> None:
    script = Path(sys.executable).with_name("deocc")
    runs = [
        subprocess.run([*start, "occlude", "nowhere", "--out", "x"], capture_output=True, text=True)
        for start in ([str(script)], [sys.executable, "-m", "deocc"])
    ]
    for run in runs:
        assert run.returncode == 2 and run.stdout == ""
        assert run.stderr == (
            "deocc: error: nowhere: no such people folder; make one with `deocc render --out nowhere`\n"
        )


def test_options_that_cannot_apply_are_refused(deocc: Callable[..., Ran], tmp_path: Path) -> None:
    folder = make_people(tmp_path / "people")
    case = tmp_path / "cases"
    assert deocc("occlude", folder, "--split", "all", "--per-person", 1, "--out", case).status == 0
    first = next(case.glob("*/case.json")).parent
    photo, mask = first / "image.png", first / "modal.png"
    write_mask(tmp_path / "small.png", np.ones((9, 9), bool))
    runs = {
        "segmenter 'nope' is unknown; use auto, stage1,": (
            "deocclude",
            photo,
            "--mask",
            mask,
            "--segmenter",
            "nope",
        ),
        "segmenter 'nope' is unknown;": ("predict", case, "--segmenter", "nope"),
        "stage1 is given, but mask/ours": ("train", "mask/ours", "--people", folder, "--stage1", mask),
        "small.png: mask: 9 x 9 pixels": ("deocclude", photo, "--mask", tmp_path / "small.png"),
    }
    for number, (words, command) in enumerate(runs.items()):
        ran = deocc(*command, "--out", tmp_path / f"out{number}")
        assert ran.status == 2 and words in ran.err.replace("\n", " "), ran.err
        assert not (tmp_path / f"out{number}").exists()
    ran = deocc("evaluate", case, case)
    assert ran.status == 2 and "holds cases, no predictions" in ran.err


def test_weights_are_not_overwritten_by_a_new_training(deocc: Callable[..., Ran], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "weights.safetensors").write_text("mine")
    ran = deocc("train", "mask/ours", "--people", tmp_path, "--preset", "tiny", "--out", tmp_path / "run")
    assert ran.status == 2 and "holds weights.safetensors and no checkpoint" in ran.err
    assert (tmp_path / "run" / "weights.safetensors").read_text() == "mine"


def test_no_answer_to_a_question_ends_like_ctrl_c(
    deocc: Callable[..., Ran], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("sys.stdin", type("Terminal", (io.StringIO,), {"isatty": lambda self: True})())
    ran = deocc("people", "fetch", "ccp", "--out", tmp_path)
    assert ran.status == 130 and "Accept the licence" in ran.out and "Traceback" not in ran.err


def test_no_help_types_its_default_in_brackets() -> None:
    """Rich takes "[default: ...]" inside a text for a style, and shows nothing; `show_default` shows it."""
    for path in Path(cli.__file__).parent.glob("*.py"):
        assert "[default" not in path.read_text(encoding="utf-8"), path.name


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_seed_and_device(deocc: Callable[..., Ran], command: str) -> None:
    ran = deocc(command, "--help")
    assert ran.status == 0 and ran.err == ""
    assert all(option in ran.out for option in ("--seed", "--device", "--help"))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["imagine"], "No such command 'imagine'; see deocc --help"),
        (["deocclude"], "Missing argument 'PHOTO'; see deocc deocclude --help"),
        (["deocclude", "a.png", "--box", "1", "2", "3", "x", "--out", "o"], "'--box'"),
        (["predict", "cases", "--out", "o", "--given", "all"], "'all' is not one of"),
        (["train", "mask/ours", "--out", "o", "--preset", "huge"], "'huge' is not one of"),
        (["render", "--out", "o", "--count", "0"], "'--count'"),
        (["evaluate", "cases"], "Missing argument 'PRED'"),
        (["bench", "--colour"], "--colour"),
        (["people", "imagine"], "No such command 'imagine'; see deocc people --help"),
        (["demo", "--out", ""], "--out: the value is empty; is a shell variable unset?"),
        (["demo", "--out="], "--out: the value is empty; is a shell variable unset?"),
        (["deocclude", " "], "argument 2: the value is empty; is a shell variable unset?"),
    ],
)
def test_usage_errors_are_one_line(deocc: Callable[..., Ran], words: list[str], said: str) -> None:
    assert said in deocc(*words).error


@pytest.mark.parametrize(
    "words",
    [
        ["demo", "--weights", "W"],
        ["deocclude", "P", "--mask", "M", "--weights", "W"],
        ["predict", "C", "--weights", "W"],
        ["render", "--count", 1, "--size", 64],
        ["occlude", "F"],
        ["train", "mask/ours", "--people", "F", "--preset", "tiny"],
    ],
)
def test_unwritable_folder(deocc, words, photo, people, cases, tiny_weights, tmp_path) -> None:  # type: ignore[no-untyped-def]
    paths = {"P": photo, "M": tmp_path / "mask.png", "W": tiny_weights, "C": cases, "F": people}
    (tmp_path / "file").write_text("a file, not a folder")
    out = tmp_path / "file" / "below"
    error = deocc(*(paths.get(word, word) for word in words), "--out", out).error
    assert str(out) in error and "is a file; choose another folder" in error
    assert (tmp_path / "file").read_text() == "a file, not a folder"


def test_rendered_people_are_not_the_bundled_ones(deocc, tmp_path) -> None:  # type: ignore[no-untyped-def]
    deocc("render", "--count", 1, "--size", 32, "--out", tmp_path / "people")
    assert PeopleFolder(tmp_path / "people").ids == ["rendered_100000"]
    assert "rendered_100000" not in PeopleFolder(PEOPLE_MINI).ids


@pytest.mark.parametrize("words", [["evaluate", "C", "C"], ["bench", "--count", "1"]])
def test_unwritable_json(deocc, words, cases, tmp_path) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "file").write_text("")
    ran = deocc(*(cases if word == "C" else word for word in words), "--json", tmp_path / "file" / "x.json")
    assert "is a file; choose another folder" in ran.error


@pytest.mark.parametrize(
    "words",
    [
        ["demo"],
        ["deocclude", "P", "--mask", "M"],
        ["predict", "C"],
        ["render", "--count", 1],
        ["occlude", "F"],
        ["train", "mask/ours", "--people", "F"],
    ],
)
def test_unknown_device(deocc, words, photo, people, cases, tiny_weights, tmp_path) -> None:  # type: ignore[no-untyped-def]
    paths = {"P": photo, "M": tmp_path / "mask.png", "C": cases, "F": people}
    ran = deocc(*(paths.get(word, word) for word in words), "--out", tmp_path / "out", "--device", "abacus")
    assert "device 'abacus' is not available here" in ran.error
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------ deocclude


def test_deocclude_writes_a_whole_answer(deocc, photo, tiny_weights, tmp_path) -> None:  # type: ignore[no-untyped-def]
    ran = deocc(
        "deocclude",
        photo,
        "--mask",
        tmp_path / "mask.png",
        "--weights",
        tiny_weights,
        "--out",
        tmp_path / "out",
    )
    assert ran.status == 0, ran.err
    names = ("amodal", "invisible", "modal", "overview", "parsing", "recovered")
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == sorted(
        [*(f"{n}.png" for n in names), "result.json"]
    )
    image, recovered = read_image(photo), read_image(tmp_path / "out" / "recovered.png")
    hidden = read_mask(tmp_path / "out" / "invisible.png")
    assert hidden.any() and np.array_equal(image[~hidden], recovered[~hidden])
    assert read_parsing(tmp_path / "out" / "parsing.png").shape == (HEIGHT, WIDTH)
    assert read_json(tmp_path / "out" / "result.json")["size"] == [WIDTH, HEIGHT]


def sixteen_bit(image: np.ndarray, path: Path) -> None:
    Image.fromarray(image[..., 0].astype(np.uint16) * 257).save(path)


def grey(image: np.ndarray, path: Path) -> None:
    Image.fromarray(image[..., 0]).save(path)


def rgba(image: np.ndarray, path: Path) -> None:
    Image.fromarray(np.dstack([image, np.full(image.shape[:2], 255, np.uint8)])).save(path)


def exif_rotated(image: np.ndarray, path: Path) -> None:
    """The picture lies on its side in the file; the tag says how to turn it."""
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to show it
    Image.fromarray(np.rot90(image).copy()).save(path, exif=exif)


@pytest.mark.parametrize("form", [sixteen_bit, grey, rgba, exif_rotated])
def test_unusual_photos_are_read_as_shown(deocc, form, tiny_weights, tmp_path, photo) -> None:  # type: ignore[no-untyped-def]
    shown = noise(HEIGHT, WIDTH)
    form(shown, tmp_path / "odd.png")
    if form in (sixteen_bit, grey):
        shown = np.repeat(shown[..., :1], 3, 2)
    options = ["--mask", tmp_path / "mask.png", "--weights", tiny_weights, "--out", tmp_path / "out"]
    assert deocc("deocclude", tmp_path / "odd.png", *options).status == 0
    hidden = read_mask(tmp_path / "out" / "invisible.png")
    assert np.array_equal(read_image(tmp_path / "out" / "recovered.png")[~hidden], shown[~hidden])


def test_photo_of_one_pixel(deocc, tiny_weights, tmp_path) -> None:  # type: ignore[no-untyped-def]
    write_image(tmp_path / "dot.png", noise(1, 1))
    given = ["--box", 0, 0, 1, 1, "--segmenter", "box", "--weights", tiny_weights]
    assert deocc("deocclude", tmp_path / "dot.png", *given, "--out", tmp_path / "out").status == 0
    assert read_image(tmp_path / "out" / "recovered.png").shape == (1, 1, 3)


def test_box_alone_names_the_segmenter(deocc, photo, tiny_weights, tmp_path) -> None:  # type: ignore[no-untyped-def]
    given = ["--box", -3, 10, 40, 60.5, "--segmenter", "grabcut", "--weights", tiny_weights]
    ran = deocc("deocclude", photo, *given, "--out", tmp_path / "out")
    assert ran.status == 0 and "note: the box was cut to the photo: 0 10 40 61" in ran.out
    assert "grabcut" in ran.out or "the whole box" in ran.out


def _bad_files(folder: Path) -> None:
    """photo.png and mask.png are good; the others are bad, each as its name says."""
    write_mask(folder / "empty.png", np.zeros((HEIGHT, WIDTH), bool))
    write_mask(folder / "small.png", np.ones((HEIGHT, WIDTH - 1), bool))
    write_mask(folder / "lying.png", np.ones((WIDTH, HEIGHT), bool))
    (folder / "text.png").write_text("this is not a picture")
    shutil.copy(folder / "photo.png", folder / "cut.png")
    cut_off(folder / "cut.png")
    (folder / "folder.png").mkdir()


@pytest.mark.parametrize(
    ("picture", "given", "said"),
    [
        ("missing.png", ["--mask", "mask.png"], "missing.png: no such file"),
        ("text.png", ["--mask", "mask.png"], "text.png: not a picture"),
        ("cut.png", ["--mask", "mask.png"], "cut.png: damaged or cut off"),
        ("folder.png", ["--mask", "mask.png"], "folder.png: no such file"),
        ("photo.png", ["--mask", "missing.png"], "missing.png: no such file"),
        ("photo.png", ["--mask", "text.png"], "text.png: not a picture"),
        ("photo.png", ["--mask", "cut.png"], "cut.png: damaged or cut off"),
        ("photo.png", ["--mask", "empty.png"], "mask: it is empty"),
        ("photo.png", ["--mask", "small.png"], f"mask: {WIDTH - 1} x {HEIGHT} pixels, but the photo"),
        ("photo.png", ["--mask", "lying.png"], "EXIF"),
        ("photo.png", ["--box", WIDTH, 0, WIDTH + 9, 9], "outside"),
        ("photo.png", ["--box", 9, 9, 9, 20], "no area"),
        ("photo.png", ["--box", "nan", 9, 9, 20], "four finite numbers"),
        ("photo.png", ["--mask", "mask.png", "--box", 0, 0, 5, 5], "empty inside the box"),
        ("photo.png", ["--box", 0, 0, 9, 9, "--segmenter", "oracle"], "segmenter 'oracle' is unknown"),
        ("photo.png", [], "neither mask nor box"),
    ],
)  # fmt: skip
def test_deocclude_refuses(deocc, picture, given, said, photo, tiny_weights, tmp_path) -> None:  # type: ignore[no-untyped-def]
    _bad_files(tmp_path)
    words = [tmp_path / word if str(word).endswith(".png") else word for word in (picture, *given)]
    ran = deocc("deocclude", *words, "--weights", tiny_weights, "--out", tmp_path / "out")
    assert said in ran.error
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------ weights


@pytest.mark.parametrize("command", ["demo", "deocclude", "predict"])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: cut_off(folder / "mask-tiny.safetensors"), "mask-tiny.safetensors cannot be read"),
        (
            lambda folder: (folder / "content-tiny.safetensors").unlink(),
            "one file content*.safetensors was expected",
        ),
        (lambda folder: shutil.rmtree(folder), "no folder has that name"),
    ],
)
def test_bad_weights(deocc, command, spoil, said, photo, cases, tiny_weights, tmp_path) -> None:  # type: ignore[no-untyped-def]
    weights = shutil.copytree(tiny_weights, tmp_path / "weights")
    spoil(weights)
    given = {"demo": [], "deocclude": [photo, "--mask", tmp_path / "mask.png"], "predict": [cases]}[command]
    assert said in deocc(command, *given, "--weights", weights, "--out", tmp_path / "out").error
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------ occlude, predict, evaluate, demo


def test_occlude_predict_evaluate(deocc, people, tiny_weights, tmp_path) -> None:  # type: ignore[no-untyped-def]
    options = ["--split", "val", "--per-person", 2, "--ratio", 0.2, 0.4, "--initial", 0.5, "--seed", 3]
    assert deocc("occlude", people, *options, "--out", tmp_path / "cases").status == 0
    folder = CaseFolder(tmp_path / "cases")
    assert folder.ids == ["a_0", "a_1", "b_0", "b_1"]
    assert all(0.19 <= case.occlusion_ratio <= 0.41 for case in folder)
    assert deocc("occlude", people, *options, "--out", tmp_path / "again").status == 0
    for path in (tmp_path / "cases").rglob("*.png"):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(tmp_path / "cases")).read_bytes()
    for given in ("initial", "modal", "box"):
        ran = deocc("predict", tmp_path / "cases", "--weights", tiny_weights, "--given", given,
                    "--segmenter", "box", "--batch", 3, "--flip", "--out", tmp_path / given)  # fmt: skip
        assert ran.status == 0 and "4 of 4 cases predicted now" in ran.out
    ran = deocc(
        "evaluate", tmp_path / "cases", tmp_path / "modal", "--no-perceptual", "--json", tmp_path / "m.json"
    )
    assert ran.status == 0
    result = json.loads((tmp_path / "m.json").read_text())
    assert result["cases"] == 4 and 0 <= result["metrics"]["invisible_iou"]["value"] <= 1
    assert f"{result['metrics']['amodal_iou']['value']:.3f}" in ran.out


def test_predict_remembers_which_segmenter_auto_was(deocc, cases, tiny_weights, tmp_path) -> None:  # type: ignore[no-untyped-def]
    words = ["predict", cases, "--weights", tiny_weights, "--given", "box", "--out", tmp_path / "out"]
    assert deocc(*words).status == 0
    ran = deocc(*words, "--segmenter", preferred_segmenter())
    assert ran.status == 0 and "0 of 4 cases predicted now" in ran.out
    assert deocc(*words, "--segmenter", "grabcut").status == 2


def test_demo(deocc, cases, tiny_weights, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(commands, "DEMO_CASES", cases)
    for _ in range(2):  # a second demo replaces the first
        ran = deocc("demo", "--weights", tiny_weights, "--out", tmp_path / "out")
        assert ran.status == 0, ran.err
    metrics = read_json(tmp_path / "out" / "metrics.json")
    value = metrics["mean"]["the true visible mask"]["invisible_iou"]
    assert metrics["cases"] == 4 and f"invisible_iou {value:.3f}" in ran.out
    assert value == pytest.approx(
        metrics["full"]["the true visible mask"]["metrics"]["invisible_iou"]["value"], abs=1e-4
    )
    overview = read_image(tmp_path / "out" / "overview.png")
    strips = [read_image(path) for path in sorted((tmp_path / "out" / "cases-initial").glob("*.png"))]
    assert len(strips) == 4 and overview.shape[0] == sum(strip.shape[0] + 6 for strip in strips)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: shutil.rmtree(folder), "no such case folder"),
        (lambda folder: [p.unlink() for p in folder.rglob("case.json")], "no case"),
        (lambda folder: cut_off(folder / "b_1" / "image.png"), "image.png: damaged or cut off"),
        (lambda folder: (folder / "a_0" / "image.png").write_text("text"), "image.png: not a picture"),
        (lambda folder: (folder / "a_0" / "initial.png").unlink(), "initial.png is missing"),
        (
            lambda folder: write_mask(folder / "a_0" / "initial.png", np.zeros((64, 64), bool)),
            "initial.png is empty",
        ),
        (lambda folder: write_mask(folder / "a_0" / "modal.png", np.ones((64, 60), bool)), "60 x 64 pixels"),
        (lambda folder: (folder / "a_1" / "case.json").write_text("{'"), "case.json"),
    ],
)
@pytest.mark.parametrize("command", ["predict", "demo"])
def test_bad_case_folders(deocc, command, spoil, said, cases, tiny_weights, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    folder = shutil.copytree(cases, tmp_path / "cases")
    spoil(folder)
    monkeypatch.setattr(commands, "DEMO_CASES", folder)
    given = [folder] if command == "predict" else []
    assert said in deocc(command, *given, "--weights", tiny_weights, "--out", tmp_path / "out").error
    assert not (tmp_path / "out").exists()


def _predictions(cases: Path, out: Path) -> Path:
    """The truth as a prediction."""
    for name in CaseFolder(cases).ids:
        (out / name).mkdir(parents=True)
        for truth, said in (("modal", "modal"), ("amodal", "amodal"), ("target", "recovered")):
            shutil.copy(cases / name / f"{truth}.png", out / name / f"{said}.png")
    return out


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda cases, out: shutil.rmtree(out), "no such folder"),
        (lambda cases, out: shutil.rmtree(cases), "no such case folder"),
        (lambda cases, out: shutil.rmtree(out / "b_0"), "b_0"),
        (lambda cases, out: cut_off(out / "b_0" / "recovered.png"), "recovered.png: damaged or cut off"),
        (lambda cases, out: (out / "b_0" / "amodal.png").write_text("text"), "amodal.png: not a picture"),
        (lambda cases, out: write_mask(out / "b_0" / "amodal.png", np.ones((9, 8), bool)), "8 x 9 pixels"),
    ],
)
def test_evaluate_refuses(deocc, spoil, said, cases, tmp_path) -> None:  # type: ignore[no-untyped-def]
    folder = shutil.copytree(cases, tmp_path / "cases")
    out = _predictions(folder, tmp_path / "predictions")
    spoil(folder, out)
    ran = deocc("evaluate", folder, out, "--no-perceptual", "--json", tmp_path / "metrics.json")
    assert said in ran.error and ran.out == ""
    assert not (tmp_path / "metrics.json").exists()


def _without_column(folder: Path) -> None:
    lines = (folder / "people.csv").read_text().splitlines()
    (folder / "people.csv").write_text("\n".join(",".join(line.split(",")[1:]) for line in lines))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: shutil.rmtree(folder), "no such people folder"),
        (lambda folder: (folder / "people.csv").unlink(), "people.csv: no such file"),
        (_without_column, "people.csv: column id is missing"),
        (lambda folder: (folder / "occluders" / "occluders.csv").unlink(), "occluders.csv: no such file"),
    ],
)
def test_occlude_refuses_bad_people(deocc, spoil, said, tmp_path) -> None:  # type: ignore[no-untyped-def]
    folder = make_people(tmp_path / "people")
    spoil(folder)
    assert said in deocc("occlude", folder, "--out", tmp_path / "out").error
    assert sorted(p.name for p in tmp_path.iterdir()) in ([], ["people"])


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: cut_off(folder / "images" / "a.jpg"), "a.jpg: damaged or cut off"),
        (lambda folder: (folder / "masks" / "a.png").write_text("text"), "a.png: not a picture"),
        (lambda folder: (folder / "masks" / "a.png").unlink(), "a.png: no such file"),
        (
            lambda folder: write_mask(folder / "masks" / "a.png", np.zeros((64, 64), bool)),
            "a.png: the mask is empty",
        ),
        (
            lambda folder: write_mask(folder / "masks" / "a.png", np.ones((60, 64), bool)),
            "a.png: size (64, 60)",
        ),
    ],
)
def test_occlude_leaves_a_bad_person_out(deocc, spoil, said, tmp_path) -> None:  # type: ignore[no-untyped-def]
    folder = make_people(tmp_path / "people")
    spoil(folder)
    ran = deocc("occlude", folder, "--out", tmp_path / "out")
    assert ran.status == 0 and said in ran.err and "3 cases could not be made and were left out" in ran.err
    assert "3 cases in" in ran.out and CaseFolder(tmp_path / "out").ids == ["b_0", "b_1", "b_2"]
    assert set(read_json(tmp_path / "out" / "left-out.json")) == {"a_0", "a_1", "a_2"}
    assert deocc("occlude", folder, "--strict", "--out", tmp_path / "strict").status == 3


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--ratio", 0.5, 0.2], "ratio 0.5 0.2"),
        (["--ratio", 0, 0.2], "ratio 0 0.2"),
        (["--ratio", 0.5, 1.2], "ratio 0.5 1.2"),
        (["--split", "test"], "no people in split 'test'; choose --split from: all, train, val"),
        (["--initial", -1], "--initial"),
        (["--seed", 2**64], "--seed"),
        (["--seed", 2**63], "--seed"),
        (["--occluders", "nowhere"], "nowhere: no such people folder"),
    ],
)
def test_occlude_refuses_options(deocc, options, said, people, tmp_path) -> None:  # type: ignore[no-untyped-def]
    assert said in deocc("occlude", people, *options, "--out", tmp_path / "out").error
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------ render, train, bench


def test_render(deocc, tmp_path) -> None:  # type: ignore[no-untyped-def]
    ran = deocc(
        "render", "--count", 1, "--seed", 900_000, "--size", 64, "--split", "val", "--out", tmp_path / "p"
    )
    assert ran.status == 0 and "1 people in" in ran.out
    assert "rendered_900000,val" in (tmp_path / "p" / "people.csv").read_text()
    assert "holds something already" in deocc("render", "--count", 1, "--out", tmp_path / "p").error


def test_many_folders_after_one_option() -> None:
    words = ["mask/ours", "--people", "a", "b", "--out", "o", "--people", "c", "--resume", "--people=d"]
    assert make._repeat_option(words, "--people") == [
        "mask/ours", "--people", "a", "--people", "b", "--out", "o", "--people", "c", "--resume", "--people=d"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["mask/ours"], "no people folder given"),
        (["mask/ours", "--people", "nowhere"], "nowhere: no such people folder"),
        (["mask/ours", "--people", "F", "nowhere"], "nowhere: no such people folder"),
        (["mask/theirs", "--people", "F"], "system 'mask/theirs' is unknown"),
        (["mask/ours", "--people", "F", "--set", "lr"], "KEY=VALUE was expected"),
        (["mask/ours", "--people", "F", "--set", "mask.train.speed=9"], "unknown key"),
        (["mask/ours", "--people", "B"], "column id is missing"),
    ],
)
def test_train_refuses(deocc, words, said, people, tmp_path) -> None:  # type: ignore[no-untyped-def]
    bad = make_people(tmp_path / "bad")
    _without_column(bad)
    words = [{"F": people, "B": bad}.get(word, word) for word in words]
    assert said in deocc("train", *words, "--preset", "tiny", "--out", tmp_path / "out").error
    assert not (tmp_path / "out").exists()


def test_missing_bundled_weights_are_one_line(deocc, photo, tmp_path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path / "none")
    ran = deocc("deocclude", photo, "--mask", tmp_path / "mask.png", "--out", tmp_path / "out")
    assert "weights 'small': mask-small.safetensors is not in" in ran.error


# ------------------------------------------------------------------ options arrive


def test_every_option_of_train_arrives(deocc, monkeypatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    told: dict = {}
    answer = type("Trained", (), {"weights": "w"})
    monkeypatch.setattr("deocc.experiments.run.train_system", lambda *a, **k: told.update(k, a=a) or answer)
    words = [
        "--people",
        "p",
        "q",
        "--preset",
        "tiny",
        "--resume",
        "--minutes",
        3,
        "--steps",
        7,
        "--stage1",
        "s",
        "--init",
        "i",
        "--all-people",
        "--set",
        "mask.train.lr=0.5",
        "--threads",
        2,
        "--seed",
        9,
        "--device",
        "cpu",
    ]
    assert deocc("train", "mask/ours", *words, "--out", tmp_path).status == 0
    assert told.pop("a") == ("mask/ours", [Path("p"), Path("q")], "tiny", tmp_path)
    assert told == {
        "resume": True,
        "changes": {"mask.train.lr": 0.5},
        "max_minutes": 3,
        "steps": 7,
        "seed": 9,
        "device": "cpu",
        "threads": 2,
        "holdout": False,
        "stage1": Path("s"),
        "init": Path("i"),
    }


def test_every_option_of_table_arrives(deocc, monkeypatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    from deocc.tables.runs import TableOptions

    told: list = []
    monkeypatch.setattr("deocc.tables.make.make_table", lambda *a, **k: told.append((a, k)) or "")
    words = [
        "--people",
        "p",
        "--images",
        5,
        "--runs",
        "r",
        "--results",
        "f",
        "--cases",
        "c",
        "--seeds",
        3,
        "--seed",
        2,
        "--threads",
        1,
        "--device",
        "cpu",
        "--stage1",
        "s",
        "--precision",
        "bf16",
        "--complete",
        "--natural",
    ]
    assert (
        deocc("table", "4", "--preset", "tiny", "--train", "--only", "a", "b", *words, "--out", "o.md").status
        == 0
    )
    p = Path
    wanted = TableOptions(
        "tiny", (p("p"),), 5, p("r"), p("f"), p("c"), (2, 3, 4), 1, "cpu", p("s"), "bf16", True, True
    )
    assert told == [(("4", wanted), {"train": True, "only": ("a", "b"), "out": p("o.md")})]


def test_options_of_the_weights_and_of_predict_arrive(
    deocc, monkeypatch, photo, cases, tiny_weights, tmp_path
) -> None:
    from deocc.cli import use

    loaded, told = [], {}
    monkeypatch.setattr(use, "load_deoccluder", lambda *given: loaded.append(given))
    monkeypatch.setattr(
        "deocc.inference.predictions.predict_cases", lambda *a, **k: told.update(k, a=a[3:]) or []
    )
    monkeypatch.setattr(
        "deocc.cli.photo.deocclude_photo", lambda *a: a[2]() or {"notes": [], "occlusion_ratio": 0}
    )
    words = [
        "--weights",
        str(tiny_weights),
        "--no-flip",
        "--no-exemplar",
        "--texture",
        0.25,
        "--device",
        "cpu",
    ]
    assert (
        deocc(
            "predict", cases, *words, "--batch", 3, "--overwrite", "--shard", "1/2", "--out", tmp_path / "o"
        ).status
        == 0
    )
    assert deocc("deocclude", photo, "--box", 0, 0, 9, 9, *words, "--out", tmp_path / "d").status == 0
    assert loaded == [(str(tiny_weights), "cpu", False, 0.25, False)] * 2
    assert told == {"a": ("initial", 3, "auto", True), "shard": (1, 2)}


def test_the_seed_of_occlude_counts(deocc, people, tmp_path) -> None:  # type: ignore[no-untyped-def]
    pictures = []
    for number, words in enumerate((["--seed", 1], ["--seed", 2])):
        assert (
            deocc("occlude", people, "--per-person", 1, *words, "--out", tmp_path / str(number)).status == 0
        )
        pictures.append(read_image(tmp_path / str(number) / "a_0" / "image.png"))
    assert not np.array_equal(*pictures)


def test_the_seed_of_evaluate_counts(deocc, cases, tmp_path) -> None:  # type: ignore[no-untyped-def]
    out = _predictions(cases, tmp_path / "pred")
    for seed in (1, 2):
        words = ["--no-perceptual", "--seed", seed, "--json", tmp_path / f"{seed}.json"]
        assert deocc("evaluate", cases, out, *words).status == 0
        assert f"seed {seed}" in read_json(tmp_path / f"{seed}.json")["confidence"]


def test_every_option_of_people_arrives(deocc, monkeypatch, tmp_path) -> None:  # type: ignore[no-untyped-def]
    told: list = []
    facts = {"dropped": {}, "examples": {}, "people": 1, "photos": 1, "kept": 1, "cases": 0}
    sources = type("Any", (dict,), {"__missing__": lambda self, key: facts})()
    monkeypatch.setattr(
        "deocc.people.sources.build.build_people", lambda *given: told.append(given) or {"sources": sources}
    )
    words = [
        "--shard",
        "2/3",
        "--workers",
        2,
        "--keep",
        "refine",
        "--split",
        "hash",
        "--min-side",
        50,
        "--gutter",
        7,
        "--no-occluders",
        "--export",
        "mine",
        "--seed",
        5,
        "--segmenter",
        "grabcut",
    ]
    assert deocc("people", "openimages", tmp_path, *words, "--out", tmp_path / "p").status == 0
    (_, out, options, shard, workers, _, occluders) = told[0]
    assert (out, shard, workers, occluders) == (tmp_path / "p", (2, 3), 2, False)
    assert (options.keep, options.split, options.seed, options.export) == ("refine", "hash", 5, "mine")
    assert (options.thresholds.min_side, options.thresholds.gutter) == (
        50,
        7,
    ) and options.segmenter == "grabcut"


def test_a_terminal_without_a_character_stops_nothing() -> None:
    environment = {**os.environ, "PYTHONIOENCODING": "cp1252"}
    words = [sys.executable, "-m", "deocc", "table", "2", "--preset", "small"]
    found = subprocess.run(words, env=environment, capture_output=True, check=False)
    assert found.returncode == 0 and b"Traceback" not in found.stderr
    assert "± ".encode("cp1252") in found.stdout and b"] ?" in found.stdout, "the dot of decided rows"
