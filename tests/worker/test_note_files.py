"""Notes written as MIDI, CSV and JAMS are read back by those whose formats they are; references are read or refused."""

import json
from pathlib import Path

import jams
import numpy as np
import pytest
import symusic

from shared.errors import JobFailed
from worker import note_files
from worker.pretrained.notes import Note

# The package jams calls a library in a way that it will have to change.
pytestmark = pytest.mark.filterwarnings("ignore:Passing a schema:DeprecationWarning")


def phrase(*, seed: int = 0, count: int = 200) -> list[Note]:
    """Notes on all keys, each from a place of its own on, some as short as a frame."""
    random = np.random.default_rng(seed)
    notes = []
    for place in range(count):
        onset, velocity = place * 0.25 + round(random.uniform(0, 0.1), 6), int(random.integers(1, 128))
        offset = round(onset + random.uniform(0.0116, 3), 6)
        notes.append(Note(onset, offset, 21 + place % 88, velocity, round(velocity / 127, 6)))
    return notes


@pytest.mark.parametrize("bpm", [40.0, 120.0, 133.0])
def test_midi_holds_every_note_at_its_time(bpm: float) -> None:
    notes = phrase()

    score = symusic.Score.from_midi(note_files.midi(notes, bpm=bpm)).to("second")

    # Half a tick; and a tempo is a whole number of microseconds, which adds up.
    half_s = 60 / bpm / note_files.TICKS_A_QUARTER / 2
    (track,) = score.tracks
    assert (track.program, track.is_drum, len(track.notes)) == (0, False, len(notes))
    for note, read in zip(notes, sorted(track.notes, key=lambda note: note.time), strict=True):
        assert (read.pitch, read.velocity) == (note.pitch, note.velocity)
        assert read.time == pytest.approx(note.onset_s, rel=2e-6, abs=half_s + 1e-5)
        assert read.end == pytest.approx(note.offset_s, rel=2e-6, abs=half_s + 1e-5)


def test_midi_is_of_type_1_with_one_track_and_says_its_tempo() -> None:
    content = note_files.midi(phrase(count=3), bpm=90)

    assert content[:12] == b"MThd\0\0\0\6\0\1\0\1"
    assert symusic.Score.from_midi(content).tempos[0].qpm == pytest.approx(90, abs=1e-3)


def test_a_note_struck_again_where_it_ends_stays_two_notes() -> None:
    content = note_files.midi([Note(0.0, 0.5, 60, 80, 0.6), Note(0.5, 1.0, 60, 90, 0.7)])

    read = symusic.Score.from_midi(content).tracks[0].notes

    assert [(note.velocity, note.duration) for note in read] == [(80, 960), (90, 960)]


def test_csv_is_read_as_the_notes_that_were_written(tmp_path: Path) -> None:
    notes, path = phrase(), tmp_path / "notes.csv"

    path.write_bytes(note_files.csv(notes))

    read = note_files.read_notes_csv(path)
    assert [note[:4] for note in read] == [note[:4] for note in notes]


def test_jams_is_valid_and_holds_every_note(tmp_path: Path) -> None:
    notes, path = phrase(), tmp_path / "notes.jams"

    path.write_text(json.dumps(note_files.jams(notes, title="Étude", duration_s=60.5, model="etude.transcriber 1")))

    read = jams.load(str(path), validate=True, strict=True)
    (annotation,) = read.search(namespace="note_midi")
    assert (read.file_metadata.title, read.file_metadata.duration) == ("Étude", 60.5)
    assert annotation.annotation_metadata.annotator["model"] == "etude.transcriber 1"
    assert [(each.time, each.value, each.confidence) for each in annotation.data] == [
        (note.onset_s, note.pitch, note.amplitude) for note in notes
    ]
    ends = [each.time + each.duration for each in annotation.data]
    assert ends == pytest.approx([note.offset_s for note in notes], abs=1e-6)


def test_no_notes_are_files_too(tmp_path: Path) -> None:
    path = tmp_path / "silence.jams"
    path.write_text(json.dumps(note_files.jams([], title="silence", duration_s=3, model="m")))

    assert len(jams.load(str(path)).annotations[0].data) == 0
    assert symusic.Score.from_midi(note_files.midi([])).note_num() == 0
    assert note_files.csv([]).decode() == "start_time_s,end_time_s,pitch_midi,velocity\n"


@pytest.mark.parametrize(
    "written",
    [
        "0.5,1.25,60\n0,.5,21\n",
        "onset,offset,pitch\r\n0.5,1.25,60\r\n0,.5,21\r\n",
        "\ufeffOnsetTime\tOffsetTime\tMidiPitch\n0.5\t1.25\t60\n\n0\t5e-1\t21.0\n",
        '"onset";"offset";"pitch";"velocity";"who"\n0.5;1.25;60;64;left\n 0;0.5;21;64;right',
    ],
)
def test_references_are_read_however_they_are_split(written: str, tmp_path: Path) -> None:
    path = tmp_path / "true.csv"
    path.write_text(written, newline="")

    read = note_files.read_notes_csv(path)

    assert [note[:4] for note in read] == [(0.0, 0.5, 21, 64), (0.5, 1.25, 60, 64)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("1,2", "expected onset, offset and pitch, received 2 cells"),
        ("one,2,60", "expected a number as onset, received text of 3 characters"),
        ("1,2,C4", "expected a number as pitch, received text of 2 characters"),
        ("1,nan,60", "expected a number as offset, received text of 3 characters"),
        ("2,1,60", "expected an offset after an onset from 0 on, in seconds, received another"),
        ("1,1,60", "expected an offset after"),
        ("-1,1,60", "expected an offset after"),
        ("1,1e999,60", "expected an offset after"),
        ("1,2,60.5", "expected a whole pitch from 0 to 127, received a number with a fraction"),
        ("1,2,128", "expected a whole pitch from 0 to 127, received a whole number"),
        ("1,2,60,0", "expected a whole velocity from 1 to 127, received a whole number"),
        ("1_0,2_0,60", "expected a number as onset, received text of 3 characters"),
    ],
)
def test_a_faulty_line_is_named(line: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "true.csv"
    path.write_text(f"onset,offset,pitch\n0,1,60\n{line}\n0,1,62\n")

    with pytest.raises(JobFailed) as caught:
        note_files.read_notes_csv(path)

    (fault,) = caught.value.faults
    assert said in fault.message and (fault.file, fault.row) == ("true.csv", 3)


def test_every_faulty_line_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "true.csv"
    path.write_text("0,1,60\n" + "a,b,c\n" * 300)

    with pytest.raises(JobFailed) as caught:
        note_files.read_notes_csv(path)

    assert (caught.value.code, caught.value.faults_total, len(caught.value.faults)) == ("dataset_rejected", 300, 100)


def test_bytes_that_are_no_text_are_refused_and_not_obeyed(tmp_path: Path) -> None:
    path = tmp_path / "true.csv"
    path.write_bytes(bytes(range(256)) * 4)

    with pytest.raises(JobFailed, match="correct the lines"):
        note_files.read_notes_csv(path)


def test_more_notes_than_any_recording_has_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "true.csv"
    path.write_text("0,1,60\n" * 11)
    monkeypatch.setattr(note_files, "MOST_NOTES", 10)

    with pytest.raises(JobFailed) as caught:
        note_files.read_notes_csv(path)

    assert caught.value.faults[0].message == "expected at most 10 notes, received 11"
