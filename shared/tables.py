"""The SQL tables. Moments are seconds since 1970 by the database's clock; every table of a tenant names it."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

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

tenants = Table(
    "tenants",
    metadata,
    Column("id", Id, primary_key=True),
    Column("name", Name, nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
    # As if its jobs had run one after the other: who is furthest ahead waits for the others.
    Column("served_until", Double, nullable=False, server_default="0"),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant", Id, ForeignKey("tenants.id"), nullable=False, index=True),
    Column("name", Name, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("scopes", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("expires_at", Double),
    Column("revoked_at", Double),
)

# The first answer to a POST with an Idempotency-Key, kept in the transaction that made it true.
answers = Table(
    "answers",
    metadata,
    Column("tenant", Id, nullable=False),
    Column("key", Name, nullable=False),
    Column("fingerprint", String(64), nullable=False),
    Column("status", Integer),
    Column("headers", JSON),
    Column("body", Text),
    Column("created_at", Double, nullable=False, index=True),
    PrimaryKeyConstraint("tenant", "key"),
)

datasets = Table(
    "datasets",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant", Id, ForeignKey("tenants.id"), nullable=False),
    Column("name", Name, nullable=False),
    Column("version", Integer, nullable=False),
    Column("format", String(32), nullable=False),
    Column("columns", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("base", Id),
    Column("parts", JSON),
    Column("profile", JSON),
    Column("error", JSON),
    Column("sha256", String(64), index=True),
    Column("rows", BigInteger),
    Column("size_bytes", BigInteger),
    Column("created_at", Double, nullable=False),
    Column("ready_at", Double),
    Column("erased_at", Double),
    UniqueConstraint("tenant", "name", "version"),
    CheckConstraint("state IN ('open', 'ingesting', 'ready', 'rejected', 'erased')", name="state"),
    Index("ix_datasets_tenant_id", "tenant", "id"),
)

dataset_files = Table(
    "dataset_files",
    metadata,
    Column("dataset", Id, ForeignKey("datasets.id"), nullable=False),
    Column("name", Name, nullable=False),
    Column("key", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("uploaded_at", Double, nullable=False),
    PrimaryKeyConstraint("dataset", "name"),
)

# Which recordings a dataset of audio holds: the row's number in its table, and what was heard there.
tracks = Table(
    "tracks",
    metadata,
    Column("dataset", Id, ForeignKey("datasets.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("content", String(64), nullable=False, index=True),
    PrimaryKeyConstraint("dataset", "number"),
)

# What was computed of a recording, kept by its content so that it is never computed twice: a little in `data`, much in
# a file under `key`.
features = Table(
    "features",
    metadata,
    Column("tenant", Id, ForeignKey("tenants.id"), nullable=False),
    Column("content", String(64), nullable=False),
    Column("extractor", String(64), nullable=False),
    Column("data", JSON),
    Column("key", Text, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64)),
    Column("created_at", Double, nullable=False),
    PrimaryKeyConstraint("tenant", "content", "extractor"),
)

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
    Column("model", Name),
    Column("version", Id),
    Column("params", JSON, nullable=False),
    Column("labels", JSON, nullable=False),
    Column("budget", JSON, nullable=False),
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
    Column("progress", JSON),
    Column("checkpoint", JSON),
    Column("result", JSON),
    Column("error", JSON),
    Column("cost", JSON),
    # Raised by every write: the ETag, and what a waiting client watches.
    Column("revision", Integer, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("started_at", Double),
    Column("ended_at", Double),
    CheckConstraint("state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')", name="state"),
    CheckConstraint("(state = 'running') = (lease_until IS NOT NULL)", name="lease_iff_running"),
    Index("ix_jobs_claim", "state", "queue", "priority", "turn_at", "id"),
    Index("ix_jobs_tenant_id", "tenant", "id"),
    Index("ix_jobs_lease", "state", "lease_until"),
)

job_labels = Table(
    "job_labels",
    metadata,
    Column("job", Id, ForeignKey("jobs.id"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("value", Name, nullable=False),
    PrimaryKeyConstraint("job", "name"),
    Index("ix_job_labels_name_value", "name", "value", "job"),
)

attempts = Table(
    "attempts",
    metadata,
    Column("job", Id, ForeignKey("jobs.id"), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("worker", Name, nullable=False),
    Column("started_at", Double, nullable=False),
    Column("beat_at", Double, nullable=False),
    Column("ended_at", Double),
    # succeeded, failed, cancelled, lost, stalled, drained, repeated
    Column("outcome", String(16)),
    Column("error", JSON),
    Column("resumed_from", JSON),
    Column("swept", Boolean, nullable=False),
    PrimaryKeyConstraint("job", "fence"),
    Index("ix_attempts_swept", "swept", "ended_at"),
)

events = Table(
    "events",
    metadata,
    Column("job", Id, ForeignKey("jobs.id"), nullable=False),
    Column("seq", Integer, nullable=False),
    Column("at", Double, nullable=False),
    Column("type", String(32), nullable=False),
    Column("data", JSON, nullable=False),
    PrimaryKeyConstraint("job", "seq"),
)

epochs = Table(
    "epochs",
    metadata,
    Column("job", Id, ForeignKey("jobs.id"), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("metrics", JSON, nullable=False),
    PrimaryKeyConstraint("job", "epoch"),
)

# What a scoring leaves behind: one row a file, written by the finishing transaction.
outputs = Table(
    "outputs",
    metadata,
    Column("job", Id, ForeignKey("jobs.id"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("key", Text, nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("rows", BigInteger),
    PrimaryKeyConstraint("job", "name"),
)

models = Table(
    "models",
    metadata,
    Column("id", Id, primary_key=True),
    Column("tenant", Id, ForeignKey("tenants.id"), nullable=False),
    Column("name", Name, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("tenant", "name"),
)

# The unique effect of a training: one row a job, ever.
versions = Table(
    "versions",
    metadata,
    Column("id", Id, primary_key=True),
    Column("model", Id, ForeignKey("models.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("job", Id, ForeignKey("jobs.id"), nullable=False, unique=True),
    Column("fence", Integer, nullable=False),
    Column("files", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("baselines", JSON, nullable=False),
    Column("warnings", JSON, nullable=False),
    Column("lineage", JSON, nullable=False),
    Column("parameters", BigInteger, nullable=False),
    Column("created_at", Double, nullable=False),
    UniqueConstraint("model", "number"),
)

# Append only: the newest row is where the alias points, and the others say where it did.
aliases = Table(
    "aliases",
    metadata,
    Column("model", Id, ForeignKey("models.id"), nullable=False),
    Column("alias", String(64), nullable=False),
    Column("move", Integer, nullable=False),
    Column("version", Id, ForeignKey("versions.id"), nullable=False),
    Column("at", Double, nullable=False),
    PrimaryKeyConstraint("model", "alias", "move"),
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
)
