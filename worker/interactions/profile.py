"""What a dataset of interactions is like: how much there is of it, how it is spread, and what to be warned of."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from worker.interactions import times
from worker.interactions.bots import bots
from worker.interactions.stored import Interactions

SHOWN_CONTEXTS, SHOWN_ITEMS, SHOWN_BOTS = 20, 20, 10
# With fewer items than this of a user, what is recommended says more about others.
COLD_ITEMS = 5
DECILES = 10
# 1 January 1980: such times are often counters, or days, or years.
EARLY_S = 315_532_800.0
# The warnings that follow from the events themselves, and so are said anew when a listener is erased.
OF_FIGURES = ("bots", "one_user", "one_item", "mostly_cold_users", "unlisted_items", "early_times", "no_events")

Json = dict[str, Any]  # Any: JSON


def figures(interactions: Interactions) -> Json:
    """What follows from the interactions alone, for the part `interactions` of a profile."""
    events, users, items = len(interactions.user), len(interactions.users), len(interactions.items)
    pairs, repeats = _pairs(interactions)
    of_user = np.bincount(interactions.user, minlength=users)
    of_item = np.bincount(interactions.item, minlength=items)
    listeners = np.bincount(pairs % max(items, 1), minlength=items)
    played = np.bincount(pairs // max(items, 1), minlength=users)
    return {
        "users": users, "items": items, "events": events, "pairs": len(pairs),
        "density": len(pairs) / (users * items) if users and items else 0.0,
        "repeated_pairs": int(np.count_nonzero(repeats > 1)),
        "events_per_user": _spread(of_user), "listeners_per_item": _spread(listeners),
        "weight": _weights(interactions.weight), "time": _range(interactions.time),
        "contexts": _contexts(interactions), "bots": _bots(interactions, of_user),
        "cold_users": int(np.count_nonzero(played < COLD_ITEMS)),
        "cold_items": {"unplayed": int(np.sum(of_item == 0)), "once": int(np.sum(of_item == 1))},
        "popularity": _popularity(of_item), "top_items": _top(interactions.items, of_item),
        "item_columns": _columns(interactions.catalogue), "unlisted_items": _unlisted(interactions, of_item),
        "split": "time" if _has_times(interactions.time) else "user",
    }  # fmt: skip


def warnings(interactions: Interactions, said: Json) -> list[Json]:
    """What to be warned of, by the figures alone."""
    return [{"code": code, "detail": detail} for code, detail in _warnings(interactions, said)]


def again(profile: Json, interactions: Interactions) -> Json:
    """The profile of a dataset that has lost events: what was said of its files stays, the figures are new."""
    # What a wrong cell held may have been a name.
    said = {**profile["interactions"], **figures(interactions), "faults": []}
    of_files = [each for each in profile["warnings"] if each["code"] not in OF_FIGURES]
    told = [*of_files, *warnings(interactions, said)]
    return {**profile, "rows": said["events"], "warnings": told, "interactions": said}


def _pairs(interactions: Interactions) -> tuple[np.ndarray, np.ndarray]:
    """Every user and item that met, as user * items + item; and how often they did."""
    keys = interactions.user.astype(np.int64) * max(len(interactions.items), 1) + interactions.item
    pairs, counts = np.unique(keys, return_counts=True)
    return pairs, counts


def _spread(counts: np.ndarray) -> Json | None:
    if not len(counts):
        return None
    return {
        "min": int(counts.min()), "median": float(np.median(counts)), "mean": float(counts.mean()),
        "p90": float(np.percentile(counts, 90)), "max": int(counts.max()),
    }  # fmt: skip


def _weights(weight: np.ndarray) -> Json | None:
    if not len(weight):
        return None
    total = float(weight.sum())
    return {"min": float(weight.min()), "median": float(np.median(weight)), "max": float(weight.max()), "sum": total}


def _range(time: np.ndarray | None) -> Json | None:
    if time is None or not len(time):
        return None
    return {"from": times.write(float(time.min())), "to": times.write(float(time.max()))}


def _has_times(time: np.ndarray | None) -> bool:
    return time is not None and len(time) > 0 and float(time.min()) < float(time.max())


def _contexts(interactions: Interactions) -> dict[str, int]:
    context = interactions.context
    if context is None or not context.words:
        return {}
    counts = np.bincount(context.codes[context.codes >= 0], minlength=len(context.words))
    return {context.words[place]: int(counts[place]) for place in _most(counts, SHOWN_CONTEXTS)}


def _bots(interactions: Interactions, of_user: np.ndarray) -> Json:
    found = bots(interactions)
    named = [interactions.users[place] for place in found[np.argsort(-of_user[found], kind="stable")][:SHOWN_BOTS]]
    return {"users": len(found), "events": int(of_user[found].sum()), "named": named}


def _popularity(of_item: np.ndarray) -> list[float] | None:
    """Shares of all events by tenths of the items, those that are played most first."""
    if not of_item.sum():
        return None
    ordered = np.sort(of_item)[::-1]
    ends = np.round(np.linspace(0, len(ordered), DECILES + 1)).astype(np.int64)
    total = np.concatenate([[0], np.cumsum(ordered)])
    return [float(share) for share in np.diff(total[ends]) / of_item.sum()]


def _top(items: list[str], of_item: np.ndarray) -> list[list[Any]]:  # Any: an id and a count
    return [[items[place], int(of_item[place])] for place in _most(of_item, SHOWN_ITEMS)]


def _most(counts: np.ndarray, shown: int) -> list[int]:
    """The places of the largest counts, without those of nothing."""
    first = np.argsort(-counts, kind="stable")[:shown]
    found: list[int] = first[counts[first] > 0].tolist()
    return found


def _columns(catalogue: pa.Table) -> list[Json]:
    return [
        {"name": name, "type": _type(column.type), "filled": catalogue.num_rows - column.null_count}
        for name, column in zip(catalogue.column_names, catalogue.columns, strict=True)
    ]


def _type(kind: pa.DataType) -> str:
    if pa.types.is_boolean(kind):
        return "boolean"
    return "number" if pa.types.is_integer(kind) or pa.types.is_floating(kind) else "text"


def _unlisted(interactions: Interactions, of_item: np.ndarray) -> int | None:
    if interactions.listed is None:
        return None
    return int(np.count_nonzero((of_item > 0) & ~interactions.listed))


def _warnings(interactions: Interactions, said: Json) -> Iterator[tuple[str, str]]:
    users, played = said["users"], said["items"] - said["cold_items"]["unplayed"]
    if not users:
        yield "no_events", "There is no event left: nothing can be learned from this."
        return
    if said["bots"]["users"]:
        # Unnamed here: warnings are kept with the job, from which nobody is erased.
        count = f"{said['bots']['users']:,} users with {said['bots']['events']:,} events"
        yield "bots", f"Nobody listens to that much: {count}. A training leaves them out."
    if users == 1:
        yield "one_user", "All events are of one user: nothing can be learned from what others play."
    if played == 1:
        yield "one_item", "All events are of one item: there is nothing else to recommend."
    if 2 * said["cold_users"] > users:
        share = f"{said['cold_users']:,} of {users:,} users"
        yield "mostly_cold_users", f"Few tastes can be told: {share} have played fewer than {COLD_ITEMS} items."
    if said["unlisted_items"]:
        yield "unlisted_items", f"Items that were played and are not in the item table: {said['unlisted_items']:,}."
    if interactions.time is not None and float(interactions.time.max()) < EARLY_S:
        until = said["time"]["to"]
        yield "early_times", f"All times end by {until}: expected dates, or seconds since 1970."
