"""A schedule made on the command line scores a growing dataset three nights long, by a clock that is put forward."""

import sqlite3
import time
from pathlib import Path

from tests.client.conftest import Shell, wait

MINUTE_S, NIGHTS = 60, 3
FIRST, MORE = 100, 50


def put_forward(home: Path, night: int) -> None:
    """Have the moment of a night come: three minutes ago was the first one, two minutes ago the second.

    As the clock cannot be moved, the schedule is: to a minute of this day that nobody has had yet.
    """
    moment = int(time.time()) // MINUTE_S * MINUTE_S - (NIGHTS - night) * MINUTE_S
    cron = time.strftime("%M %H * * *", time.gmtime(moment))
    with sqlite3.connect(home / "etude.db", timeout=30) as sql:
        # There is one; its name lies sealed.
        changed = sql.execute("UPDATE schedules SET cron = ?, next_at = ?", (cron, moment))
        assert changed.rowcount == 1
    sql.close()


def test_each_night_only_what_is_new_is_scored_and_the_difference_is_right(shell: Shell, songs: Path) -> None:
    assert shell.run("train", str(songs), "--target", "genre", "--model", "night", "--watch").code == 0
    header, *lines = songs.read_text().splitlines()

    def upload(rows: int) -> None:
        (shell.folder / "growing.csv").write_text("\n".join([header, *lines[:rows]]) + "\n")
        assert shell.run("upload", "growing.csv", "--id", "id", "--target", "genre").code == 0

    upload(FIRST)
    made = shell.run(
        "schedule", "create", "nights", "growing@latest", "--cron", "0 3 * * *", "--timezone", "UTC", "--score",
        "night@latest", "--param", "skip_scored=true", "--json",
    )  # fmt: skip
    assert made.code == 0, made.err
    jobs: list[str] = []
    for night in range(NIGHTS):
        if night:
            upload(FIRST + night * MORE)
        put_forward(shell.home, night)
        found = wait(lambda: shell.run("jobs", "--schedule", "nights", "--json").json[: -len(jobs) or None])
        jobs.append(found[0]["id"])
        assert shell.run("watch", jobs[-1]).code == 0
    runs = shell.run("schedule", "runs", "nights")
    whole = shell.run("score", "night@latest", "growing@latest", "--watch", "--json").json["id"]
    diffs = [shell.run("diff", whole, job, "--json").json for job in jobs]
    between = shell.run("diff", jobs[2], jobs[1], "--json").json
    shell.run("schedule", "delete", "nights")

    results = [shell.run("job", job, "--json").json["result"] for job in jobs]
    assert [(each["rows"], each["skipped"]) for each in results] == [
        (FIRST, 0), (MORE, FIRST), (MORE, FIRST + MORE),
    ]  # fmt: skip
    assert all(job in runs.out for job in jobs)
    # What a night has scored is what the whole says of the same rows; together the nights have all of them.
    assert [(each["same"], each["changed"], each["only_there"]) for each in diffs] == [
        (FIRST, 0, 0), (MORE, 0, 0), (MORE, 0, 0),
    ]  # fmt: skip
    assert sum(each["same"] for each in diffs) == FIRST + (NIGHTS - 1) * MORE
    assert (between["same"], between["only_here"], between["only_there"]) == (0, MORE, MORE)
