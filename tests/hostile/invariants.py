"""What must hold after every hostile case, whatever it was: I1 to I6 of a running house.

I1 each refusal is a problem document that says nothing of our insides; I2 the service answers, and a small job of
another tenant is done; I3 the same processes live, none is left over, and no scratch is; I4 what they hold is bounded;
I5 what was there is there, and nothing stays reserved; I6 it is in the log, and nothing secret is.
"""

import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
from sqlalchemy import select

from shared import keys, models, webhooks
from shared.jobs import ENDED
from shared.tables import attempts, audit_log, metadata, tenants
from shared.tables import keys as key_rows
from tests.conftest import make_tenant
from tests.faults.house import LIMIT_S, House
from tests.waiting import until
from tests.web import registry
from tests.web.serving import Server

MiB = 1024 * 1024
# Of the web process and of a worker's main process, beside what they hold when they have served each call once.
GROWTH_AT_MOST = 32 * MiB
# All that anybody has. The others are the house's own: it counts in `tallies`, and its `workers` beat.
OWNED = {table: table.c.tenant for table in metadata.sorted_tables if "tenant" in table.c} | {tenants: tenants.c.id}
# When a key was used, and that the sweep has looked after an attempt a minute after its end, is no thing of anybody's.
MOVING = {key_rows.c.last_used_at, attempts.c.swept}
OCTETS = {"Content-Type": "application/octet-stream"}
TINY = b"tempo,genre\n120,rock\n90,pop\n"
# No path of ours, no frame of a stack, no statement, no page.
INSIDES = re.compile(
    r"Traceback|File \"|site-packages|/tmp/|/home/|\.py\b|<html|<!DOCTYPE html|SELECT |INSERT |UPDATE |psycopg|"
    r"sqlalchemy|sqlite3|celery|kombu|pyarrow|granian|werkzeug",
    re.IGNORECASE,
)
PROBLEM = "application/problem+json"
FIELDS = {"type", "title", "status", "detail", "code", "retryable", "request_id"}


def check_problem(status: int, said: Any, headers: Mapping[str, str], expected: tuple[int, str]) -> None:
    """I1: exactly this refusal, as RFC 9457 has it."""
    named = {name.lower(): value for name, value in headers.items()}
    assert (status, said["code"]) == expected, said
    assert named["content-type"] == PROBLEM
    assert said.keys() >= FIELDS and said["status"] == status and said["type"].endswith(said["code"]), said
    assert said["detail"] and not INSIDES.search(json.dumps(said)), said


@dataclass
class Tenant:
    """One of those who live in the house, and its key to the door."""

    id: str
    door: Server
    # The ids of the requests that were refused.
    refusals: list[str] = field(default_factory=list)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """What a call answers that is not refused."""
        status, said, _ = self.door.call(method, path, body, **headers)
        assert status < 400, said
        return said

    def refused(self, method: str, path: str, body: Any = None, *, by: tuple[int, str], **headers: str) -> Any:
        """The problem of a call that is refused, as I1 wants it."""
        status, said, named = self.door.call(method, path, body, **headers)
        check_problem(status, said, named, by)
        self.refusals.append(said["request_id"])
        return said

    def commit(self, files: Mapping[str, bytes], **wanted: Any) -> tuple[str, str]:
        """The dataset and the job that reads it."""
        dataset = self.call("POST", "/v1/datasets", {"name": "songs", **wanted})["id"]
        for name, content in files.items():
            self.call("PUT", f"/v1/datasets/{dataset}/files/{name}", content, **OCTETS)
        return dataset, self.call("POST", f"/v1/datasets/{dataset}/commit")["id"]

    def end_of(self, job: str) -> Any:
        """The job once it has ended."""
        found = self.call("GET", f"/v1/jobs/{job}")
        until = time.monotonic() + LIMIT_S
        while found["state"] not in ENDED:
            assert time.monotonic() < until, f"{job} is still {found['state']}"
            found = self.call("GET", f"/v1/jobs/{job}", Prefer="wait=10")
        return found


class Watch:
    """A house whose processes run: an attacker, a neighbour whose work must go on, a witness whose things must stay."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.worker = house.worker()
        house.scheduler()
        door = house.web()
        self.web = psutil.Process(door.process.pid)
        self.attacker, self.neighbour, self.witness = (self._tenant(door) for _ in range(3))
        self._furnish(self.witness, self.settle(self.witness))
        self.settle(self.attacker)
        self.check_neighbour()
        self._processes = {process.pid: process.create_time() for process in self._lasting()}
        self._held = self._memory()
        self._kept = self._things_of(self.witness)
        self._audited, self._logged = 0, set[str]()
        # A test says so whose requests the server itself turns away, before anything of ours hears of them.
        self.is_unheard = False

    def _tenant(self, door: Server) -> Tenant:
        own = make_tenant(self.house.database)
        with self.house.database.transaction() as sql:
            key = keys.create(sql, own, name="test", scope=keys.ADMIN, pepper=self.house.settings.pepper)
        return Tenant(own, replace(door, key=key))

    def settle(self, tenant: Tenant) -> str:
        """A dataset that is good, of a tenant; and one refusal, so that its way through the code is warm."""
        dataset, job = tenant.commit({"t.csv": TINY})
        assert tenant.end_of(job)["state"] == "succeeded", self.house.logs()
        tenant.refused("POST", "/v1/jobs", {"action": "nothing"}, by=(422, "invalid_request"))
        return dataset

    def _furnish(self, tenant: Tenant, dataset: str) -> None:
        """A model, an alias, a webhook and a schedule, of which nothing comes while the house stands."""
        with self.house.database.transaction() as sql:
            registry.make_version(sql, tenant.id, name="kept")
            models.move_alias(sql, tenant.id, "kept", "champion", number=1)
            webhooks.create(sql, tenant.id, url="https://example.org/", events=["job.failed"], description="kept")
        job = {"action": "train", "kind": "classification", "dataset": dataset, "model": "kept"}
        tenant.call("POST", "/v1/schedules", {"name": "kept", "cron": "0 3 29 2 *", "job": job})

    def begin(self) -> None:
        self._audited, self._logged = self._count_audited(), set(self._lines())
        self.is_unheard = False
        self.attacker.refusals.clear()

    def check(self) -> None:
        """I2 to I6; I1 is checked of each answer."""
        # Before the neighbour's own lines are there.
        assert self.is_unheard or until(self._is_told), f"nobody has told of it: {self.attacker.refusals}"  # I6
        assert self.attacker.door.call("GET", "/healthz")[:2] == (200, {"status": "ok"})  # I2
        self.check_neighbour()
        self._check_processes()
        self._check_memory()
        self._check_things()
        self._check_log()

    def check_neighbour(self) -> None:
        """I2: a small job of another tenant is done."""
        dataset, job = self.neighbour.commit({"t.csv": TINY})
        ended = self.neighbour.end_of(job)
        assert ended["state"] == "succeeded", (ended, self.house.logs())
        self.neighbour.call("DELETE", f"/v1/datasets/{dataset}")

    def _lasting(self) -> list[psutil.Process]:
        """Those that no case may end: web with its worker process, the worker's main process, the scheduler."""
        started = [psutil.Process(each.pid) for each in self.house.processes]
        return [*started, *self.web.children()]

    def _check_processes(self) -> None:
        now = {each.pid: each.create_time() for each in self._lasting()}
        assert now == self._processes, self.house.logs()  # I3
        assert len(self.worker.children()) <= 1, self.worker.children()
        known = set(now) | {each.pid for pid in now for each in psutil.Process(pid).children(recursive=True)}
        mark = f"ETUDE_HOME={self.house.settings.home}".encode()
        strays = [path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if _has(path, mark)]
        assert {int(pid) for pid in strays} <= known | {psutil.Process().pid}, "a process is left over"
        assert _files(self.house.settings.home / "scratch") == [], "scratch is left over"
        assert _files(self.house.settings.home / "spool") == [], "half an upload is left over"

    def _memory(self) -> dict[int, int]:
        return {each.pid: int(each.memory_info().rss) for each in self._lasting()}

    def _check_memory(self) -> None:
        grown = {pid: held - self._held[pid] for pid, held in self._memory().items()}
        assert max(grown.values()) <= GROWTH_AT_MOST, {pid: each / MiB for pid, each in grown.items()}  # I4

    def _things_of(self, tenant: Tenant) -> dict[str, str]:
        """A digest of a tenant's rows of each table, and one of its files as they lie."""
        found = {}
        with self.house.database.reading() as sql:
            for table, owner in OWNED.items():
                columns = [column for column in table.c if column not in MOVING]
                rows = sql.execute(select(*columns).where(owner == tenant.id)).all()
                found[table.name] = hashlib.sha256(repr(sorted(map(repr, rows))).encode()).hexdigest()
        files = hashlib.sha256()
        for path in _files(self.house.settings.home / "storage" / "t" / tenant.id):
            files.update(str(path).encode() + path.read_bytes())
        return {**found, "files": files.hexdigest()}

    def _check_things(self) -> None:
        now = self._things_of(self.witness)
        changed = [name for name, found in now.items() if found != self._kept[name]]
        assert changed == [], f"what was there has changed: {changed}"  # I5
        used = self.attacker.call("GET", "/v1/limits")
        assert (used["jobs_queued"]["used"], used["jobs_running"]["used"]) == (0, 0), "something stays reserved"

    def _count_audited(self) -> int:
        with self.house.database.reading() as sql:
            chosen = select(audit_log.c.seq).where(audit_log.c.tenant == self.attacker.id).order_by(audit_log.c.seq)
            return max(sql.execute(chosen).scalars(), default=0)

    def _lines(self) -> list[str]:
        return self.house.whole_logs().splitlines()

    def _is_told(self) -> bool:
        """I6: each refusal is in the log by its id; and something is of what was tried, or in the audit log."""
        new = [line for line in self._lines() if line not in self._logged]
        told = {each.get("request_id") for each in map(_said, new)}
        is_known = self._count_audited() > self._audited or any(self._is_about_it(_said(line)) for line in new)
        return is_known and told >= set(self.attacker.refusals)

    def _is_about_it(self, said: dict[str, Any]) -> bool:
        if "tenant" in said:
            return bool(said["tenant"] == self.attacker.id)
        # Of whoever has not said who they are, and of messages: what was refused or dropped.
        return said.get("status", 0) >= 400 or said.get("level") in ("warning", "error")

    def _check_log(self) -> None:
        printed = self.house.whole_logs()
        settings = self.house.settings
        secrets = [settings.pepper, settings.root_key, *(each.door.key for each in (self.attacker, self.neighbour))]
        assert not [place for place, secret in enumerate(secrets) if secret in printed]
        assert "120,rock" not in printed


def _has(environ: Path, mark: bytes) -> bool:
    try:
        return mark in environ.read_bytes().split(b"\0")
    except OSError:
        return False  # it has just ended, or is another user's


def _said(line: str) -> dict[str, Any]:
    """A line of the log; whatever is none says nothing."""
    if not line.startswith("{"):
        return {}
    try:
        return dict(json.loads(line))
    except ValueError:
        return {}  # it is being written


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())
