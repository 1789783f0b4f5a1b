"""What is answered about keys, limits and the audit log, for the OpenAPI document."""

from web.schemas import Open


class Key(Open):
    """A key without its secret; `last_used_at` is the hour in which it was used last."""

    id: str
    name: str
    scope: str
    state: str
    created_at: str
    expires_at: str | None
    revoked_at: str | None
    rotated_to: str | None
    last_used_at: str | None


class KeyWithSecret(Key):
    """`secret` is null where the answer is a replay: it is told once."""

    secret: str | None


class KeyList(Open):
    data: list[Key]
    next_cursor: str | None


class Limit(Open):
    """`limit` is null where there is none."""

    limit: int | None
    used: float


class Rate(Open):
    """Of one web process: a bucket of `burst` that fills by `per_second`; null where there is no limit."""

    per_second: float | None
    burst: int


class Rates(Open):
    requests: Rate
    submissions: Rate


class Limits(Open):
    stored_bytes: Limit
    jobs_queued: Limit
    jobs_running: Limit
    schedules: Limit
    compute_seconds_today: Limit
    rates: Rates


class EncryptionKey(Open):
    """`id` and `created_at` are null, and `generation` is 0, while the tenant has stored nothing."""

    id: str | None
    generation: int
    created_at: str | None
    algorithm: str


class LogRow(Open):
    """`key` is null where the operator did it; `made` is the id of what came of it, where that is not the object."""

    seq: int
    at: str
    key: str | None
    action: str
    object: str | None
    made: str | None
    status: int
    request_id: str | None
    previous: str
    hash: str


class AuditLog(Open):
    data: list[LogRow]
    next_cursor: str | None
