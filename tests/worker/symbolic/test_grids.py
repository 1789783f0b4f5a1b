"""Grids as pieces: runs of a pitch are notes, the parts keep their names, and what is no grid is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests import hostile_archives
from tests.hostile_archives import array_with_header, npy, stored
from worker.symbolic import grids
from worker.symbolic.flaws import Flaw
from worker.symbolic.piece import TICKS, Piece

FRAMES = np.array([[60, 48], [60, -1], [62, -1], [62, 50], [64, 52], [64, 52]], np.int8)
LENGTHS = np.array([4, 2])


def parts(folder: Path, **arrays: Any) -> list[grids.Part]:
    np.savez_compressed(folder / "g.npz", **arrays)
    return grids.read(folder / "g.npz")


def told(piece: Piece) -> list[tuple[float, float, int, int]]:
    """Onset and duration in quarters, pitch and voice."""
    return [
        (int(each["onset"]) / TICKS, int(each["duration"]) / TICKS, int(each["pitch"]), int(each["voice"]))
        for each in piece.notes
    ]


def refused(folder: Path, **arrays: Any) -> Flaw:
    with pytest.raises(Flaw) as caught:
        for part in parts(folder, **arrays):
            for place in range(len(part)):
                part.piece(place, "p")
    return caught.value


def test_a_run_of_one_pitch_is_a_note_and_frames_are_sixteenths(tmp_path: Path) -> None:
    (part,) = parts(tmp_path, frames=FRAMES, lengths=LENGTHS)

    assert (len(part), part.name) == (2, None)
    assert told(part.piece(0, "p")) == [(0, 0.5, 60, 0), (0, 0.25, 48, 1), (0.5, 0.5, 62, 0), (0.75, 0.25, 50, 1)]
    assert told(part.piece(1, "p")) == [(0, 0.5, 64, 0), (0, 0.5, 52, 1)]
    assert [voice.name for voice in part.piece(0, "p").voices] == ["Voice 1", "Voice 2"]


def test_what_is_struck_again_is_another_note(tmp_path: Path) -> None:
    attacks = np.zeros(FRAMES.shape, bool)
    attacks[1, 0] = attacks[1, 1] = True  # of a rest nothing is struck

    (part,) = parts(tmp_path, frames=FRAMES, lengths=LENGTHS, attacks=attacks, resolution=2)

    assert told(part.piece(0, "p"))[:2] == [(0, 0.5, 60, 0), (0, 0.5, 48, 1)]
    assert told(part.piece(0, "p"))[2] == (0.5, 0.5, 60, 0)


def test_the_parts_of_a_published_dataset_keep_their_names(tmp_path: Path) -> None:
    arrays = {
        f"{prefix}_{name}": value
        for prefix in ("train", "valid", "test")
        for name, value in (("frames", FRAMES), ("lengths", LENGTHS))
    }

    assert [(part.name, len(part)) for part in parts(tmp_path, **arrays)] == [
        ("train", 2), ("validation", 2), ("test", 2)
    ]  # fmt: skip


def test_a_piece_without_frames_has_no_notes(tmp_path: Path) -> None:
    (part,) = parts(tmp_path, frames=FRAMES, lengths=np.array([0, 6]))

    assert len(part.piece(0, "p").notes) == 0


@pytest.mark.parametrize(
    ("arrays", "code", "said"),
    [
        ({"X": FRAMES}, "array_shape", "received X"),
        ({"frames": FRAMES}, "array_shape", "both frames and lengths"),
        ({"frames": FRAMES[:, 0], "lengths": LENGTHS}, "array_shape", "(N, voices)"),
        ({"frames": FRAMES[:, :0], "lengths": LENGTHS}, "array_shape", "1 to 64 voices"),
        ({"frames": FRAMES, "lengths": np.array([4, 3])}, "array_shape", "add up to 6 frames, received 7"),
        ({"frames": FRAMES, "lengths": np.array([8, -2])}, "array_shape", "0 or more"),
        ({"frames": FRAMES, "lengths": np.array([2**63, 6 + 2**63], "u8")}, "array_shape", "add up to"),
        ({"frames": FRAMES, "lengths": LENGTHS, "attacks": FRAMES[:2]}, "array_shape", "shape of frames"),
        ({"frames": FRAMES, "lengths": LENGTHS, "resolution": 0}, "array_shape", "frames a quarter"),
        ({"frames": FRAMES, "lengths": LENGTHS, "resolution": [4, 4]}, "array_shape", "frames a quarter"),
        ({"frames": FRAMES.astype(float), "lengths": LENGTHS}, "array_header_invalid", "whole numbers"),
        ({"frames": FRAMES + 70, "lengths": LENGTHS}, "pitch_range", "from 0 to 127"),
        ({"frames": FRAMES - 9, "lengths": LENGTHS}, "pitch_range", "-1 for a rest"),
        ({"frames": np.zeros((400_001, 1), np.int8), "lengths": [400_001]}, "piece_too_long", "100,000 quarters"),
    ],
)
def test_what_is_no_grid_is_refused(tmp_path: Path, arrays: dict[str, Any], code: str, said: str) -> None:
    flaw = refused(tmp_path, **arrays)

    assert flaw.code == code
    assert said in flaw.detail


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (array_with_header("{'descr': '|O', 'fortran_order': False, 'shape': (1,)}"), "pickle_refused"),
        (array_with_header("{'descr': '|i1', 'fortran_order': False, 'shape': (9000000000,)}"), "array_header_invalid"),
        (array_with_header("{'descr': '|i1', 'fortran_order': False, 'shape': (-1, -4)}", data=b'1234'),
         "array_header_invalid"),
        (array_with_header("{'descr': '|i1', 'fortran_order': False, 'shape': (0, 1" + "0" * 60 + ")}"),
         "array_header_invalid"),
        (array_with_header("{'descr': '(2,2)i1', 'fortran_order': False, 'shape': (1,)}", data=bytes(4)),
         "array_header_invalid"),
        (array_with_header("__import__('os')"), "array_header_invalid"),
        (b"\x93NUMPY\x09\x00", "array_header_invalid"),
        (b"", "array_header_invalid"),
    ],
)  # fmt: skip
def test_what_is_no_array_is_refused(tmp_path: Path, content: bytes, code: str) -> None:
    made = hostile_archives.archive([stored("frames.npy", content), stored("lengths.npy", npy([1]))])
    (tmp_path / "g.npz").write_bytes(made)

    with pytest.raises(Flaw) as caught:
        grids.read(tmp_path / "g.npz")

    assert caught.value.code == code
