"""`make demo-audio`: makes music, has it heard, learns to tell its styles, finds what is alike, and writes notes down.

Everything goes through the service as a client meets it. A service that runs already under ETUDE_HOME is used and left
running; else one is started here and stopped at the end. The music is made on the spot (examples/sounds).
"""

import csv
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etude import Client, Dataset, Job, page, show, show_audio, watch

from examples import running
from examples.running import console, step
from examples.sounds import piano_roll, recordings
from examples.sounds.composer import Note

MODEL, DATASET, PIANO = "style", "bands", "nocturne"
# With ten bands 0.4 is one of each style; the same seed makes the same network on the same machine.
PARAMS = {"seed": 7, "validation": {"fraction": 0.4}}
INCLUDE = ("tags", "rhythm", "tonality", "loudness", "character")
ROLL_S = 14.0
# It is made here, by examples/sounds.
RIGHTS = {"licence": "own", "consent": {"training": "granted", "basis": "made by this program"}}
ROWS_SHOWN = 14

Json = dict[str, Any]


def main() -> int:
    """Run the demo; returns the exit status."""
    return running.run(demonstrate, _say_how_to_go_on)


def demonstrate(home: Path) -> None:
    """Make, upload, tag, train, score, compare, transcribe."""
    place = home / "demo-audio"
    with running.client_of(home) as client:
        truth, notes = _make(place)
        bands = _upload(client, place / "bands")
        _tag(client, bands)
        trained = _train(client, bands)
        scored = _score(client, trained, place / "unheard", truth)
        _find_alike(client, trained)
        transcribed = _transcribe(client, place, notes)
        _show_places(place, trained, scored, transcribed)


def _make(place: Path) -> tuple[dict[str, str], list[Note]]:
    step(1, "Make music: twelve bands of four styles, a few faults that real folders have, and a piano piece")
    for name in ("bands", "unheard", "piano", "notes"):
        # What an earlier demo left is no part of this one.
        shutil.rmtree(place / name, ignore_errors=True)
    with console.status("playing and recording"):
        truth = recordings.make(place / "bands", place / "unheard")
        notes = recordings.make_piano(place / "piano" / f"{PIANO}.wav")
    files = [path for path in place.rglob("*") if path.is_file()]
    size = sum(path.stat().st_size for path in files)
    console.print(f"{len(files)} files, {size / 1e6:.0f} MB, in {place}")
    return truth, notes


def _upload(client: Client, folder: Path) -> Dataset:
    step(2, "Upload the folder with its manifest.csv; every recording is heard once and judged")
    made = watch.upload(client, folder, name=DATASET, rights=RIGHTS, target="style", group="band")
    show.dataset(made)
    return made


def _tag(client: Client, bands: Dataset) -> None:
    step(3, "Tag them with etude.tagger-mtt, which comes with the service; and their tempo, key and character")
    job = client.analyze(bands, include=INCLUDE)
    watch.follow(job)
    rows = list(job.predictions())
    console.print(show_audio.heard(rows[:: -(-len(rows) // ROWS_SHOWN)]))
    errors = f", {job.result['errors']} could not be heard" if job.result["errors"] else ""
    console.print(f"{job.result['rows']} tracks{errors}; every figure: etude predictions {job.id} -o figures.csv")


def _train(client: Client, bands: Dataset) -> Job:
    step(4, "Train a small network on what the taggers hear, to name the style; a band stays on one side of the split")
    job = client.train(bands, kind="classification", model=MODEL, params=PARAMS)
    watch.follow(job)
    show.job(job)
    running.tell_privacy(client, job.result["reference"])
    return job


def _score(client: Client, trained: Job, folder: Path, truth: Mapping[str, str]) -> Job:
    step(5, f"Name the style of {len(truth)} recordings by two bands that it has never heard")
    job = client.score(trained.result["reference"], watch.upload(client, folder, name=f"{DATASET}-unheard"))
    watch.follow(job)
    rows = list(job.predictions())
    table = page.table("recording", "predicted", "probability", "truly")
    for row in rows:
        style, said = truth[row["key"]], row["prediction"]
        colour = "green" if style == said else "red"
        table.add_row(row["key"], f"[{colour}]{said}[/{colour}]", f"{row['probabilities'][said]:.2f}", style)
    console.print(table)
    right = sum(row["prediction"] == truth[row["key"]] for row in rows)
    console.print(f"{right} of {len(rows)} named right")
    return job


def _find_alike(client: Client, trained: Job) -> None:
    track = f"{recordings.BANDS['dance'][1]}/{recordings.TITLES[1]}.wav"
    step(6, f"Which tracks sound like {track}?")
    show_audio.similar(client.similar(trained.result["reference"], track, k=5))


def _transcribe(client: Client, place: Path, true: list[Note]) -> Job:
    step(7, "Write down the notes of a piano piece whose notes are known")
    job = client.analyze(watch.upload(client, place / "piano"), include=["notes"], model="etude.transcriber")
    watch.follow(job)
    job.download_files(place / "notes")
    (written,) = (place / "notes").glob("*.notes.csv")
    compared = piano_roll.compare(true, read_notes(written))
    for line in piano_roll.draw(compared, seconds=ROLL_S):
        console.print(line, markup=False, no_wrap=True, overflow="crop")
    signs = f"{piano_roll.FOUND} found  {piano_roll.MISSED} missed  {piano_roll.INVENTED} heard, and not played"
    console.print(f"     0 s to {ROLL_S:.0f} s   {signs}", style="dim")
    console.print(
        f"{len(compared.found)} of {len(true)} notes found: recall {compared.recall:.3f},"
        f" precision {compared.precision:.3f} (onsets within 50 ms)"
    )
    return job


def read_notes(path: Path) -> list[Note]:
    """The notes of a CSV file that the service wrote."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return [
        Note(start := float(row["start_time_s"]), float(row["end_time_s"]) - start, int(row["pitch_midi"]))
        for row in rows
    ]


def _show_places(place: Path, trained: Job, scored: Job, transcribed: Job) -> None:
    scored.download(place / "styles.csv")
    step(8, "What there is now")
    console.print(f"  recordings   {place / 'bands'}, {place / 'unheard'}, {place / 'piano'}")
    console.print(f"  notes        {place / 'notes'} (MIDI, CSV, JAMS), made by {transcribed.id}")
    console.print(f"  model        {trained.result['reference']}, made by {trained.id}")
    console.print(f"  predictions  {place / 'styles.csv'}, made by {scored.id}")


def _say_how_to_go_on(home: Path) -> None:
    bands = os.path.relpath(home / "demo-audio" / "bands")
    commands = {
        "make up": "the service, until Ctrl-C; then, beside it:",
        ".venv/bin/etude analyze your/music": "what your own recordings are like",
        f".venv/bin/etude tracks {DATASET} --faults": "what is wrong with which file",
        f".venv/bin/etude train {bands} --target style --group band --watch": "what step 4 did",
        ".venv/bin/etude train your/music --target folder --watch": "where each subfolder is a label",
        f".venv/bin/etude score {MODEL} your/music -o predictions.csv": "the style of each recording",
    }
    width = max(map(len, commands))
    for command, told in commands.items():
        console.print(f"{command:<{width}}  {told}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
