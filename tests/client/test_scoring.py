"""A scoring in chunks as the command line shows it: who is at it, how to come back, and how to go on."""

import io
import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from etude import Client, Job, crew, ways
from rich.console import Console

from tests.client.conftest import Shell, wait

ROWS = 20_000


@pytest.fixture
def scoring(shell: Shell, songs: Path) -> Iterator[str]:
    """The id of a scoring that goes on for a while: some hundred chunks."""
    assert shell.run("train", str(songs), "--target", "genre", "--model", "batch", "--watch").code == 0
    chance = random.Random(2)
    lines = (f"s{number},{chance.gauss(110, 9):.2f},{chance.random():.3f}\n" for number in range(ROWS))
    (shell.folder / "many.csv").write_text("id,tempo,energy\n" + "".join(lines))
    job: str = shell.run("score", "batch", "many.csv", "--json").json["id"]
    wait(lambda: shell.run("job", job, "--json").json["stage"] == "scoring")
    yield job
    shell.run("cancel", job)
    shell.run("watch", job)


def test_a_terminal_shows_what_each_worker_does_and_ctrl_c_how_to_come_back(shell: Shell, scoring: str) -> None:
    terminal = shell.open("watch", scoring)
    terminal.read_until("at row ")
    terminal.read_until(" rows/s ")
    terminal.read_until(" left")
    code = terminal.stop()

    assert code == 130
    assert f"/{ROWS:,} rows" in terminal.written and "train-" in terminal.written
    assert f"etude watch {scoring}" in terminal.written


def test_who_scores_to_a_file_and_leaves_is_told_how_to_save_it(shell: Shell, scoring: str) -> None:
    shell.run("cancel", scoring)
    terminal = shell.open("score", "batch", "many@latest", "-o", "my scores.csv")
    terminal.read_until("scoring")
    terminal.stop()
    job = shell.run("jobs", "--action", "score", "--limit", "1", "--json").json[0]["id"]
    shell.run("cancel", job)

    assert f"etude predictions {job} -o 'my scores.csv'" in terminal.written


def test_what_a_cancelled_scoring_has_left_is_done_by_the_command_that_is_told(shell: Shell, scoring: str) -> None:
    wait(lambda: (shell.run("job", scoring, "--json").json["progress"] or {"done": 0})["done"])
    shell.run("cancel", scoring)
    watched = shell.run("watch", scoring)
    shown = shell.run("job", scoring)

    (command,) = (line.strip() for line in watched.err.splitlines() if "--resume" in line)
    resumed = shell.run(*command.split()[1:], "--watch", "--json")

    assert watched.code == 5 and f"etude predictions {scoring}" in watched.err
    assert f" of {ROWS:,}" in shown.out and command in shown.out
    assert (resumed.code, resumed.json["result"]["rows"]) == (0, ROWS), resumed.err


def test_a_pipe_gets_a_line_for_each_stage_and_no_more(shell: Shell, songs: Path) -> None:
    assert shell.run("train", str(songs), "--target", "genre", "--model", "piped", "--watch").code == 0

    ran = shell.run("score", "piped", "songs@latest", "--watch")

    lines = ran.err.splitlines()
    assert ran.code == 0 and all(line.startswith("job_") for line in lines), ran.err
    assert lines[-1].endswith(" succeeded") and len(lines) == len(set(lines))


def test_files_are_not_sent_for_a_scoring_that_goes_on_from_another(shell: Shell, songs: Path) -> None:
    ran = shell.run("score", "any", str(songs), "--resume", "job_1")

    assert ran.code == 2
    assert "--resume goes on with the dataset that job_1 had" in ran.err


def test_a_table_without_the_columns_of_the_model_is_refused_by_name(shell: Shell, songs: Path) -> None:
    assert shell.run("train", str(songs), "--target", "genre", "--model", "strict", "--watch").code == 0
    (shell.folder / "other.csv").write_text("id,loudness\na,1\nb,2\n")

    ran = shell.run("score", "strict", "other.csv", "--watch")

    assert ran.code == 2 and "column tempo: expected a column of this name in other@1" in ran.err


def test_a_job_that_failed_says_which_command_comes_next(shell: Shell, songs: Path) -> None:
    # One of its class alone: there is nothing to check it by.
    (shell.folder / "lonely.csv").write_text(songs.read_text() + "s999,100,0.5,jazz\n")

    ran = shell.run("train", "lonely.csv", "--target", "genre", "--watch")

    job = shell.run("jobs", "--action", "train", "--limit", "1", "--json").json[0]["id"]
    assert (ran.code, f"etude job {job}" in ran.err) == (1, True), ran.err


def test_what_has_drifted_is_shown_with_where_it_moved_to(shell: Shell, songs: Path) -> None:
    assert shell.run("train", str(songs), "--target", "genre", "--model", "drifting", "--watch").code == 0
    same = shell.run("score", "drifting", "songs@latest", "--watch")
    lines = songs.read_text().splitlines()
    cells = [line.split(",") for line in lines[1:]]
    rows = [f"{key},{float(tempo) + 60:.2f},{energy},{genre}" for key, tempo, energy, genre in cells]
    (shell.folder / "faster.csv").write_text("\n".join([lines[0], *rows]) + "\n")
    faster = shell.run("score", "drifting", "faster.csv", "--id", "id", "--watch")

    assert "no drift since its training" in same.out and "warning" not in same.out
    assert "warning: 1 of 2 inputs are distributed otherwise than at its training" in faster.out
    (line, again) = (line for line in faster.out.splitlines() if line.startswith("tempo"))
    assert "since its training" in line and "from 1" in line and line.endswith("100 %")
    assert "since the last run" in again


def test_more_predictions_than_are_shown_are_told_of(shell: Shell, songs: Path) -> None:
    assert shell.run("train", str(songs), "--target", "genre", "--model", "shown", "--watch").code == 0
    job = shell.run("score", "shown", "songs@latest", "--watch", "--json").json["id"]

    some, every = shell.run("predictions", job, "--limit", "3"), shell.run("predictions", job, "--limit", "200")
    two = shell.run("predictions", job, "--limit", "2", "--json")

    assert "… and more" in some.out and "… and more" not in every.out
    assert len(two.json) == 2


def test_a_comparison_shows_as_many_rows_as_are_asked_for_and_who_is_only_on_one_side(shell: Shell) -> None:
    lines = [f"s{number},{number % 2 * 40 + 80 + number % 7},{number % 11}" for number in range(400)]
    for name, labels in (("here", ("pop", "rock")), ("there", ("rock", "pop"))):
        rows = [f"{line},{labels[number % 2]}" for number, line in enumerate(lines)]
        (shell.folder / f"{name}.csv").write_text("\n".join(["id,tempo,energy,genre", *rows]) + "\n")
        assert shell.run("train", f"{name}.csv", "--target", "genre", "--watch").code == 0
    (shell.folder / "longer.csv").write_text("\n".join(["id,tempo,energy", *lines, "extra,80,1"]) + "\n")
    here = shell.run("score", "here", "here@latest", "--watch", "--json").json["id"]
    there = shell.run("score", "there", "longer.csv", "--id", "id", "--watch", "--json").json["id"]

    whole = shell.run("diff", here, there, "--limit", "1000", "--json").json
    told = shell.run("diff", here, there, "--limit", "3")

    assert whole["changed"] == len(whole["data"]) > 200
    assert len({row["key"] for row in whole["data"]}) == whole["changed"]
    assert f"… and {whole['changed'] - 3} more" in told.out and "only there: extra" in told.out, told.err


def worker(number: int, **values: object) -> crew.Json:
    at = {"first": 12_345_678, "rows": 262_144, "since": "2026-11-26T12:00:00.000Z"}
    return {
        "worker": f"train-{number}@a-host-of-long-name", "rows": 3_000_000, "chunks": 12, "took_s": 3.0, "failed": 0,
        "at": at, **values,
    }  # fmt: skip


def drawn(workers: list[crew.Json], unit: str = "rows", *, width: int = 80) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(crew.lines(workers, unit))
    return [line.rstrip() for line in out.getvalue().splitlines()]


def test_the_figures_of_millions_of_rows_fit_a_terminal_of_80_columns() -> None:
    (line,) = drawn([worker(1, failed=2)])

    for told in ("train-1@", "3,000,000 rows", "1,000,000/s", "at row 12,345,678, ", "2 failed"):
        assert told in line


def test_who_is_at_something_stands_before_who_is_not_and_there_is_an_end() -> None:
    lines = drawn([worker(0, at=None), *(worker(number) for number in range(1, 20))], width=120)

    assert lines[0].startswith("train-1@a-host-of-long-name ") and lines[-1] == "… and 4 more"
    assert "at no row now" in drawn([worker(0, at=None)])[0]


def test_one_track_is_one_track_and_without_a_chunk_there_is_no_rate() -> None:
    one, none = drawn([worker(1, rows=1, took_s=2.0), worker(2, rows=0, took_s=0.0)], "tracks")

    assert "1 track " in one and "0/s" in one and "at track 12,345,678" in one
    assert "0 tracks " in none and "/s" not in none


def test_the_command_for_the_rest_says_the_same_params_once_more() -> None:
    with Client("http://127.0.0.1:9", "etude_x_y_z") as client:
        job = Job(client._transport, {
            "id": "job_2", "params": {"formats": ["csv"], "resume_of": "job_1"},
            "result": {"lineage": {"model": "m@1", "datasets": [{"reference": "s@2"}]}},
        })  # fmt: skip

    (command,) = ways.rest(job)

    assert command == """etude score m@1 s@2 '--param=formats=["csv"]' --resume job_2"""


def test_what_a_model_needs_is_shown_and_what_spoke_for_each_row(shell: Shell, songs: Path) -> None:
    trained = shell.run("train", str(songs), "--target", "genre", "--id", "id", "--model", "told", "--watch")
    assert trained.code == 0 and "needs the column" in trained.out and "█" in trained.out, trained.err
    assert shell.run("models", "told").code == 0

    scored = shell.run("score", "told", "songs@latest", "--explain", "--watch", "--json").json["id"]
    asked = 'explain={"counterfactual": true, "nearest": 2}'
    more = shell.run("score", "told", "songs@latest", "--param", asked, "--watch", "--json").json["id"]
    wrong = shell.run("score", "told", "songs@latest", "--param", 'explain={"tracks": 2}')

    told = shell.run("predictions", scored, "--limit", "5")
    assert told.code == 0 and "why" in told.out and "tempo +" in told.out and "otherwise" not in told.out
    assert "otherwise" in (said := shell.run("predictions", more, "--limit", "5").out) and "if tempo were" in said
    assert "like" in said and "(rock)" in said
    assert wrong.code == 2 and "expected no tracks" in wrong.err
