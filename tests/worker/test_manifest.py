"""Which row is about which file, and which rows cannot be used."""

from typing import Any

import pyarrow as pa
import pytest

from shared.errors import JobFailed
from worker import manifest
from worker.manifest import Entry, Uploads


def entries(columns: dict[str, list[Any]], audio: list[str], *, id: str | None = None) -> list[Entry]:
    table = pa.table(columns)
    found = manifest.roles(table.column_names, {})
    return manifest.match(table, Uploads(None, audio, []), found, id=id)


def codes(found: list[Entry]) -> list[str | None]:
    return [entry.fault.code if entry.fault else None for entry in found]


def test_a_row_finds_its_file_by_its_full_name() -> None:
    found = entries({"file": ["rock/a.wav", "./pop/b.mp3", "pop\\c.ogg"]}, ["rock/a.wav", "pop/b.mp3", "pop/c.ogg"])

    assert [entry.upload for entry in found] == ["rock/a.wav", "pop/b.mp3", "pop/c.ogg"]


def test_the_last_part_of_a_name_is_enough_where_only_one_file_has_it() -> None:
    found = entries({"file": ["a.wav", "b.wav"]}, ["one/a.wav", "one/b.wav", "two/b.wav"])

    assert [entry.upload for entry in found] == ["one/a.wav", None]
    assert codes(found) == [None, "file_missing"]


def test_names_in_another_unicode_form_are_the_same_name() -> None:
    found = entries({"file": ["Bjo\u0308rk.wav"]}, ["Bj\u00f6rk.wav"])

    assert found[0].upload == "Bj\u00f6rk.wav"


@pytest.mark.parametrize("path", ["../x.wav", "a/../../x.wav", "/etc/passwd", "C:\\x.wav", "..\\x.wav"])
def test_a_path_that_climbs_out_is_refused_even_where_a_file_has_its_last_part(path: str) -> None:
    assert codes(entries({"file": [path]}, ["x.wav"])) == ["path_outside"]


def test_a_row_without_its_file_and_an_empty_cell_are_told() -> None:
    assert codes(entries({"file": ["gone.wav", None, "", "a.wav"]}, ["a.wav"])) == ["file_missing"] * 3 + [None]


def test_a_file_without_its_row_is_told() -> None:
    uploads = Uploads(None, ["a.wav", "b.wav"], [])
    found = manifest.match(pa.table({"file": ["a.wav"]}), uploads, {"file": "file"}, id=None)

    assert manifest.unnamed(found, uploads) == ["b.wav"]


def test_excerpts_of_one_file_have_keys_of_their_own() -> None:
    found = entries(
        {"file": ["a.wav", "a.wav", "b.wav"], "start": [0.0, 10.0, None], "end": [10.0, None, 3.5]}, ["a.wav", "b.wav"]
    )

    assert [entry.key for entry in found] == ["a.wav#0-10", "a.wav#10-", "b.wav"]
    assert [(entry.start_s, entry.end_s) for entry in found] == [(0.0, 10.0), (10.0, None), (None, 3.5)]


def test_the_id_column_names_the_rows_and_a_repeated_one_is_told_apart() -> None:
    found = entries(
        {"file": ["a.wav", "b.wav", "c.wav"], "song": ["x", "x", "y"]}, ["a.wav", "b.wav", "c.wav"], id="song"
    )

    assert [entry.key for entry in found] == ["x#row0", "x#row1", "y"]


@pytest.mark.parametrize("part", [(-1.0, 2.0), (3.0, 3.0), (5.0, 2.0)])
def test_a_part_that_is_none_is_refused(part: tuple[float, float]) -> None:
    found = entries({"file": ["a.wav"], "start": [part[0]], "end": [part[1]]}, ["a.wav"])

    assert codes(found) == ["excerpt_invalid"]


def test_two_rows_of_one_file_with_different_labels_are_both_left_out() -> None:
    found = entries({"file": ["a.wav", "b.wav", "a.wav"]}, ["a.wav", "b.wav"])

    judged = manifest.refuse_conflicts(found, [("rock",), ("rock",), ("pop",)])

    assert codes(judged) == ["labels_differ", None, "labels_differ"]
    assert judged[0].fault is not None and judged[0].fault.detail == "2 rows give this file 2 different labels"


def test_a_row_that_is_there_twice_counts_once() -> None:
    found = entries({"file": ["a.wav", "a.wav"]}, ["a.wav"])

    assert codes(manifest.refuse_conflicts(found, [("rock",), ("rock",)])) == [None, "row_repeated"]


def test_parts_of_one_file_may_have_different_labels() -> None:
    found = entries({"file": ["a.wav", "a.wav"], "start": [0, 5], "end": [5, 9]}, ["a.wav"])

    assert codes(manifest.refuse_conflicts(found, [("rock",), ("pop",)])) == [None, None]


def test_the_manifest_is_the_only_table_or_the_one_that_is_called_so() -> None:
    only = manifest.sort(["a.wav", "list.csv"])
    named = manifest.sort(["a.wav", "notes/a.csv", "notes/b.csv", "Manifest.csv", "a.mid"])

    assert (only.manifest, only.audio) == ("list.csv", ["a.wav"])
    assert (named.manifest, named.audio) == ("Manifest.csv", ["a.wav"])
    assert named.references == ["notes/a.csv", "notes/b.csv", "a.mid"]


@pytest.mark.parametrize("ours", ["etude.corrected.csv", "etude.remaining.csv"])
def test_one_of_ours_goes_before_all_other_tables(ours: str) -> None:
    found = manifest.sort(["a.wav", "notes.csv", "manifest.csv", ours])

    assert (found.manifest, found.references) == (ours, ["notes.csv", "manifest.csv"])


def test_two_tables_of_which_none_is_called_a_manifest_are_refused() -> None:
    with pytest.raises(JobFailed, match=r"call it manifest\.csv") as refused:
        manifest.sort(["a.wav", "x.csv", "y.csv"])

    assert [fault.file for fault in refused.value.faults] == ["x.csv", "y.csv"]


def test_without_a_manifest_the_folder_is_a_column() -> None:
    table = manifest.without(Uploads(None, ["rock/a.wav", "pop/b.wav", "c.wav"], []))

    assert table.to_pydict() == {"file": ["rock/a.wav", "pop/b.wav", "c.wav"], "folder": ["rock", "pop", None]}


def test_without_folders_there_is_no_such_column() -> None:
    assert manifest.without(Uploads(None, ["a.wav"], [])).column_names == ["file"]


def test_a_manifest_without_a_column_of_files_is_refused_with_its_columns() -> None:
    with pytest.raises(JobFailed, match="received song, genre"):
        manifest.roles(["song", "genre"], {})


def test_a_named_column_that_is_not_there_and_one_of_ours_are_refused_together() -> None:
    with pytest.raises(JobFailed) as refused:
        manifest.roles(["file", "etude.key"], {"start": "from"})

    assert [fault.column for fault in refused.value.faults] == ["from", "etude.key"]


def test_seconds_that_are_text_are_the_fault_of_their_row_alone() -> None:
    found = entries({"file": ["a.wav", "a.wav"], "start": ["soon", "2.5"]}, ["a.wav"])

    assert codes(found) == ["excerpt_invalid", None] and found[1].start_s == 2.5
