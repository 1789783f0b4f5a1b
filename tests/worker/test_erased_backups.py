"""Of a row, a recording or a piece that was erased nothing can be read in yesterday's backup, and all else can."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, select

from shared import features as kept
from shared import jobs
from shared.backup.saving import save
from shared.database import Database
from shared.features import Feature
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import tracks
from tests.worker import losing, recorded, restored, working
from tests.worker.erased import carry_out, decide, learn, put
from tests.worker.losing import receipt_of
from tests.worker.symbolic.midi_files import file, melody
from worker.runner import Post

# SQLite is a file that a backup has, too.
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)

SONGS = b"id,title,tempo,genre\ns1,One,100,rock\ncanary,Canary Song,120,canarycore\ns3,Three,90,folk\n"
MORE = b"id,title,tempo,genre\ns4,Four,101,rock\ns5,Five,95,folk\n"
SONG, OTHER, CANARY = (melody(pitches) for pitches in ([60, 64, 67], [60, 62, 64], [61, 63, 66]))


@dataclass(frozen=True)
class Planted:
    """A dataset that holds a canary and one that does not; how it is named, what is its own, and who learns from it."""

    first: Row[Any]
    other: Row[Any]
    key: str
    secret: bytes
    kind: str


def a_row(post: Post, tenant: str, folder: Path) -> Planted:
    first, _ = losing.ingest(post, tenant, {"a.csv": SONGS}, id="id")
    other, _ = losing.ingest(post, tenant, {"a.csv": MORE}, name="other", id="id")
    return Planted(first, other, "canary", b"Canary Song", "classification")


def a_recording(post: Post, tenant: str, folder: Path) -> Planted:
    names = ("canary.wav", "b.wav", "c.wav")
    sounds = {name: recorded.write(folder / name, 150.0 + 90 * n, seconds=2.0) for n, name in enumerate(names)}
    both = {name: sounds[name] for name in names[:2]}
    first, job = recorded.ingest(post, tenant, {**both, "list.csv": recorded.manifest([(n, "x", "y") for n in both])})
    assert job.state == jobs.SUCCEEDED, job.error
    other, _ = recorded.ingest(post, tenant, {"c.wav": sounds["c.wav"]}, name="other")
    with post.database.reading() as sql:
        content = sql.execute(
            select(tracks.c.content).where(tracks.c.dataset == first.id, tracks.c.number == 0)
        ).scalar()
    assert content is not None
    embedded = put(post, f"t/{tenant}/jobs/job_heard/1/features/1", "features", "canary as numbers")
    with post.database.transaction() as sql:
        kept.keep(sql, tenant, [Feature(content, "embedding", file=embedded)])
    return Planted(first, other, "canary.wav", sounds["canary.wav"][1000:1100], "classification")


def a_piece(post: Post, tenant: str, folder: Path) -> Planted:
    given = {"a.mid": file(SONG), "canary.mid": file(CANARY)}
    first, job = losing.ingest(post, tenant, given, format="symbolic")
    assert job.state == jobs.SUCCEEDED, job.error
    other, _ = losing.ingest(post, tenant, {"b.mid": file(OTHER)}, format="symbolic", name="other")
    return Planted(first, other, "canary.mid", CANARY, "generation")


@pytest.fixture
def post(settings: Settings, database: Database, storage: Storage) -> Post:
    return working.make_post(settings, database, storage, worker="light-1")


@pytest.mark.parametrize("plant", [a_row, a_recording, a_piece])
def test_in_yesterdays_backup_nothing_of_it_can_be_read(
    post: Post, settings: Settings, tenant: str, tmp_path: Path, plant: Callable[[Post, str, Path], Planted]
) -> None:
    planted = plant(post, tenant, tmp_path)
    learn(post, tenant, planted.first.id, model="learned", canary="canary", kind=planted.kind)
    before = restored.everything(post.storage)
    assert b"anary" in before and planted.secret in before
    save(settings, tmp_path / "backup", keys_folder=tmp_path / "keys of yesterday")

    receipt_of(post, carry_out(post, decide(post, tenant, planted.first.name, track=planted.key, policy="delete")))

    found = restored.read(settings, tmp_path / "backup", tmp_path / "restored")
    assert found.gone and set(found.gone) <= set(found.shut)
    assert {"files", "parts"} <= {key.split("/")[4] for key in found.shut if f"/{planted.first.id}/" in key}
    whole = b"".join(found.opened.values())
    assert b"anary" not in whole and planted.secret not in whole
    assert {key.split("/")[4] for key in found.opened if f"/{planted.other.id}/" in key} == {"files", "parts"}
