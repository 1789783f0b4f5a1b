"""What was computed of a recording, kept by its content: the same recording is never analysed twice.

A tenant's own; two attempts that compute the same keep the first. A row may have a file, which lies with the attempt
that wrote it and stays there for as long as the row names it.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, delete, insert, literal, select
from sqlalchemy.dialects import postgresql, sqlite

from shared.database import now
from shared.tables import datasets, features, tracks
from shared.tenancy import owned

# Both databases take more parameters than that in one statement.
AT_ONCE = 500

Json = dict[str, Any]

# What another attempt has kept meanwhile stays: it was computed from the same bytes in the same way.
_KEEP = {
    name: dialect.insert(features).values(created_at=now()).on_conflict_do_nothing()
    for name, dialect in (("postgresql", postgresql), ("sqlite", sqlite))
}


@dataclass(frozen=True)
class Feature:
    """What one extractor made of one content: a little as JSON, or a stored file."""

    content: str
    extractor: str
    data: Json | None = None
    file: Json | None = None  # key, size_bytes, sha256


def find(sql: Connection, tenant: str, extractor: str, contents: Sequence[str]) -> dict[str, Row[Any]]:
    """What is known of these contents, by content."""
    found: dict[str, Row[Any]] = {}
    for start in range(0, len(contents), AT_ONCE):
        chosen = select(features).where(
            features.c.tenant == tenant,
            features.c.extractor == extractor,
            features.c.content.in_(contents[start : start + AT_ONCE]),
        )
        found.update({row.content: row for row in sql.execute(chosen)})
    return found


def keep(sql: Connection, tenant: str, new: Iterable[Feature]) -> None:
    """Keep what is not known yet: in a transaction that holds the claim of the attempt that computed it."""
    rows = [_row(tenant, each) for each in new]
    if rows:
        sql.execute(_KEEP[sql.dialect.name], rows)


def _row(tenant: str, new: Feature) -> Json:
    file = new.file or {}
    return {
        "tenant": tenant, "content": new.content, "extractor": new.extractor, "data": new.data,
        "key": file.get("key"), "size_bytes": file.get("size_bytes", 0), "sha256": file.get("sha256"),
    }  # fmt: skip


def name_tracks(sql: Connection, tenant: str, dataset: str, contents: Sequence[str]) -> None:
    """Say which recordings a dataset holds, in the order of its rows."""
    whose = {"tenant": tenant, "dataset": dataset}
    rows = [{**whose, "number": number, "content": content} for number, content in enumerate(contents)]
    if rows:
        sql.execute(insert(tracks), rows)


def rename_tracks(sql: Connection, tenant: str, dataset: str, contents: Sequence[str]) -> None:
    """As `name_tracks`, of a dataset that has lost some."""
    sql.execute(delete(tracks).where(tracks.c.dataset == dataset))
    name_tracks(sql, tenant, dataset, contents)


def contents(sql: Connection, dataset: str) -> list[str]:
    """The content of each row of a dataset of audio, in order."""
    chosen = select(tracks.c.content).where(tracks.c.dataset == dataset).order_by(tracks.c.number)
    return list(sql.execute(chosen).scalars())


def forget(sql: Connection, tenant: str, dataset: str) -> list[str]:
    """As `forget_files`; returns the keys alone."""
    return [file["key"] for file in forget_files(sql, tenant, dataset)]


def forget_files(sql: Connection, tenant: str, dataset: str) -> list[Json]:
    """Forget what is known of a dataset's recordings that no other dataset of the tenant holds.

    Returns the files (key, size_bytes, sha256) to delete once this is committed.
    """
    mine = select(tracks.c.content).where(owned(tracks, tenant), tracks.c.dataset == dataset)
    others = _holding(tenant).where(tracks.c.dataset != dataset)
    files = _forget(sql, tenant, features.c.content.in_(mine) & ~others.exists())
    sql.execute(delete(tracks).where(tracks.c.dataset == dataset))
    return files


def forget_recordings(sql: Connection, tenant: str, contents: Sequence[str]) -> list[Json]:
    """As `forget_files`, of recordings by their content."""
    found: list[Json] = []
    for start in range(0, len(contents), AT_ONCE):
        mine = features.c.content.in_(contents[start : start + AT_ONCE])
        found += _forget(sql, tenant, mine & ~_holding(tenant).exists())
    return found


def holders(sql: Connection, tenant: str, contents: Sequence[str]) -> list[str]:
    """The datasets, as name@version, that hold one of these recordings."""
    named: set[str] = set()
    for start in range(0, len(contents), AT_ONCE):
        chosen = (
            select(datasets.c.name, datasets.c.version)
            .join(tracks, tracks.c.dataset == datasets.c.id)
            .where(owned(datasets, tenant), tracks.c.content.in_(contents[start : start + AT_ONCE]))
        )
        named |= {f"{row.name}@{row.version}" for row in sql.execute(chosen)}
    return sorted(named)


def _holding(tenant: str) -> Select[Any]:
    """The datasets' rows that hear the content of a feature."""
    joined = tracks.join(datasets, datasets.c.id == tracks.c.dataset)
    chosen = select(literal(1)).select_from(joined).where(owned(datasets, tenant), owned(tracks, tenant))
    return chosen.where(tracks.c.content == features.c.content)


def _forget(sql: Connection, tenant: str, which: ColumnElement[bool]) -> list[Json]:
    gone = (features.c.tenant == tenant) & which
    columns = (features.c.key, features.c.size_bytes, features.c.sha256)
    files = [dict(row) for row in sql.execute(select(*columns).where(gone, features.c.key.is_not(None))).mappings()]
    sql.execute(delete(features).where(gone))
    return files


def named(sql: Connection, folder: str) -> set[str]:
    """The keys of the files under a folder that features name."""
    chosen = select(features.c.key).where(features.c.key.startswith(folder, autoescape=True))
    return set(sql.execute(chosen).scalars())
