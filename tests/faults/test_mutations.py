"""The mutation proof (35): a statement that has lost any one of its conditions is caught by a test.

The tests that are asked are those of tests/shared/, on SQLite, in this process; here they are proofs, and must fail.
"""

import inspect
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import insert

from shared import claims, history, ids, jobs, recovery, workers
from shared.database import Database, now
from shared.settings import read
from shared.tables import tenants
from shared.tenancy import EVERYONE
from tests.conftest import PEPPER, ROOT_KEY
from tests.faults import mutations
from tests.faults.mutations import Mutant
from tests.shared import test_claims, test_fences, test_turns

MODULES = (claims, recovery, jobs, workers, history)
# Conditions that change no answer: each with its reason.
IDLE = {
    "workers.every: jobs.c.state == RUNNING": "a job that has ended names no holder; for the index on the state",
    "workers.every: owned(attempts, jobs.c.tenant)": "an attempt is its job's; said for whoever reads the statement",
}
# What a proof may ask for.
GIVEN = {"settings", "database", "tenant", "other"}

Proof = Callable[..., None]


def proofs() -> list[Proof]:
    every = [
        test
        for module in (test_fences, test_claims, test_turns)
        for name, test in vars(module).items()
        if name.startswith("test_") and set(inspect.signature(test).parameters) <= GIVEN
    ]
    return every


def mutants() -> list[Mutant]:
    every = [mutant for module in MODULES for mutant in mutations.find(module)]
    return [mutant for mutant in every if str(mutant) not in IDLE]


class Bench:
    """Gives each proof a database of its own."""

    def __init__(self, folder: Path, template: Path) -> None:
        self._folder, self._template, self._count = folder, template.read_bytes(), 0

    def holds(self, proof: Proof) -> bool:
        """Whether the proof passes."""
        self._count += 1
        path = self._folder / f"{self._count}.db"
        path.write_bytes(self._template)
        settings = read({"ETUDE_HOME": str(self._folder), "ETUDE_DATABASE_URL": f"sqlite:///{path}",
                         "ETUDE_PEPPER": PEPPER, "ETUDE_ROOT_KEY": ROOT_KEY})  # fmt: skip
        database = Database(settings, whose=EVERYONE)
        given = {"settings": settings, "database": database}
        with database.transaction() as sql:
            for name in ("tenant", "other"):
                given[name] = ids.new("ten")
                sql.execute(insert(tenants).values(id=given[name], name=given[name], created_at=now()))
        try:
            proof(**{name: given[name] for name in inspect.signature(proof).parameters})
        except (Exception, pytest.fail.Exception):
            return False
        finally:
            database.close()
            path.unlink()
        return True


@pytest.fixture
def bench(tmp_path: Path, sqlite_template: Path) -> Bench:
    return Bench(tmp_path, sqlite_template)


def test_35_every_proof_holds_before_anything_is_taken_out(bench: Bench) -> None:
    assert [proof.__name__ for proof in proofs() if not bench.holds(proof)] == []


@pytest.mark.parametrize("mutant", mutants(), ids=str)
def test_35_a_statement_without_this_condition_is_caught(mutant: Mutant, bench: Bench) -> None:
    with mutations.applied(mutant):
        caught = any(not bench.holds(proof) for proof in proofs())

    assert caught, f"nobody noticed that {mutant} is gone"
