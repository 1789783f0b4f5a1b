"""MIDI to a WAV file, played by FluidSynth with a sound font; both are optional and come with no package of ours."""

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import symusic

from shared.errors import JobFailed
from shared.processes import die_with_parent

PROGRAM = "fluidsynth"
# Half an hour is 318 MB of 16-bit stereo.
MOST_S = 30 * 60
# Of at most 10: four voices of a church organ at velocity 80 then peak at 0.3 of full scale.
GAIN = "0.6"
# The header of a WAV file without one sample.
HEADER_BYTES = 44
SAID_BYTES = 300
# FluidSynth ends with 0 even if it cannot read the sound font, and plays another; it warns of what does no harm.
COMPLAINT = "error:"


def render(midi: bytes, soundfont: Path, out: Path, *, rate_hz: int = 44_100, time_limit_s: float) -> None:
    """Write `midi` to `out` as 16-bit stereo; nothing is left there when it fails.

    Raises JobFailed with the code render_failed: if a part is missing, the piece is longer than half an hour, the
    program complains or is not done in time.
    """
    program = shutil.which(PROGRAM)
    if program is None or not soundfont.is_file():
        raise _failed(f"FluidSynth or the sound font {soundfont.name} is missing on this worker")
    if (length_s := _length_s(midi)) > MOST_S:
        raise _failed(f"expected at most {MOST_S} s of music, received {length_s:.0f} s")
    with tempfile.TemporaryDirectory(dir=out.parent, prefix="render-") as folder:
        home = Path(folder)
        (home / "piece.mid").write_bytes(midi)
        said = _run(_command(program, soundfont.resolve(), rate_hz), home, time_limit_s)
        made = home / "piece.wav"
        if COMPLAINT in said or not made.is_file() or made.stat().st_size <= HEADER_BYTES:
            raise _failed(f"FluidSynth made no sound of it: {said or 'it says nothing'}")
        made.replace(out)


def _command(program: str, soundfont: Path, rate_hz: int) -> list[str]:
    """Straight into a file, with no shell, no MIDI input and no audio device."""
    wanted = ["-q", "-n", "-i", "-g", GAIN, "-r", str(rate_hz), "-T", "wav", "-O", "s16", "-F", "piece.wav"]
    return [program, *wanted, str(soundfont), "piece.mid"]


def _length_s(midi: bytes) -> float:
    try:
        score: Any = symusic.Score.from_midi(midi)  # Any: its types know no members
        return float(score.to("second").end())
    except RuntimeError as cause:
        raise _failed("the piece is no MIDI file") from cause


def _run(command: list[str], home: Path, time_limit_s: float) -> str:
    """What it said on standard error, at most a few lines. Raises JobFailed if it ends badly or not in time."""
    errors = home / "errors"
    with errors.open("wb") as complaints:
        child = subprocess.Popen(  # noqa: S603 — our own command line
            command,
            cwd=home,
            env={"HOME": str(home), "PATH": os.defpath, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=complaints,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        try:
            status = child.wait(time_limit_s)
        except subprocess.TimeoutExpired as cause:
            raise _failed(f"expected an end within {time_limit_s:g} s") from cause
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
    said = errors.read_bytes()[:SAID_BYTES].decode(errors="replace").strip()
    if status:
        raise _failed(f"FluidSynth ended with {status}: {said}")
    return said


def _failed(why: str) -> JobFailed:
    return JobFailed(
        f"The piece cannot be rendered as audio: {why}. Its MIDI file can be played.", code="render_failed"
    )
