"""The body of POST /v1/jobs, which a schedule holds too, and the words that documents of clients are made of."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, Strict, StringConstraints, ValidationInfo, field_validator, model_validator

from shared.schema import Closed, Float, Int

# Display text only; it never becomes a path or a key of storage. Neither controls nor what turns text around.
_UNFIT = r"\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069"
NAME = rf"^[^\s@/\\{_UNFIT}]([^@/\\{_UNFIT}]*[^\s@/\\{_UNFIT}])?$"


def _no_dots(name: str) -> str:
    """In an address one dot, or two, mean another place."""
    if name in (".", ".."):
        raise ValueError(f"expected a name, received {name!r}")
    return name


Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=NAME), AfterValidator(_no_dots)]
Reference = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=rf"^[^{_UNFIT}]+$")]
Column = Annotated[str, StringConstraints(min_length=1, max_length=255)]
Columns = Annotated[list[Column], Field(max_length=512)]
LabelName = Annotated[str, StringConstraints(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
LabelValue = Annotated[str, StringConstraints(max_length=255)]
Labels = Annotated[dict[LabelName, LabelValue], Field(max_length=32)]


# The action that may do without a dataset, and those that are about a model version alone.
COMPOSES = "generate"
OF_A_VERSION = ("reproduce", "export")


class Budget(Closed):
    """What a job may use; a training that reaches it ends with what it has."""

    compute_seconds: Annotated[Float, Field(le=31_536_000)] | None = None
    energy_wh: Annotated[Float, Field(le=1e9)] | None = None
    # In the operator's currency.
    money: Annotated[Float, Field(le=1e9)] | None = None

    @field_validator("compute_seconds", "energy_wh", "money")
    @classmethod
    def _is_something(cls, granted: float | None) -> float | None:
        if granted is not None and granted <= 0:
            raise ValueError(f"expected more than nought, or the field left out for no limit, received {granted:g}")
        return granted


# What a gate may ask without another version to compare with.
ALONE = ("at_least", "min_rows", "no_leakage_warning", "privacy")
OF_TWO = ("by", "significant")
# What compares a metric.
OF_METRIC = ("at_least", *OF_TWO)


class PrivacyRequirement(Closed):
    """How little a version may give away of the rows that it was trained on."""

    # The upper end of its interval counts.
    membership_auc_at_most: Annotated[Float, Field(ge=0.5, le=1)] | None = None
    epsilon_at_most: Annotated[Float, Field(gt=0)] | None = None

    @model_validator(mode="after")
    def _asks_for_something(self) -> "PrivacyRequirement":
        if self.membership_auc_at_most is None and self.epsilon_at_most is None:
            raise ValueError("expected membership_auc_at_most, epsilon_at_most or both, received neither")
        return self


class Requirement(Closed):
    """The gate before an alias moves: all that it names must hold."""

    privacy: PrivacyRequirement | None = None
    # By what is compared; may be left out where privacy is required and nothing is compared.
    metric: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        default=None, validate_default=True
    )
    # How much worse than the other it may be.
    by: Annotated[Float, Field(ge=0)] = 0.0
    significant: Annotated[bool, Strict()] = False
    # Of a metric of which less is better: at most.
    at_least: Float | None = None
    min_rows: Annotated[Int, Field(ge=1, lt=2**53)] | None = None
    no_leakage_warning: Annotated[bool, Strict()] = False
    # Whether it may be left out depends on the others, which are read before it.
    not_worse_than: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = Field(
        default=None, validate_default=True
    )

    @field_validator("metric")
    @classmethod
    def _compares_by_something(cls, metric: str | None, said: ValidationInfo) -> str | None:
        if metric is None and said.data.get("privacy") is None:
            raise ValueError("expected this field, received none")
        return metric

    @field_validator("not_worse_than")
    @classmethod
    def _asks_for_something(cls, other: str | None, said: ValidationInfo) -> str | None:
        if "metric" in said.data and said.data["metric"] is None:
            compares = [name for name in OF_METRIC if said.data.get(name)]
            if other is not None or compares:
                raise ValueError("expected the metric by which is compared beside it, received none")
        if other is not None:
            return other
        beside = [name for name in OF_TWO if said.data.get(name)]
        if beside:
            raise ValueError(f"expected the alias to compare with, which {beside[0]} is about, received none")
        if not any(said.data.get(name) not in (None, False) for name in ALONE):
            raise ValueError(f"expected an alias to compare with, or one of {', '.join(ALONE)}, received none")
        return None


class Promotion(Closed):
    """The alias that the version of a training shall have once it is made, if the gate lets it pass."""

    alias: Annotated[str, StringConstraints(max_length=255)]
    require: Requirement | None = None


class NewJob(Closed):
    """A job to be. `params` depend on action and kind: see GET /v1/kinds."""

    action: Literal["train", "tune", "score", "generate", "evaluate", "audit", "reproduce", "export"]
    kind: Annotated[str, StringConstraints(min_length=1, max_length=64)] | None = None
    # Only what is composed needs none.
    dataset: Reference | Annotated[list[Reference], Field(min_length=1, max_length=100)] | None = Field(
        default=None, validate_default=True
    )
    model: Reference | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    priority: Annotated[Int, Field(ge=-100, le=100)] = 0
    deadline_s: Annotated[Float, Field(gt=0, le=31_536_000)] | None = None
    budget: Budget = Field(default_factory=Budget)
    promote: Promotion | None = None
    labels: Labels = Field(default_factory=dict)
    # Answer with an earlier job that did the same, if one did and what it made is still there.
    reuse: Annotated[bool, Strict()] = False

    @field_validator("dataset")
    @classmethod
    def _is_named(cls, dataset: str | list[str] | None, said: ValidationInfo) -> str | list[str] | None:
        action = said.data.get("action")
        if dataset is not None and action in OF_A_VERSION:
            raise ValueError(f"expected no dataset to {action}, received one: the model version is enough")
        if dataset is None and action not in (COMPOSES, *OF_A_VERSION):
            raise ValueError("expected a dataset (its id, name@3 or name@latest), received none")
        return dataset
