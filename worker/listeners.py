"""A version of a dataset of plays without one of its listeners, stored beside what is there."""

import functools
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Row

from shared import pseudonyms, storage
from shared.erasing import Change
from worker import partial
from worker.desk import DIGESTS_SUFFIX, Desk
from worker.interactions import profile, removal, stored

Json = dict[str, Any]  # Any: JSON


def without(desk: Desk, row: Row[Any], wanted: str) -> Change | None:
    """The version without the listener of this pseudonym; None when it has no such user.

    Only the pseudonym is known, so it is the user that is looked for whose pseudonym that is.
    """
    desk.check()
    pseudonym = functools.partial(pseudonyms.of, desk.settings.pepper, desk.claim.tenant, row.name)
    interactions = stored.load(desk.fetch_parts(row))
    place = next((place for place, user in enumerate(interactions.users) if pseudonym(user) == wanted), None)
    if place is None:
        return None
    left = removal.remove(interactions, place)
    folder = desk.scratch / row.id
    folder.mkdir()
    parts = _put(desk, row, stored.write(folder, left))
    events = len(interactions.user) - len(left.user)
    return Change(row, parts, profile.again(row.profile, left), _identify(row, parts), events)


def _put(desk: Desk, row: Row[Any], paths: Sequence[Path]) -> list[Json]:
    """As `desk.put_parts`, in a folder that no ingest writes to: fences count the attempts of one job alone."""
    claim, parts = desk.claim, []
    for path in paths:
        contents: dict[str, bytes | None] = {path.name: None}
        if path.stat().st_size >= partial.FROM_BYTES:
            contents[path.name + DIGESTS_SUFFIX] = partial.digests(path)
        for name, content in contents.items():
            desk.check()
            key = f"{storage.dataset_folder(claim.tenant, row.id)}parts/{claim.job_id}-{claim.fence}/{name}"
            kept = desk.storage.put_file(key, path) if content is None else desk.storage.put(key, [content])
            parts.append({"name": name, "key": key, "size_bytes": kept.size_bytes, "sha256": kept.sha256})
    return parts


def _identify(row: Row[Any], parts: Sequence[Json]) -> str:
    """What the version is now known by: it follows from what it was, and from what is left."""
    content = "\n".join([row.sha256, *(f"{part['name']} {part['sha256']}" for part in parts)])
    return hashlib.sha256(content.encode()).hexdigest()
