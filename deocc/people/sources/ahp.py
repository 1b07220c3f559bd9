"""AHP, the paper's dataset: unoccluded people, filtered by hand; pseudo-parsing for training only."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from deocc.errors import DeoccError
from deocc.people.sources.about import ABOUT
from deocc.people.sources.candidates import Entry, Photo, Subject, Writer
from deocc.people.sources.files import find, named, picture, read_list, split_of_name, stem_of
from deocc.people.sources.lip import lip_parsing
from deocc.people.sources.regions import LabelPicture


@dataclass(frozen=True)
class Ahp:
    """AHP's training part, or another part whose layout the fields describe.

    Attributes:
        root: AHP's folder; the other paths are relative to it. If they are the default ones, it may also be a
            folder around AHP's.
        images: folder of the photos.
        masks: folder of the masks; non-zero pixels are the person.
        parsing: folder of LIP label maps, or "" for none.
        lists: text files of ids; each file name contains the split ("train", "val").
    """

    root: Path
    images: str = "train/JPEGImages"
    masks: str = "train/Annotations"
    parsing: str = "train/PseudoParsingAnnotations"
    lists: tuple[str, ...] = ("train/ImageSets/train.txt", "train/ImageSets/val.txt")
    name: str = "ahp"
    has_masks: bool = True
    curated: bool = True

    def fill(self, index: Writer) -> None:
        base = self._base()
        for folder in (self.images, self.masks):
            if not (base / folder).is_dir():
                raise DeoccError(
                    f"{base / folder}: no such folder; name AHP's folders by the options, or a deeper ROOT"
                )
        lists = [base / name for name in self.lists if (base / name).is_file()]
        if not lists or (len(lists) < len(self.lists) and self.lists != type(self).lists):
            missing = next(base / n for n in self.lists if not (base / n).is_file())
            raise DeoccError(f"{missing}: no such file; name AHP's lists of ids by --lists")
        for path in lists:
            index.reads(path)
            for name in read_list(path, base / self.images):
                stem = stem_of(name, Path(self.images).name)
                index.photo(stem, split=split_of_name(path.stem), base=str(base))

    def _base(self) -> Path:
        """The folder that the other paths are relative to; archives may have a top folder of their own."""
        found = find(self.root, self.images) if self == type(self)(self.root) else None
        return found.parents[self.images.count("/")] if found else self.root

    def photo(self, entry: Entry) -> Photo:
        assert entry.facts is not None  # the lists are all there is
        base = Path(entry.facts["base"])
        path = picture([base / self.images], entry.key)
        mask = named(base / self.masks, f"{entry.key}.png")
        labels = named(base / self.parsing, f"{entry.key}.png")
        parsing = partial(lip_parsing, path=labels) if self.parsing and labels.is_file() else None
        person = Subject(entry.key, LabelPicture(mask), parsing=parsing)
        return Photo(path, entry.facts["split"], f"ahp:{entry.key}", ABOUT["ahp"].licence, None, (person,),
                     parsing is not None, problems=entry.problems,
                     files=(labels,) if parsing else ())  # fmt: skip
