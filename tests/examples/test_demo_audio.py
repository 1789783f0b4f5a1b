"""The demo of recordings, as `make demo-audio` runs it; and the music that it makes."""

import csv
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from examples.sounds import composer, instruments, piano_roll, recordings, styles
from examples.sounds.composer import Note
from examples.sounds.instruments import RATE_HZ

LIMIT_S = 480.0


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """What the demo printed, and the home that it left."""
    home = tmp_path_factory.mktemp("heard")
    done = subprocess.run(
        [sys.executable, "-m", "examples.demo_audio"],
        env={**os.environ, "ETUDE_HOME": str(home), "ETUDE_PORT": "0"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT_S,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout, home


def read(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def figure(pattern: str, output: str) -> float:
    found = re.search(pattern, output)
    assert found, output
    return float(found[1])


def test_the_demo_says_what_it_found_in_the_folder(ran: tuple[str, Path]) -> None:
    output, _ = ran

    assert "bands@1  41 tracks, 0.16 hours" in output
    assert "1 clipped" in output and "1 silent" in output
    assert "St Alban's/The Crossing (again).flac sounds like St Alban's/The Crossing.mp3" in output
    assert "Hollow Reed/The Crossing.mp3: " in output


def test_the_demo_tags_and_learns_better_than_chance(ran: tuple[str, Path]) -> None:
    output, _ = ran

    for told in (
        "top tags",
        "bpm",
        "danceability",
        "validation tracks",
        "validation segments",
        "majority",
        "style@1",
        "differential privacy: none",
        "membership: an attack by the losses has AUC",
    ):
        assert told in output
    told = re.findall(r"^accuracy +([\d.]+) \([\d.]+–[\d.]+\) +([\d.]+)", output, re.MULTILINE)
    network, majority = map(float, told[0])
    assert network > 0.7 > majority
    assert figure(r"(\d) of 8 named right", output) >= 6


def test_the_demo_finds_what_is_alike_and_writes_notes_down(ran: tuple[str, Path]) -> None:
    output, home = ran

    alike = output.partition("Which tracks sound like")[2].partition("7. ")[0]
    assert len(re.findall(r"dance", alike)) >= 3
    assert figure(r"recall ([\d.]+)", output) > 0.8
    assert figure(r"precision ([\d.]+)", output) > 0.5
    assert piano_roll.FOUND * 4 in output
    notes = home / "demo-audio" / "notes"
    assert sorted(path.suffix for path in notes.iterdir()) == [".csv", ".jams", ".mid"]
    assert next(notes.glob("*.mid")).read_bytes()[:4] == b"MThd"


def test_the_demo_says_how_to_go_on_and_leaves_nothing_running(ran: tuple[str, Path]) -> None:
    output, home = ran

    assert "Go on with" in output and "etude analyze" in output
    rows = read(home / "demo-audio" / "styles.csv")
    assert len(rows) == 8
    assert [p for p in psutil.process_iter(["cmdline"]) if home.name in str(p.info["cmdline"])] == []


def test_the_recordings_are_what_they_are_said_to_be(tmp_path: Path) -> None:
    truth = recordings.make(tmp_path / "learned", tmp_path / "unheard")

    rows = read(tmp_path / "learned" / "manifest.csv")
    assert Counter(row["style"] for row in rows) == {"folk": 8, "chamber": 12, "dance": 8, "hymn": 14}
    assert len({row["band"] for row in rows}) == 10
    assert Counter(truth.values()) == {"folk": 4, "dance": 4}
    assert not {row["band"] for row in rows} & set(recordings.UNHEARD)
    files = [path for path in (tmp_path / "learned").rglob("*") if path.suffix != ".csv" and path.is_file()]
    assert {path.relative_to(tmp_path / "learned").as_posix() for path in files} == {row["file"] for row in rows}
    assert {row["style"] for row in rows if row["file"].endswith(".mp3")} == set(recordings.BANDS)


def test_the_same_music_is_made_each_time() -> None:
    manner = styles.Manner(0.5, 0.5, 0.5)
    played = [
        styles.perform(styles.folk(manner, chance, 8), manner, chance)
        for chance in map(np.random.default_rng, (1, 1, 2))
    ]

    assert np.array_equal(played[0], played[1])
    assert not np.array_equal(played[0], played[2])
    assert all(np.isfinite(each).all() and np.abs(each).max() == pytest.approx(0.7) for each in played)


@pytest.mark.parametrize("name", ["pluck", "strike", "bow", "pipe", "buzz"])
def test_an_instrument_sounds_at_its_pitch_and_as_long_as_it_is_told(name: str) -> None:
    sound = getattr(instruments, name)(57, 1.0, np.random.default_rng(0))

    assert len(sound) == RATE_HZ and sound.dtype == np.float32
    steady = sound[RATE_HZ // 5 :]
    spectrum = np.abs(np.fft.rfft(steady * np.hanning(len(steady)), 8 * RATE_HZ))
    # A3 is 220 Hz; its own partial is the strongest between a fifth below it and one above.
    low, high = 8 * 147, 8 * 330
    assert (low + spectrum[low:high].argmax()) / 8 == pytest.approx(220, rel=0.01)


def test_a_melody_keeps_to_its_scale_and_begins_each_bar_in_its_chord() -> None:
    song = composer.write(np.random.default_rng(3), bpm=120, seconds=16, is_minor=True)
    notes = composer.melody(song, np.random.default_rng(4), low=60, beats=(0.5, 1.0))

    scale = {(song.key + step) % 12 for step in song.scale}
    assert {note.pitch % 12 for note in notes} <= scale
    for start, chord in song.each_bar():
        (first,) = [note for note in notes if note.onset_s == pytest.approx(start)]
        assert first.pitch % 12 in {song.pitch(chord + step, 60) % 12 for step in (0, 2, 4)}
    assert song.bars * song.bar_s == pytest.approx(16)


def test_notes_are_paired_by_pitch_and_onset_each_once() -> None:
    true = [Note(0.0, 1, 60), Note(1.0, 1, 60), Note(1.0, 1, 64), Note(2.0, 1, 67)]
    heard = [Note(0.04, 1, 60), Note(0.05, 1, 60), Note(1.06, 1, 60), Note(1.0, 1, 65), Note(1.96, 1, 67)]

    compared = piano_roll.compare(true, heard)

    assert [(note.onset_s, note.pitch) for note in compared.found] == [(0.0, 60), (2.0, 67)]
    assert len(compared.missed) == 2 and len(compared.invented) == 3
    assert (compared.recall, compared.precision) == (0.5, 0.4)


def test_a_roll_shows_what_was_found_missed_and_invented() -> None:
    compared = piano_roll.compare([Note(0, 1, 60), Note(1, 1, 62)], [Note(0, 1, 60), Note(1, 1, 64)])

    assert piano_roll.draw(compared, seconds=2, columns=8) == ["  E4     ×××", "  D4     ░░░", "  C4 ███"]


def test_a_piano_piece_sounds_when_its_notes_say(tmp_path: Path) -> None:
    notes = recordings.make_piano(tmp_path / "p.wav")

    sound, rate_hz = soundfile.read(tmp_path / "p.wav")
    assert rate_hz == RATE_HZ and len(notes) > 30
    end = max(note.onset_s + note.length_s for note in notes)
    assert np.abs(sound[: round(0.05 * rate_hz)]).max() > 0.05
    assert np.abs(sound[round((end + 0.3) * rate_hz) :]).max() < 0.001
