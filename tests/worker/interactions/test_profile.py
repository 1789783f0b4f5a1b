"""The figures of a dataset, worked by hand on a small one; and what is warned of."""

import json

import numpy as np
import pyarrow as pa

from tests.worker import plays
from worker.interactions import profile, removal
from worker.interactions.stored import Interactions, empty_catalogue
from worker.tables import Texts

NONE = np.empty(0, np.int32)


def small() -> Interactions:
    """a has played x twice and y; b has played x; z is in the item table and nobody has played it, y is not in it."""
    return Interactions(
        ["a", "b"], ["x", "y", "z"], np.array([0, 0, 0, 1], np.int32), np.array([0, 0, 1, 0], np.int32),
        np.array([1.0, 2.0, 3.0, 6.0]), np.array([0.0, 86_400.0, 172_800.0, 0.0]),
        Texts(["car", "home"], np.array([1, 0, 1, -1], np.int32)),
        pa.table({"artist": ["X", None, "Z"], "year": [1999, None, None], "live": [True, None, False]}),
        np.array([True, False, True]),
    )  # fmt: skip


def test_the_figures_by_hand() -> None:
    said = profile.figures(small())

    assert said == {
        "users": 2, "items": 3, "events": 4, "pairs": 3,
        # 3 pairs of 2 x 3.
        "density": 0.5, "repeated_pairs": 1,
        # 3 and 1 events.
        "events_per_user": {"min": 1, "median": 2.0, "mean": 2.0, "p90": 2.8, "max": 3},
        # 2, 1 and 0 listeners.
        "listeners_per_item": {"min": 0, "median": 1.0, "mean": 1.0, "p90": 1.8, "max": 2},
        "weight": {"min": 1.0, "median": 2.5, "max": 6.0, "sum": 12.0},
        "time": {"from": "1970-01-01T00:00:00Z", "to": "1970-01-03T00:00:00Z"},
        "contexts": {"home": 2, "car": 1}, "bots": {"users": 0, "events": 0, "named": []},
        "cold_users": 2, "cold_items": {"unplayed": 1, "once": 1},
        # Three items in ten tenths: the ends lie at 0, 0, 1, 1, 1, 2, 2, 2, 2, 3, 3.
        "popularity": [0.0, 0.75, 0.0, 0.0, 0.25, 0.0, 0.0, 0.0, 0.0, 0.0],
        "top_items": [["x", 3], ["y", 1]],
        "item_columns": [
            {"name": "artist", "type": "text", "filled": 2}, {"name": "year", "type": "number", "filled": 1},
            {"name": "live", "type": "boolean", "filled": 2},
        ],
        "unlisted_items": 1, "split": "time",
    }  # fmt: skip


def test_without_times_a_training_splits_by_user() -> None:
    said = profile.figures(plays.interactions(plays.make(30, 40), time=False, catalogue=False))

    assert (said["split"], said["time"], said["unlisted_items"], said["item_columns"]) == ("user", None, None, [])
    assert sum(said["popularity"]) > 0.999
    assert said["popularity"] == sorted(said["popularity"], reverse=True)


def test_of_nothing_every_figure_is_there_and_json() -> None:
    nothing = Interactions([], [], NONE, NONE, np.empty(0), np.empty(0), None, empty_catalogue(0))

    said = profile.figures(nothing)

    assert json.loads(json.dumps(said, allow_nan=False)) == said
    assert [each["code"] for each in profile.warnings(nothing, said)] == ["no_events"]


def test_the_same_figures_whatever_the_seed_of_sets() -> None:
    made = plays.interactions(plays.make(50, 60))

    assert json.dumps(profile.figures(made)) == json.dumps(profile.figures(made))


def codes(interactions: Interactions) -> list[str]:
    return [each["code"] for each in profile.warnings(interactions, profile.figures(interactions))]


def test_what_is_warned_of() -> None:
    count = 3_000
    bot = Interactions(
        ["a"], ["x"], np.zeros(count, np.int32), np.zeros(count, np.int32), np.ones(count), np.arange(count) * 1.0,
        None, empty_catalogue(1),
    )  # fmt: skip

    assert codes(bot) == ["bots", "one_user", "one_item", "mostly_cold_users", "early_times"]
    assert codes(small()) == ["mostly_cold_users", "unlisted_items", "early_times"]
    assert codes(plays.interactions(plays.make(50, 60))) == []


def test_no_warning_names_a_user() -> None:
    count = 3_000
    bot = Interactions(
        ["alice@example.org"], ["x"], np.zeros(count, np.int32), np.zeros(count, np.int32), np.ones(count),
        np.arange(count) * 1.0, None, empty_catalogue(1),
    )  # fmt: skip
    said = profile.figures(bot)

    assert said["bots"]["named"] == ["alice@example.org"]
    assert "alice" not in json.dumps(profile.warnings(bot, said))


def test_after_an_erasure_the_figures_are_new_and_what_was_said_of_the_files_stays() -> None:
    whole = small()
    figures = profile.figures(whole)
    before = {
        "rows": 4, "columns": [], "roles": {"user": "who"}, "duplicates": 7,
        "warnings": [{"code": "rows_left_out", "detail": "…"}, *profile.warnings(whole, figures)],
        "interactions": {**figures, "duplicates": 7, "left_out": {"id_missing": 1}, "faults": [{"row": 3}],
                         "faults_total": 1, "pseudonyms": False},
    }  # fmt: skip

    after = profile.again(before, removal.remove(whole, 0))

    assert (after["rows"], after["roles"], after["duplicates"]) == (1, {"user": "who"}, 7)
    assert (after["interactions"]["users"], after["interactions"]["left_out"]) == (1, {"id_missing": 1})
    # A wrong cell may have held a name.
    assert after["interactions"]["faults"] == []
    assert [each["code"] for each in after["warnings"]] == [
        "rows_left_out", "one_user", "one_item", "mostly_cold_users", "early_times"
    ]  # fmt: skip
