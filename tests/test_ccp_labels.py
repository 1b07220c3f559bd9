"""CCP tags as LIP classes: every tag has one, and skin and shoes follow their place on the body."""

import numpy as np
import pytest

from deocc.errors import DeoccError
from deocc.people.sources.ccp_labels import TAGS, lip_parsing

TAG = {name: index for index, name in enumerate(TAGS)}


def figure() -> np.ndarray:
    """A frontal figure 100 rows high: head, shirt between two bare arms, shorts, two legs, two shoes."""
    tags = np.zeros((120, 80), np.uint8)
    tags[10:14, 34:46] = TAG["hair"]
    tags[14:28, 34:46] = TAG["skin"]  # face and neck
    tags[28:58, 30:50] = TAG["t-shirt"]
    tags[32:60, 22:28] = tags[32:60, 52:58] = TAG["skin"]  # arms, apart from the trunk
    tags[58:70, 30:50] = TAG["shorts"]
    tags[70:104, 30:38] = tags[70:104, 42:50] = TAG["skin"]  # legs
    tags[104:110, 28:38] = tags[104:110, 42:52] = TAG["sneakers"]
    tags[60:70, 60:70] = TAG["bag"]
    return tags


def test_skin_and_shoes_by_place() -> None:
    labels = lip_parsing(figure())
    centres = {"face": (20, 40), "hair": (12, 40), "shirt": (40, 40), "shorts": (64, 40), "bag": (65, 65)}
    assert {name: int(labels[at]) for name, at in centres.items()} == {
        "face": 13, "hair": 2, "shirt": 5, "shorts": 9, "bag": 255,
    }  # fmt: skip
    # the person's left is the picture's right
    assert labels[45, 55] == 14 and labels[45, 25] == 15
    assert labels[90, 45] == 16 and labels[90, 35] == 17
    assert labels[107, 45] == 18 and labels[107, 35] == 19
    assert ((labels > 0) == (figure() > 0)).all()


def test_a_face_ends_at_a_quarter_of_the_height() -> None:
    tags = figure()
    tags[28:50, 38:42] = TAG["skin"]  # a deep neckline
    labels = lip_parsing(tags)
    assert labels[33, 40] == 13 and labels[35, 40] in (14, 15)  # 10 + 0.24 x 100 = 34


def test_one_blob_of_shoes_is_cut_in_the_middle() -> None:
    tags = figure()
    tags[104:110, 28:52] = TAG["boots"]
    labels = lip_parsing(tags)
    assert (labels[105, 28:40] == 19).all() and (labels[105, 40:52] == 18).all()


def test_every_tag_has_a_class() -> None:
    assert len(TAGS) == 59 and TAGS[0] == "null"
    tags = figure()
    for tag in range(1, 59):
        tags[2 * tag - 2 : 2 * tag, 70:72] = tag
    labels = lip_parsing(tags)
    assert ((labels < 20) | (labels == 255)).all() and (labels[tags > 0] > 0).all()


@pytest.mark.parametrize("names", [("null", "hat"), ("null", "hat", "cloak")])
def test_other_lists_are_refused(names: tuple[str, ...]) -> None:
    tags = np.array([[0, 1, 2]])
    with pytest.raises(DeoccError, match="below 2|'cloak' is unknown"):
        lip_parsing(tags, names)


def test_an_empty_picture_is_refused() -> None:
    with pytest.raises(DeoccError, match="empty"):
        lip_parsing(np.zeros((5, 5), np.uint8))
