"""Candidates of a people folder, most doubtful first, and the file of the decisions on them."""

import numpy as np
import pytest

from deocc.errors import DeoccError
from deocc.people import PeopleFolder, Person, write_people
from deocc.people.filtering import assess
from deocc.people.folder import read_rows, write_rows
from deocc.people.routing import Candidate, FolderCandidates, RoutingLog


@pytest.fixture
def folder(tmp_path) -> PeopleFolder:
    rng = np.random.default_rng(0)
    mask = np.zeros((60, 50), bool)
    mask[10:50, 15:35] = True
    images = {name: rng.integers(0, 255, (60, 50, 3), np.uint8) for name in "abcd"}
    write_people(tmp_path, [Person(name, image, mask, split="train") for name, image in images.items()])
    facts = {"a": ("discard", "0.9", "small; cut off"), "b": ("refine", "0.2", "ragged"), "c": ("", "", "")}
    rows = read_rows(tmp_path / "people.csv", ("id",))
    for row in rows:
        given = facts.get(row["id"], ("preserve", "0.4", ""))
        row.update(zip(("proposal", "confidence", "reasons"), given, strict=True))
    write_rows(tmp_path / "people.csv", rows)
    return PeopleFolder(tmp_path)


def test_the_most_doubtful_come_first_with_their_reasons(folder):
    found = FolderCandidates(folder)
    assert found.ids == ["c", "b", "d", "a"] == [candidate.id for candidate in found]
    assert len(found) == 4 and [candidate.id for candidate in found[1:3]] == ["b", "d"]
    last = found[3]
    assert (last.proposal, last.confidence, last.reasons) == ("discard", 0.9, ("small", "cut off"))
    np.testing.assert_array_equal(last.mask, folder[0].amodal_mask)


def test_who_has_no_proposal_is_judged_when_read(folder):
    person, found = folder[2], FolderCandidates(folder)[0]
    judged = assess(person.image, person.amodal_mask)
    assert (found.proposal, found.confidence) == (judged.proposal, judged.confidence)
    assert found.reasons == judged.reasons and "small: 40 pixels, wanted 130" in found.reasons
    marked = Candidate.judged("x", person.image, person.amodal_mask, marks=("crowd",))
    assert marked.proposal == "discard" and marked.confidence == 1


def test_ids_are_known_without_reading_a_picture(folder):
    for path in (folder.path / "images").iterdir():
        path.unlink()
    assert FolderCandidates(folder).ids == ["c", "b", "d", "a"]


def test_decisions_choose_people(folder, tmp_path):
    log = RoutingLog(tmp_path / "routes.csv")
    for name, route in (("c", "preserve"), ("a", "discard"), ("b", "preserve")):
        log.add(name, route, "discard", 1.25)
    again = RoutingLog(tmp_path / "routes.csv")
    assert again.rows == log.rows and again.routes == {"c": "preserve", "a": "discard", "b": "preserve"}
    assert again.counts == {"discard": 1, "preserve": 2, "refine": 0} and again.median_seconds == 1.2
    assert folder.subset(again.ids("preserve")).ids == ["b", "c"]


def test_a_later_decision_replaces_an_earlier_one_and_undo_goes_back(tmp_path):
    log = RoutingLog(tmp_path / "routes.csv")
    assert log.undo() is None and np.isnan(log.median_seconds)
    log.add("a", "discard")
    log.add("b", "discard")
    log.add("a", "refine")
    assert [row["id"] for row in log.rows] == ["b", "a"]
    assert log.undo() == "a" and log.undo() == "b" and log.rows == []
    assert (tmp_path / "routes.csv").read_text() == "id,route,proposal,seconds\n"


def test_a_write_that_fails_changes_nothing(tmp_path, monkeypatch):
    log = RoutingLog(tmp_path / "routes.csv")
    log.add("a", "discard")
    before = (tmp_path / "routes.csv").read_bytes()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(DeoccError, match="No space left"):
        log.add("b", "discard")
    assert log.routes == {"a": "discard"} and (tmp_path / "routes.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["routes.csv"], "no temporary file is left"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("id,route\na,discard\n", "column proposal, seconds is missing"),
        ("id,route,proposal,seconds\na,keep,,1\n", "route 'keep' of 'a' is unknown"),
        ("id,route,proposal,seconds\na,discard,,soon\n", "seconds 'soon' of 'a' are no number"),
        ("id,route,proposal,seconds\na,discard,,1\na,discard,,1\n", "stands twice"),
    ],
)
def test_a_file_that_is_no_list_of_decisions_is_refused(tmp_path, text, words):
    (tmp_path / "routes.csv").write_text(text)
    with pytest.raises(DeoccError, match=f"routes.csv: .*{words}"):
        RoutingLog(tmp_path / "routes.csv")


def test_an_unknown_route_and_an_unwritable_place_are_refused(tmp_path):
    with pytest.raises(DeoccError, match="route 'keep' is unknown"):
        RoutingLog(tmp_path / "routes.csv").add("a", "keep")
    (tmp_path / "file").write_text("")
    with pytest.raises(DeoccError, match="is a file"):
        RoutingLog(tmp_path / "file" / "routes.csv")
