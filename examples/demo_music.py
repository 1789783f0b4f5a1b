"""`make demo-music`: learns from Bach's chorales, harmonises a melody, composes a chorale, and says what was copied.

Everything goes through the service as a client meets it. A service that runs already under ETUDE_HOME is used and left
running; else one is started here and stopped at the end. The chorales lie as MusicXML in the package music21, which is
not imported; the dataset is made once and found again by what is in it.
"""

import hashlib
import importlib.util
import json
import math
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from etude import Client, Composition, Dataset, EtudeError, Job, NotFound, show, watch

from examples import melody, running
from examples.demo import curve
from examples.running import console, step

MODEL = "chorales"
# Nearly all of them are whole chorales of four voices; the service leaves the others out.
CHORALES = "bwv[234]??.mxl"
# Smaller than the default, and with little dropout: what a few minutes on two cores teach. A learning rate higher than
# the default, and small batches, make the most of so few epochs. The same seed makes the same network.
PARAMS = {
    "network": {"type": "gru", "units": [192, 192], "dropout": 0.1, "recurrent_dropout": 0.1},
    "epochs": 18,
    "batch_size": 8,
    "average": 0.99,
    "learning_rate": {"schedule": "cosine", "initial": 0.005, "warmup_epochs": 1},
    "seed": 7,
    "trial": {"pieces": 8, "bars": 8},
}
# Of so many the one that the network finds likeliest is shown. Cooler than it has learned: a melody is harmonised as
# most would do it, and what is composed freely would otherwise go astray after so short a training.
TRIES, HARMONISING, COMPOSING = 8, 0.4, 0.7
BARS, KEY = 8, "G major"
PITCHES = ("C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B")

Json = dict[str, Any]


def main() -> int:
    """Run the demo; returns the exit status."""
    return running.run(demonstrate, _say_how_to_go_on)


def demonstrate(home: Path) -> None:
    """Upload, train, judge, harmonise, compose."""
    place = home / "demo"
    for name in ("harmonised", "composed"):
        # What an earlier demo left is no part of this one.
        shutil.rmtree(place / name, ignore_errors=True)
    place.mkdir(parents=True, exist_ok=True)
    with running.client_of(home) as client:
        chorales = _upload(client)
        trained = _train(client, chorales)
        harmonised = _harmonise(client, trained, place)
        composed = _compose(client, trained, place)
        _show_places(place, trained, harmonised, composed)


def _upload(client: Client) -> Dataset:
    files = find_chorales()
    step(1, f"Upload {len(files)} chorales by J. S. Bach as MusicXML: every one is read and judged")
    name = f"{MODEL}-{_digest(files)}"
    try:
        made = client.dataset(name)
    except NotFound:
        made = watch.upload(client, files, name=name)
    show.dataset(made)
    return made


def find_chorales() -> list[Path]:
    """The files inside the package music21, which is not imported. Raises EtudeError where it is not installed."""
    found = importlib.util.find_spec("music21")
    if found is None or not found.submodule_search_locations:
        raise EtudeError("The chorales are not installed: `make demo-music` installs them.")
    return sorted((Path(found.submodule_search_locations[0]) / "corpus" / "bach").glob(CHORALES))


def _digest(files: Sequence[Path]) -> str:
    """What tells these files from others."""
    told = hashlib.sha256()
    for path in files:
        told.update(f"{path.name}\n".encode() + hashlib.sha256(path.read_bytes()).digest())
    return told.hexdigest()[:8]


def _train(client: Client, chorales: Dataset) -> Job:
    step(2, "Learn them, in all keys; pieces that are held out tell how well, beside what knows nothing of music")
    job = client.train(chorales, model=MODEL, params=PARAMS)
    watch.follow(job)
    console.print(f"loss a token on the pieces held out, epoch by epoch: {curve(job.history())}")
    show.job(job)
    running.tell_privacy(client, job.result["reference"])
    return job


def _harmonise(client: Client, trained: Job, place: Path) -> Composition:
    step(3, "Write three voices to a melody that it has never seen: Beethoven's Ode to Joy, without parallel fifths")
    given = place / "ode.mid"
    given.write_bytes(melody.midi())
    reference = trained.result["reference"]
    asked: Json = {"harmonise": given, "voices": [0], "no_parallels": True}
    return _have_made(client.generate(reference, pieces=TRIES, temperature=HARMONISING, **asked), place / "harmonised")


def _compose(client: Client, trained: Job, place: Path) -> Composition:
    step(4, f"Compose {BARS} bars freely, in {KEY}")
    asked: Json = {"bars": BARS, "key": KEY, "no_parallels": True}
    job = client.generate(trained.result["reference"], pieces=TRIES, temperature=COMPOSING, **asked)
    return _have_made(job, place / "composed")


def _have_made(job: Job, folder: Path) -> Composition:
    """Wait for the pieces, save them, and show the likeliest in the key as it is sung."""
    watch.follow(job)
    made = Composition(job)
    made.save(folder)
    show.job(job, is_saving=True)
    best = min(made.pieces, key=lambda piece: (piece["key_name"] != KEY, float(piece["nll_per_token"])))
    (written,) = folder.glob(f"*{best['key']}.json")
    console.print(f"{best['key']}, beat by beat:")
    for line in sung(json.loads(written.read_text())["piece"]):
        console.print(f"  {line}", markup=False, no_wrap=True, overflow="crop")
    return made


def sung(piece: Json) -> list[str]:
    """A line for each voice, the highest first: what sounds at each beat of 4/4, a bar after the other."""
    beats = math.ceil(max(onset + length for onset, length, *_ in piece["notes"]))
    lines = []
    for voice in range(len(piece["voices"])):
        notes = [note for note in piece["notes"] if note[4] == voice]
        names = [_name_at(notes, beat) for beat in range(beats)]
        lines.append(" | ".join(" ".join(names[at : at + 4]) for at in range(0, beats, 4)))
    return lines


def _name_at(notes: Sequence[Sequence[float]], beat: int) -> str:
    pitch = next((int(pitch) for onset, length, pitch, *_ in notes if onset <= beat < onset + length), None)
    return " – " if pitch is None else f"{PITCHES[pitch % 12]}{pitch // 12 - 1}".ljust(3)


def _show_places(place: Path, trained: Job, harmonised: Composition, composed: Composition) -> None:
    step(5, "What there is now: of each piece MIDI, MusicXML, a picture (PNG) and JSON")
    console.print(f"  melody       {place / 'ode.mid'}")
    console.print(f"  harmonised   {place / 'harmonised'}, made by {harmonised.job.id}")
    console.print(f"  composed     {place / 'composed'}, made by {composed.job.id}")
    console.print(f"  model        {trained.result['reference']}, made by {trained.id}")


def _say_how_to_go_on(home: Path) -> None:
    ode = os.path.relpath(home / "demo" / "ode.mid")
    commands = {
        "make up": "the service, until Ctrl-C; then, beside it:",
        f".venv/bin/etude models {MODEL}": "how good the model is, and what it copies",
        f'.venv/bin/etude compose {MODEL} --bars 16 --key "D major" --meter 3/4': "another chorale",
        f".venv/bin/etude compose {MODEL} --harmonise {ode} --seed 1 --strict": "another setting of the melody",
        ".venv/bin/etude train your/scores --watch": "a model of your own music",
    }
    width = max(map(len, commands))
    for command, told in commands.items():
        console.print(f"{command:<{width}}  {told}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
