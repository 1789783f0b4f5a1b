"""What goes out, for the OpenAPI document; web/responses.py makes it, and a test holds the two together."""

from typing import Any

from pydantic import BaseModel, ConfigDict

Json = dict[str, Any]


class Open(BaseModel):
    """An answer may gain fields; clients must not mind."""

    model_config = ConfigDict(extra="allow")


class Problem(Open):
    """RFC 9457, with our own code, and every fault with its place."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    retryable: bool
    request_id: str
    errors: list[Json] | None = None
    errors_total: int | None = None


class Attempt(Open):
    number: int
    worker: str
    started_at: str
    ended_at: str | None
    outcome: str | None
    resumed_from: Json | None


class Job(Open):
    id: str
    action: str
    kind: str | None
    state: str
    stage: str | None
    datasets: list[str]
    model: str | None
    schedule: str | None
    parent: str | None
    params: Json
    priority: int
    labels: dict[str, str]
    budget: Json
    promote: Json | None
    progress: Json | None
    queue: Json
    attempt: int
    attempts: list[Attempt]
    timeline: list[Json]
    created_at: str
    started_at: str | None
    ended_at: str | None
    deadline_at: str | None
    cancel_requested_at: str | None
    result: Json | None
    error: Json | None
    cost: Json
    # Seconds, low, high, and once the job has ended actual_ratio; null for a job that was submitted by the service.
    estimate: Json | None
    # In the answer to a submission that asked for it: reused, and the reason if it was not.
    reuse: Json | None
    links: dict[str, str]


class JobList(Open):
    data: list[Job]
    next_cursor: str | None


class Schedule(Open):
    id: str
    name: str
    cron: str
    timezone: str
    job: Json
    overlap: str
    misfire: str
    misfire_grace_s: float
    state: str
    error: Json | None
    next_at: str | None
    revision: int
    created_at: str
    links: dict[str, str]


class ScheduleList(Open):
    data: list[Schedule]
    next_cursor: str | None


class Moments(Open):
    data: list[str]


class Run(Open):
    due_at: str
    fired_at: str
    outcome: str
    by_hand: bool
    job: Json | None
    error: Json | None


class RunList(Open):
    data: list[Run]
    next_cursor: str | None


class Event(Open):
    id: int
    at: str
    type: str
    data: Json


class EventList(Open):
    data: list[Event]
    next_cursor: str | None


class FeedEvent(Open):
    id: str
    job: str
    number: int
    at: str
    type: str
    data: Json


class FeedList(Open):
    data: list[FeedEvent]
    next_cursor: str | None
    after: str


class EpochList(Open):
    data: list[Json]


class Rows(Open):
    data: list[Json]
    next_cursor: str | None
    total: int


class Worker(Open):
    name: str
    queue: str
    state: str
    started_at: str
    beat_at: str
    containment: str | None
    devices: list[Json]
    job: Json | None


class WorkerList(Open):
    data: list[Worker]
    next_cursor: str | None


class Estimate(Open):
    parameters: int
    memory_bytes: int
    fits: bool
    expected_s: float
    low_s: float
    high_s: float
    jobs: int
    energy_wh: float
    money: float | None
    currency: str | None


class Dataset(Open):
    id: str
    name: str
    version: int
    reference: str
    format: str
    state: str
    columns: Json
    masking: Json | None
    base: str | None
    rows: int | None
    size_bytes: int | None
    sha256: str | None
    profile: Json | None
    error: Json | None
    created_at: str
    ready_at: str | None


class DatasetList(Open):
    data: list[Dataset]
    next_cursor: str | None


class Erased(Open):
    id: str
    state: str
    models: list[str]
    predictions: list[str]


class Version(Open):
    model: str
    version: int
    reference: str
    aliases: list[str]
    metrics: Json
    baselines: Json
    warnings: list[Json]
    lineage: Json
    parameters: int
    # As they are now; null in lists, where the lineage has what the training has seen.
    rights: Json | None
    created_at: str
    # The erasures whose data it has learned from.
    erased_data: list[Json]
    links: dict[str, str]


class Model(Open):
    id: str
    name: str
    kind: str
    created_at: str
    description: str | None
    intended_use: str | None
    limits: str | None
    licence: str | None
    aliases: dict[str, int]
    versions: list[Version]


class Diff(Open):
    same: int
    changed: int
    only_here: int
    only_there: int
    only_here_keys: list[Any]
    only_there_keys: list[Any]
    largest_move: float | None
    data: list[Json]
    next_cursor: str | None


class ListedModel(Open):
    id: str
    name: str
    kind: str
    created_at: str
    aliases: dict[str, int]
    newest_version: int | None
    # Of any of its versions.
    has_erased_data: bool


class ModelList(Open):
    data: list[ListedModel]
    next_cursor: str | None


class Kind(Open):
    name: str
    description: str
    formats: list[str]
    metrics: list[Json]
    actions: Json


class KindList(Open):
    data: list[Kind]


class Webhook(Open):
    id: str
    url: str
    events: list[str]
    description: str | None
    state: str
    error: Json | None
    failing_since: str | None
    old_secret_until: str | None
    created_at: str


class WebhookWithSecret(Webhook):
    secret: str


class WebhookList(Open):
    data: list[Webhook]
    next_cursor: str | None


class Delivery(Open):
    id: str
    webhook: str
    type: str
    state: str
    attempts: int
    next_at: str | None
    created_at: str
    ended_at: str | None


class WholeDelivery(Delivery):
    body: Json
    tries: list[Json]


class DeliveryList(Open):
    data: list[Delivery]
    next_cursor: str | None


class Health(Open):
    status: str


class Sandbox(Open):
    status: str
    at_least: str | None
    tier: str | None
    workers: list[Json]
