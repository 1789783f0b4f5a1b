"""The command line, from files to predictions, and every way in which it can end."""

import json
import os
import signal
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from shared.containment import tier
from shared.processes import read_register
from tests.client.conftest import Shell, wait

LONG = ("--param", "epochs=100000", "--param", "early_stopping=false", "--param", "batch_size=1")


def running(shell: Shell, songs: Path) -> str:
    """The id of a training that goes on until it is told to stop."""
    job: str = shell.run("train", str(songs), "--target", "genre", *LONG, "--json").json["id"]
    wait(lambda: shell.run("job", job, "--json").json["stage"] == "training")
    return job


def test_from_a_file_to_predictions(shell: Shell, songs: Path) -> None:
    trained = shell.run("train", str(songs), "--target", "genre", "--id", "id", "--model", "genre", "--watch")
    held_out = shell.folder / "new.csv"
    held_out.write_text("id,tempo,energy\na,121,0.5\nb,97,0.4\nc,,0.1\n")
    scored = shell.run("score", "genre", str(held_out), "--id", "id", "-o", "out.parquet")

    assert trained.code == 0, trained.err
    for told in ("network", "majority", "logistic regr.", "accuracy", "genre@1", "epochs"):
        assert told in trained.out
    assert "training" in trained.err
    assert scored.code == 0, scored.err
    rows = pq.read_table(shell.folder / "out.parquet").to_pylist()
    assert [row["key"] for row in rows] == ["a", "b", "c"]
    assert [row["prediction"] for row in rows[:2]] == ["rock", "pop"]


def test_two_scorings_are_compared_and_one_is_gone_on_from(shell: Shell, songs: Path) -> None:
    assert shell.run("train", str(songs), "--target", "genre", "--model", "first", "--watch").code == 0
    other = ("--param", "seed=5", "--param", "epochs=1")
    assert shell.run("train", "songs@latest", "--model", "second", *other, "--watch").code == 0
    jobs = [shell.run("score", model, "songs@latest", "--watch", "--json").json["id"] for model in ("first", "second")]

    told, same = shell.run("diff", *jobs), shell.run("diff", jobs[0], jobs[0], "--json").json
    counted = shell.run("diff", *jobs, "--json").json
    resumed = shell.run("score", "first", "songs@latest", "--resume", jobs[0])

    assert told.code == 0, told.err
    assert f"{counted['changed']:,} changed" in told.out and counted["changed"] + counted["same"] == same["same"]
    assert (same["changed"], same["only_here"], same["only_there"]) == (0, 0, 0)
    assert resumed.code != 0 and "succeeded" in resumed.err


def test_a_training_takes_an_alias_over_unless_it_is_worse(shell: Shell, songs: Path) -> None:
    gated = ("--model", "promoted", "--promote", "champion", "--require", "accuracy")
    badly = ("--param", "epochs=1", "--param", "learning_rate=0.000001")

    first = shell.run("train", str(songs), "--target", "genre", *gated, "--watch")
    worse = shell.run("train", "songs@latest", *gated, *badly, "--watch")
    wrong = shell.run("train", "songs@latest", "--promote", "latest", "--require", "accuracy")

    assert first.code == 0 and "promoted@champion is now version 1." in first.out, first.err
    assert worse.code == 0 and "promoted@champion stays: Version 2 has accuracy" in worse.out, worse.err
    assert wrong.code == 2 and "--promote: expected an alias" in wrong.err


def test_everything_is_there_as_json(shell: Shell, songs: Path) -> None:
    job = shell.run("train", str(songs), "--target", "genre", "--model", "as-json", "--watch", "--json")
    dataset = job.json["datasets"][0]

    assert job.json["state"] == "succeeded"
    assert shell.run("jobs", "--action", "train", "--limit", "1", "--json").json[0]["id"] == job.json["id"]
    assert shell.run("models", "as-json", "--json").json["versions"][0]["version"] == 1
    assert "as-json" in [model["name"] for model in shell.run("models", "--json").json]
    assert dataset in [each["id"] for each in shell.run("datasets", "--limit", "200", "--json").json]
    assert shell.run("estimate", "songs", "--json").json["parameters"] > 1000
    assert {kind["name"] for kind in shell.run("kinds", "--json").json} >= {"classification", "regression"}
    assert shell.run("alias", "as-json", "champion", "1", "--json").json["aliases"] == ["champion"]


def test_the_workers_are_told_with_what_they_do(shell: Shell, songs: Path) -> None:
    job = running(shell, songs)
    said = shell.run("workers")
    found = {worker["queue"]: worker for worker in shell.run("workers", "--json").json}
    shell.run("cancel", job)

    assert {queue: worker["state"] for queue, worker in found.items()} == {"train": "busy", "light": "idle"}
    assert (found["train"]["job"]["id"], found["light"]["job"]) == (job, None)
    assert {worker["containment"] for worker in found.values()} == {tier.measured().tier}
    assert said.code == 0 and "busy" in said.out and "s ago" in said.out and job in said.out


def test_a_waiting_job_is_shown_with_its_place(shell: Shell, songs: Path) -> None:
    busy = running(shell, songs)
    waiting = [shell.run("train", "songs", *LONG, "--json").json["id"] for _ in range(2)]

    shown = shell.run("job", waiting[1])
    for job in (*waiting, busy):
        shell.run("cancel", job)

    assert "1 before it in the queue" in shown.out


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
def test_predictions_come_in_every_form(shell: Shell, songs: Path, suffix: str) -> None:
    assert shell.run("train", str(songs), "--target", "genre", "--model", f"m-{suffix}", "--watch").code == 0
    scored = shell.run("score", f"m-{suffix}", "songs", "--watch", "--json").json

    saved = shell.run("predictions", scored["id"], "-o", f"deep/out.{suffix}")

    assert saved.code == 0, saved.err
    content = (shell.folder / "deep" / f"out.{suffix}").read_bytes()
    if suffix == "jsonl":
        assert len([json.loads(line) for line in content.splitlines()]) == 200
    elif suffix == "csv":
        assert len(content.splitlines()) == 201
    else:
        assert content[:4] == b"PAR1"
    assert [path.name for path in (shell.folder / "deep").iterdir()] == [f"out.{suffix}"]


def test_the_rows_that_failed_are_saved_apart(shell: Shell, songs: Path) -> None:
    (shell.folder / "odd.csv").write_text("id,tempo,energy\ns1,120,0.5\ns2,fast,0.5\n")
    assert shell.run("train", str(songs), "--target", "genre", "--model", "odd", "--watch").code == 0
    scored = shell.run("score", "odd", "odd.csv", "--watch", "--json").json

    saved = shell.run("predictions", scored["id"], "--errors", "-o", "errors.jsonl")
    refused = shell.run("predictions", scored["id"], "--errors", "-o", "errors.csv")

    assert saved.code == 0, saved.err
    rows = [json.loads(line) for line in (shell.folder / "errors.jsonl").read_text().splitlines()]
    assert [(row["key"], row["column"]) for row in rows] == [("s2", "tempo")]
    assert (refused.code, (shell.folder / "errors.csv").exists()) == (2, False)
    assert ".jsonl" in refused.err


def test_faults_of_a_file_are_told_by_row_and_column(shell: Shell) -> None:
    (shell.folder / "bad.csv").write_text("tempo,genre\n120,rock\n90\n100,pop\n")

    ran = shell.run("train", "bad.csv", "--target", "genre")

    assert ran.code == 1
    assert "row" in ran.err and "bad.csv" in ran.err


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("job", "job_nope"), 3, "no such job"),
        (("models", "nope"), 3, "no such model"),
        (("train", "nofile.csv"), 2, "no such file"),
        (("train", "no/such/folder"), 2, "no such file or folder: no/such/folder"),
        (("train", "nothing-of-that-name"), 3, "etude datasets"),
        (("train", "a.name.with v2"), 3, "etude datasets"),
        (("train", "songs@999"), 3, "etude datasets"),
        (("score", "nope", "songs@999"), 3, "no model nope"),
        (("analyze", "songs", "--model", "etude.nosuch"), 3, "no model etude.nosuch"),
        (("kinds", "nosuch"), 3, "no kind nosuch"),
        (("delete", "songs"), 2, "songs@1"),
        (("train",), 2, "DATA"),
        (("jobs", "--state", "lost"), 2, "queued"),
        (("predictions", "job_nope", "-o", "out.csv"), 3, "no such job"),
        (("predictions", "job_nope", "-o", "out.xlsx"), 2, ".parquet or .csv or .jsonl"),
    ],
)
def test_what_is_wrong_is_said_and_shows_in_the_exit_code(
    shell: Shell, arguments: tuple[str, ...], code: int, told: str
) -> None:
    ran = shell.run(*arguments)

    assert (ran.code, ran.out) == (code, ""), ran
    assert told in ran.err
    assert "Traceback" not in ran.err


def test_a_wrong_param_is_told_by_its_place(shell: Shell, songs: Path) -> None:
    ran = shell.run("train", str(songs), "--target", "genre", "--param", "epochs=0", "--param", "colour=blue")

    assert ran.code == 2
    assert "/params/epochs" in ran.err and "/params/colour" in ran.err


def test_a_param_that_is_nearly_right_is_told_the_right_name(shell: Shell, songs: Path) -> None:
    shell.run("upload", str(songs), "--name", "nearly", "--target", "genre")

    ran = shell.run("train", "nearly", "--param", "epoch=3", "--param", "zzz=1")

    assert ran.code == 2
    assert "did you mean epochs?" in ran.err and ran.err.count("did you mean") == 1


def test_columns_are_for_files_and_refused_with_a_dataset(shell: Shell, songs: Path) -> None:
    shell.run("upload", str(songs), "--name", "fixed", "--target", "genre")

    trained = shell.run("train", "fixed", "--target", "energy", "--drop", "tempo")
    scored = shell.run("score", "etude.tagger-mtt", "fixed@1", "--name", "other", "--audio")

    assert (trained.code, scored.code) == (2, 2)
    assert "fixed is a dataset whose columns are fixed; --target, --drop are for files." in trained.err
    assert "fixed@1 is a dataset whose columns are fixed; --name, --audio are for files." in scored.err


def test_nothing_is_sent_for_what_cannot_end_well(shell: Shell, songs: Path) -> None:
    before = shell.run("datasets", "--limit", "10000", "--json").json

    ran = [
        shell.run("score", "nomodel", str(songs)),
        shell.run("score", "etude.tagger-mtt@gold", str(songs)),
        shell.run("train", str(songs), "--target", "gnre"),
        shell.run("train", str(songs), "--group", "artist"),
        shell.run("score", "nomodel", str(songs), "-o", "x.txt"),
        shell.run("score", "nomodel", str(songs), "-o", "f.parquet", "--param", 'formats=["csv"]'),
        shell.run("analyze", str(songs), "--files", "figures"),
    ]

    told = ("no model nomodel", "etude models etude.tagger-mtt", "did you mean genre?",
            "no column artist: its columns are id, tempo, energy, genre", ".parquet or .csv or .jsonl", "needs parquet",
            "--notes")  # fmt: skip
    for each, sentence in zip(ran, told, strict=True):
        assert sentence in each.err
    assert [each.code for each in ran] == [3, 3, 2, 2, 2, 2, 2]
    assert shell.run("datasets", "--limit", "10000", "--json").json == before
    assert not (shell.folder / "figures").exists()


def test_a_dataset_may_have_a_dot_in_its_name(shell: Shell, songs: Path) -> None:
    shell.run("upload", str(songs), "--name", "my.music v2", "--target", "genre")

    assert shell.run("estimate", "my.music v2").code == 0
    assert shell.run("train", "my.music v2", "--param", "epochs=1").code == 0


def test_a_training_says_first_what_was_read_and_what_will_be_learned(shell: Shell, songs: Path) -> None:
    classes = shell.run("train", str(songs), "--target", "genre", "--param", "epochs=1")
    numbers = shell.run("train", str(songs), "--target", "tempo", "--param", "epochs=1")

    assert "200 rows, 4 columns, target genre (classification, 2 labels)" in classes.out
    assert "target tempo (regression)" in numbers.out
    assert "uploading 1 file, " in classes.err and "reading" in classes.err


def test_what_failed_is_told_with_reasons_and_nothing_is_advised_that_was_done(shell: Shell, songs: Path) -> None:
    rows = ["id,tempo,energy", *(f"s{n},fast,0.5" for n in range(9)), "s9,120,0.5"]
    (shell.folder / "odd.csv").write_text("\n".join(rows) + "\n")
    assert shell.run("train", str(songs), "--target", "genre", "--model", "reasons", "--watch").code == 0

    saved = shell.run("score", "reasons", "odd.csv", "-o", "OUT.CSV")
    (job,) = shell.run("jobs", "--model", "reasons", "--action", "score", "--json").json
    shown = shell.run("job", job["id"])

    assert saved.code == 0 and (shell.folder / "OUT.CSV").exists()
    assert "10 rows, 9 could not be scored" in saved.out and "… and 4 more" in saved.out
    assert saved.out.count("tempo: expected a number, received text of 4 characters") == 5
    assert f"etude predictions {job['id']} --errors" in saved.out
    assert "-o predictions.parquet" in shown.out and "-o predictions.parquet" not in saved.out


def test_what_a_job_was_not_asked_for_is_no_thing_that_is_not_found(shell: Shell, songs: Path) -> None:
    trained = shell.run("train", str(songs), "--target", "genre", "--model", "asked", "--watch", "--json").json
    csv_only = ("--param", 'formats=["csv"]')
    scored = shell.run("score", "asked", "songs", *csv_only, "--watch", "--json").json

    ran = [
        shell.run("predictions", trained["id"]),
        shell.run("predictions", scored["id"], "-o", "out.parquet"),
        shell.run("files", scored["id"], "-o", "files"),
        shell.run("tracks", "songs"),
    ]

    assert [each.code for each in ran] == [2, 2, 2, 2]
    for each, sentence in zip(ran, ("a scoring alone", "asked for csv", "made no files", "of tables"), strict=True):
        assert sentence in each.err
    assert not (shell.folder / "out.parquet").exists() and not (shell.folder / "files").exists()


def test_a_dataset_and_a_model_are_deleted_and_what_was_made_is_named(shell: Shell, songs: Path) -> None:
    assert shell.run("train", str(songs), "--target", "genre", "--model", "short-lived", "--watch").code == 0
    dataset = next(each for each in shell.run("datasets", "--json").json if each["name"] == "songs")["reference"]

    erased = shell.run("delete", dataset)
    deleted = shell.run("delete", "--model", "short-lived", "--json")

    assert (erased.code, deleted.code) == (0, 0), erased.err + deleted.err
    assert f"{dataset} is gone. What was made of it stays: short-lived@1." in erased.out
    assert shell.run("models", "short-lived").code == 3
    assert shell.run("delete", dataset).code == 3


def test_with_json_every_error_is_an_object_with_a_code(shell: Shell) -> None:
    ran = {
        "usage": shell.run("jobs", "--state", "lost", "--json"),
        "not_found": shell.run("estimate", "nowhere", "--json"),
        "not_configured": shell.run("jobs", "--json", ETUDE_URL="127.0.0.1:8431", ETUDE_KEY="x"),
    }

    assert {name: json.loads(each.err)["code"] for name, each in ran.items()} == {name: name for name in ran}
    assert "http://127.0.0.1:8000" in json.loads(ran["not_configured"].err)["detail"]


def test_no_command_is_cut_in_the_list_of_all(shell: Shell) -> None:
    listed = shell.run("--help", COLUMNS="80").out.partition("Commands:")[2].partition("Results go")[0]

    assert len(listed.split()) > 50
    assert "..." not in listed


def test_a_wrong_key_and_no_service_and_no_address_are_told_apart(shell: Shell, tmp_path: Path) -> None:
    address = json.loads((shell.home / "client.json").read_text())["url"]

    wrong_key = shell.run("jobs", ETUDE_URL=address, ETUDE_KEY="etude_x_y_z")
    nobody = shell.run("jobs", ETUDE_URL="http://127.0.0.1:9", ETUDE_KEY="etude_x_y_z")
    nowhere = shell.run("jobs", ETUDE_HOME=str(tmp_path / "empty"))

    assert (wrong_key.code, nobody.code, nowhere.code) == (3, 4, 3)
    assert "key" in wrong_key.err
    assert "make up" in nobody.err
    assert "make up" in nowhere.err


def test_ctrl_c_stops_watching_and_not_the_job(shell: Shell, songs: Path) -> None:
    job = running(shell, songs)
    watching = shell.start("watch", job)
    assert watching.stderr is not None
    said = watching.stderr.readline()

    watching.send_signal(signal.SIGINT)
    _, err = watching.communicate(timeout=60)

    assert watching.returncode == 130
    assert f"etude cancel {job}" in said + err
    assert shell.run("job", job, "--json").json["state"] == "running"
    assert "asked to end; it ends at the next beat" in shell.run("cancel", job).out
    assert shell.run("watch", job).code == 5


def test_a_web_process_that_is_killed_meanwhile_is_not_noticed(shell: Shell, songs: Path) -> None:
    job = running(shell, songs)
    watching = shell.start("watch", job, "--json")

    os.kill(read_register(shell.home)["web"], signal.SIGKILL)
    assert shell.run("cancel", job, "--keep", "best").code == 0
    out, err = watching.communicate(timeout=120)

    assert watching.returncode == 5, err
    assert out == ""
    assert shell.run("job", job, "--json").json["result"]["version"] >= 1


def test_two_versions_are_judged_side_by_side_and_one_is_silent_where_it_is_unsure(shell: Shell, songs: Path) -> None:
    sure = ("--threshold", "auto", "--abstain", "0.8", "--calibration", "temperature")
    trained = shell.run("train", str(songs), "--target", "genre", "--model", "judged", *sure, "--watch")
    assert trained.code == 0, trained.err
    badly = ("--param", "epochs=1", "--param", "learning_rate=0.000001")
    assert shell.run("train", "songs@latest", "--model", "judged", *badly, "--watch").code == 0

    judged = shell.run("evaluate", "judged@1", "songs@latest", "--against", "judged@2")
    scored = shell.run("score", "judged@1", "songs@latest", "--abstain-below", "1", "--watch")
    wrong = shell.run("train", "songs@latest", "--threshold", "rock=2")

    for told in ("calibration error", "rock is said from", "it says nothing", "█"):
        assert told in trained.out
    assert judged.code == 0, judged.err
    for told in ("judged@2", "difference", "McNemar", "█"):
        assert told in judged.out
    assert "judged@1 was trained on rows of this dataset" in judged.out + judged.err
    assert scored.code == 0 and "given no label" in scored.out, scored.err
    assert wrong.code == 2 and "expected auto, or label=share" in wrong.err


def test_one_row_is_erased_and_the_receipt_says_so(shell: Shell, songs: Path) -> None:
    assert shell.run("upload", str(songs), "--target", "genre", "--name", "fewer").code == 0

    both = shell.run("erase", "fewer", "--listener", "s3", "--track", "s3", "--models", "keep", "--yes")
    erased = shell.run("erase", "fewer", "--track", "s3", "--models", "keep", "--yes")
    again = shell.run("erase", "fewer", "--track", "s3", "--models", "keep", "--yes")

    assert both.code == 2 and "a listener or a track" in both.err
    assert erased.code == 0, erased.err
    assert "fewer@1 is rewritten." in erased.out and "r-" in erased.out and "s3" not in erased.out
    assert again.code == 0 and "Nothing of it was found." in again.out


def test_usage_tells_what_the_jobs_of_a_model_have_cost(shell: Shell, songs: Path) -> None:
    assert shell.run("train", str(songs), "--target", "genre", "--model", "counted", "--watch").code == 0

    told, found = shell.run("usage", "--by", "model"), shell.run("usage", "--by", "model", "--json").json
    of_no_day = shell.run("usage", "--from", "2001-01-01", "--to", "2001-01-02", "--json").json

    (row,) = [each for each in found["data"] if each["key"] == "counted"]
    assert (found["by"], row["jobs"]) == ("model", 1) and row["compute_s"] > 0
    (line,) = [line.split() for line in told.out.splitlines() if line.startswith("counted ")]
    assert line[1:3] == ["1", f"{row['compute_s']:,.1f}"]
    assert of_no_day["data"] == [] and shell.run("usage", "--by", "colour").code == 2
