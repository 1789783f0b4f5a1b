"""The bodies and query strings that the calls take: closed schemas, every limit in one place."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, Strict, StringConstraints, model_validator
from pydantic.json_schema import SkipJsonSchema

from shared import cron
from shared.addresses import URL_SIGNS
from shared.list_params import LONGEST_LIST, ListParams
from shared.masking.rules import Masking, misfits
from shared.rights_params import Rights
from shared.schema import Closed, Float, Int
from shared.wanted import Column, Columns, Labels, Name, NewJob, Reference, Requirement


def _no_id(prefix: str) -> AfterValidator:
    """Of what is named by its id or by its name: a name that looks like an id could never be told from one."""

    def check(name: str) -> str:
        if name.startswith(prefix):
            raise ValueError(f"expected a name that does not begin with {prefix}, as ids do, received {name!r}")
        return name

    return AfterValidator(check)


DatasetName = Annotated[Name, _no_id("ds_")]
ScheduleName = Annotated[Name, _no_id("sch_")]
Limit = Annotated[int, Field(ge=1, le=200)]
# As long as a manifest's keys and cells may be and still stand in an address.
TrackKey = Annotated[str, StringConstraints(min_length=1, max_length=1024)]
Where = Annotated[dict[Column, Annotated[str, StringConstraints(max_length=1024)]], Field(max_length=8)]
# As long as an id of interactions may be (worker/interactions/rows.py).
USER_CHARACTERS = 1024
# As long as the column of SQL.
Description = Annotated[str, StringConstraints(max_length=255)]
Cursor = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_]+$")]


class ColumnRoles(Closed):
    """Which column is what; left out, they are inferred by name."""

    target: Column | Annotated[list[Column], Field(min_length=1, max_length=64)] | None = None
    group: Column | None = None
    id: Column | None = None
    mask: Columns = Field(default_factory=list)
    drop: Columns = Field(default_factory=list)
    # Of each row: on what terms it may be used, and whether it may be learned from.
    licence: Column | None = None
    consent: Column | None = None
    # Of a manifest of audio: which file, which part of it in seconds, and what is known of the truth.
    file: Column | None = None
    start: Column | None = None
    end: Column | None = None
    tempo: Column | None = None
    key: Column | None = None
    notes: Column | None = None
    # Of interactions: who has played what, how much, when and where. That users are known by pseudonyms may be said.
    user: Column | None = None
    item: Column | None = None
    weight: Column | None = None
    time: Column | None = None
    context: Column | None = None
    pseudonymise: Annotated[Literal[True] | None, Field(description="Always so: listeners have pseudonyms.")] = None


TABLE_ROLES = ("target", "group", "id", "mask", "drop", "licence", "consent")
AUDIO_ROLES = ("file", "start", "end", "tempo", "key", "notes")
INTERACTION_ROLES = ("user", "item", "weight", "time", "context", "pseudonymise")
# The roles that a format's columns may have, and how a dataset of the format is called.
ROLES: dict[str, tuple[str, ...]] = {
    "table": TABLE_ROLES,
    "audio": (*TABLE_ROLES, *AUDIO_ROLES),
    "interactions": (*INTERACTION_ROLES, "drop"),
}
# Formats whose files are CSV, or may be.
MASKED = ("table", "interactions")
OWNERS = {
    **dict.fromkeys(TABLE_ROLES, "a table or a dataset of audio"),
    **dict.fromkeys(AUDIO_ROLES, "a dataset of audio"),
    **dict.fromkeys(INTERACTION_ROLES, "a dataset of interactions"),
}


class NewDataset(Closed):
    """A dataset to be: its name takes the next version."""

    name: DatasetName
    format: Literal["table", "audio", "symbolic", "interactions"] = "table"
    columns: ColumnRoles = Field(default_factory=ColumnRoles)
    # What is hidden of each column before anything is written; of tables and plays, as CSV.
    masking: Masking | None = None
    base: Reference | None = None
    # What the ledger of rights says of it from the beginning.
    rights: Rights | None = None

    @model_validator(mode="after")
    def _has_roles_of_its_format(self) -> "NewDataset":
        named = list(self.columns.model_dump(exclude_defaults=True))
        if self.format == "symbolic" and named:
            said = "pieces have none, and their parts follow from folders"
            raise ValueError(f"expected no {', '.join(named)} in columns: {said}")
        foreign = [role for role in named if role not in ROLES.get(self.format, ())]
        if foreign:
            raise ValueError(f"expected no {', '.join(foreign)} in columns: these are roles of {OWNERS[foreign[0]]}")
        return self

    @model_validator(mode="after")
    def _masks_what_it_can(self) -> "NewDataset":
        if self.masking is None:
            return self
        if self.format not in MASKED:
            raise ValueError(f"expected no masking: of {self.format} nothing is masked; mask it before the upload")
        wrong = list(misfits(self.masking, self.columns.model_dump(exclude_defaults=True)))
        if wrong:
            raise ValueError("; ".join(f"column {column!r}: {said}" for column, said in wrong))
        return self


class ListenerErasure(Closed):
    """Whose events are to go, by the id of the uploads or by its pseudonym; and whether models are trained anew."""

    user: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=USER_CHARACTERS)]
    retrain: Annotated[bool, Strict()] = False


class AliasMove(Closed):
    """Where an alias shall point, why, and where it points as far as the client knows; 0 is nowhere."""

    version: Annotated[Int, Field(ge=1, lt=2**31)]
    require: Requirement | None = None
    expected_version: Annotated[Int, Field(ge=0, lt=2**31)] | None = None
    reason: Description | None = None


Cron = Annotated[str, StringConstraints(min_length=9, max_length=100), AfterValidator(cron.read)]
Zone = Annotated[str, StringConstraints(min_length=1, max_length=64), AfterValidator(cron.read_zone)]
Overlap = Literal["skip", "queue", "replace"]
Misfire = Literal["skip", "once", "all"]
# More than this ago nobody wants to catch up with.
GraceS = Annotated[Float, Field(ge=0, le=2_592_000)]


class NewSchedule(Closed):
    """A schedule to be: `cron` has five fields, `job` is a body of POST /v1/jobs."""

    name: ScheduleName
    cron: Cron
    timezone: Zone = "UTC"
    job: NewJob
    overlap: Overlap = "skip"
    misfire: Misfire = "once"
    misfire_grace_s: GraceS = 3600.0


def _left_out() -> Any:  # Any: nobody reads it; which fields a client named, pydantic knows
    return None


class ScheduleChange(Closed):
    """What shall be different of a schedule; what is left out stays."""

    name: ScheduleName = Field(default_factory=_left_out)
    cron: Cron = Field(default_factory=_left_out)
    timezone: Zone = Field(default_factory=_left_out)
    job: NewJob = Field(default_factory=_left_out)
    overlap: Overlap = Field(default_factory=_left_out)
    misfire: Misfire = Field(default_factory=_left_out)
    misfire_grace_s: GraceS = Field(default_factory=_left_out)


class Page(Closed):
    """A page of a list."""

    limit: Limit = 50
    cursor: Cursor | None = None


class DatasetsPage(Page):
    name: Name | None = None


class JobsPage(Page):
    """Filters of the list of jobs; `label.team=mir` for the jobs' own labels."""

    state: Literal["queued", "running", "succeeded", "failed", "cancelled"] | None = None
    kind: Annotated[str, StringConstraints(max_length=64)] | None = None
    action: Annotated[str, StringConstraints(max_length=64)] | None = None
    model: Annotated[str, StringConstraints(max_length=255)] | None = None
    schedule: Annotated[str, StringConstraints(max_length=255)] | None = None
    # The search whose trials are listed.
    parent: Annotated[str, StringConstraints(max_length=40)] | None = None
    labels: Labels = Field(default_factory=dict)


class RowsPage(Closed):
    """A page of numbered rows: the cursor is the number of its first one."""

    limit: Limit = 50
    cursor: Annotated[int, Field(ge=0, lt=2**53)] = 0


# As a browser says it that comes for the first time: it cannot send a header of its own.
LastEventId = Annotated[str, StringConstraints(max_length=64)] | None


class JobEventsPage(RowsPage):
    """A page of a job's events, or where a stream of them goes on."""

    last_event_id: LastEventId = None


class FeedPage(Closed):
    """Which events of all jobs: those behind `after`, of one type or several with commas, of one job."""

    limit: Limit = 50
    after: Annotated[str, StringConstraints(min_length=1, max_length=64)] = "0"
    type: Annotated[str, StringConstraints(pattern=r"^[a-z_]{1,32}(,[a-z_]{1,32}){0,15}$")] | None = None
    job: Annotated[str, StringConstraints(min_length=1, max_length=40)] | None = None
    last_event_id: LastEventId = None

    @property
    def types(self) -> tuple[str, ...] | None:
        return None if self.type is None else tuple(self.type.split(","))


class UsageQuery(RowsPage):
    """Jobs that ended from `from` to before `to`, each a day (UTC) or a moment of RFC 3339; and what to sum by."""

    since: Annotated[Annotated[str, StringConstraints(max_length=40)] | None, Field(alias="from")] = None
    until: Annotated[Annotated[str, StringConstraints(max_length=40)] | None, Field(alias="to")] = None
    by: Literal["day", "model", "label", "kind", "job"] = "day"


class RunsPage(Closed):
    """A page of the runs of a schedule: the cursor is what the page before said."""

    limit: Limit = 50
    cursor: Annotated[int, Field(ge=0, lt=2**53)] | None = None


class NextQuery(Closed):
    """How many moments of a schedule, and later than which."""

    n: Annotated[int, Field(ge=1, le=100)] = 10
    from_: Annotated[str, StringConstraints(max_length=64)] | None = Field(default=None, alias="from")


class CancelQuery(Closed):
    keep: Literal["best"] | None = None


class AliasQuery(Closed):
    at: Annotated[str, StringConstraints(max_length=64)] | None = None


Url = Annotated[str, StringConstraints(min_length=1, max_length=URL_SIGNS)]
Event = Literal[
    "*", "job.succeeded", "job.failed", "job.cancelled", "schedule.paused", "schedule.refused", "webhook.ping"
]
Events = Annotated[list[Event], Field(min_length=1, max_length=16)]


class NewWebhook(Closed):
    """Who is to be told of what; `*` is every event."""

    url: Url
    events: Events = Field(default=["*"])
    description: Description | None = None


class WebhookChange(Closed):
    """What is to be different; what is left out or null stays as it is."""

    url: Url | None = None
    events: Events | None = None
    description: Description | None = None
    state: Literal["active", "disabled"] | None = None


class DeliveriesPage(Page):
    state: Literal["waiting", "delivered", "failed"] | None = None


class DiffQuery(RowsPage):
    """The scoring to compare with; a page of the rows that are predicted otherwise."""

    other: Annotated[str, Field(alias="with", min_length=1, max_length=40)]


PlayedWeight = Annotated[Float, Field(gt=0, le=1e9)]


class Played(Closed):
    """An item that was played, and how much."""

    item: TrackKey
    weight: PlayedWeight = 1.0


class Recommend(ListParams):
    """A list for a listener of a dataset, or for anybody who has played these items."""

    user: TrackKey | None = None
    items: Annotated[list[TrackKey | Played], Field(min_length=1, max_length=1000)] | None = None
    # In which the listener is looked up; left out, the one that the model has learned from.
    dataset: Reference | None = None

    @model_validator(mode="after")
    def _asks_for_one(self) -> "Recommend":
        if (self.user is None) == (self.items is None):
            raise ValueError("expected user (of a dataset) or items (that were played)")
        if self.dataset is not None and self.user is None:
            raise ValueError("expected no dataset beside items: it is where a user is looked up")
        return self

    @property
    def played(self) -> dict[str, float] | None:
        """Each item with all that was played of it."""
        if self.items is None:
            return None
        sums: dict[str, float] = {}
        for each in self.items:
            item, weight = (each.item, each.weight) if isinstance(each, Played) else (each, 1.0)
            sums[item] = sums.get(item, 0.0) + weight
        return sums


class SimilarItemsQuery(Closed):
    """An item, and how many like it."""

    item: TrackKey
    k: Annotated[int, Field(ge=1, le=LONGEST_LIST)] = 20


class SimilarQuery(Closed):
    """A track of a dataset, and how many like it; `where.genre=rock` keeps those of which the manifest says so."""

    track: TrackKey
    k: Annotated[int, Field(ge=1, le=100)] = 10
    dataset: Reference | None = None
    # Written as parameters of their own, which OpenAPI has no way to describe.
    where: SkipJsonSchema[Where] = Field(default_factory=dict)
