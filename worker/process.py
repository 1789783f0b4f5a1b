"""A worker's child process: what it keeps between jobs, and when it makes place for a fresh one."""

import gc
import shutil
import tempfile
from pathlib import Path

import psutil
from billiard import pool
from celery import Celery

from shared import machines
from shared import queue as rings
from shared.database import Database
from shared.errors import Unavailable
from shared.log import logger
from shared.settings import Settings
from shared.storage import Storage
from shared.tenancy import EVERYONE
from worker import device, runner, yardstick
from worker.post import Post

# What billiard compares with its limit after each job: over it, the child is replaced.
STAY, RETIRE = 1, 2**40

log = logger("process")


class Child:
    """State of one child: its connections, whose data it has held, and how much memory it began with."""

    def __init__(self, settings: Settings, app: Celery, worker: str) -> None:
        self.app, self.settings = app, settings
        self.post = Post(
            settings, Database(settings, whose=EVERYONE, pool_size=2), Storage(settings), worker, self._call_for_help
        )
        # What a killed predecessor left lying.
        shutil.rmtree(self.post.scratch, ignore_errors=True)
        self.tenant: str | None = None
        self.memory_bytes: int | None = None
        self.is_retiring = False
        # billiard asks this after every job whether to recycle the child. Its own answer is an absolute size; ours
        # is growth since the first job, and a change of tenant.
        pool.mem_rss = lambda: RETIRE if self.is_retiring else STAY

    def answer(self, queue: str) -> None:
        """Do one job, then ring for the next if somebody waits and nobody has rung."""
        claim = runner.run(self.post, queue, only_tenant=self.tenant)
        if claim is None and queue == rings.TRAIN:
            claim = runner.help_out(self.post, only_tenant=self.tenant)
        if claim is not None:
            self.tenant = claim.tenant
            self._weigh()
        waiting = self._count_waiting(queue)
        if claim is None and self.tenant is not None and runner.waits_another(self.post, queue, self.tenant):
            # Their data never meets in one process. What of its own has come since then it does itself.
            self.is_retiring = True
        if waiting and not rings.count_rings(self.settings, queue):
            rings.send(self.app, queue)

    def _call_for_help(self, count: int) -> None:
        rings.send(self.app, rings.TRAIN, count=min(count, rings.RINGS_AT_ONCE))

    def _count_waiting(self, queue: str) -> int:
        """Jobs, and chunks of jobs, that this worker could do."""
        helpable = runner.count_helpable(self.post) if queue == rings.TRAIN else 0
        return runner.count_due(self.post, queue) + helpable

    def _weigh(self) -> None:
        gc.collect()
        memory_bytes = resident_bytes()
        self.memory_bytes = self.memory_bytes or memory_bytes
        if memory_bytes - self.memory_bytes > self.settings.child_growth_bytes:
            log.info("retiring", grown_bytes=memory_bytes - self.memory_bytes)
            self.is_retiring = True


def resident_bytes() -> int:
    """The memory that this process holds now."""
    return int(psutil.Process().memory_info().rss)


_child: Child | None = None


def begin(settings: Settings, app: Celery, worker: str, *, has_device: bool) -> None:
    """Prepare this process to answer rings: called once in each child."""
    global _child
    if has_device:
        device.prepare()
    _child = Child(settings, app, worker)
    _keep_temporary_files(_child.post.scratch)
    if has_device:
        _measure_machine(_child.post.database, worker)


def _keep_temporary_files(scratch: Path) -> None:
    """Have every temporary file lie where the next child removes it, whoever in a library makes it."""
    for folder in (scratch.parent, scratch):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    tempfile.tempdir = str(scratch)


def _measure_machine(database: Database, worker: str) -> None:
    """Once for each slot, by its first child."""
    try:
        with database.reading() as sql:
            is_known = machines.is_measured(sql, worker)
        if not is_known:
            machine = yardstick.measure()
            with database.transaction() as sql:
                machines.note(sql, worker, machine)
    except Unavailable as away:
        # The next child measures it; until then estimates go by others' machines.
        log.warning("machine_not_measured", reason=away.code)
    except Exception:
        # A card that another process has filled, perhaps: a job may still do, or says itself what is wrong.
        log.exception("machine_not_measured")


def answer(queue: str) -> None:
    assert _child is not None, "the child was not prepared"
    _child.answer(queue)
