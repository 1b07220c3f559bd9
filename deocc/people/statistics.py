"""Statistics of a people folder, as in table 1 and fig. 5 of the paper."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from scipy.spatial.distance import cdist

from deocc.clusters import kmeans
from deocc.io import PathLike, read_json
from deocc.labels import NUM_CLASSES
from deocc.masks import mask_box, person_frame
from deocc.people.folder import PeopleFolder, Person

POSE_SIDE = 32  # pixels of a mask that is clustered
THUMBNAIL = 64


@dataclass(frozen=True)
class Statistics:
    """Measurements of N people.

    Attributes:
        aspect: N, height over width of the mask's box.
        share: N, area of the person over the area of the picture.
        parts: N x 20, share of each LIP class in the labelled person; rows of nan without parsing.
        surroundings: N x 8, features of the picture around the person; see `surroundings`.
        masks: N x 32 x 32 float32 in [0, 1], in a square frame around the whole person.
        thumbnails: N x 64 x 64 x 3 uint8.
        sources: N names.
    """

    aspect: np.ndarray
    share: np.ndarray
    parts: np.ndarray
    surroundings: np.ndarray
    masks: np.ndarray
    thumbnails: np.ndarray
    sources: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.aspect)


def aspect_ratio(mask: np.ndarray) -> float:
    """Height over width of a mask's box."""
    x0, y0, x1, y1 = mask_box(mask)
    return (y1 - y0) / (x1 - x0)


def part_shares(person: Person) -> np.ndarray:
    """Share of each LIP class among the labelled pixels of a person, 20 values that sum to 1; else nan."""
    if person.parsing is None:
        return np.full(NUM_CLASSES, np.nan)
    counts = np.bincount(person.parsing[person.amodal_mask], minlength=256)[:NUM_CLASSES].astype(float)
    counts[0] = 0
    return counts / max(counts.sum(), 1)


def surroundings(image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Eight features of the surroundings of a person: colour (Lab) and texture, above and below the middle.

    They replace the paper's scene recognition model, whose weights would need a download. They separate a
    lawn from a room and a beach from a street, but do not name them.

    Args:
        image: H x W x 3 uint8.
        mask: H x W bool, the person, who is excluded.
    """
    small = cv2.resize(image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    shrunk = cv2.resize(mask.astype(np.float32), (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    beside = cv2.dilate(shrunk, np.ones((3, 3))) < 0.05
    lab = cv2.cvtColor(small.astype(np.float32) / 255, cv2.COLOR_RGB2LAB) / (100, 60, 60)
    busy = np.abs(cv2.Laplacian(lab[..., 0].astype(np.float32), cv2.CV_32F))[..., None] * 4
    values, half = np.concatenate([lab, busy], axis=2), THUMBNAIL // 2
    parts = (values[rows][beside[rows]] for rows in (slice(0, half), slice(half, None)))
    return np.concatenate([part.mean(0) if len(part) else np.zeros(4) for part in parts])


def _pose(mask: np.ndarray) -> np.ndarray:
    frame = person_frame(mask, scale=1.1)  # of the whole person: a picture of poses, not a network's input
    fine = frame.crop_mask(mask, 4 * POSE_SIDE).astype(np.float32)
    return cv2.resize(fine, (POSE_SIDE, POSE_SIDE), interpolation=cv2.INTER_AREA)


def _thumbnail(person: Person) -> np.ndarray:
    return cv2.resize(person.image, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)


def describe(people: Iterable[Person]) -> Statistics:
    """Measures people one by one; their pictures are not kept."""
    rows = [
        (aspect_ratio(p.amodal_mask), p.amodal_mask.mean(), part_shares(p),
         surroundings(p.image, p.amodal_mask), _pose(p.amodal_mask), _thumbnail(p), p.source)
        for p in people
    ]  # fmt: skip
    aspect, share, parts, beside, masks, small, sources = zip(*rows, strict=True)
    arrays = (np.array(values) for values in (aspect, share, parts, beside, masks, small))
    aspects, shares, classes, surround, poses, thumbnails = arrays
    return Statistics(aspects, shares, classes, surround, poses, thumbnails, tuple(sources))


@dataclass(frozen=True)
class Clusters:
    """Groups of similar items, largest first.

    Attributes:
        labels: N int, the group of each item.
        centres: K x D.
        nearest: K int, the item nearest to each centre.
    """

    labels: np.ndarray
    centres: np.ndarray
    nearest: np.ndarray

    @property
    def shares(self) -> np.ndarray:
        """Share of all items in each group."""
        return np.bincount(self.labels, minlength=len(self.centres)) / len(self.labels)


def cluster(points: np.ndarray, count: int, seed: int = 0) -> Clusters:
    """k-means (`deocc.clusters.kmeans`). Args: points: N x D. Raises: DeoccError: N < count."""
    values = np.asarray(points, np.float32).reshape(len(points), -1)
    distance = cdist(values, kmeans(values, count, seed=seed))
    sizes = np.bincount(distance.argmin(1), minlength=count)
    distance = distance[:, np.argsort(-sizes, kind="stable")]
    labels = distance.argmin(1)
    groups = [values[labels == k] for k in range(count)]
    centres = np.stack([group.mean(0) if len(group) else values[0] for group in groups])
    return Clusters(labels, centres, distance.argmin(0))


def preserved(path: PathLike) -> dict[str, dict[str, Any]]:
    """Table 1 of a people folder: source -> people, kept and ratio.

    Numbers of candidates come from ``report.json``, which `deocc people` writes. Without it, only the kept
    people are known, and the other values are None.
    """
    report = Path(path) / "report.json"
    if report.is_file():
        sources = read_json(report)["sources"]
        return {
            name: {k: facts[k] for k in ("people", "kept", "preserved_ratio")}
            for name, facts in sources.items()
        }
    counts: dict[str, int] = {}
    for row in PeopleFolder(path).rows:
        counts[row["source"]] = counts.get(row["source"], 0) + 1
    return {name: {"people": None, "kept": n, "preserved_ratio": None} for name, n in sorted(counts.items())}


def table_one(rows: Mapping[str, Mapping[str, Any]]) -> str:
    """Table 1 as Markdown: total count, preserved count, preserved ratio; unknown values stay empty."""
    from deocc.markdown import markdown

    def cells(facts: Mapping[str, Any]) -> list[str]:
        ratio = facts["preserved_ratio"]
        return ["" if facts["people"] is None else str(facts["people"]), str(facts["kept"]),
                "" if ratio is None else f"{ratio:.1%}"]  # fmt: skip

    header = ("source", "total count", "preserved count", "preserved ratio")
    return markdown(header, [(name, *cells(facts)) for name, facts in rows.items()])
