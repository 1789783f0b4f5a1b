"""Scoring by one worker and by two of one thread each, its memory over a hundred times the rows, and what chunks cost.

Jobs as a client submits them; a large table has the rows of one file again and again.
"""

import tempfile
import time
from pathlib import Path

from sqlalchemy import insert

from bench import crew
from bench.crew import Crew
from bench.measurement import Measurement, compare
from bench.scoring import COLUMNS, PROFILE, open_scorer, write_table
from migrations.upgrade import upgrade
from shared import chunks, claims, ids, jobs, settings
from shared.claims import Claim, Skills
from shared.database import Database, now
from shared.jobs import NewJob
from shared.queue import TRAIN
from shared.table_params import TableScoring
from shared.tables import tenants
from shared.tenancy import EVERYONE
from worker.prediction_files import ChunkFiles, PredictionFiles
from worker.predictions import CHUNK_ROWS, RowScoring

ROWS, FEW_ROWS = 1_000_000, 100_000
# Of the file, in one table: long beside the moment in which another worker is called; a hundred times the few.
TIMES, MOST_TIMES = 6, 10
# As many chunks as a job may have, each a row group: of a narrow table, for the footer tells of every column of each.
CHUNKS, FINE_COLUMNS = 10_000, 2
JOINED = 20
FINE_ROWS = ROWS // CHUNKS


def measure(rounds: int) -> list[Measurement]:
    with tempfile.TemporaryDirectory(prefix="etude-bench-") as folder:
        table, few = Path(folder, "table.parquet"), Path(folder, "few.parquet")
        write_table(table, rows=ROWS)
        write_table(few, rows=FEW_ROWS)
        with crew.working(1) as alone, crew.working(2) as both:
            shared = _time_both(alone, both, table, rounds)
            memory = _weigh(alone, few, table, rounds)
        joined = [(_join(Path(folder), table), alone_rows) for _, alone_rows in shared]
        write_table(table, rows=ROWS, columns=FINE_COLUMNS, group_rows=FINE_ROWS)
        with crew.working(1, columns=FINE_COLUMNS) as coarse:
            whole = coarse.score(coarse.store(table))
        with crew.working(1, columns=FINE_COLUMNS, ETUDE_CHUNK_ROWS=str(FINE_ROWS)) as fine:
            # Minutes, of which chance has little.
            in_chunks = fine.score(fine.store(table))
    from_many, from_few = [(most, some) for _, some, most in memory], [(most, few) for few, _, most in memory]
    cuts = [(_time_cut(), in_chunks) for _ in range(rounds)]
    cost_ms = (in_chunks - whole) / CHUNKS * 1000
    rows = f"{TIMES * ROWS:,} × {COLUMNS} of float64 through 128-64-1, to Parquet; each worker has a core of its own"
    held = "the most (RSS) of a new child; the few do not fill the buffers that all longer tables fill alike"
    cut = (
        f"chunks of {FINE_ROWS} rows of {FINE_COLUMNS} columns, SQLite; a chunk costs {cost_ms:.1f} ms beside its rows"
    )
    join = "Parquet alone, by the job's own worker: how many workers of one thread it can follow"
    return [
        compare("two workers of one thread, against one", shared, unit="rows/s", bar="≥ 1.7", note=rows),
        compare(
            "putting chunks together, against what one worker scores", joined, unit="rows/s", bar="≥ 10", note=join
        ),
        compare(f"memory of a worker, {MOST_TIMES * ROWS:,} rows against {ROWS:,}", from_many, unit="MiB", bar="≤ 1.1"),
        compare(
            f"memory of a worker, {MOST_TIMES * ROWS:,} rows against {FEW_ROWS:,}",
            from_few,
            unit="MiB",
            bar="≤ 1.1",
            note=held,
        ),
        compare(f"cutting {CHUNKS:,} chunks, against their job", cuts, unit="s", bar="≤ 0.05", note=cut),
    ]


def _time_both(alone: Crew, both: Crew, table: Path, rounds: int) -> list[tuple[float, float]]:
    """Rows a second of both, and of one."""
    ours, theirs = both.store(table), alone.store(table)
    both.score(ours)
    alone.score(theirs)
    seconds = [(both.score(ours, times=TIMES), alone.score(theirs, times=TIMES)) for _ in range(rounds)]
    return [(TIMES * ROWS / two, TIMES * ROWS / one) for two, one in seconds]


def _join(folder: Path, table: Path) -> float:
    """Rows a second of the chunks of a table, once they are scored."""
    with tempfile.TemporaryDirectory(dir=folder) as own:
        scoring = RowScoring([table], PROFILE, open_scorer(), TableScoring(formats=["parquet"]), size=CHUNK_ROWS)
        with ChunkFiles(Path(own, "chunk"), scoring.formats, scoring.empty) as out:
            scoring.score(0, scoring.size, out, lambda _: None)
            archive = out.pack()
        with PredictionFiles(Path(own), scoring.formats, scoring.empty) as files:
            began = time.perf_counter()
            for _ in range(JOINED):
                files.append(archive)
            return JOINED * scoring.size / (time.perf_counter() - began)


def _weigh(alone: Crew, few: Path, table: Path, rounds: int) -> list[tuple[float, float, float]]:
    """MiB for few rows, for those of the file, and for many times as many."""
    less, more = alone.store(few), alone.store(table)
    return [(alone.peak_mib(less), alone.peak_mib(more), alone.peak_mib(more, times=MOST_TIMES)) for _ in range(rounds)]


def _time_cut() -> float:
    """Seconds for the rows of SQL of all chunks, in a database that has nothing else."""
    with tempfile.TemporaryDirectory(prefix="etude-bench-") as folder:
        chosen = settings.read({"ETUDE_HOME": folder, "ETUDE_PEPPER": "x" * 32, "ETUDE_ROOT_KEY": "4e" * 32})
        upgrade(chosen.database_url)
        database = Database(chosen, whose=EVERYONE)
        claim = _claim(database)
        began = time.perf_counter()
        with database.transaction() as sql:
            chunks.cut(sql, claim, total=ROWS, size=FINE_ROWS)
        took = time.perf_counter() - began
        database.close()
    return took


def _claim(database: Database) -> Claim:
    owner, skills = ids.new("ten"), Skills(["score"], ["classification"])
    with database.transaction() as sql:
        sql.execute(insert(tenants).values(id=owner, name=owner, created_at=now()))
        jobs.submit(sql, NewJob(owner, "score", TRAIN, kind="classification", model="m"))
        claim = claims.claim_next(sql, TRAIN, worker="bench", skills=skills, lease_s=30.0)
    assert claim is not None
    return claim
