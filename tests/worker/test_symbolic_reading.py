"""Pieces are read in a confined child; a file that ends it is blamed alone, and all the others are read."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from shared.confinement import Bounds
from shared.errors import JobCancelled, JobFailed
from tests.worker.symbolic import scores
from tests.worker.symbolic.midi_files import file, melody
from tests.worker.symbolic.scores import attributes, note, score, zipped
from worker import symbolic_reading
from worker.ingest import UploadedFile
from worker.symbolic.answers import Reading

ODD, LYING = "tests.worker.symbolic.odd_reader", "tests.worker.symbolic.lying_reader"
SONG = file(melody([60, 62, 64]))
SCORE = score([attributes() + note("C4", 4)])


def uploaded(folder: Path, files: Mapping[str, bytes]) -> list[UploadedFile]:
    made = []
    for place, (name, content) in enumerate(files.items()):
        path = folder / f"upload-{place}"
        path.write_bytes(content)
        made.append(UploadedFile(name, path))
    return made


def read(folder: Path, files: Mapping[str, bytes], *, module: str = symbolic_reading.MODULE) -> list[Reading]:
    return symbolic_reading.read(uploaded(folder, files), folder, module=module)


def codes(readings: list[Reading]) -> dict[str, str | None]:
    return {each.key: each.fault and each.fault.code for each in readings}


def npz(folder: Path, **arrays: object) -> bytes:
    np.savez(folder / "made.npz", **arrays)  # type: ignore[arg-type]
    return (folder / "made.npz").read_bytes()


def test_every_format_is_read_in_the_order_of_the_files(tmp_path: Path) -> None:
    grids = {"train_frames": np.array([[60], [62]]), "train_lengths": [1, 1], "test_frames": [[5]], "test_lengths": [1]}
    files = {
        "c.mid": SONG,
        "valid/b.MIDI": SONG,
        "train/x.musicxml": SCORE,
        "d.mxl": scores.mxl(SCORE),
        "z.zip": zipped(
            {"test/1.mid": SONG, "other/2.xml": SCORE, "__MACOSX/._1.mid": b"", "3.mxl": scores.mxl(SCORE)}
        ),
        "Test/y.zip": zipped({"a.mid": SONG}),
        "g.npz": npz(tmp_path, **grids),
    }

    readings = read(tmp_path, files)

    assert [(each.key, each.part) for each in readings] == [
        ("c.mid", None), ("valid/b.MIDI", "validation"), ("train/x.musicxml", "train"), ("d.mxl", None),
        ("z.zip/3.mxl", None), ("z.zip/other/2.xml", None), ("z.zip/test/1.mid", "test"), ("Test/y.zip/a.mid", "test"),
        ("g.npz/train/0", "train"), ("g.npz/train/1", "train"), ("g.npz/test/0", "test"),
    ]  # fmt: skip
    assert [each.file for each in readings[4:8]] == ["z.zip", "z.zip", "z.zip", "Test/y.zip"]
    pieces = [each.piece for each in readings if each.piece is not None]
    assert [len(piece.notes) for piece in pieces] == [3, 3, 1, 1, 1, 1, 3, 3, 1, 1, 1]
    assert [piece.name for piece in pieces] == [each.key for each in readings]


def test_a_bad_file_has_its_reason_and_stops_nobody(tmp_path: Path) -> None:
    files = {
        "a.mid": SONG, "b.mid": SONG[:-9], "c.xml": SONG, "d.mid": SCORE, "e.mid": b"", "f.pdf": b"%PDF",
        "g.xml": b"%PDF",
        "h.zip": zipped({"in.zip": zipped({"a.mid": SONG}), "notes.txt": b"hi", "bad.mid": b"MThd", "ok.mid": SONG}),
        "i.zip": zipped({"../up.mid": SONG}), "j.zip": zipped({"folder/": b""}), "k.npz": npz(tmp_path, X=[1]),
        "l.mid": SONG,
    }  # fmt: skip

    readings = read(tmp_path, files)

    assert codes(readings) == {
        "a.mid": None, "b.mid": "midi_truncated", "c.xml": "unsupported_format", "d.mid": "unsupported_format",
        "e.mid": "piece_file_empty", "f.pdf": "unsupported_format", "g.xml": "unsupported_format",
        "h.zip/bad.mid": "midi_truncated", "h.zip/in.zip": "archive_nested", "h.zip/notes.txt": "unsupported_format",
        "h.zip/ok.mid": None, "i.zip": "archive_entry_name", "j.zip": "dataset_empty", "k.npz": "array_shape",
        "l.mid": None,
    }  # fmt: skip
    details = {each.key: each.fault.detail for each in readings if each.fault}
    assert details["c.xml"] == "expected MusicXML as its name says, received a MIDI file"
    assert details["d.mid"] == "expected a MIDI file as its name says, received MusicXML"
    assert details["g.xml"] == "expected MusicXML as its name says, received a PDF"


@pytest.mark.hostile("H44")
def test_files_that_end_the_decoder_are_blamed_alone(tmp_path: Path) -> None:
    packed = zipped(dict.fromkeys(("1.mid", "crash.mid", "x.mid"), SONG))
    names = ("a", "crash-1", "b", "spin", "c", "allocate", "hoard", "raise", "crash-2")
    files = {**{f"{name}.mid": SONG for name in names}, "d.zip": packed, "e.mid": SONG}

    readings = read(tmp_path, files, module=ODD)

    assert codes(readings) == {
        "a.mid": None, "crash-1.mid": "decoder_crashed", "b.mid": None, "spin.mid": "decoder_timeout", "c.mid": None,
        "allocate.mid": "decoder_memory", "hoard.mid": "decoder_memory", "raise.mid": "decoder_crashed",
        "crash-2.mid": "decoder_crashed", "d.zip/1.mid": None, "d.zip/crash.mid": "decoder_crashed",
        "d.zip/x.mid": None, "e.mid": None,
    }  # fmt: skip
    assert all(len(each.piece.notes) == 3 for each in readings if each.piece is not None)


def test_a_file_that_makes_the_decoder_wait_is_blamed_when_its_time_is_over(tmp_path: Path) -> None:
    files = uploaded(tmp_path, {"a.mid": SONG, "sleep.mid": SONG, "b.mid": SONG})

    readings = symbolic_reading.read(files, tmp_path, module=ODD, bounds=Bounds(wall_s=6.0))

    assert codes(readings) == {"a.mid": None, "sleep.mid": "decoder_timeout", "b.mid": None}


def test_when_every_file_ends_the_decoder_all_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(symbolic_reading, "MOST_ENDED", 2)

    with pytest.raises(JobFailed) as caught:
        read(tmp_path, {f"crash-{place}.mid": SONG for place in range(9)}, module=ODD)

    assert caught.value.code == "dataset_rejected"
    assert [(fault.file, fault.code) for fault in caught.value.faults] == [
        (f"crash-{place}.mid", "decoder_crashed") for place in range(3)
    ]


def test_thousands_of_files_take_one_child(tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    song = uploaded(tmp_path, {"s": SONG})[0].path
    files = [UploadedFile(f"{place:04d}.mid", song) for place in range(3_000)]

    readings = symbolic_reading.read(files, tmp_path, lambda done, total: seen.append((done, total)))

    assert [each.key for each in readings] == [each.name for each in files]
    assert all(each.fault is None for each in readings)
    assert seen == [(done, 3_000) for done in range(1, 3_001)]
    assert len(list(tmp_path.glob("pieces-*"))) == 1


def test_whoever_asks_may_leave_at_any_piece(tmp_path: Path) -> None:
    def leave(done: int, total: int) -> None:
        if done == 2:
            raise JobCancelled

    with pytest.raises(JobCancelled):
        symbolic_reading.read(uploaded(tmp_path, {f"{place}.mid": SONG for place in range(5)}), tmp_path, leave)


@pytest.mark.parametrize("lie", ["far", "voice", "order", "meter", "tempo", "long", "name"])
def test_a_piece_that_cannot_be_one_is_not_believed(tmp_path: Path, lie: str) -> None:
    (reading,) = read(tmp_path, {"a.mid": lie.encode()}, module=LYING)

    assert reading.piece is None
    assert reading.fault is not None
    assert reading.fault.code == "decoder_crashed"


@pytest.mark.usefixtures("a_machine_without_layers")
@pytest.mark.parametrize(
    "lie", ["count", "key", "file", "part", "orphan", "twice", "fault", "list", "link", "garbage", "nothing"]
)
def test_an_answer_that_cannot_be_one_is_not_believed(tmp_path: Path, lie: str) -> None:
    with pytest.raises(JobFailed) as caught:
        read(tmp_path, {"a.mid": lie.encode()}, module=LYING)

    assert caught.value.code == "decoder_crashed"
