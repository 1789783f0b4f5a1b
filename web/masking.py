"""What is hidden of an upload before anything is written: the rules of its dataset, and listeners always."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any

from sqlalchemy import Connection, Row

from shared import datasets, play_roles, pseudonyms
from shared.errors import InvalidRequest, TooLarge
from shared.masking import door, keys
from shared.masking.plan import Plan
from web.services import Services

# Names of what is no CSV; what is none in spite of its name is found out by its bytes.
NOT_CSV = {".parquet": "Parquet", ".pq": "Parquet", ".npz": "NPZ"}


@contextmanager
def masked(services: Services, row: Row[Any], name: str, blocks: Iterable[bytes]) -> Iterator[Iterable[bytes]]:
    """The blocks of a file of this dataset as they may be written."""
    plan = _plan(services, row, name)
    if plan is None:
        yield blocks
        return
    with door.opened(plan, blocks) as hidden:
        yield _limited(hidden, services.settings.upload_bytes)


def orphaned_key(sql: Connection, services: Services, row: Row[Any]) -> str | None:
    """Where the key lies that hashed columns of a dataset, if none of its name is left any more."""
    if datasets.has_name(sql, row.tenant, row.name):
        return None
    return keys.place(services.settings.pepper, row.tenant, row.name)


def _plan(services: Services, row: Row[Any], name: str) -> Plan | None:
    other = NOT_CSV.get(PurePosixPath(name).suffix.lower())
    if other is not None and row.masking:
        said = (
            f"Columns are masked at the door in CSV alone, and this is {other}: mask it before the upload, or send CSV."
        )
        raise InvalidRequest(said, code="masking_not_csv")
    is_plays = row.format == datasets.INTERACTIONS
    is_items = is_plays and play_roles.is_item_file(name)
    # Listeners of other files get their pseudonyms as they are read; until then they lie sealed (docs/privacy.md).
    has_listeners = is_plays and not is_items and other is None
    if not row.masking and not has_listeners:
        return None
    pepper, rules = services.settings.pepper, row.masking or {}
    key = b""
    if any(rule["rule"] == "hash" for rule in rules.values()):
        key = keys.take(services.storage, keys.place(pepper, row.tenant, row.name))
    return Plan(
        rules, key.hex(), dict(row.columns) if has_listeners else None,
        pseudonyms.key_of(pepper, row.tenant, row.name).hex() if has_listeners else "", may_lack=is_items,
    )  # fmt: skip


def _limited(blocks: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Hashes are longer than what they stand for, and the limit is one of what is written as well."""
    size = 0
    for block in blocks:
        size += len(block)
        if size > most:
            raise TooLarge(f"Masked, the file has more than {most:,} bytes: send it in parts.")
        yield block
