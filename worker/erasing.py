"""The erase action: a listener's events leave every ready version of a dataset's name, all at once.

The job knows a pseudonym only, so it looks for the user whose pseudonym that is.
"""

import functools
import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row

from shared import datasets, erasing, pseudonyms, storage
from shared.erasing import Change
from worker import partial, retraining
from worker.desk import DIGESTS_SUFFIX, Desk
from worker.ending import Ending
from worker.interactions import profile, removal, stored

Json = dict[str, Any]  # Any: JSON


def erase(desk: Desk) -> Ending:
    """Erase a listener, say what has used the events, and train anew what has learned from them if that is asked."""
    (named,) = desk.dataset_rows()
    tenant, name = desk.claim.tenant, named.name
    with desk.database.reading() as sql:
        rows = erasing.versions(sql, tenant, name, datasets.READY)
    pseudonym = functools.partial(pseudonyms.of, desk.settings.pepper, tenant, name)
    desk.enter("erasing")
    changes = [change for row in rows if (change := _without(desk, row, pseudonym)) is not None]

    def record(sql: Connection) -> Json:
        erasing.publish(sql, tenant, name, rows, changes)
        changed = {change.was.id for change in changes}
        uses = erasing.uses(sql, tenant, name, clean={row.sha256 for row in rows if row.id not in changed})
        result = {
            "events": sum(change.events for change in changes),
            "datasets": [f"{name}@{change.was.version}" for change in changes],
            "models": [f"{model.name}@{model.number}" for model in uses.models],
            "predictions": uses.predictions,
            "under_way": uses.under_way,
            "pending": erasing.pending(sql, tenant, name),
        }
        if not desk.claim.params["retrain"]:
            return {**result, "retrained": [], "not_retrained": []}
        return {**result, **retraining.submit(sql, desk, uses.to_train)}

    return Ending(record)


def _without(desk: Desk, row: Row[Any], pseudonym: Callable[[str], str]) -> Change | None:
    """The version without the listener, stored beside what is there; None when it has no such user."""
    desk.check()
    interactions = stored.load(desk.fetch_parts(row))
    wanted = desk.claim.params["user"]
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
