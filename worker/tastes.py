"""Models that recommend and the listeners of datasets, in memory: kept while they are asked for, as many as fit."""

import hashlib
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Generic, TypeVar

import numpy as np
import pyarrow.parquet as pq
from sqlalchemy import Connection, Row, select

from shared import datasets, models
from shared.errors import EtudeError, NotAllowedNow, NotFound
from shared.list_params import ListParams
from shared.storage import Storage
from shared.tables import datasets as dataset_table
from shared.tables import versions as version_table
from worker import stored_files
from worker.interactions.stored import EVENTS, ITEMS, USERS
from worker.recommenders import artifacts, listing
from worker.recommenders.artifacts import RecommenderModel
from worker.recommenders.catalogue import Labels
from worker.recommenders.histories import Histories, gather
from worker.recommenders.ranking import Rules

# Of models and of listeners each: one of 100,000 items and 128 factors is 80 MB.
MOST_BYTES = 1024 * 1024 * 1024
# Of the events of a dataset, while its histories are read.
EVENTS_AT_ONCE = 1_000_000
# Of a model the rules of the last requests: each has an entry for every item.
RULES_KEPT = 32
# Of an item what may stand, as bool and as a float32.
BARS_BYTES = 5
# As Python holds texts, beside their letters: in a list, and in a dictionary.
NAME_BYTES, PLACE_BYTES = 60, 150

T = TypeVar("T", bound="Model | Listeners")
Json = dict[str, Any]


@dataclass
class Model:
    """A model in memory, and what it was asked for of late."""

    learned: RecommenderModel
    rules: "OrderedDict[str, Rules]" = field(default_factory=OrderedDict)
    # Bytes of the columns that were asked for as labels, which stay.
    labels: dict[str, int] = field(default_factory=dict)

    @property
    def size_bytes(self) -> int:
        """With all that was made of it while it was asked for."""
        return self.learned.size_bytes + sum(self.labels.values()) + sum(map(_of_rules, self.rules.values()))

    def ruled(self, wanted: ListParams) -> Rules:
        """The rules of what is asked. Raises InvalidRequest."""
        asked = wanted.model_dump_json()
        if asked not in self.rules:
            self.rules[asked] = listing.rules(self.learned, wanted, pointer="")
            for name in _as_labels(wanted):
                self.labels[name] = _of_labels(self.learned.catalogue.labels(name))
        self.rules.move_to_end(asked)
        while len(self.rules) > RULES_KEPT or (len(self.rules) > 1 and self.size_bytes > MOST_BYTES):
            self.rules.popitem(last=False)
        return self.rules[asked]


def _as_labels(wanted: ListParams) -> set[str]:
    """The columns that are read as labels."""
    columns = [*wanted.filters.allow.items(), *wanted.filters.deny.items()]
    named = {name for name, each in columns if isinstance(each, list)}
    return named | ({wanted.cap.column} if wanted.cap is not None else set())


def _of_rules(rules: Rules) -> int:
    allowed = 0 if rules.allowed is None else BARS_BYTES * len(rules.allowed)
    return allowed + (0 if rules.owners is None else int(rules.owners.nbytes))


def _of_labels(labels: Labels) -> int:
    matrix = labels.matrix
    letters = sum(len(word) for each in (labels.words, labels.cells) for word in each)
    names = letters + PLACE_BYTES * len(labels.words) + NAME_BYTES * len(labels.cells)
    return int(matrix.data.nbytes + matrix.indices.nbytes + matrix.indptr.nbytes + labels.codes.nbytes) + names


@dataclass(frozen=True)
class Listeners:
    """Who has played what in a dataset, as it was when it had this content."""

    sha256: str
    places: dict[str, int]
    items: list[str]
    histories: Histories
    size_bytes: int


def _of_listeners(users: int, items: int, pairs: int) -> int:
    """Bytes in memory, beside the letters of their names."""
    return 8 * pairs + (8 + PLACE_BYTES) * users + NAME_BYTES * items


class Kept(Generic[T]):
    """The last that were asked for, up to so many bytes."""

    def __init__(self) -> None:
        self.held: OrderedDict[str, T] = OrderedDict()

    def find(self, name: str, read: Callable[[], T]) -> T:
        """What is kept under a name, or is read now. Raises NotAllowedNow where it is too large by itself."""
        if name not in self.held:
            made = read()
            _check(made.size_bytes)
            self.held[name] = made
        self.held.move_to_end(name)
        # They grow while they are asked for.
        while len(self.held) > 1 and sum(each.size_bytes for each in self.held.values()) > MOST_BYTES:
            self.held.popitem(last=False)
        return self.held[name]

    def drop(self, name: str) -> None:
        self.held.pop(name, None)


def _check(size_bytes: int) -> None:
    if size_bytes > MOST_BYTES:
        said = (
            f"It takes {size_bytes:,} bytes of memory or more, and {MOST_BYTES:,} is the most that is asked at once: "
            "score all listeners with a job, or take a smaller model, or a dataset of fewer listeners."
        )
        raise NotAllowedNow(said, code="catalogue_too_large")


class Tastes:
    """What an answering worker has of recommendations."""

    def __init__(self, storage: Storage, folder: Path | None = None) -> None:
        """`folder` is for files while they are read; None: where the system has such."""
        self._storage, self._folder = storage, folder
        self.models: Kept[Model] = Kept()
        self.listeners: Kept[Listeners] = Kept()

    def model(self, sql: Connection, tenant: str, version_id: str) -> Model:
        """A version, ready. Raises NotFound when it was deleted."""
        try:
            row = models.find_by_id(sql, version_id)
            if row.tenant != tenant:
                raise NotFound("The model version was deleted.")
        except NotFound:
            self.models.drop(version_id)
            raise
        return self.models.find(version_id, lambda: self._read_model(row))

    def _read_model(self, row: Row[Any]) -> Model:
        _check(sum(file["size_bytes"] for file in row.files))
        files = {file["name"]: stored_files.get(self._storage, file) for file in row.files}
        learned = artifacts.unpack(files)
        return Model(learned)

    def of_dataset(self, sql: Connection, tenant: str, dataset_id: str) -> Listeners:
        """Its listeners as they are now: one who was erased is in nobody's memory either."""
        try:
            row = datasets.find(sql, tenant, dataset_id)
        except NotFound:
            self.listeners.drop(dataset_id)
            raise
        if row.state != datasets.READY:
            raise NotAllowedNow(f"The dataset is {row.state}, not ready.", code="dataset_not_ready")
        found = self.listeners.find(dataset_id, lambda: self._read_listeners(row))
        if found.sha256 != row.sha256:
            self.listeners.drop(dataset_id)
            found = self.listeners.find(dataset_id, lambda: self._read_listeners(row))
        return found

    def _read_listeners(self, row: Row[Any]) -> Listeners:
        said = row.profile["interactions"]
        _check(_of_listeners(said["users"], said["items"], said["pairs"]))
        parts = {part["name"]: part for part in row.parts}
        users, items = self._names(parts[USERS], "user"), self._names(parts[ITEMS], "item")
        with self._opened(parts[EVENTS]) as file:
            histories = _gathered(file, users=len(users), items=len(items))
        letters = sum(len(name) for names in (users, items) for name in names)
        size = letters + _of_listeners(len(users), len(items), len(histories.items))
        places = {name: place for place, name in enumerate(users)}
        return Listeners(row.sha256, places, items, histories, size)

    def _names(self, part: Json, column: str) -> list[str]:
        with self._opened(part) as file:
            names: list[str] = pq.read_table(file, columns=[column]).column(0).to_pylist()
        return names

    @contextmanager
    def _opened(self, part: Json) -> Iterator[IO[bytes]]:
        """A part on the disk, without a name: it is gone with its process however that ends."""
        with tempfile.TemporaryFile(dir=self._folder) as file:
            digest = hashlib.sha256()
            for block in self._storage.stream(part["key"]):
                digest.update(block)
                file.write(block)
            if digest.hexdigest() != part["sha256"]:
                said = f"The stored file {part['name']} is not what was written: restore it."
                raise EtudeError(said, code="integrity")
            file.seek(0)
            yield file

    def drop_erased(self, sql: Connection) -> None:
        """Forget what is gone, or has changed, whether or not it is ever asked for again."""
        held = list(self.listeners.held)
        ready = select(dataset_table.c.id, dataset_table.c.sha256).where(
            dataset_table.c.id.in_(held), dataset_table.c.state == datasets.READY
        )
        known = {row.id: row.sha256 for row in sql.execute(ready)} if held else {}
        for name in held:
            if known.get(name) != self.listeners.held[name].sha256:
                self.listeners.drop(name)
        versions = list(self.models.held)
        there = select(version_table.c.id).where(version_table.c.id.in_(versions))
        for name in set(versions) - set(sql.execute(there).scalars() if versions else ()):
            self.models.drop(name)


def _gathered(file: IO[bytes], *, users: int, items: int) -> Histories:
    """The histories of all users; of the events only some users' are in memory at once."""
    lengths = np.zeros(users, np.int64)
    places, weights = [np.zeros(0, np.int32)], [np.zeros(0, np.float32)]
    for user, item, weight in _whole_users(file):
        first, end = int(user[0]), int(user[-1]) + 1
        part = gather(user - first, item, weight, users=end - first, items=items)
        lengths[first:end] = part.lengths
        places.append(part.items)
        weights.append(part.weights)
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    found = np.concatenate(places)
    places.clear()
    return Histories(indptr, found, np.concatenate(weights), items)


def _whole_users(file: IO[bytes]) -> Iterator[list[np.ndarray]]:
    """Users, items and weights of the events, which are sorted by user, cut where a user ends."""
    waiting: list[list[np.ndarray]] = []
    with pq.ParquetFile(file, pre_buffer=False) as table:
        for batch in table.iter_batches(EVENTS_AT_ONCE, columns=["user", "item", "weight"]):
            columns = [batch.column(name).to_numpy() for name in ("user", "item", "weight")]
            last = columns[0][-1]
            cut = int(np.searchsorted(columns[0], last))
            if cut or (waiting and waiting[-1][0][-1] != last):
                yield _joined([*waiting, [each[:cut] for each in columns]])
                waiting = []
            waiting.append([each[cut:] for each in columns])
    if waiting:
        yield _joined(waiting)


def _joined(parts: list[list[np.ndarray]]) -> list[np.ndarray]:
    return [np.concatenate(each) for each in zip(*parts, strict=True)]
