"""Schedules on the command line and from Python, against a whole service."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from etude import Client, Refused, Schedule

from tests.client.conftest import Shell


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    found = json.loads((home / "client.json").read_text())
    with Client(found["url"], found["key"]) as opened:
        yield opened


@pytest.fixture
def dataset(client: Client, songs: Path) -> str:
    return client.upload(songs, name="scheduled", target="genre").reference


QUICK = ("--param", "epochs=1", "--param", "baselines=false")


def test_a_schedule_from_its_making_to_its_end(shell: Shell, dataset: str) -> None:
    named = ("--cron", "0 3 * * MON-FRI", "--timezone", "Europe/Berlin")
    made = shell.run(
        "schedule", "create", "nightly", "scheduled@latest", *named, "--train", "classification", "--model", "by-night",
        "--overlap", "queue", "--misfire", "all", "--grace", "60", *QUICK, "--json",
    )  # fmt: skip
    shown = shell.run("schedule", "show", "nightly")
    listed = shell.run("schedule", "list")
    moments = shell.run("schedule", "next", "nightly", "-n", "3", "--json")
    paused = shell.run("schedule", "pause", "nightly")
    ran = shell.run("schedule", "run", "nightly", "--json")
    ended = shell.run("watch", ran.json["id"], "--json")
    runs = shell.run("schedule", "runs", "nightly")
    jobs = shell.run("jobs", "--schedule", "nightly", "--json")
    resumed = shell.run("schedule", "resume", "nightly", "--json")
    deleted = shell.run("schedule", "delete", "nightly")

    assert made.code == 0, made.err
    assert made.json["job"] == {
        "action": "train", "kind": "classification", "model": "by-night", "dataset": "scheduled@latest",
        "params": {"epochs": 1, "baselines": False},
    }  # fmt: skip
    assert (made.json["overlap"], made.json["misfire"], made.json["misfire_grace_s"]) == ("queue", "all", 60.0)
    for told in (
        "nightly",
        "0 3 * * MON-FRI",
        "Europe/Berlin",
        "active",
        "by-night on scheduled@latest",
        "overlap queue",
    ):
        assert told in shown.out
    assert "nightly" in listed.out and "active" in listed.out
    assert len(moments.json) == 3 and moments.json == sorted(moments.json)
    assert "paused" in paused.out
    assert (ended.code, ended.json["schedule"], ended.json["state"]) == (0, made.json["id"], "succeeded")
    assert "by hand" in runs.out and ran.json["id"] in runs.out and "succeeded" in runs.out
    assert [job["id"] for job in jobs.json] == [ran.json["id"]]
    assert resumed.json["state"] == "active"
    assert deleted.code == 0 and made.json["id"] in deleted.out
    assert shell.run("schedule", "show", "nightly").code == 3


def test_what_is_trained_by_schedule_is_promoted_if_its_gate_lets_it_pass(shell: Shell, dataset: str) -> None:
    made = shell.run(
        "schedule", "create", "monthly", "scheduled@latest", "--cron", "30 4 1 * *", "--train", "classification",
        "--model", "monthly", "--param", "epochs=1", "--param", "baselines=false", "--promote", "champion",
        "--require", "accuracy", "--json",
    )  # fmt: skip
    first, again = (shell.run("schedule", "run", "monthly", "--watch", "--json") for _ in range(2))
    shell.run("schedule", "delete", "monthly")

    assert made.json["job"]["promote"] == {
        "alias": "champion", "require": {"metric": "accuracy", "not_worse_than": "champion"},
    }  # fmt: skip
    assert first.json["result"]["promotion"] == {"alias": "champion", "moved": True, "from": None}
    # The same rows and the same seed make the same network, which is not worse.
    assert again.json["result"]["promotion"]["from"] == first.json["result"]["version"]


def test_a_model_is_scored_with_by_schedule(shell: Shell, client: Client, dataset: str) -> None:
    client.train(dataset, model="scorer", params={"epochs": 1, "baselines": False}).wait()

    made = shell.run(
        "schedule", "create", "weekly", "scheduled@1", "scheduled@latest", "--cron", "30 4 * * SUN", "--score",
        "scorer", "--json",
    )  # fmt: skip
    shell.run("schedule", "delete", "weekly")

    assert made.code == 0, made.err
    assert made.json["job"] == {"action": "score", "model": "scorer", "dataset": ["scheduled@1", "scheduled@latest"]}
    assert (made.json["timezone"], made.json["overlap"]) == ("UTC", "skip")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("x", "scheduled"), "Either --score MODEL or --train KIND"),
        (("x", "scheduled", "--score", "m", "--train", "classification"), "Either --score MODEL or --train KIND"),
        (("x", "scheduled", "--score", "m", "--model", "n"), "--model names what is trained"),
        (("x", "scheduled", "--score", "m", "--promote", "champion"), "--promote is of a training"),
        (("x", "--train", "classification"), "Missing argument"),
        (("x", "songs.csv", "--train", "classification"), "`etude upload`"),
        (("x", "scheduled", "--train", "classification", "--overlap", "wait"), "'wait' is not one of"),
    ],
)
def test_a_wrong_command_is_told_before_anything_is_sent(
    shell: Shell, songs: Path, arguments: tuple[str, ...], said: str
) -> None:
    ran = shell.run("schedule", "create", *arguments, "--cron", "0 3 * * *")

    assert ran.code == 2
    assert said in ran.err


def test_a_refusal_is_told_with_its_place(shell: Shell, dataset: str) -> None:
    ran = shell.run(
        "schedule",
        "create",
        "never",
        "nothing",
        "--cron",
        "0 0 30 2 *",
        "--timezone",
        "Mars",
        "--train",
        "classification",
    )

    assert ran.code == 2
    assert "--cron: " in ran.err and "never does" in ran.err and "--timezone: " in ran.err


@pytest.fixture
def nightly(client: Client, dataset: str) -> Iterator[Schedule]:
    job = {"action": "train", "kind": "classification", "dataset": dataset, "model": "changed"}
    made = client.create_schedule("nightly", cron="0 3 * * *", job={**job, "params": {"epochs": 1, "baselines": False}})
    yield made
    made.delete()


def test_a_schedule_is_changed_by_its_name_or_its_id(shell: Shell, nightly: Schedule) -> None:
    by_name = shell.run("schedule", "change", "nightly", "--cron", "0 4 * * *", "--timezone", "Europe/Berlin")
    by_id = shell.run(
        "schedule", "change", nightly.id, "--overlap", "queue", "--misfire", "all", "--grace", "60", "--json"
    )

    assert by_name.code == 0 and "0 4 * * * Europe/Berlin" in by_name.out, by_name.err
    assert {name: by_id.json[name] for name in ("cron", "timezone", "overlap", "misfire", "misfire_grace_s")} == {
        "cron": "0 4 * * *", "timezone": "Europe/Berlin", "overlap": "queue", "misfire": "all", "misfire_grace_s": 60.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 2, "Any of --cron, --timezone, --overlap, --misfire, --grace."),
        (("--cron", "0 0 30 2 *"), 2, "--cron: "),
        (("--grace", "99999999"), 2, "--grace: "),
        (("--overlap", "wait"), 2, "'wait' is not one of"),
    ],
)
def test_a_change_that_cannot_be_says_why(
    shell: Shell, nightly: Schedule, arguments: tuple[str, ...], code: int, said: str
) -> None:
    ran = shell.run("schedule", "change", "nightly", *arguments)

    assert ran.code == code
    assert said in ran.err
    assert shell.run("schedule", "show", "nightly", "--json").json["revision"] == 0


@pytest.mark.parametrize("command", ["show", "pause", "resume", "run", "next", "runs", "delete"])
def test_a_schedule_that_is_not_there_is_told_with_where_the_others_are(shell: Shell, command: str) -> None:
    ran = shell.run("schedule", command, "nowhere")

    assert ran.code == 3
    assert "etude schedule list" in ran.err


def test_a_run_by_hand_may_be_watched(shell: Shell, nightly: Schedule) -> None:
    ran = shell.run("schedule", "run", nightly.id, "--watch", "--json")

    assert (ran.code, ran.json["state"]) == (0, "succeeded"), ran.err


def test_of_a_paused_schedule_it_is_said_that_nothing_comes(shell: Shell, nightly: Schedule) -> None:
    before = shell.run("schedule", "runs", "nightly")
    paused = shell.run("schedule", "pause", "nightly")

    moments, runs = shell.run("schedule", "next", nightly.id, "-n", "2"), shell.run("schedule", "runs", "nightly")

    assert "the first is due" in before.out and "paused" in runs.out
    assert "etude schedule resume nightly" in paused.out
    assert len(moments.out.splitlines()) == 2 and "etude schedule resume nightly" in moments.err


def test_a_deletion_is_told_as_json_too(shell: Shell, client: Client, dataset: str) -> None:
    job = {"action": "train", "kind": "classification", "dataset": dataset}
    made = client.create_schedule("gone", cron="0 3 * * *", job=job)

    assert shell.run("schedule", "delete", "gone", "--json").json == {"schedule": made.id, "state": "deleted"}


@pytest.mark.parametrize(
    "command", [(), ("create",), ("change",), ("run",), ("next",)], ids=lambda command: " ".join(command) or "schedule"
)
def test_the_help_has_examples_and_nothing_is_cut(shell: Shell, command: tuple[str, ...]) -> None:
    said = shell.run("schedule", *command, "--help", COLUMNS="80").out

    assert "Examples:\n    etude schedule " in said
    assert "..." not in said.partition("Commands:")[2].partition("Examples:")[0]


def test_without_a_schedule_it_is_said_how_to_make_one(shell: Shell, client: Client) -> None:
    for each in client.schedules():
        each.delete()

    assert "etude schedule create" in shell.run("schedule", "list").out


def test_a_schedule_from_python(client: Client, dataset: str) -> None:
    job = {"action": "train", "kind": "classification", "dataset": "scheduled"}
    made = client.create_schedule("from-python", cron="0 3 * * *", job=job, timezone="Europe/Berlin")

    with pytest.raises(Refused) as refused:
        client.create_schedule("from-python", cron="0 3 * * *", job=job)
    spring = made.next(2, after=datetime(2027, 3, 27, tzinfo=UTC))
    changed = client.schedule(made.id).change(cron="0 4 * * *", overlap="replace")
    paused = made.pause()

    assert refused.value.code == "schedule_exists"
    assert [moment.isoformat() for moment in spring] == ["2027-03-27T02:00:00+00:00", "2027-03-28T01:00:00+00:00"]
    assert (changed.raw["cron"], changed.raw["overlap"], changed.raw["revision"]) == ("0 4 * * *", "replace", 1)
    assert (paused.state, paused.next_at, paused.error) == ("paused", None, None)
    assert made.resume().next_at is not None
    assert list(made.runs()) == []
    made.delete()
    assert "from-python" not in [each.name for each in client.schedules()]
