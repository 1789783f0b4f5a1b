"""Classification examples: what the target says, as labels and as numbers."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from pydantic import Field

from shared.errors import FAULTS_SHOWN, Fault, JobFailed
from shared.kinds.classification import TrainParams
from shared.schema import Closed
from worker import division, leakage_report, preparation, tables
from worker.cautions import Caution
from worker.kinds.protocol import Prepared
from worker.preparation import Examples, Profile, listed
from worker.private import declared
from worker.tables import Column, Texts
from worker.training import Table

# The profile counts classes up to here; a target with more is a name or a number.
MOST_LABELS = 1000
# A class needs a row on either side of the split.
CLASS_ROWS = 2
FLAGS = {"1": 1, "true": 1, "0": 0, "false": 0}
FLAG_EXPECTED = "expected 0, 1, true or false"
INTEGER = re.compile(r"-?[0-9]{1,18}")


class Target(Closed):
    """How labels become numbers; stored with the model.

    binary: one output, the probability of `positive`; one_hot: one a label, together 1; multi_hot: one a label.
    """

    encoding: Literal["binary", "one_hot", "multi_hot"]
    labels: tuple[str, ...]
    positive: str | None = None
    columns: tuple[str, ...]
    separator: str | None = None
    # What the logits are divided by, one for each output of multi_hot; none: the network's own probabilities.
    temperatures: tuple[float, ...] = ()
    # From where on a label is said; one half, or the likeliest, where it is not named.
    thresholds: dict[str, float] = Field(default_factory=dict)
    # Below this confidence nothing is said of a row; None: something always is.
    abstain_below: float | None = None

    @property
    def outputs(self) -> int:
        """How many numbers the network answers for a row."""
        return 1 if self.encoding == "binary" else len(self.labels)


@dataclass(frozen=True)
class Encoded:
    """The target of every row: `y` (rows, outputs) for the network, `strata` (rows,) for the split."""

    target: Target
    y: np.ndarray
    strata: np.ndarray


def load(paths: Sequence[Path], profile: Profile, params: TrainParams) -> Examples:
    """Read the table, without the rows that have no label."""
    return preparation.load(paths, profile, params)


def prepare(examples: Examples, params: TrainParams) -> Prepared:
    """Split by class or group, learn the preprocessing, weigh the classes."""
    encoded = encode(examples, params)
    divided = division.divide(examples, params, encoded.strata)
    matrices = preparation.tabulate(examples, divided.split, params)
    leaks, near = leakage_report.look(examples, divided.split, matrices, told=divided.cautions)
    train, validation, test = divided.split.train, divided.split.validation, divided.split.test
    weight = _weights(encoded, train, params)
    return Prepared(
        train=Table(matrices.train, encoded.y[train], weight),
        validation=Table(matrices.validation, encoded.y[validation], None) if len(validation) else None,
        features=matrices.features,
        target=encoded.target.model_dump(mode="json"),
        task=encoded.target.encoding,
        split=divided.as_json(),
        train_rows=examples.rows[train],
        validation_rows=examples.rows[validation],
        validation_groups=divided.validation_groups,
        test=Table(matrices.test, encoded.y[test], None) if len(test) else None,
        test_rows=examples.rows[test],
        test_groups=divided.test_groups,
        train_groups=divided.train_groups,
        leakage=leaks,
        cautions=[
            *examples.cautions,
            *divided.cautions,
            *matrices.cautions,
            *near,
            *_absent(encoded, train),
        ],
    )


def encode(examples: Examples, params: TrainParams) -> Encoded:
    """Read the target as params say. Raises JobFailed when it cannot be learned."""
    columns = [examples.columns[name] for name in examples.targets]
    if len(columns) > 1:
        return _many(examples, _flags(examples), examples.targets, params)
    if params.label_separator is not None:
        hot, labels = _separated(examples.targets[0], tables.labels(columns[0]), params)
        return _many(examples, hot, labels, params)
    return _single(examples, columns[0], params)


def _single(examples: Examples, column: Column, params: TrainParams) -> Encoded:
    name = examples.targets[0]
    if not isinstance(column, Texts) and np.any(column % 1):
        raise JobFailed(
            f"The target {name!r} holds fractions, not labels: use kind `regression`.", code="target_not_labels"
        )
    texts = tables.labels(column)
    counts = np.bincount(texts.codes, minlength=len(texts.words))
    labels = ordered(word for word, count in zip(texts.words, counts, strict=True) if count)
    _refuse_labels(examples, texts, counts)
    labels = ordered(declared.labels(name, labels, params.privacy))
    places = {label: place for place, label in enumerate(labels)}
    codes = np.array([places.get(word, -1) for word in texts.words])[texts.codes]
    positive = _positive(labels, params)
    if positive == labels[0]:
        labels, codes = labels[::-1], 1 - codes
    is_binary = len(labels) == 2 and params.loss != "categorical_crossentropy"
    if not is_binary and params.loss == "binary_crossentropy":
        raise _loss_misfit(params.loss, f"{len(labels)} classes")
    target = Target(
        encoding="binary" if is_binary else "one_hot", labels=tuple(labels), positive=positive, columns=(name,)
    )
    y = codes[:, None] if is_binary else codes[:, None] == np.arange(len(labels))
    return Encoded(target, y.astype(np.float32), codes)


def ordered(labels: Iterable[str]) -> list[str]:
    """Labels in sorted order, by value when all are whole numbers."""
    by_spelling = sorted(labels)
    return sorted(by_spelling, key=int) if all(map(INTEGER.fullmatch, by_spelling)) else by_spelling


def _refuse_labels(examples: Examples, texts: Texts, counts: np.ndarray) -> None:
    name = examples.targets[0]
    present = int(np.count_nonzero(counts))
    if present < 2:
        only = ": every row has the same label" if present else ": no row has a label"
        raise JobFailed(
            f"The target {name!r} has nothing to tell apart{only}. Add rows of another class.",
            code="target_constant",
            faults=[Fault("expected at least two different labels", column=name)],
        )
    if present > MOST_LABELS:
        raise JobFailed(
            f"The target {name!r} has {present} different labels, expected at most {MOST_LABELS}: is it a name or a "
            "number? For a number use kind `regression`.",
            code="target_not_labels",
            faults=[Fault(f"expected at most {MOST_LABELS} labels, received {present}", column=name)],
        )
    lonely = np.flatnonzero(counts == 1)
    rows = examples.rows[[int(np.argmax(texts.codes == code)) for code in lonely[:FAULTS_SHOWN]]]
    _refuse_small([name] * len(lonely), rows)


def _refuse_small(columns: list[str], rows: np.ndarray) -> None:
    """Raise when labels of one row only are any: the column that each stands in; `rows` are the first of their rows."""
    if not columns:
        return
    raise JobFailed(
        f"Labels with too few rows in {listed(dict.fromkeys(columns))}: {len(columns):,}. A class needs at least "
        f"{CLASS_ROWS}, one to learn from and one to check. Add rows of it, or leave it out.",
        code="class_too_small",
        faults=[
            Fault(f"expected at least {CLASS_ROWS} rows of its label, received 1", row=int(row), column=name)
            for name, row in zip(columns, rows.tolist(), strict=False)
        ],
        faults_total=len(columns),
    )


def _positive(labels: list[str], params: TrainParams) -> str | None:
    if params.positive is None:
        return labels[-1] if len(labels) == 2 else None
    if len(labels) == 2 and params.positive in labels:
        return params.positive
    said = f"expected one of two labels, received {params.positive!r}, and the rows have {len(labels):,} labels"
    fault = Fault(said, pointer="/params/positive")
    raise JobFailed("There is no such positive class: " + said + ".", code="positive_unknown", faults=[fault])


def _loss_misfit(loss: str, what: str) -> JobFailed:
    said = f"{loss} does not fit a target of {what}: leave `loss` out, and the right one is taken"
    return JobFailed(said.capitalize() + ".", code="loss_misfit", faults=[Fault(said, pointer="/params/loss")])


def _many(examples: Examples, hot: np.ndarray, labels: list[str], params: TrainParams) -> Encoded:
    """Several labels a row; `hot` is 0 or 1, shape (rows, labels)."""
    if params.loss == "categorical_crossentropy":
        raise _loss_misfit(params.loss, "several labels a row")
    for said, pointer in ((params.positive, "/params/positive"), (params.class_weights, "/params/class_weights")):
        if said is not None:
            fault = Fault("expected nothing: a row may have several labels", pointer=pointer)
            raise JobFailed(
                f"{pointer.rsplit('/')[-1]} means nothing with several labels a row.",
                code="invalid_params",
                faults=[fault],
            )
    counts = hot.sum(axis=0)
    constant = [label for label, count in zip(labels, counts, strict=True) if count in (0, len(hot))]
    # Of a label that is declared it is not asked whether any row has it.
    constant = constant if params.privacy is None else []
    if constant or not labels:
        raise JobFailed(
            f"Labels that every row has, or none, teach nothing: {len(constant):,}. Leave them out.",
            code="target_constant",
            faults=[Fault("expected rows with and without it", column=name) for name in _columns(constant, examples)],
        )
    lonely = np.flatnonzero(counts == 1)
    columns = _columns([labels[place] for place in lonely], examples)
    _refuse_small(columns, examples.rows[hot[:, lonely].argmax(axis=0)])
    # A row counts for the rarest of its labels, which is written last, so that rare ones come to both sides.
    strata = np.full(len(hot), len(labels))
    for place in np.argsort(-counts.astype(np.int64), kind="stable"):
        strata[hot[:, place] > 0] = place
    target = Target(
        encoding="multi_hot", labels=tuple(labels), columns=tuple(examples.targets), separator=params.label_separator
    )
    return Encoded(target, hot.astype(np.float32), strata)


def _columns(labels: Sequence[str], examples: Examples) -> list[str]:
    """The column of each label: one of its own, or the one in whose cells all of them stand."""
    return list(labels) if len(examples.targets) > 1 else examples.targets * len(labels)


def _separated(name: str, texts: Texts, params: TrainParams) -> tuple[np.ndarray, list[str]]:
    """The labels of cells such as "rock|live", as 0 and 1 (rows, labels), in sorted order."""
    parts = [{part.strip() for part in word.split(params.label_separator)} - {""} for word in texts.words]
    used = np.bincount(texts.codes, minlength=len(parts)) > 0
    labels = ordered(set().union(*(each for each, is_used in zip(parts, used, strict=True) if is_used)))
    labels = ordered(declared.labels(name, labels, params.privacy))
    if len(labels) > MOST_LABELS:
        raise JobFailed(f"{len(labels)} different labels, expected at most {MOST_LABELS}.", code="target_not_labels")
    places = {label: place for place, label in enumerate(labels)}
    hot = np.zeros((len(parts), len(labels)), np.uint8)
    for row, each in enumerate(parts):
        hot[row, [places[part] for part in each if part in places]] = 1
    return hot[texts.codes], labels


def _flags(examples: Examples) -> np.ndarray:
    """Target columns of 0 and 1, or true and false, as 0 and 1 (rows, columns)."""
    hot = np.zeros((len(examples.rows), len(examples.targets)), np.uint8)
    faults: list[Fault] = []
    for place, name in enumerate(examples.targets):
        texts = tables.labels(examples.columns[name])
        flags = np.array([FLAGS.get(word.strip().lower(), 2) for word in texts.words], np.uint8)[texts.codes]
        wrong = np.flatnonzero(flags == 2)
        faults += [
            Fault(FLAG_EXPECTED, row=int(examples.rows[row]), column=name) for row in wrong[:FAULTS_SHOWN].tolist()
        ]
        hot[:, place] = flags
    if faults:
        raise JobFailed(
            "With several target columns each one is a label that a row has or has not: " + FLAG_EXPECTED + ".",
            code="target_not_flags",
            faults=faults,
        )
    return hot


def _weights(encoded: Encoded, train: np.ndarray, params: TrainParams) -> np.ndarray | None:
    """A weight a training row, float32; balanced weighs each class alike: rows / (classes * rows of the class)."""
    if params.class_weights is None:
        return None
    labels, codes = encoded.target.labels, encoded.strata[train]
    if params.class_weights == "balanced":
        counts = np.bincount(codes, minlength=len(labels))
        return (len(codes) / (np.count_nonzero(counts) * counts[codes])).astype(np.float32)
    unknown = sorted(set(params.class_weights) - set(labels))
    if unknown:
        faults = [Fault("expected a label of the target", pointer=f"/params/class_weights/{name}") for name in unknown]
        raise JobFailed(f"class_weights names no class: {listed(unknown)}.", code="class_unknown", faults=faults)
    return np.array([params.class_weights.get(label, 1.0) for label in labels], np.float32)[codes]


def _absent(encoded: Encoded, train: np.ndarray) -> list[Caution]:
    """A caution for labels without a training row, which the model cannot learn."""
    y = encoded.y[train]
    counts = np.array([len(y) - y.sum(), y.sum()]) if encoded.target.encoding == "binary" else y.sum(axis=0)
    absent = [label for label, count in zip(encoded.target.labels, counts, strict=True) if not count]
    if not absent:
        return []
    said = f"labels without a training row: {len(absent):,}; shuffle the rows, or use `validation`"
    return [Caution("class_not_trained", said)]
