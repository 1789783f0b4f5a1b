"""The tables of the key store. It is no part of the main database: a backup of that must not bring a dead key back.

In SQLite a file of its own; in PostgreSQL a schema of its own, `etude_keys`, of whichever database is named.
"""

from sqlalchemy import (
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy import inspect as inspect_schema
from sqlalchemy.schema import CreateSchema

SCHEMA = "etude_keys"
# What SQLite has no schema for lies in its only one.
IN_SQLITE = {SCHEMA: None}
# One number of our own, so that two processes that start together make the tables one after the other.
ADVISORY_LOCK = 5_803_312

# Of bytes, so that a range of keys is a prefix, whatever language the database sorts in.
PLACE = Text().with_variant(Text(collation="C"), "postgresql")

metadata = MetaData(schema=SCHEMA)

# One row, once the store has begun. Its secret vouches for the list of what was written before.
store = Table(
    "store",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("format", Integer, nullable=False),
    Column("root", String(16), nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("began_at", Float, nullable=False),
)

tenant_keys = Table(
    "tenant_keys",
    metadata,
    Column("id", String(40), primary_key=True),
    Column("tenant", String(64), nullable=False),
    # The newest wraps what is new; older ones are there while a rotation runs.
    Column("generation", Integer, nullable=False),
    Column("root", String(16), nullable=False),
    Column("wrapped", LargeBinary, nullable=False),
    Column("created_at", Float, nullable=False),
    UniqueConstraint("tenant", "generation"),
)

# Of each stored file. Before the file is there: without written_at; once destroyed: without a key, until its file went.
object_keys = Table(
    "object_keys",
    metadata,
    Column("place", PLACE, primary_key=True),
    Column("id", String(40), nullable=False),
    Column("tenant_key", String(40), ForeignKey(tenant_keys.c.id)),
    Column("wrapped", LargeBinary),
    Column("created_at", Float, nullable=False),
    Column("written_at", Float),
    Column("destroyed_at", Float),
    Index("object_keys_of_tenant_key", "tenant_key"),
    Index("object_keys_unwritten", "written_at", "created_at"),
)

# Written before anything was sealed, and not sealed yet; only what is listed here is read as it lies.
plain_files = Table(
    "plain_files",
    metadata,
    Column("place", PLACE, primary_key=True),
    Column("mac", LargeBinary, nullable=False),
)


def are_there(sql: Connection) -> bool:
    """Whether the tables have been made."""
    schema = None if sql.dialect.name == "sqlite" else SCHEMA
    return inspect_schema(sql).has_table(plain_files.name, schema=schema)


def make(sql: Connection) -> None:
    """Make what is not there; whoever makes them too waits."""
    if sql.dialect.name == "postgresql":
        sql.exec_driver_sql(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})")
        sql.execute(CreateSchema(SCHEMA, if_not_exists=True))
    metadata.create_all(sql)
