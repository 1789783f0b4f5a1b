"""The rotate action: a tenant's key is replaced. Files stay as they are; what wraps their keys is another one."""

from typing import Any

from sqlalchemy import Connection

from shared import audit_log
from shared.audit_log import Entry
from shared.sealing import rotating
from worker.desk import Desk
from worker.ending import Ending

Json = dict[str, Any]


def rotate(desk: Desk) -> Ending:
    """Wrap the keys of the tenant's files anew, and destroy the key that wrapped them.

    Each write to the key store compares what it changes, and another attempt goes on where one was killed.
    """
    desk.enter("rewrapping")
    keys = desk.storage.open_keys()
    tenant = desk.claim.tenant
    total = rotating.count_left(keys, tenant)

    def tell(count: int) -> None:
        desk.heart.report(desk.pace.progress(count, max(total, count), unit="keys"))
        desk.heart.check()

    count = rotating.rotate_tenant(keys, tenant, tell)
    newest = rotating.newest(keys, tenant)

    def record(sql: Connection) -> Json:
        audit_log.append(sql, Entry(tenant, "encryption.rotated", 200, object=desk.claim.job_id))
        return {"keys": count, "generation": 0 if newest is None else newest.generation}

    return Ending(record)
