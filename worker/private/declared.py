"""How a table becomes numbers in a private training: by what the client has declared, and by none of its cells."""

from collections.abc import Sequence

from shared.errors import Fault, JobFailed
from shared.privacy_params import Privacy
from worker.features import Category, Feature, Number
from worker.tables import Column, Table, Texts

BOOLEANS = ("false", "true")


def features(columns: Table, said: Privacy) -> tuple[Feature, ...]:
    """A feature for each column, in file order. Raises JobFailed (privacy_undeclared) with every column left unsaid."""
    faults = [fault for name, column in columns.items() if (fault := _unsaid(name, column, said)) is not None]
    if faults:
        named = ", ".join(repr(fault.column) for fault in faults)
        raise JobFailed(
            f"Private training may not look at the cells of {named} to scale them. Declare what is known of each, name "
            "it in `drop` of the dataset, or train with `preprocess: none`.",
            code="privacy_undeclared",
            faults=faults,
        )
    return tuple(_feature(name, column, said) for name, column in columns.items())


def labels(target: str, found: Sequence[str], said: Privacy | None) -> Sequence[str]:
    """The labels that there may be, where that is declared; else those that were found. Raises JobFailed for others."""
    if said is None or said.labels is None:
        return found
    strange = [label for label in found if label not in said.labels]
    if strange:
        told = f"expected labels that privacy.labels has, received {len(strange):,} others"
        fault = Fault(told, pointer="/params/privacy/labels", column=target)
        raise JobFailed(f"Not all labels are declared: {told}.", code="label_undeclared", faults=[fault])
    return said.labels


def _unsaid(name: str, column: Column, said: Privacy) -> Fault | None:
    if isinstance(column, Texts):
        if column.boolean or name in said.categories:
            return None
        return Fault("expected the words that there may be", pointer="/params/privacy/categories", column=name)
    if name in said.bounds:
        return None
    return Fault("expected a lower and a higher bound", pointer="/params/privacy/bounds", column=name)


def _feature(name: str, column: Column, said: Privacy) -> Feature:
    """A number from -1 to 1 by its bounds, 0 where a cell is empty; a place for each word, and one for the rest."""
    if isinstance(column, Texts):
        words = BOOLEANS if column.boolean else tuple(sorted(set(said.categories[name])))
        return Category(name=name, words=words, rest=True, boolean=column.boolean)
    low, high = said.bounds[name]
    middle = (low + high) / 2
    return Number(name=name, fill=middle, low=low, high=high, mean=middle, scale=(high - low) / 2)
