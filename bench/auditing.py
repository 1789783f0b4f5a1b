"""Labels of real songs that were made wrong on purpose, and how many of them an audit shows first.

The table is that of bench/songs.py, of which a segment of each song is drawn, up to 300, and 20 of them labelled as
another genre; then what stands among the first 30 is counted. Beside it stands what chance would show, and another
ranking of the same probabilities: those first that confident learning counts against their label, by their margin. The
songs have wrong labels of their own (Sturm, "The GTZAN dataset", 2013), which count as found for nothing here.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from bench import songs
from bench.measurement import Measurement, MeasurementBroken, compare
from shared.audit_params import AUDIT
from shared.kinds import KINDS
from worker import cross_validation, evaluation, kinds, suspects
from worker.kinds.protocol import Prepared

NEEDS = "ETUDE_BENCH_SONGS"
ROWS, WRONG, LOOKED_AT = 300, 20, 30

Json = dict[str, Any]


class Silent:
    """The desk of an audit that nobody watches."""

    def enter(self, stage: str) -> None:
        pass

    def check(self) -> None:
        pass

    def report_folds(self, done: int, total: int, *, metrics: object) -> None:
        pass

    def is_enough(self) -> bool:
        return False

    def is_budget_spent(self) -> bool:
        return False


def measure(rounds: int) -> list[Measurement]:
    found = [_audit(seed) for seed in range(rounds)]
    note = f"{WRONG} labels of one segment a song wrong, counted among the first {LOOKED_AT}; a seed a round"
    by_chance = [(ranked, WRONG * LOOKED_AT / rows) for ranked, _, rows in found]
    by_margin = [(ranked, other) for ranked, other, _ in found]
    return [
        compare("wrong labels that an audit shows, beside chance", by_chance, unit="of 20", bar="≥ 7", note=note),
        compare("the same, beside suspects first by their margin", by_margin, unit="of 20", bar="≥ 1", note=note),
    ]


def _audit(seed: int) -> tuple[float, float, int]:
    """How many wrong labels stand first by the audit's ranking, and by the other; of how many rows.

    Raises MeasurementBroken where there are fewer songs than wrong labels need.
    """
    columns, planted = _plant(songs.read(), seed)
    params: Any = KINDS[songs.KIND].ACTIONS[AUDIT].model_validate({"seed": seed})  # Any: the kind's own
    train = params.train
    kind, examples = kinds.find(songs.KIND), songs.load(columns, train)

    def make(**how: Any) -> Prepared:
        return songs.prepare(replace(examples, **how), train)

    desk: Any = Silent()  # Any: all of a desk that folds ask for
    crossed = cross_validation.run(desk, kind, make(), make, lambda each: kind.model.describe(each, train), train)
    prepared, assess = crossed.prepared, kind.labels
    assert prepared.validation is not None and assess is not None
    rows = evaluation.rows_judged(prepared)
    units = evaluation.units_of_rows(prepared, len(rows))
    labelled = assess.read(prepared.target, prepared.validation.y, crossed.outputs, units, seed=seed)
    ranking = suspects.rank(labelled, suspects.ask(labelled))
    by_margin = np.lexsort((ranking.margin, ~ranking.is_suspect))
    return _count(rows[ranking.order], planted), _count(rows[by_margin], planted), len(rows)


def _plant(columns: dict[str, list[Any]], seed: int) -> tuple[dict[str, list[Any]], set[int]]:
    """A segment of each song, and which rows of them have another genre than theirs."""
    random = np.random.default_rng(seed)
    order = random.permutation(len(columns["song"]))
    drawn = order[np.sort(np.unique(np.array(columns["song"])[order], return_index=True)[1])][:ROWS]
    if len(drawn) < 2 * WRONG:
        raise MeasurementBroken(f"expected at least {2 * WRONG} songs, received {len(drawn)}")
    chosen = {name: [values[row] for row in drawn.tolist()] for name, values in columns.items()}
    planted = random.choice(len(drawn), WRONG, replace=False).tolist()
    genres = sorted(set(columns["label"]))
    for row in planted:
        chosen["label"][row] = str(random.choice([each for each in genres if each != chosen["label"][row]]))
    return chosen, set(planted)


def _count(rows: np.ndarray, planted: set[int]) -> float:
    return float(len(planted & set(rows[:LOOKED_AT].tolist())))
