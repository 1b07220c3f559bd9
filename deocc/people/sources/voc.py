"""PASCAL VOC 2012 segmentation, extended by the Semantic Boundaries Dataset (SBD)."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deocc.errors import DeoccError
from deocc.people.sources.about import ABOUT
from deocc.people.sources.candidates import Entry, Photo, Subject, Writer
from deocc.people.sources.files import find, named, picture, read_list, require, stem_of
from deocc.people.sources.problems import Unusable
from deocc.people.sources.regions import LabelPicture, labels_of, mat_variable
from deocc.people.texts import RESTORE

CLASSES = (
    "background", "airplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow",
    "dining table", "dog", "horse", "motorcycle", "person", "potted plant", "sheep", "couch", "train", "tv",
)  # fmt: skip
"""VOC's classes by number, under COCO's names, which `occlusion.priors` knows."""
PERSON, VOID = 15, 255
VOID_WIDTH = 6  # pixels of the unlabelled band around everything in VOC; SBD has none


def _instances(objects: np.ndarray, classes: np.ndarray) -> dict[int, int]:
    """Instance number -> the class of most of its pixels."""
    if objects.shape != classes.shape:
        raise Unusable("sizes differ", f"instances {objects.shape}, classes {classes.shape}")
    numbers = [int(number) for number in np.unique(objects) if number not in (0, VOID)]
    return {n: int(np.bincount(classes[objects == n]).argmax()) for n in numbers}


@dataclass(frozen=True)
class Voc:
    """VOC 2012 with its official lists, and SBD's photos that VOC does not segment.

    Attributes:
        root: ``VOCdevkit/VOC2012`` or a folder around it.
        year: "2012", or another year whose folder exists; "": the only one that exists.
        sbd: SBD's ``benchmark_RELEASE/dataset`` or a folder around it; None: searched for in root.
    """

    root: Path
    sbd: Path | None = None
    year: str = ""
    name: str = "voc"
    has_masks: bool = True
    curated: bool = False

    def _sbd(self) -> Path | None:
        if self.sbd is not None:
            return require(self.sbd, "SBD's instances", "inst").parent
        found = find(self.root, "benchmark_RELEASE/dataset/inst", "dataset/inst")
        return found.parent if found else None

    def _lists(self) -> Path:
        """The folder of the lists. Raises: DeoccError: none, or several years exist and none was chosen."""
        wanted = "ImageSets/Segmentation"
        if self.year and self.root.name != f"VOC{self.year}":
            wanted = f"VOC{self.year}/{wanted}"
        return require(self.root, "VOC's lists", wanted, mend="say which: --year 2012")

    def fill(self, index: Writer) -> None:
        lists = self._lists()
        base, known = lists.parent.parent, set[str]()
        for split in ("train", "val"):
            if (lists / f"{split}.txt").is_file():
                index.reads(lists / f"{split}.txt")
                for stem in map(stem_of, read_list(lists / f"{split}.txt")):
                    known.add(stem)  # 2,913 names: VOC's segmentation does not grow
                    index.photo(stem, base=str(base), split=split, kind="voc")
        if not known:
            raise DeoccError(f"{lists}: train.txt and val.txt name no photo; {RESTORE}")
        if (sbd := self._sbd()) is not None:
            for split in ("train", "val"):
                index.reads(require(sbd, f"SBD's list ({split})", f"{split}.txt"))
                for stem in read_list(sbd / f"{split}.txt"):
                    if stem not in known:
                        index.photo(stem, base=str(sbd), split=split, kind="sbd")

    def photo(self, entry: Entry) -> Photo:
        assert entry.facts is not None  # the lists are all there is
        base, voc = Path(entry.facts["base"]), entry.facts["kind"] == "voc"
        path = picture([base / "JPEGImages", base / "img"], entry.key)
        subjects = _voc_subjects(base, entry.key) if voc else _sbd_subjects(base, entry.key)
        files = (named(base / "SegmentationClass", f"{entry.key}.png"),) if voc else ()
        return Photo(path, entry.facts["split"], f"voc:{entry.key}", ABOUT["voc"].licence, None, subjects,
                     void=VOID_WIDTH if voc else 0, problems=entry.problems, files=files)  # fmt: skip


def _voc_subjects(base: Path, stem: str) -> tuple[Subject, ...]:
    objects, classes = (named(base / f"Segmentation{kind}", f"{stem}.png") for kind in ("Object", "Class"))
    found = _instances(labels_of(objects), labels_of(classes))
    return tuple(_subject(stem, n, LabelPicture(objects, (n,)), number) for n, number in found.items())


def _sbd_subjects(base: Path, stem: str) -> tuple[Subject, ...]:
    path = named(base / "inst", f"{stem}.mat")
    categories = np.ravel(mat_variable(path, "GTinst.Categories"))
    if categories.dtype.kind not in "uif" or len(categories) > 255:
        raise Unusable("annotation damaged", f"{path.name} has no readable GTinst.Categories")
    return tuple(
        _subject(stem, n, LabelPicture(path, (n,), "GTinst.Segmentation"), number)
        for n, number in enumerate(categories, start=1)
    )


def _subject(stem: str, n: int, region: LabelPicture, number: float) -> Subject:
    """Instance n of a photo. Args: number: of its class; an unknown one is a thing."""
    name = CLASSES[int(number)] if 0 < number < len(CLASSES) else "thing"
    return Subject(f"{stem}_{n}", region, "person" if number == PERSON else "object", name)
