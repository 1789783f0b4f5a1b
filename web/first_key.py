"""`python -m web.first_key`: the embedded tenant and its key; the client finds it in client.json."""

import json

from shared import keys, settings
from shared.database import Database
from shared.secrets import write_private
from shared.tenancy import EVERYONE

TENANT = "local"


def main() -> None:
    chosen = settings.read()
    path = chosen.home / "client.json"
    known = json.loads(path.read_text()).get("key") if path.exists() else None
    host = "127.0.0.1" if chosen.host in ("0.0.0.0", "::") else chosen.host  # noqa: S104 — compared, not bound
    write_private(path, {"url": f"http://{host}:{chosen.port}", "key": known or _make(chosen)})


def _make(chosen: settings.Settings) -> str:
    database = Database(chosen, whose=EVERYONE)
    with database.transaction() as sql:
        tenant = keys.ensure_tenant(sql, TENANT)
        key = keys.create(sql, tenant, name="first", scope=keys.ADMIN, pepper=chosen.pepper)
    database.close()
    return key


if __name__ == "__main__":
    main()
