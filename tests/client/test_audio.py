"""Recordings on the command line, from a folder to predictions, figures and files."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import soundfile

from tests.client.conftest import Shell, tone

QUICK = ("--param", "epochs=20", "--param", "seed=1", "--param", 'validation={"fraction":0.5}')


def heard(shell: Shell, recordings: Path, name: str) -> str:
    """A dataset of the folder."""
    ran = shell.run("upload", str(recordings), "--name", name, "--target", "genre", "--group", "artist", "--json")
    assert ran.code == 0, ran.err
    return f"{name}@1"


@pytest.fixture
def unheard(tmp_path: Path) -> Path:
    folder = tmp_path / "new"
    folder.mkdir()
    soundfile.write(folder / "quiet one.flac", tone(333), 22_050)
    soundfile.write(folder / "rough one.wav", tone(471, noise=0.2), 22_050)
    return folder


def test_two_commands_lead_from_a_mixed_folder_to_a_tagger_and_its_predictions(
    shell: Shell, recordings: Path, unheard: Path
) -> None:
    trained = shell.run("train", str(recordings), "--target", "genre", "--model", "shelf", *QUICK, "--watch")
    scored = shell.run("score", "shelf", str(unheard), "-o", "predictions.csv")

    assert trained.code == 0, trained.err
    assert "1 file left out (1 neither a recording nor a manifest)" in trained.err and "cover.jpg" in trained.err
    assert "listening" in trained.err
    for told in ("validation tracks", "validation segments", "majority", "shelf@1"):
        assert told in trained.out
    assert scored.code == 0, scored.err
    with (shell.folder / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["key"], row["prediction"]) for row in rows] == [("quiet one.flac", "calm"), ("rough one.wav", "noisy")]


def test_subfolders_are_learned_where_no_csv_tells_labels(shell: Shell, recordings: Path) -> None:
    (recordings / "manifest.csv").unlink()
    (recordings / "broken.mp3").unlink()

    refused = shell.run("train", str(recordings))
    trained = shell.run(
        "train", str(recordings), "--target", "folder", "--model", "folders", *QUICK, "--watch", "--json"
    )

    assert refused.code == 2 and "--target folder" in refused.err
    assert trained.code == 0, trained.err
    assert set(trained.json["result"]["metrics"]["validation"]["per_class"]) == {"calm", "noisy"}


def test_an_upload_tells_what_was_heard_and_what_is_wrong(shell: Shell, recordings: Path) -> None:
    soundfile.write(recordings / "calm" / "loud.wav", np.clip(3 * tone(200), -1, 1), 22_050)
    soundfile.write(recordings / "calm" / "again.flac", 0.9 * tone(200 + 60), 22_050)
    with (recordings / "manifest.csv").open("a") as file:
        file.write("calm/again.flac,calm,artist 9\ncalm/absent.wav,calm,artist 9\n")

    ran = shell.run("upload", str(recordings), "--name", "mixed", "--target", "genre")

    assert ran.code == 0, ran.err
    assert "mixed@1  9 tracks, 0.01 hours" in ran.out and "target genre" in ran.out
    assert "broken.mp3: " in ran.out
    assert ": no uploaded file has the name" in ran.out and "absent.wav" not in ran.out
    assert "calm/loud.wav: no row of the manifest is about this file" in ran.out
    assert "etude tracks mixed@1 --faults" in ran.out and "(classification, 2 labels)" in ran.out


def test_the_fields_of_a_request_are_told_as_options(shell: Shell, recordings: Path) -> None:
    text = (recordings / "manifest.csv").read_text()
    (recordings / "manifest.csv").write_text(text.replace("artist", "who"))
    ungrouped = shell.run("upload", str(recordings), "--target", "genre")
    (recordings / "manifest.csv").write_text(text.replace("file,", "recorded as,"))
    unnamed = shell.run("upload", str(recordings), "--target", "genre")

    assert "add `--group artist`" in ungrouped.out and "columns.group" not in ungrouped.out
    assert unnamed.code == 1
    assert "--file: " in unnamed.err and "`--file song` names it" in unnamed.err and "/columns" not in unnamed.err


def test_reasons_are_told_with_how_exact_they_are_and_where_they_are(shell: Shell, recordings: Path) -> None:
    heard(shell, recordings, "explained")
    assert shell.run("train", "explained", "--model", "explained", *QUICK, "--watch").code == 0

    ran = shell.run("score", "explained", "explained", "--param", 'explain={"tracks":2}', "--watch")

    assert "2 tracks explained, completeness error at most 0." in ran.out
    assert f"etude files {ran.out.split()[0]} -o folder" in ran.out
    assert "broken.mp3: expected" in ran.out


def test_tracks_are_listed_and_those_with_faults_alone(shell: Shell, recordings: Path) -> None:
    dataset = heard(shell, recordings, "listed")

    every = shell.run("tracks", dataset)
    faults = shell.run("tracks", dataset, "--faults", "--json").json
    few = shell.run("tracks", dataset, "--limit", "2")
    narrow = shell.run("tracks", dataset, FORCE_COLOR="1", TERM="dumb", COLUMNS="80")

    assert "calm/song 0.wav" in every.out and "LUFS" in every.out and "0:03.5" in every.out
    assert [(each["key"], each["fault"]["code"].partition("_")[0]) for each in faults] == [("broken.mp3", "audio")]
    assert few.out.count("song") == 2 and "--limit" in few.out
    assert "-14.4 LUFS" in narrow.out and "channels" not in narrow.out
    assert "broken.mp3: expected frames of MP3, received bytes" in narrow.out


def test_an_analysis_is_a_table_to_read_and_a_file_with_everything(shell: Shell, recordings: Path) -> None:
    (recordings / "manifest.csv").unlink()
    soundfile.write(
        recordings / "steady.wav", np.tile(tone(300, seconds=0.5) * np.geomspace(1, 1e-4, 11_025), 24), 22_050
    )

    ran = shell.run("analyze", str(recordings), "-o", "figures.parquet")

    assert ran.code == 0, ran.err
    assert re.search(r"steady\.wav .* (120|119)\.\d ", ran.out)
    for told in ("top tags", "bpm", "key", "LUFS", "danceability", "energy", "calm/song 0.wav", "etude.tagger-mtt"):
        assert told in ran.out
    assert "10 tracks, 1 could not be heard" in ran.out and "broken.mp3: " in ran.out
    rows = pq.read_table(shell.folder / "figures.parquet").to_pylist()
    assert len(rows) == 9


def test_notes_of_every_track_are_saved_as_files(shell: Shell, recordings: Path) -> None:
    dataset = heard(shell, recordings, "transcribed")

    ran = shell.run("analyze", dataset, "--include", "loudness", "--notes", "--files", "notes", "--json")
    again = shell.run("files", ran.json["id"], "-o", "again")

    assert (ran.code, again.code) == (0, 0), ran.err + again.err
    assert ran.json["params"]["include"] == ["loudness", "notes"]
    names = sorted(path.name for path in (shell.folder / "notes").iterdir())
    assert len(names) == 24 and {name.rpartition(".")[2] for name in names} == {"mid", "csv", "jams"}
    assert names == sorted(path.name for path in (shell.folder / "again").iterdir())
    assert "24 files" in again.err
    jams = next((shell.folder / "notes").glob("*.jams"))
    assert json.loads(jams.read_text())["annotations"]


def test_a_job_that_is_only_queued_is_shown_later(shell: Shell, recordings: Path) -> None:
    dataset = heard(shell, recordings, "queued-only")

    queued = shell.run("analyze", dataset, "--include", "loudness", "--no-watch", "--json")
    assert queued.code == 0, queued.err
    shown = shell.run("watch", queued.json["id"])

    assert queued.json["state"] == "queued"
    assert shown.code == 0, shown.err
    # Not in the first line: an id may hold any letters.
    assert "LUFS" in shown.out and "bpm" not in shown.out.partition("\n")[2]


def test_similar_tracks_are_found_among_those_that_fit(shell: Shell, recordings: Path) -> None:
    heard(shell, recordings, "alike")
    assert shell.run("train", "alike", "--model", "alike", *QUICK, "--watch").code == 0

    ran = shell.run("similar", "alike", "calm/song 0.wav", "-k", "2", "--where", "genre=calm")
    found = shell.run("similar", "alike@latest", "calm/song 0.wav", "-k", "20", "--dataset", "alike", "--json").json

    assert ran.code == 0, ran.err
    assert ran.out.count("calm/song") == 2 and "noisy" not in ran.out and "artist" in ran.out
    keys = [each["track"] for each in found["data"]]
    assert len(keys) == 7 and "calm/song 0.wav" not in keys
    assert [each["score"] for each in found["data"]] == sorted((each["score"] for each in found["data"]), reverse=True)


def test_the_models_of_the_service_are_shown_as_others_work(shell: Shell) -> None:
    listed = shell.run("models")
    shown = shell.run("models", "etude.tagger-mtt")

    assert listed.out.count("comes with the service") == 5
    assert shown.code == 0, shown.err
    assert "the authors' own figures" in shown.out and "roc_auc 0.907" in shown.out
    assert "ISC" in shown.out and "Pons" in shown.out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("analyze", "songs", "--include", "tags,colour"), 2, "colour: expected some of tags,rhythm"),
        (("similar", "nope@3", "a.wav"), 3, "no such model"),
        (("similar", "etude.tagger-mtt", "a.wav", "--where", "genre"), 2, "column=value"),
        (("similar", "etude.tagger-mtt@gold", "a.wav"), 3, "etude models etude.tagger-mtt"),
        (("tracks", "nowhere"), 3, "etude datasets"),
        (("tracks", "no/where"), 3, "etude datasets"),
        (("files", "job_nope", "-o", "out"), 3, "no such job"),
        (("upload", "empty"), 2, "nothing to send"),
    ],
)
def test_what_is_wrong_is_said(shell: Shell, arguments: tuple[str, ...], code: int, told: str) -> None:
    (shell.folder / "empty").mkdir()

    ran = shell.run(*arguments)

    assert (ran.code, ran.out) == (code, ""), ran
    assert told in ran.err
    assert not (shell.folder / "out").exists()
