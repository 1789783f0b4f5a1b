"""The settings, read once from the environment into one frozen object; a wrong one stops the start by name."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

from shared import addresses
from shared.containment.tiers import TIERS

# Read by the client, by the tests and by docker compose.
OF_OTHERS = ("ETUDE_URL", "ETUDE_KEY", "ETUDE_TEST_DATABASE_URL")
# Each may hold a password: what was received is not printed.
SECRETS = ("PEPPER", "METRICS_TOKEN", "DATABASE_URL", "APP_DATABASE_URL", "REDIS_URL", "STORAGE_URL")
MiB = 1024 * 1024
GiB = 1024 * MiB

T = TypeVar("T")


class SettingsWrong(SystemExit):
    """Stops the process with a sentence for each setting that cannot be used."""


@dataclass(frozen=True)
class Settings:
    """Everything that an operator can choose."""

    home: Path
    host: str
    port: int
    database_url: str
    app_database_url: str
    redis_url: str
    storage_url: str
    keys_url: str
    # In no traceback and no log.
    root_key: str = field(repr=False)
    root_key_file: str
    workers: int
    pepper: str
    sqlite_synchronous: str
    lease_s: float
    tick_s: float
    # Every clear sign of life within a lease: six beats, so five may be late before anybody worries.
    beat_s: float
    checkpoint_s: float
    stall_s: float
    child_jobs: int
    child_growth_bytes: int
    training_memory_bytes: int
    json_bytes: int
    upload_bytes: int
    waiting_clients: int
    streaming_clients: int
    metrics_token: str
    answer_s: float
    tenant_queued: int
    tenant_running: int
    tenant_schedules: int
    tenant_stored_bytes: int
    tenant_compute_s: int
    key_rate: float
    key_burst: int
    submission_rate: float
    submission_burst: int
    wrong_key_rate: float
    wrong_key_burst: int
    runs_kept_days: float
    chunk_rows: int
    chunk_tracks: int
    webhook_ports: str
    webhook_private: str
    soundfont: str
    sandbox_at_least: str
    traces_url: str
    unknown_rights: str
    price_cpu_hour: float | None
    price_gpu_hour: float | None
    price_kwh: float | None
    currency: str
    watts_cpu_core: float
    watts_gpu: float
    log_level: str


def read(environment: Mapping[str, str] = os.environ) -> Settings:
    """Read the environment; stop with one sentence for each wrong setting."""
    wrong: list[str] = []
    known = {*OF_OTHERS, "ETUDE_ROOT_KEY"}

    def take(name: str, default: T, convert: Callable[[str], T]) -> T:
        known.add(f"ETUDE_{name}")
        text = environment.get(f"ETUDE_{name}")
        if text is None or text == "":
            return default
        try:
            return convert(text)
        except ValueError as cause:
            received = "another one" if name in SECRETS else repr(text)
            wrong.append(f"ETUDE_{name}: expected {cause}, received {received}.")
            return default

    home = take("HOME", Path(".etude"), Path).absolute()
    database_url = take("DATABASE_URL", f"sqlite:///{home}/etude.db", _database_url)
    lease_s = take("LEASE_S", 30.0, _number(0.5, 3600))
    settings = Settings(
        home=home,
        host=take("HOST", "127.0.0.1", str),
        port=take("PORT", 8000, _whole(0, 65535)),
        database_url=database_url,
        # Of the role that an upgrade makes for all other processes; theirs is in DATABASE_URL.
        app_database_url=take("APP_DATABASE_URL", "", _postgresql_url),
        redis_url=take("REDIS_URL", "", _redis_url),
        storage_url=take("STORAGE_URL", f"file://{home}/storage", _storage_url),
        keys_url=take("KEYS_URL", _keys_beside(database_url), _database_url),
        # Checked by shared/sealing/root_keys.py, which tells nothing of it.
        root_key=environment.get("ETUDE_ROOT_KEY", ""),
        root_key_file=take("ROOT_KEY_FILE", f"{home}/root.key", str),
        workers=take("WORKERS", 1, _whole(0, 256)),
        pepper=take("PEPPER", "", _secret),
        sqlite_synchronous=take("SQLITE_SYNCHRONOUS", "NORMAL", _one_of("NORMAL", "FULL")),
        # A native call can hold the interpreter for many seconds; much lower, and reap would requeue a healthy job.
        lease_s=lease_s,
        # With the lease it bounds how long a dead worker's job waits: 30 + 5.
        tick_s=take("TICK_S", 5.0, _number(0.05, 300)),
        beat_s=take("BEAT_S", lease_s / 6, _number(0.05, 600)),
        # At most this much training is lost when a worker dies; writing oftener costs more than it saves.
        checkpoint_s=take("CHECKPOINT_S", 10.0, _number(0, 3600)),
        # A step of native code that is healthy can be long; one that takes this long is not believed in any more.
        stall_s=take("STALL_S", 600.0, _number(1, 604_800)),
        # A reused child keeps its traced networks; after this many jobs a fresh one costs 10 ms.
        child_jobs=take("CHILD_JOBS", 50, _whole(1, 10_000)),
        # Each new shape of network leaves some 7 MB in TensorFlow; the shapes that come again cost nothing.
        child_growth_bytes=take("CHILD_GROWTH_BYTES", 32 * MiB, _whole(1, 1024 * GiB)),
        training_memory_bytes=take("TRAINING_MEMORY_BYTES", 4 * GiB, _whole(MiB, 4096 * GiB)),
        json_bytes=take("JSON_BYTES", MiB, _whole(1024, 64 * MiB)),
        upload_bytes=take("UPLOAD_BYTES", 2 * GiB, _whole(1024, 1024 * GiB)),
        # Each takes a connection and some 0.1 MB; above this a wait is answered at once.
        waiting_clients=take("WAITING_CLIENTS", 256, _whole(0, 4096)),
        # Each is asked about five times a second, and may hold a quarter of a megabyte that nobody has read yet.
        streaming_clients=take("STREAMING_CLIENTS", 256, _whole(0, 4096)),
        # Without it /metrics is answered to this host alone.
        metrics_token=take("METRICS_TOKEN", "", _secret),
        # Holds a thread of web for so long. Loading 20,000 tracks takes 1.2 s of a core, 100,000 take 6 s.
        answer_s=take("ANSWER_S", 5.0, _number(0.1, 60)),
        # A client's loop that has run wild fills the queue only so far; each row is some kilobytes of SQL.
        tenant_queued=take("TENANT_QUEUED", 100_000, _whole(0, 100_000_000)),
        # 0: no limit, the fair share alone decides.
        tenant_running=take("TENANT_RUNNING", 0, _whole(0, 100_000)),
        # Of every minute, they would be 17 jobs a second; 0: no limit.
        tenant_schedules=take("TENANT_SCHEDULES", 1000, _whole(0, 1_000_000)),
        # 0: no limit, the disk alone decides; the largest is 1 EiB.
        tenant_stored_bytes=take("TENANT_STORED_BYTES", 0, _whole(0, 1024**6)),
        # Of a day; 0: no limit.
        tenant_compute_s=take("TENANT_COMPUTE_S", 0, _whole(0, 10**12)),
        # Of one web process, each; 0: no limit. A client polls once a second: hundreds under one key go unnoticed.
        key_rate=take("KEY_RATE", 500.0, _number(0, 1e6)),
        key_burst=take("KEY_BURST", 5000, _whole(1, 1_000_000)),
        # A script that submits its thousand at once is not held up; one that has run wild is.
        submission_rate=take("SUBMISSION_RATE", 50.0, _number(0, 1e6)),
        submission_burst=take("SUBMISSION_BURST", 2000, _whole(1, 1_000_000)),
        # Somebody who has mistyped a key does it a few times; a client with an old one asks once a second.
        wrong_key_rate=take("WRONG_KEY_RATE", 1.0, _number(0, 1e6)),
        wrong_key_burst=take("WRONG_KEY_BURST", 100, _whole(1, 1_000_000)),
        # A year, and the month in which somebody looks back on it; at a moment a minute they are 600,000 rows.
        runs_kept_days=take("RUNS_KEPT_DAYS", 400.0, _number(1, 36_500)),
        # Of a scoring: four row groups, so that every thread has some; tracks that take some seconds.
        chunk_rows=take("CHUNK_ROWS", 262_144, _whole(1, 100_000_000)),
        chunk_tracks=take("CHUNK_TRACKS", 64, _whole(1, 1_000_000)),
        # Where services speak TLS; any other port is somebody's own, and a way to knock at it.
        webhook_ports=take("WEBHOOK_PORTS", "443,8443", _ports),
        webhook_private=take("WEBHOOK_PRIVATE", "", _networks),
        # Sounds for what is composed; none comes with the service.
        soundfont=take("SOUNDFONT", "", _file_or_none),
        # Where spans go, as a collector of OpenTelemetry takes them.
        traces_url=take("TRACES_URL", "", _traces_url),
        # Below this tier, as measured, nothing starts that opens uploads; without it any machine is good enough.
        sandbox_at_least=take("SANDBOX_AT_LEAST", "", _one_of(*TIERS)),
        # Of champions whose licence nobody has declared. Whoever has declared nothing yet is not stopped by an upgrade.
        unknown_rights=take("UNKNOWN_RIGHTS", "allow", _one_of("allow", "refuse")),
        # Without a price there is no money in the cost of a job: it is the operator's to say.
        price_cpu_hour=take("PRICE_CPU_HOUR", None, _number(0, 1e6)),
        price_gpu_hour=take("PRICE_GPU_HOUR", None, _number(0, 1e6)),
        price_kwh=take("PRICE_KWH", None, _number(0, 1e6)),
        currency=take("CURRENCY", "", _currency),
        # Of a server's core under load, its share of the rest with it; measured where RAPL can be read.
        watts_cpu_core=take("WATTS_CPU_CORE", 10.0, _number(0, 10_000)),
        watts_gpu=take("WATTS_GPU", 300.0, _number(0, 10_000)),
        log_level=take("LOG_LEVEL", "info", _one_of("debug", "info", "warning", "error")),
    )
    wrong += [_unknown(name, known) for name in sorted(environment) if name.startswith("ETUDE_") and name not in known]
    if wrong:
        raise SettingsWrong("Etude cannot start.\n" + "\n".join(wrong))
    return settings


def _unknown(name: str, known: set[str]) -> str:
    meant = get_close_matches(name, known, n=1)
    return f"{name}: there is no such setting" + (f"; {meant[0]} is meant?" if meant else ".")


def demand(settings: Settings, *names: str) -> None:
    """Stop unless these are set: there is no default secret and no default broker outside the embedded mode."""
    missing = [f"ETUDE_{name.upper()} is not set." for name in names if not getattr(settings, name)]
    if missing:
        raise SettingsWrong("Etude cannot start.\n" + "\n".join(missing))


def _file_or_none(text: str) -> str:
    if text and not Path(text).is_file():
        raise ValueError("the path of a SoundFont file (.sf2), which is there")
    return text


def _currency(text: str) -> str:
    if text and not (len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()):
        raise ValueError("a currency of three capitals (ISO 4217) such as EUR")
    return text


def _whole(low: int, high: int) -> Callable[[str], int]:
    def convert(text: str) -> int:
        if not text.lstrip("-").isdigit() or not low <= int(text) <= high:
            raise ValueError(f"a whole number from {low} to {high}")
        return int(text)

    return convert


def _number(low: float, high: float) -> Callable[[str], float]:
    def convert(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ValueError(f"a number from {low} to {high}")
        return value

    return convert


def _one_of(*words: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if text not in words:
            raise ValueError("one of " + ", ".join(words))
        return text

    return convert


def _starting_with(what: str, *starts: str) -> Callable[[str], str]:
    def convert(text: str) -> str:
        if not text.startswith(starts):
            raise ValueError(f"{what} beginning with " + " or ".join(starts))
        return text

    return convert


_any_database_url = _starting_with("a database URL", "sqlite:///", "postgresql+psycopg://", "postgresql://")
_redis_url = _starting_with("a Redis URL", "redis://", "rediss://", "redis+socket://")
_traces_url = _starting_with("the address of a collector", "http://", "https://")
_storage_url = _starting_with("a storage URL", "file://", "s3://")


def _database_url(text: str) -> str:
    # As everybody writes it; the driver is ours to name.
    return _any_database_url(text).replace("postgresql://", "postgresql+psycopg://", 1)


def _postgresql_url(text: str) -> str:
    return _starting_with("a database URL", "postgresql+psycopg://", "postgresql://")(text)


def _keys_beside(database_url: str) -> str:
    """Beside a SQLite file another one; in PostgreSQL a schema of its own, see shared/sealing/key_tables.py."""
    if not database_url.startswith("sqlite"):
        return database_url
    folder, slash, _ = database_url.rpartition("/")
    return f"{folder}{slash}keys.db"


def _ports(text: str) -> str:
    if not all(part.isdecimal() and 0 < int(part) < 65_536 for part in text.split(",")):
        raise ValueError("ports from 1 to 65535 with commas between them")
    return text


def _networks(text: str) -> str:
    try:
        addresses.read_rules("443", text)
    except ValueError:
        raise ValueError("networks such as 10.1.2.0/24 with commas between them") from None
    return text


def _secret(text: str) -> str:
    if len(text) < 32:
        raise ValueError("a secret of at least 32 signs")
    return text
