"""Rendering through a program on the PATH: a stand-in that is a real process, well behaved or not."""

import stat
import sys
from pathlib import Path

import pytest

from shared.errors import JobFailed
from tests import waiting
from tests.worker.symbolic import made
from worker.symbolic import audio, midi_writer

MIDI = midi_writer.write(made.melody([60, 62, 64]))

PLAYS = """
import json, os, sys, wave
told = sys.argv[1:]
with wave.open(told[told.index("-F") + 1], "wb") as out:
    out.setnchannels(2)
    out.setsampwidth(2)
    out.setframerate(int(told[told.index("-r") + 1]))
    out.writeframes(open(told[-1], "rb").read())
with open(told[-2] + ".told", "w") as seen:
    json.dump([told, dict(os.environ)], seen)
print("fluidsynth: warning: no sound card", file=sys.stderr)
"""
SPEAKS = 'import sys; print("fluidsynth: error: no sound font", file=sys.stderr)'
# A child of its own, so that killing the first alone would leave one running.
HANGS = """#!/bin/sh
for told; do before=$last; last=$told; done
sleep 600 &
echo $$ $! > "$before.pids"
wait
"""


@pytest.fixture
def soundfont(tmp_path: Path) -> Path:
    path = tmp_path / "font.sf2"
    path.write_bytes(b"RIFF")
    return path


def install(program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    path = folder / audio.PROGRAM
    path.write_text(program if program.startswith("#!") else f"#!{sys.executable} -IS\n{program}")
    path.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(folder))


def out_of(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "piece.wav"


def test_the_wav_file_is_what_the_program_made_of_the_midi(
    soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(PLAYS, tmp_path, monkeypatch)
    out = out_of(tmp_path)

    audio.render(MIDI, soundfont, out, rate_hz=22_050, time_limit_s=60)

    assert out.read_bytes()[:4] == b"RIFF" and out.read_bytes()[24:28] == (22_050).to_bytes(4, "little")
    assert MIDI[:40] in out.read_bytes()
    assert list(out.parent.iterdir()) == [out]


def test_the_program_gets_no_settings_of_ours(soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(PLAYS, tmp_path, monkeypatch)
    monkeypatch.setenv("ETUDE_PEPPER", "secret")

    audio.render(MIDI, soundfont, out_of(tmp_path), time_limit_s=60)

    seen = soundfont.with_name("font.sf2.told").read_text()
    assert "secret" not in seen and "HOME" in seen


@pytest.mark.parametrize(
    ("program", "said"),
    [
        (SPEAKS, "no sound font"),
        ("pass", "it says nothing"),
        ("raise SystemExit(3)", "ended with 3"),
        ('import sys; open(sys.argv[sys.argv.index("-F") + 1], "wb").write(b"RIFF")', "made no sound"),
    ],
    ids=["an error", "nothing", "a status", "an empty file"],
)
def test_a_program_that_fails_fails_the_job_and_leaves_nothing(
    program: str, said: str, soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(program, tmp_path, monkeypatch)
    out = out_of(tmp_path)

    with pytest.raises(JobFailed, match=said) as failed:
        audio.render(MIDI, soundfont, out, time_limit_s=60)

    assert failed.value.code == "render_failed"
    assert list(out.parent.iterdir()) == []


def is_running(pid: int) -> bool:
    """Not gone, and not merely waiting to be buried by whoever started it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_program_that_takes_too_long_is_killed_with_all_that_it_started(
    soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(HANGS, tmp_path, monkeypatch)
    out = out_of(tmp_path)

    with pytest.raises(JobFailed, match="expected an end within 3 s") as failed:
        audio.render(MIDI, soundfont, out, time_limit_s=3)

    pids = soundfont.with_name("font.sf2.pids").read_text().split()
    assert failed.value.code == "render_failed"
    assert waiting.until(lambda: not any(is_running(int(pid)) for pid in pids))
    assert list(out.parent.iterdir()) == []


def test_longer_pieces_than_half_an_hour_are_not_begun(
    soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(PLAYS, tmp_path, monkeypatch)
    long = midi_writer.write(made.melody([60] * 10, 400))

    with pytest.raises(JobFailed, match="expected at most 1800 s of music, received"):
        audio.render(long, soundfont, out_of(tmp_path), time_limit_s=60)


def test_what_is_no_midi_is_refused(soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(PLAYS, tmp_path, monkeypatch)

    with pytest.raises(JobFailed, match="no MIDI file"):
        audio.render(b"no music", soundfont, out_of(tmp_path), time_limit_s=60)


def test_a_missing_sound_font_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(PLAYS, tmp_path, monkeypatch)

    with pytest.raises(JobFailed, match=r"other\.sf2 is missing") as failed:
        audio.render(MIDI, tmp_path / "other.sf2", out_of(tmp_path), time_limit_s=60)

    assert failed.value.code == "render_failed"


def test_a_missing_program_is_said(soundfont: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(JobFailed, match="missing on this worker") as failed:
        audio.render(MIDI, soundfont, out_of(tmp_path), time_limit_s=60)

    assert failed.value.code == "render_failed"
