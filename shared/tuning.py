"""Whether a search can be: its space names params that there are, and some point of it can be trained."""

import random
from collections.abc import Callable
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError
from sqlalchemy import Row

from shared import refusals, search_space
from shared.errors import Fault, InvalidRequest
from shared.table_params import TableTraining, Validation
from shared.tuning_params import Tuning

# Points that are drawn at the door: a space of which none of so many can be trained has nothing to search in.
DRAWN = 64
# The share of its epochs that a trial has on average where poor ones are given up: 0.1 to 0.27 on
# real songs, by the usual rungs; a little more, for few trials give up less.
HALVED = 0.3
# The share of the rows that is held out from all trials: by what they are compared by, the winner is flattered.
TEST = 0.2
# Finals are judged in so many folds. Fewer rows or groups than this validate badly where a fifth of them does it alone.
FOLDS, FEW_UNITS = 4, 2000
OF_VALIDATION = ("validation", "validation_split")
FINALISTS, TRIALS_A_FINALIST = 5, 6

Json = dict[str, Any]


def check(asked: Any, contract: ModuleType, demand_fits: Callable[[BaseModel], None]) -> None:  # Any: the kind's own
    """Raise InvalidRequest for what cannot be searched for; `demand_fits` raises for a training that is too large."""
    metrics = contract.METRICS
    if asked.metric is not None and asked.metric not in metrics:
        said = f"expected one of {', '.join(metrics)}, received {asked.metric!r}"
        raise InvalidRequest(said, faults=[Fault(said, pointer="/params/metric")])
    _check_conditions(asked)
    pick, why_not = search_space.randomly(random.Random(0)), []  # noqa: S311 — no secret
    for _ in range(DRAWN):
        try:
            demand_fits(training(asked, contract, search_space.draw(asked.space, fixed(asked), pick)))
        except ValidationError as wrong:
            why_not.append(refusals.of(wrong))
            if any(fault["type"] == "extra_forbidden" for fault in wrong.errors()):
                # A name that nothing has is a mistake, however seldom it is drawn.
                raise _no_point(asked, why_not[-1], "expected params that the training has") from wrong
        except InvalidRequest as giant:
            why_not.append(giant)
    if len(why_not) == DRAWN:
        raise _no_point(asked, why_not[0], "expected a space with a point that can be trained")


def _check_conditions(asked: Any) -> None:  # Any: the kind's own
    """Refuse a condition on what is neither drawn nor fixed: a default may be another one in the next release."""
    for path, dimension in asked.space.items():
        for other in dimension.when or ():
            if other not in asked.space and search_space.at(fixed(asked), other) is None:
                said = f"expected a condition on another dimension, or on what `train` fixes, received {other!r}"
                raise InvalidRequest(said, code="space_empty", faults=[Fault(said, pointer=f"/params/space/{path}")])


def training(asked: Tuning, contract: ModuleType, point: Json) -> BaseModel:
    """The params of a training at a point of the space. Raises ValidationError where there can be none."""
    schema: type[BaseModel] = contract.ACTIONS["train"]
    params = search_space.put(fixed(asked), point)
    if "metric" in schema.model_fields:
        # A kind that chooses by a metric within a training does it by the one that the search goes by.
        params["metric"] = metric(asked, contract)
    return schema.model_validate(params)


def fixed(asked: Any) -> Json:  # Any: the kind's own
    """What every trial has alike: of rows, too, those that no trial sees, unless they are told to be none."""
    said: Json = asked.train.model_dump(mode="json", exclude_unset=True)
    has_test = "test" in type(asked.train).model_fields and asked.train.validation_split != 0
    return {"test": TEST, **said} if has_test else said


def finalists(asked: Any, row: Row[Any]) -> int:  # Any: the kind's own
    """How many of the best trials are judged once more, in folds, before one of them wins."""
    train = asked.train
    is_drawn = any(path.split(".")[0] in OF_VALIDATION for path in asked.space)
    if is_drawn or not isinstance(train, TableTraining) or train.validation_split is not None:
        return 0
    if train.folds or train.time:
        # It has been said how to validate.
        return 0
    if asked.finalists is not None or row.format != "table":
        return min(int(asked.trials), int(asked.finalists or 0))
    return min(FINALISTS, asked.trials // TRIALS_A_FINALIST) if _units(train, row.profile) <= FEW_UNITS else 0


def _units(train: TableTraining, profile: Json) -> int:
    """What validates together: groups, or else rows."""
    named = (train.validation and train.validation.group) or profile["roles"]["group"]
    distinct = next((each["distinct"] for each in profile["columns"] if each["name"] == named), None)
    return int(profile["rows"] if distinct is None else distinct)


def in_folds(params: TableTraining) -> TableTraining:
    """The params of a final."""
    validation = (params.validation or Validation()).model_copy(update={"folds": FOLDS})
    return params.model_copy(update={"validation": validation})


def times(asked: Any, row: Row[Any]) -> float:  # Any: the kind's own
    """How many trainings a search comes to, those that are given up counted by what they take."""
    finals = finalists(asked, row)
    whole = float(asked.trials) * (1.0 if asked.halving is None else HALVED)
    # With them the training without the space; each learns in every fold, and then from all rows.
    return whole + ((finals + 1) * (FOLDS + 1) if finals else 0)


def metric(asked: Tuning, contract: ModuleType) -> str:
    """What trials are compared by."""
    return asked.metric or str(next(iter(contract.METRICS)))


def _no_point(asked: Any, cause: InvalidRequest, said: str) -> InvalidRequest:  # Any: the kind's own
    """That a point cannot be one, with the places in the space at which it went wrong."""
    found = list({fault.pointer: fault for fault in _placed(asked, cause)}.values())
    return InvalidRequest(f"{said}: {cause.detail}", code="space_empty", faults=found)


def _placed(asked: Any, cause: InvalidRequest) -> list[Fault]:  # Any: the kind's own
    return [Fault(each.message, pointer=_place(asked, each.pointer)) for each in cause.faults]


def _place(asked: Any, pointer: str | None) -> str:
    """Where a fault of a training's params stands in the body of a search."""
    path = ".".join((pointer or "").removeprefix("/params").strip("/").split("/"))
    inside = [
        name for name in asked.space if path == name or path.startswith(f"{name}.") or name.startswith(f"{path}.")
    ]
    if inside and path:
        return f"/params/space/{max(inside, key=len)}"
    return f"/params/train/{path.replace('.', '/')}" if path else "/params/space"
