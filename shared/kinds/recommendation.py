"""What a listener may like next: models learn from plays, and rank the catalogue for everybody and for anybody."""

from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from shared.list_params import ItemColumn, ListParams
from shared.networks import Activation
from shared.privacy_params import PrivateSteps
from shared.schema import Closed, Float, Int
from shared.table_params import FileFormat, every_format
from shared.training_params import EarlyStopping, OptimizerName, PositiveRate, Schedule, Training

FORMATS = ("interactions",)
# Of datasets that may stand beside the first: recordings of the items.
BESIDE = ("audio",)
KS = (10, 20, 100)
# The first is the one by which versions are compared. All are means over the listeners that are judged.
METRICS = {
    "ndcg@100": "higher", "ndcg@20": "higher", "ndcg@10": "higher", "recall@100": "higher", "recall@20": "higher",
    "recall@10": "higher", "precision@10": "higher", "map@10": "higher", "hit@10": "higher",
}  # fmt: skip

# With early stopping on, a bound that is rarely met.
EPOCHS_WITH_EARLY_STOPPING, EPOCHS_WITHOUT = 60, 20

# A network that would take longer by this is tried only where it is named: multiplications a second of two cores, some
# epochs, and three times, to choose, to judge and to keep.
NETWORK_S, PER_S, EPOCHS, TIMES = 300.0, 2e10, 20, 3

Method = Literal["popularity", "neighbours", "ease", "als", "two_tower", "autoencoder"]
# What learns in private steps.
PRIVATE: Method = "autoencoder"
Context = Annotated[str, StringConstraints(max_length=1024)]
# damped: plays ** 0.3 beside the listener's own mean of that.
Weighting = Literal["binary", "log", "linear", "damped"]
Metric = Literal[
    "ndcg@100", "ndcg@20", "ndcg@10", "recall@100", "recall@20", "recall@10", "precision@10", "map@10", "hit@10"
]


class Neighbours(Closed):
    """Items that the same listeners play, by the cosine; left out, what does best on validation."""

    neighbours: Annotated[Int, Field(ge=1, le=5000)] | None = None
    shrink: Annotated[Float, Field(ge=0, le=10_000)] | None = None


class Ease(Closed):
    """A linear autoencoder in closed form; left out, what does best on validation.

    With a rank it is kept as vectors, of any number of items; with `full` as the matrix itself, of the most played.
    """

    rank: Annotated[Int, Field(ge=1, le=1024)] | Literal["full"] | None = None
    l2: Annotated[Float, Field(gt=0, le=1e7)] | None = None
    # The ridge of an item grows with this power of how much it is played, and its scores shrink with that one.
    ridge_power: Annotated[Float, Field(ge=0, le=1)] | None = None
    score_power: Annotated[Float, Field(ge=0, le=1)] | None = None
    # Of the matrix: as if each play were hidden with this chance while it is learned from.
    dropout: Annotated[Float, Field(ge=0, lt=1)] = 0.0
    # Memory grows with the square: 5,000 items are 100 MB, and five times as much while it is learned.
    items_at_most: Annotated[Int, Field(ge=1, le=20_000)] = 5_000


class Als(Closed):
    """Alternating least squares on implicit feedback; left out, what does best on validation."""

    factors: Annotated[Int, Field(ge=1, le=512)] | None = None
    # A play counts 1 + alpha times its weight, and what was not played 1.
    alpha: Annotated[Float, Field(gt=0, le=10_000)] = 40.0
    regularization: Annotated[Float, Field(ge=0, le=1_000_000)] | None = None
    iterations: Annotated[Int, Field(ge=1, le=200)] = 12


class TowerLayer(Closed):
    """A dense layer of the tower that reads a history; dropout stands after its activation."""

    units: Annotated[Int, Field(ge=1, le=8192)]
    activation: Activation = "tanh"
    dropout: Annotated[Float, Field(ge=0, lt=1)] = 0.0


class Network(Closed):
    """Of `two_tower` and `autoencoder`: vectors of what was played, layers, vectors of what may be recommended."""

    embedding: Annotated[Int, Field(ge=1, le=1024)] = 128
    hidden: Annotated[list[TowerLayer], Field(max_length=8)] = Field(default_factory=list)
    # The share of a history that is hidden while it is learned from.
    dropout: Annotated[Float, Field(ge=0, lt=1)] = 0.5
    l2: Annotated[Float, Field(ge=0, le=1)] = 1e-4


class Content(Closed):
    """How items are known that nobody has played: by columns of the item table, and by recordings."""

    # Left out: every column that says something of more than one item.
    columns: Annotated[list[ItemColumn], Field(max_length=64)] | None = None
    # How much the score of a new item counts beside those of items that are known by plays; left out, what does best on
    # validation, and a quarter at least.
    weight: Annotated[Float, Field(ge=0, le=10)] | None = None
    # Of the items with content so many are held out whole, to tell how well new ones will be found.
    held_out: Annotated[Float, Field(ge=0, le=0.5)] = 0.1


class TrainParams(Training):
    """A training; every field has a default that works."""

    optimizer: OptimizerName = "adam"
    learning_rate: PositiveRate | Schedule = 0.005
    weight_decay: Annotated[Float, Field(ge=0, le=1)] = 0.0
    batch_size: Annotated[Int, Field(ge=1, le=65_536)] = 256
    # auto: each of the candidates is learned, and the one that does best on validation is kept.
    model: Literal["auto"] | Method = "auto"
    candidates: Annotated[list[Method], Field(min_length=1, max_length=6)] | None = None
    # auto: by time where there is one, else by user.
    split: Literal["auto", "time", "user", "last", "random"] = "auto"
    metric: Metric = "ndcg@100"
    # auto: what does best on validation.
    weighting: Literal["auto"] | Weighting = "auto"
    neighbours: Neighbours = Field(default_factory=Neighbours)
    ease: Ease = Field(default_factory=Ease)
    als: Als = Field(default_factory=Als)
    network: Network = Field(default_factory=Network)
    content: Content | None = Field(default_factory=Content)
    # Users with counts that no listener has.
    bots: Literal["leave_out", "keep"] = "leave_out"
    # Only events of these are learned from and judged on.
    contexts: Annotated[list[Context], Field(min_length=1, max_length=100)] | None = None
    # What fewer have played is as if nobody had.
    least_listeners: Annotated[Int, Field(ge=1, le=1_000_000)] = 1
    # Of a listener with all that they have played. An autoencoder without layers learns so, and keeps no counts.
    privacy: PrivateSteps | None = None
    # Once it is judged, the model learns from all events with the same settings.
    refit: bool = True

    @model_validator(mode="after")
    def _names_candidates_for_auto_alone(self) -> "TrainParams":
        if self.candidates is not None and self.model != "auto":
            raise ValueError("expected candidates with model auto alone")
        if self.candidates is not None and len(set(self.candidates)) < len(self.candidates):
            raise ValueError("expected each candidate once")
        return self

    @property
    def stopping(self) -> EarlyStopping | None:
        """Of networks: there is always a validation split, so it is on unless it is turned off."""
        if isinstance(self.early_stopping, EarlyStopping):
            return self.early_stopping
        # The number of private steps stands before the first.
        return None if self.early_stopping is False or self.privacy is not None else EarlyStopping(patience=4)

    @property
    def named(self) -> list[Method] | None:
        """The models that are tried, where that does not follow from the plays; the first is tried beside others."""
        if self.privacy is not None:
            return [PRIVATE]
        return [self.model] if self.model != "auto" else self.candidates

    def affords_networks(self, *, users: int, items: int) -> bool:
        """Whether networks are tried unasked: a product with every item for each listener, and twice that to learn."""
        return TIMES * EPOCHS * 6 * float(users * items * self.network.embedding) / PER_S <= NETWORK_S

    @property
    def epochs_at_most(self) -> int:
        """Of networks."""
        return self.epochs or (EPOCHS_WITH_EARLY_STOPPING if self.stopping else EPOCHS_WITHOUT)


_OF_NETWORKS = {"model": ["two_tower", "autoencoder"]}
# In which a search looks when it is told no other space.
SPACE = {
    "model": {"type": "choice", "values": ["neighbours", "ease", "als", "two_tower", "autoencoder"]},
    "weighting": {"type": "choice", "values": ["binary", "log", "damped"]},
    "neighbours.neighbours": {"type": "int", "low": 10, "high": 500, "log": True, "when": {"model": ["neighbours"]}},
    "neighbours.shrink": {"type": "float", "low": 0.0, "high": 100.0, "when": {"model": ["neighbours"]}},
    "ease.l2": {"type": "float", "low": 1.0, "high": 10_000.0, "log": True, "when": {"model": ["ease"]}},
    "ease.ridge_power": {"type": "float", "low": 0.0, "high": 1.0, "when": {"model": ["ease"]}},
    "als.factors": {"type": "int", "low": 16, "high": 256, "log": True, "when": {"model": ["als"]}},
    "als.regularization": {"type": "float", "low": 0.1, "high": 300.0, "log": True, "when": {"model": ["als"]}},
    "network.embedding": {"type": "int", "low": 32, "high": 256, "log": True, "when": _OF_NETWORKS},
    "network.dropout": {"type": "float", "low": 0.2, "high": 0.8, "when": _OF_NETWORKS},
    "learning_rate": {"type": "float", "low": 0.001, "high": 0.02, "log": True, "when": _OF_NETWORKS},
}


class ScoreParams(ListParams):
    """A list for every listener of a dataset."""

    formats: Annotated[list[FileFormat], Field(min_length=1, max_length=3)] = Field(default_factory=every_format)
    # A scoring of the same listeners by the same version that was cancelled or failed: what it has done is taken over.
    resume_of: Annotated[str, Field(max_length=40)] | None = None


class EvaluateParams(Closed):
    """What a version comes to on the events of a dataset that came after those it has learned from."""

    seed: Annotated[Int, Field(ge=0, lt=2**31)] = 0


ACTIONS = {"train": TrainParams, "score": ScoreParams, "evaluate": EvaluateParams}
