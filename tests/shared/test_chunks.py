"""Chunks of a scoring in SQL: claimed once, fenced, halved where they fail, lost with their workers."""

from typing import Any

import pytest
from sqlalchemy import delete, select, update

from shared import chunks, claims, jobs, recovery
from shared.chunks import Chunk
from shared.claims import Claim, Skills
from shared.database import Database
from shared.errors import ClaimLost, EtudeError, WorkerLost
from shared.tables import chunks as chunk_table
from shared.tables import jobs as job_table
from shared.tables import tenants
from tests import factories

SKILLS = Skills(["score"], ["classification"])
FILE = {"key": "chunk"}
BROKEN = EtudeError("It broke.", code="row_unscorable")


def begin(database: Database, tenant: str, *, total: int = 10, size: int = 4, worker: str = "w1") -> Claim:
    """A claimed scoring that is cut."""
    with database.transaction() as sql:
        factories.make_job(sql, tenant, action="score")
        claim = claims.claim_next(sql, "train", worker=worker, skills=SKILLS, lease_s=30)
        assert claim is not None
        chunks.cut(sql, claim, total=total, size=size)
    return claim


def take(database: Database, claim: Claim, *, lease_s: float = 30) -> Chunk | None:
    with database.transaction() as sql:
        return chunks.take(sql, claim, lease_s=lease_s)


def guest(database: Database, worker: str = "w2", **rest: str | None) -> Claim | None:
    with database.transaction() as sql:
        return chunks.find_helpable(sql, worker=worker, skills=SKILLS, lease_s=30, **{"only_tenant": None, **rest})


def spans(database: Database, job: str) -> list[tuple[int, int, str]]:
    chosen = select(chunk_table.c.first, chunk_table.c.rows, chunk_table.c.state)
    with database.reading() as sql:
        return [tuple(row) for row in sql.execute(chosen.where(chunk_table.c.job == job).order_by(chunk_table.c.first))]


def fail(database: Database, claim: Claim, chunk: Chunk) -> None:
    with database.transaction() as sql:
        chunks.fail(sql, claim, chunk, BROKEN)


def finish(database: Database, claim: Claim, chunk: Chunk) -> None:
    with database.transaction() as sql:
        chunks.finish(sql, claim, chunk, {"rows": chunk.rows, "file": FILE})


def test_a_job_is_cut_once(database: Database, tenant: str) -> None:
    claim = begin(database, tenant)
    with database.transaction() as sql:
        again = chunks.cut(sql, claim, total=10, size=3)

    assert not again
    assert spans(database, claim.job_id) == [(0, 4, "open"), (4, 4, "open"), (8, 2, "open")]


def test_each_chunk_is_taken_by_one_and_a_guest_helps(database: Database, tenant: str) -> None:
    claim = begin(database, tenant)
    with database.reading() as sql:
        assert (chunks.count_helpable(sql), chunks.count_helpable(sql, Skills(["train"], ["regression"]))) == (3, 0)
    helper = guest(database)
    assert helper is not None and (helper.job_id, helper.fence, helper.worker) == (claim.job_id, claim.fence, "w2")

    taken = [take(database, each) for each in (claim, helper, claim, helper)]

    assert [None if each is None else each.first for each in taken] == [0, 4, 8, None]
    assert guest(database) is None


def test_nobody_helps_another_tenant_than_his_own_nor_a_job_that_is_to_end(database: Database, tenant: str) -> None:
    claim = begin(database, tenant)

    assert guest(database, only_tenant="other") is None
    with database.transaction() as sql:
        jobs.cancel(sql, tenant, claim.job_id)
    assert guest(database, only_tenant=tenant) is None


def test_what_is_done_is_done_once_and_in_order(database: Database, tenant: str) -> None:
    claim = begin(database, tenant)
    first, second, third = (take(database, claim) for _ in range(3))
    assert first and second and third
    finish(database, claim, second)
    with pytest.raises(ClaimLost):
        finish(database, claim, second)
    with database.reading() as sql:
        assert chunks.done_from(sql, claim.job_id, 0) == []
        assert [each.first for each in chunks.done_from(sql, claim.job_id, 0, gaps=True)] == [4]
    finish(database, claim, first)
    with database.reading() as sql:
        assert [each.end for each in chunks.done_from(sql, claim.job_id, 0)] == [4, 8]
        tally = chunks.tally(sql, claim.job_id)
    assert (tally.rows, tally.chunks, tally.total_chunks, tally.workers) == (8, 2, 3, 1)


def served_s(database: Database, tenant: str) -> float:
    """What the tenant has had."""
    with database.reading() as sql:
        return float(sql.execute(select(tenants.c.served_until).where(tenants.c.id == tenant)).scalar_one())


@pytest.mark.parametrize("said", [{"helped": {"compute_s": 600.0, "cpu_s": 9.0}}, {"helped_s": 600.0}])
def test_what_a_guest_of_an_older_release_did_counts_as_well(said: dict[str, Any]) -> None:
    assert chunks.helped(said)["compute_s"] == 600.0
    assert chunks.helped({})["compute_s"] == 0.0


def test_what_a_guest_does_is_charged_once_however_often_the_job_is_tried(database: Database, tenant: str) -> None:
    claim = begin(database, tenant)
    helper = guest(database)
    assert helper is not None
    chunk = take(database, helper)
    assert chunk is not None
    with database.transaction() as sql:
        chunks.finish(sql, helper, chunk, {"rows": chunk.rows, "file": FILE, "helped": {"compute_s": 600.0}})
    charged = served_s(database, tenant)
    assert charged > 590
    for _ in range(2):
        with database.transaction() as sql:
            cost = {"compute_s": claim.compute_s + 601.0, "helped_s": 600.0}
            claims.fail(sql, claim, EtudeError("It broke.", code="integrity"), cost=cost)
            jobs.retry(sql, tenant, claim.job_id)
        with database.transaction() as sql:
            again = claims.claim_next(sql, "train", worker="w1", skills=SKILLS, lease_s=30)
        assert again is not None and again.helped_s == 600.0 and again.compute_s == claim.compute_s + 1
        claim = again
    assert charged - 20 < served_s(database, tenant) < charged + 20


def test_a_chunk_that_fails_twice_is_halved_until_the_row_is_alone(database: Database, tenant: str) -> None:
    claim = begin(database, tenant, total=8, size=8)
    poison, steps, done = 5, 0, set[int]()
    while (chunk := take(database, claim)) is not None:
        steps += 1
        if chunk.is_poison:
            assert (chunk.first, chunk.rows, chunk.error and chunk.error["detail"]) == (poison, 1, "It broke.")
            finish(database, claim, chunk)
        elif chunk.first <= poison < chunk.end:
            fail(database, claim, chunk)
            continue
        else:
            finish(database, claim, chunk)
        rows = set(range(chunk.first, chunk.end))
        assert not rows & done
        done |= rows

    assert done == set(range(8)) and steps < 16
    with database.reading() as sql:
        assert chunks.tally(sql, claim.job_id).buried == 1


def test_what_has_failed_here_is_tried_last_here_and_first_elsewhere(database: Database, tenant: str) -> None:
    claim = begin(database, tenant)
    chunk, helper = take(database, claim), guest(database)
    assert chunk is not None and helper is not None
    fail(database, claim, chunk)

    order = [take(database, claim), take(database, claim), take(database, helper)]

    assert [each.first for each in order if each is not None] == [4, 8, 0]


def test_a_lost_worker_s_chunks_are_open_again_and_it_can_write_no_more(database: Database, tenant: str) -> None:
    claim = begin(database, tenant)
    helper = guest(database)
    assert helper is not None
    chunk = take(database, helper)
    assert chunk is not None
    with database.transaction() as sql:
        recovery.lose(sql, "w2", cause=WorkerLost("Gone."))

    with pytest.raises(ClaimLost):
        finish(database, helper, chunk)
    again = take(database, claim)
    assert again is not None and (again.first, again.losses) == (4, 0)
    with database.reading() as sql:
        lost = sql.execute(select(chunk_table.c.losses).where(chunk_table.c.first == 0)).scalar_one()
    assert lost == 1


def test_a_silent_guest_loses_its_chunk_and_the_job_s_own_worker_does_not(database: Database, tenant: str) -> None:
    claim = begin(database, tenant)
    helper = guest(database)
    assert helper is not None
    own, other = take(database, claim, lease_s=-1), take(database, helper, lease_s=-1)
    assert own is not None and other is not None
    with database.transaction() as sql:
        chunks.beat(sql, helper, other)
        recovery.reap(sql)
    assert [state for *_, state in spans(database, claim.job_id)] == ["running", "running", "open"]
    with database.transaction() as sql:
        sql.execute(update(chunk_table).values(lease_until=0).where(chunk_table.c.state == "running"))
        recovery.reap(sql)

    assert [state for *_, state in spans(database, claim.job_id)] == ["running", "open", "open"]
    with database.transaction() as sql, pytest.raises(ClaimLost):
        chunks.beat(sql, helper, other)


def test_the_next_attempt_goes_on_and_guests_of_the_last_one_are_turned_away(database: Database, tenant: str) -> None:
    claim = begin(database, tenant)
    helper = guest(database)
    assert helper is not None
    done, under_way = take(database, claim), take(database, helper)
    assert done is not None and under_way is not None
    finish(database, claim, done)
    with database.transaction() as sql:
        claims.release(sql, claim, cost={})
        sql.execute(update(job_table).values(run_after=0))
        second = claims.claim_next(sql, "train", worker="w3", skills=SKILLS, lease_s=30)
        assert second is not None
        chunks.cut(sql, second, total=10, size=4)

    with pytest.raises(ClaimLost):
        finish(database, helper, under_way)
    assert spans(database, claim.job_id) == [(0, 4, "done"), (4, 4, "open"), (8, 2, "open")]


def test_a_chunk_that_is_given_back_has_lost_nothing(database: Database, tenant: str) -> None:
    claim = begin(database, tenant)
    chunk = take(database, claim)
    assert chunk is not None
    with database.transaction() as sql:
        chunks.give_back(sql, chunk)

    again = take(database, claim)
    assert again is not None and (again.first, again.losses, again.fence) == (0, 0, chunk.fence + 1)


def end(database: Database, claim: Claim, *, ago_s: float = 0.0) -> None:
    with database.transaction() as sql:
        claims.finish_cancelled(sql, claim, cost={})
        mine = job_table.c.id == claim.job_id
        sql.execute(update(job_table).where(mine).values(ended_at=job_table.c.ended_at - ago_s))


def test_what_another_job_has_done_is_taken_over_and_the_gaps_are_cut(database: Database, tenant: str) -> None:
    earlier = begin(database, tenant, total=20, size=4)
    taken = [take(database, earlier) for _ in range(4)]
    for chunk in (taken[1], taken[3]):
        assert chunk is not None
        finish(database, earlier, chunk)
    end(database, earlier)
    with database.transaction() as sql:
        factories.make_job(sql, tenant, action="score")
        claim = claims.claim_next(sql, "train", worker="w1", skills=SKILLS, lease_s=30)
        assert claim is not None
        chunks.cut(sql, claim, total=20, size=3, resume_of=earlier.job_id)

    assert spans(database, claim.job_id) == [
        (0, 3, "open"), (3, 1, "open"), (4, 4, "done"), (8, 3, "open"), (11, 1, "open"), (12, 4, "done"),
        (16, 3, "open"), (19, 1, "open"),
    ]  # fmt: skip
    with database.reading() as sql:
        assert [each.output for each in chunks.done_from(sql, claim.job_id, 4)] == [{"rows": 4, "file": FILE}]


def test_old_chunks_are_forgotten_and_their_files_when_no_other_job_names_them(database: Database, tenant: str) -> None:
    earlier = begin(database, tenant, total=8, size=4)
    for key in ("t/a/chunks/0", "t/a/chunks/4"):
        chunk = take(database, earlier)
        assert chunk is not None
        with database.transaction() as sql:
            chunks.finish(sql, earlier, chunk, {"file": {"key": key}})
    end(database, earlier, ago_s=100)
    with database.transaction() as sql:
        factories.make_job(sql, tenant, action="score")
        claim = claims.claim_next(sql, "train", worker="w1", skills=SKILLS, lease_s=30)
        assert claim is not None
        chunks.cut(sql, claim, total=8, size=4, resume_of=earlier.job_id)
        sql.execute(delete(chunk_table).where(chunk_table.c.job == claim.job_id, chunk_table.c.first == 0))
        assert chunks.forget_old(sql, after_s=200, at_most=10) == []
        assert chunks.named(sql, "t/a/") == {"t/a/chunks/0", "t/a/chunks/4"}

        gone = chunks.forget_old(sql, after_s=50, at_most=10)

        assert gone == ["t/a/chunks/0"]
        assert chunks.named(sql, "t/a/") == {"t/a/chunks/4"} and chunks.named(sql, "t/b/") == set()
    assert spans(database, earlier.job_id) == []
