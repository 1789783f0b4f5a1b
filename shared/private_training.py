"""What a private training cannot be beside: refused at the door with every place, before anything waits in a queue."""

from collections.abc import Iterator
from typing import Any

from sqlalchemy import Row

from shared import sizes
from shared.errors import Fault, InvalidRequest
from shared.table_params import Preprocessing, TableTraining
from shared.training_params import PlateauDecay
from shared.tuning_params import Tuning

Json = dict[str, Any]
CODE = "privacy_misfit"
NUMBERS = ("number", "integer")
# Off by themselves; named as wanted they would ask training rows more than is accounted for.
ASK_ROWS = ("baselines", "importance", "keep_examples", "compare_random_split")


def refuse(asked: Any, params: TableTraining, rows: list[Row[Any]], kind: str | None) -> None:  # Any: the kind's own
    """Raise InvalidRequest with every fault of a training that asks for privacy; `asked` is what the body says."""
    if isinstance(asked, Tuning):
        refuse_search(asked, params)
    if params.privacy is None or not rows:
        return
    faults = [*_choices(params), *_network(params), *_numbers(params, rows[0]), *_undeclared(params, rows[0], kind)]
    if faults:
        said = faults[0].message if len(faults) == 1 else f"{len(faults)} of the fields do not go with privacy."
        raise InvalidRequest(said, code=CODE, faults=faults)


def refuse_search(asked: Any, params: Any) -> None:  # Any: the kind's own
    """Raise InvalidRequest for a search among private trainings."""
    drawn = [path for path in asked.space if path.split(".")[0] == "privacy"]
    pointers = [f"/params/space/{path}" for path in drawn] + (["/params/train/privacy"] if params.privacy else [])
    if pointers:
        said = "expected no privacy in a search: each trial tells of the same rows, and no account is kept of them all"
        raise InvalidRequest(said, code=CODE, faults=[Fault(said, pointer=pointer) for pointer in pointers])


def _choices(params: TableTraining) -> Iterator[Fault]:
    """What would be chosen, or learned beside the network, by rows."""
    if params.early_stopping:
        yield _fault("early_stopping", "expected no early stopping: the number of steps stands before the first")
    if isinstance(params.learning_rate, PlateauDecay):
        yield _fault("learning_rate", "expected no plateau: the loss must not decide on the steps")
    if params.folds is not None:
        yield _fault("validation/folds", "expected no folds: each would learn from the same rows once more")
    if isinstance(params.preprocess, Preprocessing):
        yield _fault("preprocess", "expected auto or none: how rows become numbers is declared in privacy")
    for name in ASK_ROWS:
        if name in params.model_fields_set and getattr(params, name):
            yield _fault(name, f"expected no {name}: training rows tell of it, and no account is kept of that")
    if getattr(params, "class_weights", None) == "balanced":
        yield _fault("class_weights", "expected a weight for each class, or none: balanced ones count the rows")
    if getattr(params, "calibration", None) == "temperature":
        yield _fault("calibration", "expected none: a temperature is learned from rows")
    if getattr(params, "thresholds", None) == "auto":
        yield _fault("thresholds", "expected numbers, or none: automatic ones are learned from rows")
    if getattr(params, "abstain", None) is not None:
        yield _fault("abstain", "expected none: from where on it is silent is learned from rows")


def _network(params: TableTraining) -> Iterator[Fault]:
    if getattr(params, "front", None) is not None:
        yield _fault("preset", "expected embedding: a convolutional front normalises by what stands in a batch")
    for place, layer in enumerate(params.hidden):
        if layer.batch_normalization:
            said = "expected none: with it the gradient of a row depends on the rows beside it"
            yield _fault(f"hidden/{place}/batch_normalization", said)


def _numbers(params: TableTraining, row: Row[Any]) -> Iterator[Fault]:
    privacy, rows = params.privacy, int(row.profile["rows"])
    assert privacy is not None
    group = (params.validation and params.validation.group) or row.profile["roles"]["group"]
    distinct = {each["name"]: each.get("distinct") for each in row.profile["columns"]}
    if privacy.unit == "group" and group is None:
        yield _fault("privacy/unit", "expected row, or a group column: name one as validation.group or of the dataset")
    if privacy.unit == "group" and distinct.get(group) == 1:
        yield _fault("privacy/unit", f"expected more than one group: every row has the same {group!r}")
    if privacy.delta is not None and privacy.delta * rows >= 1:
        said = f"expected less than 1/{rows}, of {rows} rows, received {privacy.delta:g}: it would tell a row in full"
        yield _fault("privacy/delta", said)
    if params.batch_size > rows and params.optimizer != "gradient_descent":
        yield _fault("batch_size", f"expected at most the {rows} rows that there are, received {params.batch_size}")


def _undeclared(params: TableTraining, row: Row[Any], kind: str | None) -> Iterator[Fault]:
    """What is not known of the data before it is looked at, as far as its profile tells; the rest the worker finds."""
    privacy, profile = params.privacy, row.profile
    assert privacy is not None
    is_one = len(profile["roles"]["target"]) == 1
    if kind == "classification" and is_one and privacy.labels is None:
        yield _fault("privacy/labels", "expected every label that there may be: they are not read from the rows")
    if row.format != "table":
        return
    numbers = {each["name"]: each["type"] in NUMBERS for each in profile["columns"]}
    for part, is_of_numbers in (("bounds", True), ("categories", False)):
        for name in getattr(privacy, part):
            if name not in numbers:
                yield _fault(f"privacy/{part}/{name}", f"expected a column of the dataset, received {name!r}")
            elif numbers[name] is not is_of_numbers:
                what = "numbers, which have bounds" if numbers[name] else "words, which have categories"
                yield _fault(f"privacy/{part}/{name}", f"expected another column: {name!r} is of {what}", column=name)
    if params.preprocess == "none":
        return
    for column in sizes.features(profile):
        name, is_number = column["name"], column["type"] in NUMBERS
        if is_number and name not in privacy.bounds:
            yield _fault("privacy/bounds", f"expected a lower and a higher bound of {name!r}", column=name)
        if column["type"] == "text" and name not in privacy.categories:
            yield _fault("privacy/categories", f"expected the words that {name!r} may have", column=name)


def _fault(place: str, said: str, *, column: str | None = None) -> Fault:
    return Fault(said, pointer=f"/params/{place}", column=column)
