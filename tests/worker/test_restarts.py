"""Jobs that had read what an erasure takes: they begin anew on what is left, and what had read can write nothing."""

from typing import Any

import pytest
from sqlalchemy import insert, update

from shared import claims, datasets, erasures, pseudonyms, recovery, restarts, studies
from shared.claims import Claim
from shared.database import Database, now
from shared.errors import ClaimLost
from shared.jobs import CANCELLED, QUEUED, RUNNING, SUCCEEDED
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import chunks, epochs, outputs
from shared.tables import jobs as job_table
from tests import factories
from tests.worker import erased, losing, working
from tests.worker.erased import carry_out, decide, marks, readable
from tests.worker.interactions import uploading
from tests.worker.losing import ingest, once, receipt_of
from tests.worker.reading import CHECKPOINT, begin, close, count, restarts_of
from worker import erasures as carrying_out
from worker import runner
from worker.desk import Desk
from worker.heart import Heart
from worker.runner import Post

Json = dict[str, Any]

SONGS = b"id,tempo,genre\ncanary-key,1,rock\n" + b"".join(
    b"s%d,%d,%s\n" % (n, 60 + n, b"rock" if n % 2 else b"folk") for n in range(60)
)
on_sqlite = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(settings, database, storage, worker="light-1")


@pytest.fixture
def songs(post: Post, tenant: str) -> Any:
    return ingest(post, tenant, {"a.csv": SONGS}, id="id", target="genre")[0]


@on_sqlite
def test_a_training_under_way_learns_from_what_is_left_under_its_id(
    post: Post, settings: Settings, database: Database, storage: Storage, tenant: str, songs: Any
) -> None:
    trainer = working.make_post(settings, database, storage, worker="train-1")
    job = working.submit(post, tenant, songs.id, params=working.ENDLESS)
    training = working.Working(trainer)
    working.wait_for_epochs(post, job)

    receipt = receipt_of(post, carry_out(post, decide(post, tenant, "songs", track="canary-key")))

    training.join()
    assert (receipt["jobs_restarted"], receipt["jobs_cancelled"], receipt["models"]) == ([job], [], [])
    assert (working.find(post, job).state, working.outcomes(post, job)) == (QUEUED, ["restarted"])
    assert readable(post, "canary-key") == []
    with database.transaction() as sql:
        mine = (job_table.c.tenant == tenant) & (job_table.c.id == job)
        sql.execute(update(job_table).where(mine).values(params=working.SHORT))
    runner.run(trainer, "train", only_tenant=None)
    (version,) = working.made(post, job)
    assert version.lineage["dataset"]["sha256"] == losing.find(post, tenant, songs.id).sha256 != songs.sha256
    assert marks(post, version) == [None]
    assert working.find(post, job).state == SUCCEEDED


@on_sqlite
def test_a_job_that_cannot_be_redone_ends_with_the_reason(post: Post, tenant: str) -> None:
    few, _ = ingest(post, tenant, {"a.csv": b"id,tempo,genre\na,1,rock\ncanary-key,2,folk\n"}, id="id", target="genre")
    job = begin(post, tenant, few.id, params=working.SHORT).job_id
    close(post)

    carry_out(post, decide(post, tenant, "songs", track="canary-key"))
    runner.run(post, "train", only_tenant=None)

    ended = working.find(post, job)
    assert (ended.state, working.made(post, job)) == ("failed", [])
    assert "class" in ended.error["detail"], ended.error


def test_what_had_read_can_write_nothing_and_leaves_nothing(post: Post, tenant: str, songs: Any) -> None:
    claim = begin(post, tenant, songs.id)
    job = claim.job_id
    close(post)

    receipt = receipt_of(post, carry_out(post, decide(post, tenant, "songs", track="canary-key")))

    row = working.find(post, job)
    assert (row.state, row.checkpoint, row.progress, row.started_at, row.losses) == (QUEUED, None, None, None, 0)
    assert (count(post, chunks, job), count(post, epochs, job)) == (0, 0)
    assert [each["place"] for each in receipt["unnamed_files"]] == [
        f"t/{tenant}/jobs/{job}/{claim.fence}/checkpoints/1"
    ]
    with pytest.raises(ClaimLost), post.database.transaction() as sql:
        claims.record_checkpoint(sql, claim, CHECKPOINT)
    with pytest.raises(ClaimLost), post.database.transaction() as sql:
        claims.succeed(sql, claim, result={}, cost={})


@on_sqlite
def test_what_has_not_read_keeps_its_place_and_its_predictions(post: Post, tenant: str, songs: Any) -> None:
    waiting = working.submit(post, tenant, songs.id)
    elsewhere, _ = ingest(post, tenant, {"a.csv": SONGS}, name="other", id="id", target="genre")
    other = begin(post, tenant, elsewhere.id)

    receipt = receipt_of(post, carry_out(post, decide(post, tenant, "songs", track="canary-key")))

    assert receipt["jobs_restarted"] == []
    assert (working.find(post, waiting).fence, restarts_of(post, waiting)) == (0, 0)
    assert (working.find(post, other.job_id).state, working.find(post, other.job_id).fence) == (RUNNING, other.fence)


@on_sqlite
@pytest.mark.parametrize("keep", [None, "best"])
def test_what_is_to_end_anyway_ends_and_keeps_nothing(post: Post, tenant: str, songs: Any, keep: str | None) -> None:
    claim = begin(post, tenant, songs.id)
    working.cancel(post, tenant, claim.job_id, keep=keep)
    close(post)

    receipt = receipt_of(post, carry_out(post, decide(post, tenant, "songs", track="canary-key")))

    assert (receipt["jobs_cancelled"], receipt["jobs_restarted"]) == ([claim.job_id], [])
    row = working.find(post, claim.job_id)
    assert (row.state, row.checkpoint, working.made(post, claim.job_id)) == (CANCELLED, None, [])
    assert readable(post, "canary-key") == []


@on_sqlite
@pytest.mark.parametrize("is_parked", [True, False])
def test_a_search_begins_anew_with_all_of_its_trials(post: Post, tenant: str, songs: Any, is_parked: bool) -> None:
    claim = begin(post, tenant, songs.id, action="tune")
    with post.database.transaction() as sql:
        if is_parked:
            claims.park(sql, claim, progress={}, cost={})
        studies.stop(sql, claim.job_id, {"reason": "budget", "detail": "used up"})
        trial = {"action": "trial", "parent": claim.job_id, "datasets": [songs.id]}
        ended, final = (factories.make_job(sql, tenant, **trial, params=each) for each in (
            {"number": 0, "axes": {"a": 1}, "rungs": {"1": 0.5}}, {"number": 2, "axes": {"a": 1}, "final": True}
        ))  # fmt: skip
        unread = factories.make_job(sql, tenant, **trial, params={"number": 1})
        of_both = (job_table.c.tenant == tenant) & job_table.c.id.in_([ended, final])
        done = {"state": SUCCEEDED, "attempt": 1, "fence": 1, "result": {"value": 1.0}, "ended_at": now()}
        sql.execute(update(job_table).where(of_both).values(done))
        file = {"name": "weights.safetensors", "size_bytes": 1, "sha256": "0" * 64}
        sql.execute(insert(outputs).values(tenant=tenant, job=ended, key=f"t/{tenant}/jobs/{ended}/1/files/w", **file))
    erased.put(post, f"t/{tenant}/jobs/{ended}/1/files/w", "w", "canary-key")
    close(post)

    receipt = receipt_of(post, carry_out(post, decide(post, tenant, "songs", track="canary-key")))

    assert receipt["jobs_restarted"] == sorted([claim.job_id, ended, final])
    rows = [working.find(post, job) for job in (claim.job_id, ended, unread, final)]
    assert [(row.state, row.fence, row.result) for row in rows] == [
        (QUEUED, claim.fence + 1, None), (QUEUED, 2, None), (QUEUED, 0, None), (CANCELLED, 2, None)
    ]  # fmt: skip
    # The point was chosen by what was seen of the erased row.
    assert [row.params for row in rows[1:]] == [{"number": 0}, {"number": 1}, {"number": 2}]
    assert count(post, outputs, ended) == 0
    assert readable(post, "canary-key") == []
    with post.database.reading() as sql:
        assert studies.why_stopped(sql, claim.job_id) is None


@on_sqlite
def test_a_real_search_finds_its_winner_on_what_is_left(post: Post, tenant: str, songs: Any) -> None:
    params = {"train": {"epochs": 3}, "trials": 2, "halving": None, "min_gain_per_hour": None, "finalists": 1}
    job = working.submit(post, tenant, songs.id, action="tune", params=params)
    for _ in range(2):  # the plan, and one of the trials
        assert runner.run(post, "train", only_tenant=None) is not None

    carry_out(post, decide(post, tenant, "songs", track="canary-key"))
    while runner.run(post, "train", only_tenant=None) is not None:
        pass

    (version,) = working.made(post, job)
    assert version.lineage["dataset"]["sha256"] == losing.find(post, tenant, songs.id).sha256
    assert version.lineage["search"]["trials_run"] >= 2
    assert marks(post, version) == [None]


@on_sqlite
def test_a_job_that_had_read_in_the_moment_of_the_change_begins_anew_too(
    post: Post, tenant: str, songs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Claim] = []
    once(monkeypatch, carrying_out, "_replace", lambda: (found.append(begin(post, tenant, songs.id)), close(post)))

    receipt = receipt_of(post, carry_out(post, decide(post, tenant, "songs", track="canary-key")))

    (claim,) = found
    assert (receipt["jobs_restarted"], restarts_of(post, claim.job_id)) == ([claim.job_id], 1)
    assert working.find(post, claim.job_id).checkpoint is None


@on_sqlite
def test_files_stay_until_a_living_attempt_has_let_go(
    post: Post, tenant: str, songs: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = begin(post, tenant, songs.id)
    monkeypatch.setattr(carrying_out, "ENDING_S", 0.0)
    decided = decide(post, tenant, "songs", track="canary-key")

    waits = carry_out(post, decided)

    assert (waits.state, waits.job_error["code"]) == (erasures.DECIDED, "erasure_waits")
    assert readable(post, "canary-key") != []
    with post.database.transaction() as sql:
        restarts.let_go(sql, claim.tenant, claim.job_id, claim.fence)
        sql.execute(update(job_table).where(job_table.c.id == decided.job).values(run_after=0))
    receipt_of(post, carry_out(post, decided))
    assert (readable(post, "canary-key"), restarts_of(post, claim.job_id)) == ([], 1)


@on_sqlite
def test_guests_are_waited_for_as_long_as_they_may_believe_in_their_chunks(post: Post, tenant: str, songs: Any) -> None:
    claim = begin(post, tenant, songs.id, action="score")
    close(post)
    with post.database.transaction() as sql:
        taken = {"state": "running", "worker": "guest", "lease_until": now() + 1e6}
        sql.execute(update(chunks).where(chunks.c.job == claim.job_id).values(taken))
        (told,) = restarts.begin_anew(sql, restarts.hold(sql, tenant, {songs.id})).had_read

    with post.database.transaction() as sql:
        assert restarts.is_read(sql, [told], lease_s=3.0)
        assert not restarts.is_read(sql, [{**told, "guests_until": 1.0}], lease_s=3.0)


@on_sqlite
def test_an_attempt_that_nobody_waits_for_is_closed_by_the_tick(post: Post, tenant: str, songs: Any) -> None:
    claim = begin(post, tenant, songs.id)
    with post.database.transaction() as sql:
        restarts.begin_anew(sql, restarts.hold(sql, tenant, {songs.id}))
        recovery.reap(sql)
    before = working.outcomes(post, claim.job_id)
    close(post)
    with post.database.transaction() as sql:
        recovery.reap(sql)

    assert (before, working.outcomes(post, claim.job_id)) == ([None], ["restarted"])


@on_sqlite
def test_an_erasure_of_a_listener_alone_has_its_readers_begin_anew(post: Post, tenant: str) -> None:
    plays, _ = uploading.ingest(post, tenant, {"a.csv": b"user,item\nalice,x\nbob,x\n"})
    claim = begin(post, tenant, plays.id, kind="recommendation")
    with post.database.transaction() as sql:
        params = {"user": pseudonyms.of(post.settings.pepper, tenant, "plays", "alice"), "retrain": False}
        asked = factories.make_job(sql, tenant, action="erase", queue="light", datasets=[plays.id], params=params)

    runner.run(post, "light", only_tenant=None)

    assert working.find(post, asked).result["under_way"] == [claim.job_id]
    row = working.find(post, claim.job_id)
    assert (row.state, row.checkpoint, restarts_of(post, claim.job_id)) == (QUEUED, None, 1)


@on_sqlite
def test_an_attempt_that_finds_its_data_changed_goes_on_from_nothing(post: Post, tenant: str, songs: Any) -> None:
    claim = begin(post, tenant, songs.id)
    heart = Heart(post.database, claim, beat_s=1.0, stall_s=60.0)
    desk = Desk(post.settings, post.database, post.storage, claim, heart, post.scratch)

    with post.database.transaction() as sql:
        runner._try_again(sql, desk, datasets.changed(songs))

    row = working.find(post, claim.job_id)
    assert (row.state, row.checkpoint, row.error["code"]) == (QUEUED, None, "dataset_changed")
    assert count(post, chunks, claim.job_id) == 0
