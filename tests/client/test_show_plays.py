"""What is shown of plays and of models that recommend, where a small service has nothing of the sort."""

from typing import Any

import pytest
from etude import Client, Dataset, Job, show, watch

SPREAD = {"min": 1, "median": 2.0, "mean": 2.5, "p90": 4.0, "max": 12_345}
PLAYS: dict[str, Any] = {
    "users": 3, "items": 40, "events": 12_400, "pairs": 60, "density": 0.5, "repeated_pairs": 2, "duplicates": 7,
    "left_out": {}, "faults": [], "faults_total": 0, "events_per_user": SPREAD, "listeners_per_item": SPREAD,
    "weight": None, "time": None, "contexts": {"radio [one]": 9, "party": 3},
    "bots": {"users": 1, "events": 12_345, "named": ["robot"]}, "cold_users": 2,
    "cold_items": {"unplayed": 4, "once": 9}, "popularity": [0.9, 0.1] + 8 * [0.0], "top_items": [["hit", 11]],
    "item_columns": [], "unlisted_items": None, "pseudonyms": False, "split": "user",
}  # fmt: skip


def dataset(**values: Any) -> Dataset:
    roles = {"user": "user", "item": "song", "weight": None, "time": None, "context": "context"}
    warnings = [{"code": "bots", "detail": "said twice"}, {"code": "one_item", "detail": "said once"}]
    profile = {"rows": 12_400, "columns": [], "roles": roles, "warnings": warnings, "interactions": {**PLAYS, **values}}
    head = {"id": "ds_1", "name": "plays", "version": 1, "reference": "plays@1", "state": "ready"}
    return Dataset({**head, "profile": profile})


def test_what_is_doubtful_of_plays_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    show.dataset(dataset())

    told = capsys.readouterr().out
    for said in (
        "contexts: radio [one] (9), party (3)", "1 user with more than anybody hears, 12,345 events: robot",
        "2 users with fewer than 5 items", "nobody has played: 4; that were played once: 9",
        "7 events repeated another exactly", "song as item", "90.0 %  ████████████████████████", "said once",
    ):  # fmt: skip
        assert " ".join(said.split()) in " ".join(told.split()), told
    assert "said twice" not in told


def test_plays_of_which_none_is_left_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    show.dataset(dataset(
        users=0, events=0, density=0.0, events_per_user=None, listeners_per_item=None, popularity=None, top_items=[],
        contexts={}, bots={"users": 0, "events": 0, "named": []}, cold_users=0,
    ))  # fmt: skip

    assert "0 events of 0 users and 40 items" in capsys.readouterr().out


def test_a_training_that_compares_models_says_how_many_it_has_tried_and_the_best() -> None:
    progress = {"done": 3, "total": 25, "unit": "models", "metrics": {"ndcg@100": 0.2, "best": 0.31416}}
    raw = {"id": "job_1", "state": "running", "stage": "choosing", "kind": "recommendation", "progress": progress}
    with Client("http://127.0.0.1:9", "etude_x_y_z") as client:
        seen = Job(client._transport, raw)

    assert (watch.count_of(seen), watch.figures(seen)) == ("3/25 models", "best 0.3142")
