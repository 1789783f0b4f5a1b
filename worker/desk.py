"""What an attempt has at hand: its claim, its beat, the storage, the data of its job, and a place for scratch files."""

import hashlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Row

from shared import claims, datasets, features, history, storage
from shared.claims import Claim
from shared.database import Database
from shared.errors import JobFailed
from shared.features import Feature
from shared.settings import Settings
from shared.storage import Storage
from worker import budget, partial
from worker.callbacks import Checkpoint, Cut
from worker.checkpoints import Checkpoints
from worker.fitted import Fitted
from worker.heart import Heart
from worker.pace import Pace
from worker.partial import Memory, Partial

if TYPE_CHECKING:
    # Loads what a worker of the light queue has no use for.
    from worker.rungs import Rungs

Json = dict[str, Any]

# Of a dataset's parts, the ones that are its table.
PART_SUFFIX = ".parquet"
# Beside a large one, what its blocks are known by (worker/partial.py).
DIGESTS_SUFFIX = ".digests"
# Of a training, before which it has nothing to keep.
LEARNING = "training"
# What was computed of so many tracks, or in so long, is lost at the most when a worker dies.
LEARNED_AT_ONCE = 64
LEARN_S = 5.0


@dataclass
class Desk:
    """One attempt's means; it is also the Watch that a training talks to."""

    settings: Settings
    database: Database
    storage: Storage
    claim: Claim
    heart: Heart
    scratch: Path
    # In the names of what is stored: two workers of one attempt never write the same file.
    mark: str = ""
    # Calls so many workers to help.
    ring: Callable[[int], object] = lambda count: None
    checkpoints: Checkpoints = field(default_factory=Checkpoints)
    pace: Pace = field(default_factory=Pace)
    memory: Memory = field(default_factory=Memory)
    # Of a trial: where it is compared with others. Of a search: what its winner has learned.
    rungs: "Rungs | None" = None
    given: Fitted | None = None
    # Of a reproduction: where the training that is repeated was cut short.
    cut: Cut | None = None
    # Of a training: what the ledger of rights said of its datasets when they were read (worker/consents.py).
    rights_seen: dict[str, Json] = field(default_factory=dict)
    # Of an ingest of recordings: the versions that it adds to, as they were when it began.
    adds_to: list[Row[Any]] = field(default_factory=list)
    # Something is there that could be kept, or that has been chosen.
    _has_learned: bool = False
    _epoch: int = 0
    _saved_at: float = field(default_factory=time.monotonic)
    _learned: list[Feature] = field(default_factory=list)
    _learned_at: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.claim.attempt > 1:
            # Whatever ended the one before may come again soon: let there be progress first.
            self._saved_at = float("-inf")

    @property
    def folder(self) -> str:
        """Where this attempt writes, and nobody else."""
        return storage.attempt_folder(self.claim.tenant, self.claim.job_id, self.claim.fence)

    def make_scratch(self) -> None:
        """Make the place for scratch files, of which nothing is there yet; a full disk may refuse even that."""
        self.scratch.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.scratch.mkdir(mode=0o700)

    def enter(self, stage: str) -> None:
        """Say which stage begins; leave instead, if that is asked."""
        self.heart.check()
        if stage == LEARNING or self.claim.action in budget.WHOLE:
            self._refuse_spent()
        with self.database.transaction() as sql:
            claims.enter(sql, self.claim, stage)

    def warn(self, warnings: Sequence[Json]) -> None:
        """Note warnings as events, so that a client sees them before the job ends."""
        if not warnings:
            return
        with self.database.transaction() as sql:
            claims.hold(sql, self.claim)
            for warning in warnings:
                history.note(sql, self.claim.tenant, self.claim.job_id, "warning", warning)

    def dataset_rows(self) -> list[Row[Any]]:
        """The rows of the job's datasets, in the order in which they were named."""
        with self.database.reading() as sql:
            if any(datasets.is_erased(sql, dataset) for dataset in self.claim.datasets):
                raise erased()
            return [datasets.find(sql, self.claim.tenant, dataset) for dataset in self.claim.datasets]

    def fetch(self, key: str, *, name: str, sha256: str) -> Path:
        """Copy a stored file into the scratch folder and verify its content."""
        path, digest = self.scratch / name, hashlib.sha256()
        with path.open("wb") as file:
            for block in self._moving(self.storage.stream(key)):
                digest.update(block)
                file.write(block)
        if digest.hexdigest() != sha256:
            raise JobFailed(f"The stored file {name} is not what was written: restore it.", code="integrity")
        return path

    def get(self, key: str, *, sha256: str) -> bytes:
        """A small stored file as it was written."""
        content = self.storage.get(key)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise JobFailed(f"The stored file {key.rpartition('/')[2]} is damaged: restore it.", code="integrity")
        return content

    def _moving(self, blocks: Iterable[bytes]) -> Iterator[bytes]:
        """The same blocks: large files over a slow line take long, and are no stall."""
        for block in blocks:
            self.heart.move()
            yield block

    def _put_all(self, contents: Sequence[tuple[str, bytes | Path]]) -> list[Json]:
        """Store files under their keys, all keys made at once."""
        stored = self.storage.put_all([(key, self._blocks(content)) for key, content in contents])
        return [
            {"key": key, "size_bytes": each.size_bytes, "sha256": each.sha256}
            for (key, _), each in zip(contents, stored, strict=True)
        ]

    def _blocks(self, content: bytes | Path) -> Iterator[bytes]:
        if isinstance(content, bytes):
            yield content
            return
        with content.open("rb") as file:
            yield from self._moving(iter(lambda: file.read(storage.BLOCK_BYTES), b""))

    def uploads(self, row: Row[Any]) -> list[Row[Any]]:
        """The files of a dataset, after those of the version that it adds to."""
        return [file for files in self.uploads_by_version(row) for file in files]

    def uploads_by_version(self, row: Row[Any]) -> list[list[Row[Any]]]:
        """The files of each version that a dataset is made of, the oldest first."""
        chain = [*self.bases(row), row]
        with self.database.reading() as sql:
            return [datasets.files(sql, version.id) for version in chain]

    def bases(self, row: Row[Any]) -> list[Row[Any]]:
        """The versions that a dataset adds to, the oldest first. Raises JobFailed where one of them is erased."""
        with self.database.reading() as sql:
            chain = [row]
            while chain[-1].base is not None:
                if datasets.is_erased(sql, chain[-1].base):
                    raise erased()
                chain.append(datasets.find(sql, self.claim.tenant, chain[-1].base))
            return chain[:0:-1]

    def fetch_upload(self, file: Row[Any]) -> Path:
        """A local copy under a name of our own."""
        return self.fetch(file.key, name=f"upload-{file.key.rpartition('/')[2]}", sha256=file.sha256)

    def fetch_parts(self, row: Row[Any]) -> list[Path]:
        """The canonical files of a dataset, in row order."""
        parts = [part for part in row.parts if part["name"].endswith(PART_SUFFIX)]
        return [self._fetch_part(row, part) for part in parts]

    def _fetch_part(self, row: Row[Any], part: Json) -> Path:
        return self.fetch(part["key"], name=f"{row.id}-{part['name']}", sha256=part["sha256"])

    def open_parts(self, row: Row[Any]) -> list[Path | Partial]:
        """As `fetch_parts`, but of a large file only what is read is fetched, when it is."""
        parts = {part["name"]: part for part in row.parts}
        return [
            self._open_part(row, part, parts.get(name + DIGESTS_SUFFIX))
            for name, part in parts.items()
            if name.endswith(PART_SUFFIX)
        ]

    def _open_part(self, row: Row[Any], part: Json, digests: Json | None) -> Path | Partial:
        if digests is None:
            return self._fetch_part(row, part)
        known = self.get(digests["key"], sha256=digests["sha256"])

        def read(start: int, length: int) -> bytes:
            return b"".join(self._moving(self.storage.stream(part["key"], start=start, length=length)))

        return Partial(part["name"], part["size_bytes"], known, read, self.memory)

    def put_parts(self, row: Row[Any], paths: Iterable[Path]) -> list[Json]:
        """Store the canonical parts of a dataset, beside its uploads; their names tell which attempt wrote them."""
        contents: dict[str, bytes | Path] = {}
        for path in paths:
            contents[path.name] = path
            if path.suffix == PART_SUFFIX and path.stat().st_size >= partial.FROM_BYTES:
                contents[path.name + DIGESTS_SUFFIX] = partial.digests(path)
        folder = f"{storage.dataset_folder(self.claim.tenant, row.id)}parts/{self.claim.fence}/"
        return self._put_named(folder, contents)

    def _put_named(self, folder: str, contents: Mapping[str, bytes | Path]) -> list[Json]:
        stored = self._put_all([(folder + name, content) for name, content in contents.items()])
        return [{"name": name, **said} for name, said in zip(contents, stored, strict=True)]

    def put(self, name: str, content: bytes | Path, *, rows: int) -> Json:
        """Store a file of this attempt; it counts only once the finishing transaction names it."""
        return {**self.put_all({name: content})[0], "rows": rows}

    def put_all(self, contents: Mapping[str, bytes | Path]) -> list[Json]:
        """As `put`, of several."""
        return self._put_named(f"{self.folder}files/", contents)

    def put_folder(self, folder: Path, *, rows: Mapping[str, int]) -> list[Json]:
        """As `put`, of every file of a folder; `rows` says by the stem of its name how many each has."""
        paths = sorted(folder.iterdir())
        stored = self.put_all({path.name: path for path in paths})
        return [{**said, "rows": rows[path.stem]} for said, path in zip(stored, paths, strict=True)]

    def put_chunk(self, path: Path) -> Json:
        """Store what a chunk of a scoring came to; it counts once the chunk's row names it."""
        return self._put_all([(f"{self.folder}chunks/{self.mark}{path.name}", path)])[0]

    def known(self, extractor: str, contents: Sequence[str]) -> dict[str, Row[Any]]:
        """What an extractor has made of recordings before, by their content."""
        with self.database.reading() as sql:
            return features.find(sql, self.claim.tenant, extractor, contents)

    def learn(self, new: Feature) -> None:
        """Keep what was computed of a recording; written soon, and at the latest by `learn_all`."""
        self._learned.append(new)
        if len(self._learned) >= LEARNED_AT_ONCE or time.monotonic() - self._learned_at >= LEARN_S:
            self.learn_all()

    def learn_all(self) -> None:
        """Write what `learn` has taken and not written yet."""
        self._learned_at = time.monotonic()
        if not self._learned:
            return
        with self.database.transaction() as sql:
            claims.hold(sql, self.claim)
            if any(datasets.is_erased(sql, dataset) for dataset in self.claim.datasets):
                raise erased()
            # What was heard of a recording that was erased since is not to be kept.
            for base in self.adds_to:
                datasets.demand_unchanged(sql, base)
            features.keep(sql, self.claim.tenant, self._learned)
        self._learned.clear()

    def put_feature(self, name: str, content: bytes) -> Json:
        """Store a file that a feature will name; it outlives the attempt only if one does."""
        return self._put_all([(f"{self.folder}features/{self.mark}{name}", content)])[0]

    # The Watch of worker/callbacks.py

    def report(self, epochs: list[dict[str, float]], *, total: int) -> None:
        self._has_learned = True
        last = epochs[-1]
        self._epoch = int(last["epoch"])
        shown = {name: value for name, value in last.items() if name != "epoch"}
        self.heart.report(self.pace.progress(self._epoch, total, unit="epochs", metrics=shown), epochs)
        if self.rungs is not None:
            self.rungs.see(epochs, total)

    def pauses_after(self, epoch: int, total: int) -> int | None:
        if self.cut is not None:
            return self.cut.epoch if epoch < self.cut.epoch else None
        return None if self.rungs is None else self.rungs.next_after(epoch, total)

    def report_rows(self, done: int, total: int | None) -> None:
        """Take the progress of a stage that counts rows; leave instead, if that is asked."""
        self.heart.check()
        self.heart.report(self.pace.progress(done, total or done, unit="rows"))

    def report_pieces(self, done: int, total: int) -> None:
        """Take the progress of a stage that reads pieces; leave instead, if that is asked."""
        self.heart.check()
        self.heart.report(self.pace.progress(done, total, unit="pieces"))

    def report_folds(self, done: int, total: int, *, metrics: Mapping[str, float]) -> None:
        """Take the progress of trainings that are judged and not kept; leave instead, if that is asked."""
        self.heart.check()
        self.heart.report(self.pace.progress(done, total, unit="folds", metrics=dict(metrics)))

    def report_models(self, done: int, total: int, *, metrics: Mapping[str, float]) -> None:
        """Take the progress of a stage that tries models; leave instead, if that is asked."""
        self.heart.check()
        self._has_learned = True
        self.heart.report(self.pace.progress(done, total, unit="models", metrics=dict(metrics)))

    def report_tracks(self, done: int, total: int, *, hours: float) -> None:
        """Take the progress of a stage that hears recordings; leave instead, if that is asked."""
        self.heart.check()
        self._refuse_spent()
        self.heart.report(self.pace.progress(done, total, unit="tracks", metrics={"hours": round(hours, 4)}))

    def report_scored(self, done: int, total: int, *, unit: str, figures: Mapping[str, float]) -> None:
        """Take the progress of a scoring; leave instead, if that is asked."""
        self.heart.check()
        self.heart.report(self.pace.progress(done, total, unit=unit, metrics=dict(figures)))

    def check(self) -> None:
        self.heart.check()
        if self.claim.action in budget.WHOLE:
            self._refuse_spent()

    def is_checkpoint_due(self) -> bool:
        return self.heart.is_draining or time.monotonic() - self._saved_at >= self.settings.checkpoint_s

    def is_budget_spent(self) -> bool:
        return self._is_spent() or self._is_cut_by("budget")

    def _is_spent(self) -> bool:
        return bool(self.claim.budget) and budget.is_spent(self.claim.budget, self.heart.cost())

    def _is_cut_by(self, what: str) -> bool:
        return self.cut is not None and self.cut.by == what and self._epoch >= self.cut.epoch

    def _refuse_spent(self) -> None:
        if self._is_spent():
            budget.refuse(self.claim.action, has_nothing=self.claim.checkpoint is None and not self._has_learned)

    def is_enough(self) -> bool:
        return self.heart.is_enough or self._is_cut_by("cancel")

    def save(self, checkpoint: Checkpoint) -> None:
        self.checkpoints.save(self, checkpoint)
        self._saved_at = time.monotonic()


def erased() -> JobFailed:
    return JobFailed("A dataset of the job was erased while it waited or ran.", code="dataset_erased")
