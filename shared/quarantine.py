"""Files that ended a decoder, by their content: the same bytes are not given to one again (docs/decisions/0036).

A tenant's own. The mark of a file is keyed: it tells whoever reads the database nothing of the file, and may outlive
it.
A newer release takes no notice of what ended an older one, for its decoders may be mended.
"""

import hmac
from collections.abc import Iterator, Sequence

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects import postgresql, sqlite

from shared.code import CODE_VERSION
from shared.database import now
from shared.tables import quarantine as table
from shared.tenancy import owned

# Another use of the pepper must not come to the same key.
PURPOSE = "etude quarantine 1"
# The place of a file as a whole; pieces in it are counted from 0.
WHOLE = -1
# Both databases take more parameters than that in one statement.
AT_ONCE = 500

_ADD = {
    name: dialect.insert(table)
    .values(release=CODE_VERSION, since=now())
    .on_conflict_do_update(index_elements=["tenant", "mark", "place"], set_={"release": CODE_VERSION, "since": now()})
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))
}


def mark(pepper: str, tenant: str, sha256: str) -> str:
    """What a file is known by here. Raises ValueError without a pepper."""
    if not pepper:
        raise ValueError("expected a pepper: without a secret a mark tells of the file")
    return hmac.digest(pepper.encode(), "\n".join([PURPOSE, tenant, sha256]).encode(), "sha256").hex()


def add(sql: Connection, tenant: str, marked: str, place: int, *, job: str) -> None:
    """Keep a file, or a piece in it, from decoders: in a transaction that holds the claim of the job."""
    sql.execute(_ADD[sql.dialect.name], {"tenant": tenant, "mark": marked, "place": place, "job": job})


def find(sql: Connection, tenant: str, marks: Sequence[str]) -> Iterator[tuple[str, int]]:
    """What of these files has ended a decoder of this release: mark and place."""
    for start in range(0, len(marks), AT_ONCE):
        chosen = select(table.c.mark, table.c.place).where(
            owned(table, tenant), table.c.release == CODE_VERSION, table.c.mark.in_(marks[start : start + AT_ONCE])
        )
        yield from ((row.mark, row.place) for row in sql.execute(chosen))


def lift(sql: Connection, tenant: str) -> int:
    """Let all that a tenant has there be opened again; returns how much that is."""
    return sql.execute(delete(table).where(owned(table, tenant))).rowcount
