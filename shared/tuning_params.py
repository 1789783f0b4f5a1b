"""What a search takes: the space, how points are drawn and given up, and when it has gone on long enough."""

from types import ModuleType
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, create_model

from shared.schema import Closed, Float, Int
from shared.search_space import Space
from shared.training_params import Training

# Of a kind that has none of its own: what every training has.
SPACE = {
    "learning_rate": {"type": "float", "low": 0.0001, "high": 0.01, "log": True},
    "batch_size": {"type": "choice", "values": [16, 32, 64, 128]},
}
TUNE, TRIAL = "tune", "trial"


class Halving(Closed):
    """Successive halving: of the trials that come as far as a rung only the best `factor`-th part goes on.

    Rungs are at `least_epochs`, and `factor` times as many each; left out, four lie before the last epoch.
    """

    factor: Annotated[Int, Field(ge=2, le=10)] = 3
    least_epochs: Annotated[Int, Field(ge=1, le=100_000)] | None = None


class Tuning(Closed):
    """A search; every field has a default that works."""

    # What the trials have alike: the training's own params, in a schema of the kind (`of_kind`).
    train: Any = None
    # Where they differ.
    space: Any = None
    sampler: Literal["tpe", "random"] = "tpe"
    # Null: every trial goes on to its end.
    halving: Halving | None = Field(default_factory=Halving)
    # Left out: the first of the kind.
    metric: Annotated[str, Field(max_length=64)] | None = None
    trials: Annotated[Int, Field(ge=1, le=1000)] = 30
    # How many of the best, and the training without the space, are judged once more in folds; the best of these wins.
    # Left out: a sixth of the trials and five at the most, of a table with few rows or groups; 0: the best trial wins.
    finalists: Annotated[Int, Field(ge=0, le=20)] | None = None
    # The search ends when a further hour is not expected to gain so much by the metric; null: it does not.
    min_gain_per_hour: Annotated[Float, Field(ge=0)] | None = 0.001
    # The winner's weights as its trial has left them, or learned anew with its settings, on the validation rows as well
    # where a test is left to judge it.
    winner: Literal["checkpoint", "retrain"] = "checkpoint"
    seed: Annotated[Int, Field(ge=0, lt=2**31)] = 0


class TrialParams(Closed):
    """What a trial takes: its number, and once it has begun the point that was drawn for it."""

    number: Annotated[Int, Field(ge=0)]
    # What was drawn on each axis of the space, and the validation loss after so many epochs, at each rung.
    axes: dict[str, Any] | None = None
    # Of a final: a point that is judged once more, in folds; without axes it is the training without the space.
    final: bool = False
    rungs: dict[str, Float] = Field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """What is not said is left out: a worker of an older release knows no more than it has to."""
        return self.model_dump(mode="json", exclude_defaults=True)


def of_kind(contract: ModuleType) -> type[BaseModel]:
    """The params of a search for a kind that trains: what is fixed of its training, and the space.

    A kind may have a SPACE of its own, in which is looked where none is told.
    """
    train: type[Training] = contract.ACTIONS["train"]
    space = (Space, Field(default=getattr(contract, "SPACE", SPACE), validate_default=True))
    made: type[BaseModel] = create_model(
        "TuneParams", __base__=Tuning, __doc__=Tuning.__doc__, train=(train, Field(default_factory=train)), space=space
    )
    return made
