"""Whether a table fits a model: what is wrong with whole columns, told before any row is scored."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from shared import sorts
from shared.errors import Fault, JobFailed
from worker import features, tables
from worker.features import Feature, Number
from worker.preparation import listed
from worker.tables import Column, File, Texts


def refuse_unfit(files: Sequence[File], wanted: Sequence[Feature], repeated: Sequence[str]) -> None:
    """Raise JobFailed with every column that is missing, or that holds words alone where the model reads numbers.

    A column in which some cells are numbers is no matter of the whole: its other rows are told one by one. `repeated`
    are the columns, the key among them, that stand in the predictions, and there each has one type.
    """
    types = [tables.schema([file]) for file in files]
    needed = dict.fromkeys([*(feature.name for feature in wanted), *repeated])
    absent = [name for name in needed if not all(name in each for each in types)]
    if absent:
        raise JobFailed(
            f"The table lacks columns that are needed: {listed(absent)}. Rename or add them.",
            code="columns_missing",
            faults=[Fault("expected a column of this name", column=name) for name in absent],
        )
    _refuse_unlike({name: {str(each[name]) for each in types} for name in dict.fromkeys(repeated)})
    suspects = [
        feature.name
        for feature in wanted
        if isinstance(feature, Number) and any(pa.types.is_string(each[feature.name]) for each in types)
    ]
    _refuse_words({name: word for name in suspects if (word := _word_among_words(files, name)) is not None})


def _refuse_unlike(types: dict[str, set[str]]) -> None:
    unlike = {name: sorted(found) for name, found in types.items() if len(found) > 1}
    if not unlike:
        return
    raise JobFailed(
        f"Columns that are repeated in the predictions are of several types: {listed(unlike)}. Give them one in every "
        "dataset, or score each dataset in a job of its own.",
        code="columns_differ",
        faults=[
            Fault(f"expected one type in every dataset, received {' and '.join(found)}", column=name)
            for name, found in unlike.items()
        ],
    )


def _refuse_words(words: dict[str, str]) -> None:
    if not words:
        return
    raise JobFailed(
        f"The model reads numbers in {listed(words)}, where the table holds words alone. Put the numbers back.",
        code="column_not_numeric",
        faults=[
            Fault(f"expected numbers, received words alone, such as {sorts.of(word)}", column=name)
            for name, word in words.items()
        ],
    )


def _word_among_words(files: Sequence[File], name: str) -> str | None:
    """A word of a column of which no cell is a number; None where one is, which is usually among the first."""
    found = None
    for column in _pieces(files, name):
        values, _ = features.numbers(column)
        if not np.isnan(values).all():
            return None
        if found is None and isinstance(column, Texts) and column.words:
            found = column.words[0]
    return found


def _pieces(files: Sequence[File], name: str) -> Iterator[Column]:
    for piece in tables.pieces(files):
        for batch in tables.read_piece(piece, [name], rows=tables.BATCH_ROWS):
            yield tables.column(batch.column(0))
