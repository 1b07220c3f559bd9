"""Penn-Fudan: pedestrians in 170 street photos."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from deocc.people.sources.about import ABOUT
from deocc.people.sources.candidates import Entry, Photo, Subject, Writer
from deocc.people.sources.files import matches, named, picture, require
from deocc.people.sources.regions import LabelPicture, labels_of


@dataclass(frozen=True)
class PennFudan:
    """Attributes: root: folder with ``PNGImages/`` and ``PedMasks/``, or one around it."""

    root: Path
    name: str = "pennfudan"
    has_masks: bool = True
    curated: bool = False

    def fill(self, index: Writer) -> None:
        folder = require(self.root, "Penn-Fudan's masks", "PedMasks")
        index.reads(folder)
        for path in matches(folder, "*_mask.png"):
            index.photo(path.name[: -len("_mask.png")], base=str(folder.parent))

    def photo(self, entry: Entry) -> Photo:
        assert entry.facts is not None  # the masks are the list
        base = Path(entry.facts["base"])
        path = picture([base / "PNGImages"], entry.key)
        masks = named(base / "PedMasks", f"{entry.key}_mask.png")
        people = tuple(
            Subject(f"{entry.key}_{n}", LabelPicture(masks, (int(n),)))
            for n in np.unique(labels_of(masks))
            if n
        )
        return Photo(path, "", f"pennfudan:{entry.key}", ABOUT["pennfudan"].licence, None, people,
                     problems=entry.problems)  # fmt: skip
