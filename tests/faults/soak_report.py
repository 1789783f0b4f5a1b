"""What a soak has done and what came of it, counted from SQL and from what the workers logged."""

import os
import platform
from collections import Counter
from dataclasses import dataclass
from statistics import quantiles
from typing import Any

import psutil
from sqlalchemy import Row, select

from shared.jobs import ENDED, FAILED, SUCCEEDED
from shared.tables import attempts, jobs, versions
from tests.faults import rehearsal
from tests.faults.soak import Soak

FENCED_OFF = '"event": "claim_lost"'


@dataclass(frozen=True)
class Report:
    """The figures; `lost` and `doubled` must be nought."""

    database: str
    minutes: float
    kills: Counter[str]
    redis_kills: int
    scheduler_kills: int
    jobs: int
    real_jobs: int
    attempts: Counter[str]
    effects: int
    given_up: list[str]
    fenced_off: int
    recoveries_s: list[float]
    lost: list[str]
    doubled: list[str]
    wrong: list[str]

    def _told_given_up(self) -> str:
        real = sum(action == "real" for action in self.given_up)
        return "none" if not self.given_up else f"{real} trainings, {len(self.given_up) - real} rehearsals"

    def table(self) -> str:
        """Markdown."""
        killed = sum(self.kills[way] for way in ("child", "main", "both"))
        p50, p95, most = _spread(self.recoveries_s)
        rows = {
            "minutes": f"{self.minutes:g}",
            "jobs accepted": f"{self.jobs}, and {self.real_jobs} real trainings",
            "workers killed (SIGKILL)": f"{killed}: {self.kills['child']} times the child, {self.kills['main']} the "
            f"main process, {self.kills['both']} both",
            "children frozen (SIGSTOP)": str(self.kills["freeze"]),
            "Redis killed, without persistence": str(self.redis_kills),
            "scheduler killed": str(self.scheduler_kills),
            "attempts": f"{sum(self.attempts.values())}: "
            + ", ".join(f"{count} {outcome}" for outcome, count in self.attempts.most_common()),
            "effects (model versions)": str(self.effects),
            "fenced off": str(self.fenced_off),
            "from the harm to the next attempt": f"p50 {p50:.1f} s, p95 {p95:.1f} s, at most {most:.1f} s, "
            f"of {len(self.recoveries_s)}",
            "given up after three losses without progress": self._told_given_up(),
            "**jobs lost**": f"**{len(self.lost)}**",
            "**jobs doubled**": f"**{len(self.doubled)}**",
            "**wrong results**": f"**{len(self.wrong)}**",
        }
        lines = [f"| {name} | {value} |" for name, value in rows.items()]
        return "\n".join([f"| {self.database} | {_machine()} |", "| --- | --- |", *lines])


def make(soak: Soak) -> Report:
    """Count."""
    house = soak.house
    with house.database.reading() as sql:
        every = {row.id: row for row in sql.execute(select(jobs))}
        tried = sql.execute(select(attempts)).all()
        made = Counter(sql.execute(select(versions.c.job)).scalars())
    began = {(row.job, row.number): row.started_at for row in tried}
    hit = {(row.job, row.fence): row for row in tried}
    recoveries = []
    for strike in soak.strikes:
        attempt = hit.get((strike.job, strike.fence))
        if attempt is not None and attempt.outcome == "lost" and (strike.job, attempt.number + 1) in began:
            recoveries.append(began[(strike.job, attempt.number + 1)] - strike.at)
    succeeded = {job for job, row in every.items() if row.state == SUCCEEDED}
    wanted = {*soak.submitted, *soak.real}
    return Report(
        database="SQLite" if house.database.is_sqlite else "PostgreSQL",
        minutes=soak.minutes,
        kills=Counter(strike.way for strike in soak.strikes),
        redis_kills=soak.redis_kills,
        scheduler_kills=soak.scheduler_kills,
        jobs=len(soak.submitted),
        real_jobs=len(soak.real),
        attempts=Counter(str(row.outcome) for row in tried),
        effects=sum(made.values()),
        given_up=["real" if job in soak.real else "rehearsal" for job, row in every.items() if _is_given_up(row)],
        fenced_off=sum(path.read_text(errors="replace").count(FENCED_OFF) for path in soak.logs()),
        recoveries_s=recoveries,
        lost=sorted(
            {job for job in wanted if job not in every or every[job].state not in ENDED} | (succeeded - set(made))
        ),
        doubled=sorted({job for job, count in made.items() if count > 1} | (set(made) - succeeded)),
        wrong=sorted(job for job in soak.submitted if job in succeeded and not _is_right(every[job])),
    )


def _is_given_up(row: Row[Any]) -> bool:
    return bool(row.state == FAILED and row.error["code"] == "worker_lost")


def _is_right(row: Row[Any]) -> bool:
    return bool(row.result["digest"] == rehearsal.digest_after(row.params["steps"]))


def _spread(seconds: list[float]) -> tuple[float, float, float]:
    if len(seconds) < 2:
        return (seconds or [0.0])[0], (seconds or [0.0])[0], (seconds or [0.0])[0]
    parts = quantiles(seconds, n=20, method="inclusive")
    return parts[9], parts[18], max(seconds)


def _machine() -> str:
    memory = psutil.virtual_memory().total / 2**30
    return f"{os.cpu_count()} cores, {memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}"
