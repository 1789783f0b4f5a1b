"""The doorbell: a Celery message that says "look at this queue" and nothing else.

A ring may be lost, doubled or late; the row is the job, and the scheduler's tick makes up for what is missing.
"""

import threading
import time
from collections import Counter
from typing import Any

from celery import Celery
from celery.exceptions import OperationalError as BrokerAway
from kombu import Queue
from redis import Redis
from redis.exceptions import RedisError

from shared.log import logger
from shared.settings import Settings

TRAIN, LIGHT = "train", "light"
QUEUES = (TRAIN, LIGHT)
TASK = "work"

# Enough to wake a fleet at once; each worker that ends a job rings for the next one.
RINGS_AT_ONCE = 16
# After each round; what is submitted meanwhile is rung for together.
REST_S = 0.002

log = logger("queue")


def celery_app(settings: Settings, *, is_worker: bool = False) -> Celery:
    """Build the Celery app with the settings that our design needs; each has its reason beside it."""
    app = Celery("etude", broker=settings.redis_url, set_as_current=is_worker)
    app.conf.update(
        # SQL repeats what is lost, with a count; late acknowledgement repeats without one (celery#9082).
        task_acks_late=False,
        task_reject_on_worker_lost=False,
        # Nothing may lie behind a frozen child, or be stranded with a killed one.
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        # One process a device.
        worker_concurrency=1,
        worker_pool="prefork",
        # Status lives in SQL; a dead result backend would block a publish for 19 s and lose it.
        task_ignore_result=True,
        result_backend=None,
        task_publish_retry_policy={"max_retries": 1, "interval_start": 0, "interval_step": 0.1, "interval_max": 0.2},
        broker_transport_options=_worker_transport() if is_worker else _ringing_transport(),
        # True would kill a healthy training because Redis restarted.
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A full Redis answers with what Celery calls an error of the channel, and would end the worker for it.
        broker_channel_error_retry=True,
        # The child imports TensorFlow in its first moments when it is spawned; the default of 4 s would kill it.
        worker_proc_alive_timeout=120.0,
        worker_max_tasks_per_child=settings.child_jobs,
        worker_soft_shutdown_timeout=60.0,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        # True would put a proxy before the child's standard error, and our lines would go round in it and be lost.
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        # A typo must not make a queue that nobody reads.
        task_create_missing_queues=False,
        task_queues=[Queue(name) for name in QUEUES],
        task_default_queue=TRAIN,
        task_serializer="json",
        accept_content=["json"],
    )
    return app


def _ringing_transport() -> dict[str, Any]:
    # A frozen Redis would otherwise hold a ring for ever.
    return {"socket_timeout": 0.5, "socket_connect_timeout": 0.5}


def _worker_transport() -> dict[str, Any]:
    # Half-open connections are noticed; the visibility timeout no longer matters with early acknowledgement.
    return {
        "socket_timeout": 5,
        "socket_connect_timeout": 2,
        "socket_keepalive": True,
        "health_check_interval": 10,
        "visibility_timeout": 3600,
    }


class Bell:
    """Rings from a thread of its own, so that no request waits for Redis; a ring that fails is the tick's to repeat.

    Under a flood of submissions the rings that lie there already are enough.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._app, self._redis = celery_app(settings), connect(settings)
        self._wanted: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def ring(self, queue: str) -> None:
        """Ask for a ring, soon; returns at once and never fails."""
        with self._changed:
            self._wanted[queue] += 1
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="bell", daemon=True)
                self._thread.start()
            self._changed.notify()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._wanted))
                wanted, self._wanted = self._wanted, Counter()
            for queue, count in wanted.items():
                self._top_up(queue, count)
            time.sleep(REST_S)

    def _top_up(self, queue: str, count: int) -> None:
        try:
            missing = min(count, RINGS_AT_ONCE - int(self._redis.llen(queue)))
        except (RedisError, OSError):
            missing = min(count, RINGS_AT_ONCE)
        if missing > 0:
            send(self._app, queue, count=missing)


def send(app: Celery, queue: str, *, count: int = 1) -> bool:
    """Publish rings now; False when Redis is away, which costs a moment and loses nothing."""
    try:
        with app.producer_pool.acquire(block=True, timeout=1.0) as producer:
            for _ in range(count):
                app.send_task(TASK, args=[queue], queue=queue, producer=producer)
    except (BrokerAway, RedisError, OSError, TimeoutError) as cause:
        log.warning("ring_failed", queue=queue, reason=type(cause).__name__)
        return False
    return True


def count_rings(settings: Settings, queue: str) -> int:
    """How many rings lie unheard in Redis. Raises RedisError or OSError when it is away."""
    with connect(settings) as redis:
        return int(redis.llen(queue))


def connect(settings: Settings) -> Redis:
    """A plain connection to the broker's Redis, for counting rings and for health."""
    url = settings.redis_url
    if url.startswith("redis+socket://"):
        path, _, query = url.removeprefix("redis+socket://").partition("?")
        database = query.removeprefix("virtual_host=") or "0"
        url = f"unix://{path}?db={database}"
    return Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
