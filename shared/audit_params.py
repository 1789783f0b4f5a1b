"""What an audit of labels takes: how often every row is answered, and the settings of the networks that answer."""

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, Field, create_model, model_validator

from shared.schema import Closed, Int
from shared.table_params import MOST_FOLDS, ColumnName, TableTraining

AUDIT = "audit"
MOST_TOLD = 1000
# Of a training what changes its answers; the rest is about a version, and an audit makes none.
OF_TRAINING = (
    "hidden", "preprocess", "optimizer", "learning_rate", "weight_decay", "batch_size", "epochs", "early_stopping",
    "seed",
)  # fmt: skip
# What a network is not judged by is not computed.
WITHOUT = {"baselines": False, "importance": False, "keep_examples": False}


class Auditing(Closed):
    """An audit of labels; every field has a default that works."""

    # Each row is answered by the one network of so many that has not learned from it.
    folds: Annotated[Int, Field(ge=2, le=MOST_FOLDS)] = 5
    # Rows of a group are answered by the same network; left out, the dataset's own group.
    group: ColumnName | None = None
    # How many suspects stand in the result; all are on the pages of the audit.
    top: Annotated[Int, Field(ge=1, le=MOST_TOLD)] = 200

    learner: ClassVar[type[TableTraining]] = TableTraining

    @property
    def train(self) -> TableTraining:
        """The training that each fold is."""
        said = self.model_dump(exclude_unset=True, exclude={"folds", "group", "top"})
        return self.learner.model_validate({**said, **WITHOUT, "validation": self._validation})

    @property
    def _validation(self) -> dict[str, object]:
        return {"folds": self.folds, "group": self.group}

    @model_validator(mode="after")
    def _can_be_trained(self) -> "Auditing":
        # Refused here as a training would refuse it.
        assert self.train
        return self


def of_kind(train: type[TableTraining], beside: Sequence[str] = ()) -> type[BaseModel]:
    """The params of an audit for a kind that trains on tables; `beside` names more of its training's own."""
    taken = {name: train.model_fields[name] for name in (*OF_TRAINING, *beside)}
    fields: dict[str, Any] = {name: (field.annotation, field) for name, field in taken.items()}  # as pydantic has it
    made: type[Auditing] = create_model("AuditParams", __base__=Auditing, __doc__=Auditing.__doc__, **fields)
    made.learner = train
    return made
