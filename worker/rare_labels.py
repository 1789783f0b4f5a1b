"""Labels that only one recording has: it cannot both teach them and check them, so they are left out and named.

A table fails there, since one row more or less is its owner's to see to. With recordings tracks drop out on their own,
because they cannot be decoded or sound the same as others, and a job of hours should not end for it.
"""

from dataclasses import replace

import numpy as np

from shared.audio_params import AudioTraining
from shared.errors import Fault, JobFailed
from shared.kinds import classification
from worker import tables
from worker.cautions import Caution
from worker.preparation import Examples, listed
from worker.tables import Column, Texts

# One to learn from and one to check.
FEWEST_TRACKS = 2
FEWEST_LABELS = 2
TRUE = ("1", "true")


def leave_out(examples: Examples, alike: np.ndarray, params: AudioTraining) -> tuple[Examples, np.ndarray]:
    """Examples of tracks without such labels, and the places of those that stay; equal `alike` count as one track.

    Raises JobFailed (class_too_small) when no two labels remain. A target of numbers stays as it is.
    """
    every = np.arange(len(examples.rows))
    if not isinstance(params, classification.TrainParams):
        return examples, every
    column = examples.columns[examples.targets[0]]
    if len(examples.targets) > 1:
        return _without_columns(examples, alike), every
    if params.label_separator is not None:
        return _without_words(examples, tables.labels(column), alike, params.label_separator), every
    # Fractions are no labels: the kind says what to do.
    if not isinstance(column, Texts) and np.any(column % 1):
        return examples, every
    return _without_rows(examples, tables.labels(column), alike)


def _without_rows(examples: Examples, texts: Texts, alike: np.ndarray) -> tuple[Examples, np.ndarray]:
    """One label a track: the tracks of a rare one go with it."""
    counts = {code: len(np.unique(alike[texts.codes == code])) for code in np.unique(texts.codes).tolist()}
    rare = [code for code, count in counts.items() if count < FEWEST_TRACKS]
    if not rare or len(counts) < FEWEST_LABELS:
        return examples, np.arange(len(alike))
    names = [texts.words[code] for code in rare]
    _refuse_few(examples, names, left=len(counts) - len(rare))
    kept = np.flatnonzero(~np.isin(texts.codes, rare))
    columns = {name: tables.take(column, kept) for name, column in examples.columns.items()}
    said = f"{_tell(names)}, and so are the {len(alike) - len(kept)} tracks that have them"
    cautions = [*examples.cautions, Caution("label_left_out", said)]
    return replace(examples, columns=columns, rows=examples.rows[kept], cautions=cautions), kept


def _without_words(examples: Examples, texts: Texts, alike: np.ndarray, separator: str) -> Examples:
    """Several labels in a cell: a rare one is taken out of it, and the track stays for what it has not."""
    parts = [[part for each in word.split(separator) if (part := each.strip())] for word in texts.words]
    pairs = {(part, int(track)) for code, track in zip(texts.codes, alike, strict=True) for part in parts[code]}
    labels = sorted({part for part, _ in pairs})
    counts = {label: sum(part == label for part, _ in pairs) for label in labels}
    rare = [label for label in labels if counts[label] < FEWEST_TRACKS]
    if not rare:
        return examples
    _refuse_few(examples, rare, left=len(labels) - len(rare))
    words = [separator.join(part for part in each if part not in rare) for each in parts]
    columns: dict[str, Column] = {**examples.columns, examples.targets[0]: Texts(words, texts.codes)}
    return replace(examples, columns=columns, cautions=[*examples.cautions, Caution("label_left_out", _tell(rare))])


def _without_columns(examples: Examples, alike: np.ndarray) -> Examples:
    """A column a label: the rare one's is no target any more."""
    counts = {name: len(np.unique(alike[_is_true(examples.columns[name])])) for name in examples.targets}
    rare = [name for name, count in counts.items() if count < FEWEST_TRACKS]
    if not rare:
        return examples
    _refuse_few(examples, rare, left=len(counts) - len(rare))
    left = [name for name in examples.targets if name not in rare]
    said = f"fewer than {FEWEST_TRACKS} different usable tracks have {listed(rare)}: left out"
    return replace(examples, targets=left, cautions=[*examples.cautions, Caution("label_left_out", said)])


def _is_true(column: Column) -> np.ndarray:
    texts = tables.labels(column)
    return np.array([*(word.strip().lower() in TRUE for word in texts.words), False])[texts.codes]


def _tell(labels: list[str]) -> str:
    """How many there are: other than names of columns, labels in cells are not named."""
    return f"labels that fewer than {FEWEST_TRACKS} different usable tracks have are left out: {len(labels):,}"


def _refuse_few(examples: Examples, rare: list[str], *, left: int) -> None:
    if left >= FEWEST_LABELS:
        return
    target = listed(examples.targets)
    raise JobFailed(
        f"Too few labels of {target} have {FEWEST_TRACKS} different usable tracks, one to learn from and one to check: "
        f"{left}, expected at least {FEWEST_LABELS}. Add tracks of the {len(rare):,} others.",
        code="class_too_small",
        faults=[Fault(f"expected at least {FEWEST_TRACKS} usable tracks of each label", column=target)],
    )
