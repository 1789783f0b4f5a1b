"""A file that has ended its decoder is not given to one again: not under another name, nor in another dataset."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row

from shared import claims, jobs, sandbox, tenants
from shared import quarantine as kept
from shared.database import Database
from shared.errors import ClaimLost
from shared.settings import Settings
from shared.storage import Storage
from tests.factories import claim, make_job
from tests.worker import recorded, working
from tests.worker.losing import ingest
from tests.worker.symbolic.midi_files import file, melody
from tests.worker.symbolic.scores import zipped
from tests.worker.test_symbolic_intake import reports
from worker import hearing, quarantine
from worker.desk import Desk
from worker.heart import Heart
from worker.listening import Ears
from worker.runner import Post

ODD = {
    "worker.decode": "tests.worker.odd_tables",
    "worker.interactions.decode": "tests.worker.odd_tables",
    "worker.symbolic.decode": "tests.worker.symbolic.odd_reader",
}
SONGS = "tempo,genre\n{0},rock\n{1},folk\n{2},rock\n{3},folk\n"
PLAYS = "user,item,plays\nb,x,{0}\na,y,2\na,x,3\n"

Json = dict[str, Any]
Odd = Callable[[], Any]


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(settings, database, storage, worker="light-1")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Decoders that some names of files end, within the same layers and reach; which of them ran."""
    real, ran = sandbox.run, []

    def run(module: str, request: Json, **rest: Any) -> Json:
        ran.append(module)
        return real(ODD[module], request, **rest)

    monkeypatch.setattr(sandbox, "run", run)
    yield ran


@pytest.fixture
def ears(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Those of tracks that are called crash… end their listener."""
    real = hearing.hear

    def hear(desk: Desk, tracks: Any, uploads: Any, want: Callable[[Any], Json]) -> Any:
        def odd(track: Any) -> Json:
            return {**want(track), **({"odd": {"do": "crash"}} if track.file.startswith("crash") else {})}

        return real(desk, tracks, uploads, odd)

    with Ears(module="tests.worker.audio.odd_ear", parallel=1) as listener:
        monkeypatch.setattr(hearing, "_ears", lambda: listener)
        monkeypatch.setattr(hearing, "hear", hear)
        yield


def faults_of(job: Row[Any]) -> list[tuple[str, str]]:
    return [(each["file"], each["code"]) for each in (job.error or {"errors": []})["errors"]]


def tables(*rows: int) -> bytes:
    return SONGS.format(*(place + first for first in rows for place in range(4))).encode()


@pytest.mark.parametrize("late", ["", "late-"])
def test_of_several_tables_the_one_that_ended_the_decoder_is_named_and_not_opened_again(
    post: Post, tenant: str, other: str, asked: list[str], late: str
) -> None:
    files = {"a.csv": tables(0), f"{late}crash-b.csv": tables(10), "z.csv": tables(20)}
    _, first = ingest(post, tenant, files, format="table", target="genre")
    asked.clear()
    same = {"a.csv": tables(0), "renamed.csv": tables(10)}
    _, again = ingest(post, tenant, same, format="table", target="genre", name="renamed")
    ran = list(asked)
    _, without = ingest(post, tenant, {"a.csv": tables(0)}, format="table", target="genre", name="without")
    _, theirs = ingest(post, other, same, format="table", target="genre")

    assert (first.error["code"], faults_of(first)) == ("decoder_crashed", [(f"{late}crash-b.csv", "decoder_crashed")])
    assert (again.error["code"], faults_of(again)) == ("dataset_rejected", [("renamed.csv", "file_quarantined")])
    assert ran == [] and "is not opened again by this release" in again.error["detail"]
    assert without.state == theirs.state == jobs.SUCCEEDED, (without.error, theirs.error)


def test_plays_that_ended_their_decoder_are_not_opened_again(post: Post, tenant: str, asked: list[str]) -> None:
    content = PLAYS.format(1).encode()
    _, first = ingest(post, tenant, {"crash-plays.csv": content}, format="interactions")
    _, again = ingest(post, tenant, {"plays.csv": content}, format="interactions", name="again")
    _, changed = ingest(post, tenant, {"plays.csv": PLAYS.format(4).encode()}, format="interactions", name="changed")

    assert faults_of(first) == [("crash-plays.csv", "decoder_crashed")]
    assert faults_of(again) == [("plays.csv", "file_quarantined")]
    assert changed.state == jobs.SUCCEEDED, changed.error


def test_what_is_short_of_memory_is_tried_again(post: Post, tenant: str, asked: list[str]) -> None:
    _, first = ingest(post, tenant, {"kill-a.csv": tables(0)}, format="table", target="genre")
    _, again = ingest(post, tenant, {"a.csv": tables(0)}, format="table", target="genre", name="again")

    assert faults_of(first) == [("kill-a.csv", "decoder_memory")]
    assert again.state == jobs.SUCCEEDED, again.error


def test_it_is_opened_again_once_an_operator_says_so_or_a_newer_release_is_there(
    post: Post, tenant: str, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def again(name: str) -> str:
        _, job = ingest(post, tenant, {"a.csv": tables(0)}, format="table", target="genre", name=name)
        return str(job.state)

    ingest(post, tenant, {"crash-a.csv": tables(0)}, format="table", target="genre")
    before = again("before")
    with monkeypatch.context() as newer:
        newer.setattr(kept, "CODE_VERSION", "99.0.0")
        by_a_newer = again("newer")
    older = again("older")
    with post.database.transaction() as sql:
        said = tenants.lift(sql, tenants._parser().parse_args(["lift", tenant]), post.settings)
    lifted = again("lifted")

    assert [before, by_a_newer, older, lifted] == [jobs.FAILED, jobs.SUCCEEDED, jobs.FAILED, jobs.SUCCEEDED]
    assert said.endswith(": 1 files and pieces that had ended a decoder may be opened again")


@pytest.mark.usefixtures("ears")
def test_a_recording_is_left_out_and_all_others_are_heard(post: Post, tenant: str, other: str, tmp_path: Path) -> None:
    songs = {f"{name}.wav": recorded.write(tmp_path / f"{name}.wav", 200.0 + 50 * place, seconds=2.0)
             for place, name in enumerate(["a", "crash", "c"])}  # fmt: skip
    renamed = {"a.wav": songs["a.wav"], "b.wav": songs["crash.wav"], "c.wav": songs["c.wav"]}

    first, job = recorded.ingest(post, tenant, songs)
    again, job_again = recorded.ingest(post, tenant, renamed, name="again")
    _, theirs = recorded.ingest(post, other, renamed)

    assert (job.state, job_again.state) == (jobs.SUCCEEDED, jobs.SUCCEEDED), (job.error, job_again.error)
    codes = [{each["file"]: each["fault"] and each["fault"]["code"] for each in recorded.reports(post, row)}
             for row in (first, again)]  # fmt: skip
    assert codes == [
        {"a.wav": None, "crash.wav": "decoder_crashed", "c.wav": None},
        {"a.wav": None, "b.wav": "file_quarantined", "c.wav": None},
    ]
    assert theirs.result["audio"]["faults_total"] == 0


def test_of_an_archive_only_the_piece_is_left_out(post: Post, tenant: str, asked: list[str]) -> None:
    song = [file(melody([60 + place, 62, 64])) for place in range(5)]
    packed = zipped({"1.mid": song[0], "crash.mid": song[1], "x.mid": song[2]})
    first, job = ingest(post, tenant, {"s.zip": packed, "crash.mid": song[3], "t.mid": song[4]}, format="symbolic")
    ran = len(asked)
    asked.clear()
    again, job_again = ingest(
        post, tenant, {"copy.zip": packed, "u.mid": song[3], "t.mid": song[4]}, format="symbolic", name="again"
    )

    assert (job.state, job_again.state) == (jobs.SUCCEEDED, jobs.SUCCEEDED), (job.error, job_again.error)
    found = [{each["key"]: each["fault"]["code"] for each in reports(post, row) if each["fault"]}
             for row in (first, again)]  # fmt: skip
    assert found == [
        {"s.zip/crash.mid": "decoder_crashed", "crash.mid": "decoder_crashed"},
        {"copy.zip/crash.mid": "file_quarantined", "u.mid": "file_quarantined"},
    ]
    assert (first.profile["symbolic"]["usable"], again.profile["symbolic"]["usable"]) == (3, 3)
    # A child begins anew behind each that ends it; with nothing opened that does, one is enough.
    assert (ran, len(asked)) == (3, 1)


def test_an_attempt_that_was_presumed_dead_keeps_nothing_from_anybody(post: Post, tenant: str) -> None:
    with post.database.transaction() as sql:
        make_job(sql, tenant)
        lost = claim(sql)
        claims.release(sql, lost, cost={})
    heart = Heart(post.database, lost, beat_s=60.0, stall_s=60.0)
    desk = Desk(post.settings, post.database, post.storage, lost, heart, post.scratch)

    with pytest.raises(ClaimLost):
        quarantine.add(desk, "0" * 64)

    assert quarantine.places(desk, ["0" * 64]) == {}
