"""The SQL tables. Moments are seconds since 1970 by the database's clock; every table of a tenant names it.

A row refers to another by tenant and id: it cannot refer to another tenant's, whatever a statement forgets.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from shared.sealed_columns import NOBODY, Sealed, SealedJson, SealedName

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

Id = String(40)
Name = String(255)


def _of(table: str, column: str, ondelete: str | None = None) -> ForeignKeyConstraint:
    """That `column` names a row of a table of the same tenant."""
    return ForeignKeyConstraint(["tenant", column], [f"{table}.tenant", f"{table}.id"], ondelete=ondelete)


tenants = Table(
    "tenants",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", SealedName("tenants.name", 255, whose=NOBODY), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    # Seconds of a clock that runs only while somebody is served: where its share ends, who is furthest ahead waits for
    # the others; and where that began which was claimed last.
    Column("served_until", Double, nullable=False, server_default="0"),
    Column("served_from", Double, nullable=False, server_default="0"),
    # Since when its keys open nothing and its jobs wait; null of one that may work.
    Column("suspended_at", Double),
    # What it may have instead of what the settings say of every tenant (shared/quotas.py); -1: as much as it likes.
    Column("stored_bytes_at_most", BigInteger),
    Column("queued_at_most", BigInteger),
    Column("running_at_most", BigInteger),
    Column("schedules_at_most", BigInteger),
    Column("compute_s_a_day", BigInteger),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant", Id, ForeignKey("tenants.id"), nullable=False, index=True),
    Column("name", Sealed("keys.name", 255), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
    # The key that took its place; it may be used until it expires.
    Column("rotated_to", Id),
    # The hour in which it was used last.
    Column("last_used_at", Double),
)

# What was changed, by which key, and what was refused: each row holds the hash of the one before it of its tenant. Rows
# are never changed, and only such go as lie before the head's `kept_from`; triggers of the migration see to both.
audit_log = Table(
    "audit_log",
    metadata,
    Column("tenant", Id, ForeignKey("tenants.id"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("at", Double, nullable=False),
    # Null: the operator, at the service itself.
    Column("key", Id),
    Column("action", String(64), nullable=False),
    # What it was done to, and what was made of it.
    Column("object", SealedName("audit_log.object")),
    Column("made", Id),
    Column("status", Integer, nullable=False),
    Column("request", String(64)),
    Column("previous", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
    PrimaryKeyConstraint("tenant", "seq"),
    Index("ix_audit_log_tenant_key", "tenant", "key", "seq"),
)

# Where the chain of a tenant ends, and where what is kept of it begins: a row that is cut off at either end is missed.
audit_heads = Table(
    "audit_heads",
    metadata,
    Column("tenant", Id, ForeignKey("tenants.id"), nullable=False),
    Column("seq", BigInteger, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("kept_from", BigInteger, nullable=False),
    # The hash that the first row kept has as its `previous`.
    Column("kept_previous", String(64), nullable=False),
    PrimaryKeyConstraint("tenant"),
)

# The first answer to a POST with an Idempotency-Key, kept in the transaction that made it true.
answers = Table(
    "answers",
    metadata,
    Column("tenant", Id, nullable=False),
    Column("key", SealedName("answers.key", 255), nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer),
    Column("headers", SealedJson("answers.headers")),
    Column("body", Sealed("answers.body")),
    Column("created_at", Double, nullable=False, index=True),
    PrimaryKeyConstraint("tenant", "key"),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant", Id, ForeignKey("tenants.id"), nullable=False),
    Column("name", SealedName("datasets.name", 255), nullable=False),
    Column("version", Integer, nullable=False),
    Column("format", String(32), nullable=False),
    Column("columns", SealedJson("datasets.columns"), nullable=False),
    # The rules by which its files were masked as they came; nothing in them is secret.
    Column("masking", SealedJson("datasets.masking")),
    Column("state", String(16), nullable=False),
    Column("base", Id),
    Column("parts", JSON),
    Column("profile", SealedJson("datasets.profile")),
    Column("error", SealedJson("datasets.error")),
    Column("sha256", String(64), index=True),
    Column("rows", BigInteger),
    Column("size_bytes", BigInteger),
    Column("created_at", Double, nullable=False),
    Column("ready_at", Double),
    Column("erased_at", Double),
    # Of a corrected table: the version whose rows it has. It has no base, and the same rights.
    Column("copied_from", Id),
    UniqueConstraint("tenant", "name", "version"),
    CheckConstraint("state IN ('open', 'ingesting', 'ready', 'rejected', 'erased')", name="state"),
    Index("ix_datasets_tenant_id", "tenant", "id", unique=True),
)

dataset_files = Table(
    "dataset_files",
    metadata,
    Column("tenant", Id, nullable=False),
    Column("dataset", Id, nullable=False),
    Column("name", SealedName("dataset_files.name", 255), nullable=False),
    Column("key", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("uploaded_at", Double, nullable=False),
    PrimaryKeyConstraint("dataset", "name"),
    _of("datasets", "dataset"),
)

# On what terms a dataset may be used, and who agreed: each entry is all that holds from then on. Rows are never changed
# or deleted, which triggers of the migration see to; they outlive the dataset's bytes.
rights_entries = Table(
    "rights_entries",
    metadata,
    Column("tenant", Id, nullable=False),
    Column("dataset", Id, nullable=False),
    Column("number", Integer, nullable=False),
    # Of one row, by its key; null: of the whole dataset. What an entry of a row leaves null is as the dataset has it.
    Column("track", Text),
    Column("licence", String(64)),
    Column("commercial", String(8)),
    Column("consent", String(8)),
    Column("consent_basis", Sealed("rights_entries.consent_basis", 255)),
    Column("consent_until", Double),
    Column("holder", Sealed("rights_entries.holder", 255)),
    Column("source", Sealed("rights_entries.source", 255)),
    Column("reason", Sealed("rights_entries.reason", 255)),
    # Whose key it was; it may be gone by the time that somebody reads.
    Column("key", Id),
    Column("at", Double, nullable=False),
    PrimaryKeyConstraint("dataset", "number"),
    CheckConstraint("commercial IN ('yes', 'no', 'unknown')", name="commercial"),
    CheckConstraint("consent IN ('granted', 'refused', 'unknown')", name="consent"),
    _of("datasets", "dataset"),
)

# Which recordings a dataset of audio holds: the row's number in its table, and what was heard there.
tracks = Table(
    "tracks",
    metadata,
    Column("tenant", Id, nullable=False),
    Column("dataset", Id, nullable=False),
    Column("number", Integer, nullable=False),
    Column("content", String(64), nullable=False, index=True),
    PrimaryKeyConstraint("dataset", "number"),
    _of("datasets", "dataset"),
)

# What was computed of a recording, kept by its content so that it is never computed twice: a little in `data`, much in
# a file under `key`.
features = Table(
    "features",
    metadata,
    Column("tenant", Id, ForeignKey("tenants.id"), nullable=False),
    Column("content", String(64), nullable=False),
    Column("extractor", String(64), nullable=False),
    Column("data", SealedJson("features.data")),
    Column("key", Text, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64)),
    Column("created_at", Double, nullable=False),
    PrimaryKeyConstraint("tenant", "content", "extractor"),
)

# What ended a decoder, and is not opened again (shared/quarantine.py): a file by its mark, a piece by its place in it.
quarantine = Table(
    "quarantine",
    metadata,
    Column("tenant", Id, ForeignKey("tenants.id"), nullable=False),
    Column("mark", String(64), nullable=False),
    Column("place", Integer, nullable=False),
    # The code whose decoder it ended.
    Column("release", String(32), nullable=False),
    # In which it did.
    Column("job", Id, nullable=False),
    Column("since", Double, nullable=False),
    PrimaryKeyConstraint("tenant", "mark", "place"),
    _of("jobs", "job"),
)

_IS_TRIAL = text("parent IS NOT NULL")

jobs = Table(
    "jobs",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant", Id, ForeignKey("tenants.id"), nullable=False),
    Column("action", String(16), nullable=False),
    Column("kind", String(64)),
    Column("queue", String(32), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("datasets", JSON, nullable=False),
    Column("model", SealedName("models.name", 255)),
    Column("version", Id),
    # The schedule that submitted it, if one did.
    Column("schedule", Id),
    # Of a trial: the search that it belongs to.
    Column("parent", Id),
    Column("params", SealedJson("jobs.params"), nullable=False),
    Column("labels", SealedJson("jobs.labels"), nullable=False),
    Column("budget", JSON, nullable=False),
    # Of a training: the alias that its version shall have, and what that requires.
    Column("promote", SealedJson("jobs.promote")),
    Column("state", String(16), nullable=False),
    Column("stage", String(32)),
    Column("attempt", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("losses", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("lease_owner", Name),
    Column("lease_until", Double),
    Column("run_after", Double, nullable=False),
    Column("expected_s", Double, nullable=False, server_default="1"),
    # Among a tenant's jobs of one priority: when it came, and a little later the longer it is expected to take.
    Column("turn_at", Double, nullable=False, server_default="0"),
    Column("deadline_at", Double),
    Column("cancel_requested_at", Double),
    Column("keep", String(16)),
    Column("progress", SealedJson("jobs.progress")),
    Column("checkpoint", JSON),
    Column("result", SealedJson("jobs.result")),
    Column("error", SealedJson("jobs.error")),
    Column("cost", JSON),
    # What was expected of it when it was submitted.
    Column("estimate", JSON),
    # Of everything that decides what it makes, and by which code it was made.
    Column("fingerprint", String(64)),
    Column("code", String(64)),
    # Raised by every write: the ETag, and what a waiting client watches.
    Column("revision", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    CheckConstraint("state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="state"),
    CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease_iff_running"),
    Index("ix_jobs_claim", "state", "queue", "priority", "turn_at", "id"),
    Index("ix_jobs_lease", "state", "lease_until"),
    Index("ix_jobs_schedule", "schedule", "id"),
    # Of trials alone, which most jobs are not: these cost the others nothing.
    Index("ix_jobs_parent", "parent", "id", sqlite_where=_IS_TRIAL, postgresql_where=_IS_TRIAL),
    Index("ix_jobs_trials_state", "state", "parent", sqlite_where=_IS_TRIAL, postgresql_where=_IS_TRIAL),
    Index("ix_jobs_tenant_fingerprint", "tenant", "fingerprint"),
    Index("ix_jobs_alike", "tenant", "action", "kind", "state", "id"),
    Index("ix_jobs_tenant_ended_at", "tenant", "ended_at"),
    Index("ix_jobs_tenant_id", "tenant", "id", unique=True),
)

job_labels = Table(
    "job_labels",
    metadata,
    Column("tenant", Id, nullable=False),
    Column("job", Id, nullable=False),
    Column("name", SealedName("job_labels.name", 64), nullable=False),
    Column("value", SealedName("job_labels.value", 255), nullable=False),
    PrimaryKeyConstraint("job", "name"),
    Index("ix_job_labels_name_value", "tenant", "name", "value", "job"),
    _of("jobs", "job"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("tenant", Id, nullable=False),
    Column("job", Id, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("worker", Name, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("beat_at", Double, nullable=False),
    Column("ended_at", Double),
    # succeeded, failed, cancelled, lost, stalled, drained, repeated, parked, restarted
    Column("outcome", String(16)),
    Column("error", SealedJson("attempts.error")),
    Column("resumed_from", JSON),
    Column("swept", Boolean, nullable=False),
    PrimaryKeyConstraint("job", "fence"),
    Index("ix_attempts_swept", "swept", "ended_at"),
    _of("jobs", "job"),
)

events = Table(
    "events",
    metadata,
    Column("tenant", Id, nullable=False),
    Column("job", Id, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("type", String(32), nullable=False),
    Column("data", SealedJson("events.data"), nullable=False),
    # By a trigger (migration 0013): where it stands among all events of all jobs.
    Column("position", BigInteger),
    PrimaryKeyConstraint("job", "seq"),
    _of("jobs", "job"),
    Index("ix_events_position", "position"),
    Index("ix_events_tenant_position", "tenant", "position", unique=True),
)

# What has been counted of events, for /metrics: it only grows, whatever is deleted (shared/tallies.py).
tallies = Table(
    "tallies",
    metadata,
    Column("series", String(32), nullable=False),
    Column("action", String(16), nullable=False),
    Column("label", String(32), nullable=False),
    # Of durations: the place of the edge that they do not exceed.
    Column("bucket", Integer, nullable=False),
    Column("count", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    PrimaryKeyConstraint("series", "action", "label", "bucket"),
)

epochs = Table(
    "epochs",
    metadata,
    Column("tenant", Id, nullable=False),
    Column("job", Id, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("metrics", SealedJson("epochs.metrics"), nullable=False),
    PrimaryKeyConstraint("job", "epoch"),
    _of("jobs", "job"),
)

# What a scoring leaves behind: one row a file, written by the finishing transaction.
outputs = Table(
    "outputs",
    metadata,
    Column("tenant", Id, nullable=False),
    Column("job", Id, nullable=False),
    Column("name", String(64), nullable=False),
    Column("key", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("rows", BigInteger),
    PrimaryKeyConstraint("job", "name"),
    _of("jobs", "job"),
)

# What was decided of the suspects of an audit: one row a row of its dataset, the last decision wins.
label_decisions = Table(
    "label_decisions",
    metadata,
    Column("tenant", Id, nullable=False),
    Column("job", Id, nullable=False),
    Column("row", BigInteger, nullable=False),
    Column("decision", String(16), nullable=False),
    # Of one that was accepted: the label that the row shall have, or all of its labels.
    Column("label", SealedJson("label_decisions.label")),
    # Whose key it was; it may be gone by the time that somebody reads.
    Column("key", Id),
    Column("at", Double, nullable=False),
    PrimaryKeyConstraint("job", "row"),
    CheckConstraint("decision IN ('accept', 'reject')", name="decision"),
    _of("jobs", "job"),
)

# A scoring is cut into runs of rows or tracks; each is claimed, fenced and done on its own, by any worker.
chunks = Table(
    "score_chunks",
    metadata,
    Column("tenant", Id, nullable=False),
    Column("job", Id, nullable=False),
    # The number of its first row: a chunk that is split in two keeps its name.
    Column("first", BigInteger, nullable=False),
    Column("rows", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("fence", Integer, nullable=False),
    # Ends of attempts without an answer, by an exception or with the worker's process.
    Column("losses", Integer, nullable=False),
    Column("worker", Name),
    Column("lease_until", Double),
    # What it left behind: a file, how many rows could not be scored, and what adds up over chunks; and the file's key.
    Column("output", SealedJson("score_chunks.output")),
    Column("key", Text, index=True),
    Column("error", SealedJson("score_chunks.error")),
    Column("started_at", Double),
    Column("ended_at", Double),
    PrimaryKeyConstraint("job", "first"),
    CheckConstraint("state IN ('open', 'running', 'done')", name="state"),
    CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease_iff_running"),
    Index("ix_score_chunks_claim", "state", "job", "first"),
    _of("jobs", "job"),
)

# When a job is submitted by itself: a cron expression in a time zone, and what happens when it cannot.
schedules = Table(
    "schedules",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant", Id, ForeignKey("tenants.id"), nullable=False),
    Column("name", SealedName("schedules.name", 255), nullable=False),
    Column("cron", Name, nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("job", SealedJson("schedules.job"), nullable=False),
    Column("overlap", String(16), nullable=False),
    Column("misfire", String(16), nullable=False),
    Column("misfire_grace_s", Double, nullable=False),
    Column("state", String(16), nullable=False),
    # Why it paused itself; null when a client did.
    Column("error", SealedJson("schedules.error")),
    # The next moment at which it is due; null while it is paused.
    Column("next_at", Double),
    Column("revision", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("tenant", "name"),
    CheckConstraint("state IN ('active', 'paused')", name="state"),
    CheckConstraint("overlap IN ('skip', 'queue', 'replace')", name="overlap"),
    CheckConstraint("misfire IN ('skip', 'once', 'all')", name="misfire"),
    Index("ix_schedules_due", "state", "next_at"),
    Index("ix_schedules_tenant_id", "tenant", "id", unique=True),
)

# The unique effect of a moment of a schedule: one row, however many schedulers see it come.
fires = Table(
    "fires",
    metadata,
    Column("tenant", Id, nullable=False),
    Column("schedule", Id, nullable=False),
    # The moment of the cron expression; of a run by hand the moment at which it was asked for.
    Column("due_at", Double, nullable=False),
    Column("fired_at", Double, nullable=False),
    # submitted, waiting (behind a run that is under way), skipped, missed, refused
    Column("outcome", String(16), nullable=False),
    Column("by_hand", Boolean, nullable=False),
    Column("job", Id, index=True),
    Column("error", SealedJson("fires.error")),
    PrimaryKeyConstraint("schedule", "due_at"),
    Index("ix_fires_outcome", "outcome", "schedule"),
    _of("schedules", "schedule"),
    _of("jobs", "job"),
)

# Who is told of what happened, and at which address.
webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant", Id, ForeignKey("tenants.id"), nullable=False),
    Column("url", Sealed("webhooks.url"), nullable=False),
    Column("events", JSON, nullable=False),
    Column("description", Sealed("webhooks.description")),
    Column("secret", Sealed("webhooks.secret"), nullable=False),
    # Signed with this one, too, until then: so that a receiver can change over.
    Column("old_secret", Sealed("webhooks.secret")),
    Column("old_secret_until", Double),
    Column("state", String(16), nullable=False),
    # Why it was switched off; null when a client did.
    Column("error", SealedJson("webhooks.error")),
    # Since when nothing has arrived.
    Column("failing_since", Double),
    Column("created_at", Double, nullable=False),
    CheckConstraint("state IN ('active', 'disabled')", name="state"),
    Index("ix_webhooks_tenant_id", "tenant", "id", unique=True),
)

# What is to be told, written in the transaction that made it true.
deliveries = Table(
    "deliveries",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant", Id, nullable=False),
    Column("webhook", Id, nullable=False),
    Column("type", String(32), nullable=False),
    Column("body", Sealed("deliveries.body"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    # Each try: when, how long, which status, or what went wrong instead.
    Column("log", SealedJson("deliveries.log"), nullable=False),
    Column("next_at", Double),
    Column("lease_until", Double),
    Column("created_at", Double, nullable=False),
    Column("ended_at", Double),
    CheckConstraint("state IN ('waiting', 'delivered', 'failed')", name="state"),
    Index("ix_deliveries_due", "state", "next_at"),
    Index("ix_deliveries_webhook_id", "webhook", "id"),
    Index("ix_deliveries_ended_at", "ended_at"),
    _of("webhooks", "webhook", ondelete="CASCADE"),
)

models = Table(
    "models",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant", Id, ForeignKey("tenants.id"), nullable=False),
    Column("name", SealedName("models.name", 255), nullable=False),
    Column("kind", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    # What its owner says of it, for the cards of its versions.
    Column("description", Sealed("models.description")),
    Column("intended_use", Sealed("models.intended_use")),
    Column("limits", Sealed("models.limits")),
    Column("licence", Sealed("models.licence")),
    UniqueConstraint("tenant", "name"),
    Index("ix_models_tenant_id", "tenant", "id", unique=True),
)

# The unique effect of a training: one row a job, ever.
versions = Table(
    "versions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant", Id, nullable=False),
    Column("model", Id, nullable=False),
    Column("number", Integer, nullable=False),
    Column("job", Id, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("files", JSON, nullable=False),
    Column("metrics", SealedJson("versions.metrics"), nullable=False),
    Column("baselines", SealedJson("versions.baselines"), nullable=False),
    Column("warnings", SealedJson("versions.warnings"), nullable=False),
    Column("lineage", SealedJson("versions.lineage"), nullable=False),
    Column("parameters", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    # The erasures whose data it has learned from, the first one first; null of one that has learned from none.
    Column("erased_data", JSON),
    UniqueConstraint("tenant", "model", "number"),
    UniqueConstraint("tenant", "job"),
    _of("models", "model"),
    _of("jobs", "job"),
    Index("ix_versions_tenant_id", "tenant", "id", unique=True),
)

# Append only: the newest row is where the alias points, and the others say where it did.
aliases = Table(
    "aliases",
    metadata,
    Column("tenant", Id, nullable=False),
    Column("model", Id, nullable=False),
    Column("alias", SealedName("aliases.alias", 64), nullable=False),
    Column("move", Integer, nullable=False),
    Column("version", Id, nullable=False),
    Column("at", Double, nullable=False),
    # moved, promoted, rolled_back; null of moves from before this was kept.
    Column("how", String(16)),
    # Who moved it: a key, or the job that promoted what it made. Either may be gone by the time that somebody reads.
    Column("key", Id),
    Column("job", Id),
    Column("reason", Sealed("aliases.reason", 255)),
    # What was required, and what the two versions came to.
    Column("gate", SealedJson("aliases.gate")),
    PrimaryKeyConstraint("model", "alias", "move"),
    _of("models", "model"),
    _of("versions", "version"),
)

# That data was to go, what has become of it, and the receipt for that. Whose it was stands there as a pseudonym alone.
erasures = Table(
    "erasures",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant", Id, ForeignKey("tenants.id"), nullable=False),
    Column("kind", String(16), nullable=False),
    # The name of a dataset, and of one version of it alone that version; null: all of them.
    Column("dataset", SealedName("datasets.name", 255), nullable=False),
    Column("version", Integer),
    Column("pseudonym", SealedName("erasures.pseudonym", 64)),
    # What becomes of the models that have learned from it.
    Column("models", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    # The key that asked, and the job that carries it out.
    Column("key", Id, nullable=False),
    Column("job", Id, nullable=False),
    # What was found, and is to go, or has gone.
    Column("found", SealedJson("erasures.found"), nullable=False),
    Column("receipt", SealedJson("erasures.receipt")),
    Column("signature", String(128)),
    Column("created_at", Double, nullable=False),
    Column("done_at", Double),
    CheckConstraint("kind IN ('dataset', 'listener', 'track')", name="kind"),
    CheckConstraint("models IN ('keep', 'delete', 'retrain')", name="models"),
    CheckConstraint("state IN ('decided', 'done')", name="state"),
    Index("ix_erasures_tenant_id", "tenant", "id", unique=True),
    _of("jobs", "job"),
)

workers = Table(
    "workers",
    metadata,
    Column("name", Name, primary_key=True),
    Column("boot", Id, nullable=False),
    Column("queue", String(32), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("beat_at", Double, nullable=False),
    Column("draining_at", Double),
    # What its machine can do (shared/machines.py); null until it is measured.
    Column("pace", Double),
    Column("floats_per_s", Double),
    # Of all its processes, at its last beat.
    Column("memory_bytes", BigInteger),
    # The tier of its decoders as measured at its start (shared/containment/tiers.py); null where it has none.
    Column("containment", String(32)),
    # The memory of each card that it computes on, at its last beat (worker/device_memory.py); null where it has none.
    Column("devices", JSON(none_as_null=True)),
)
