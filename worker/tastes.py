"""Models that recommend and the listeners of datasets, in memory: kept while they are asked for, as many as fit."""

import io
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import pyarrow.parquet as pq
from sqlalchemy import Connection, Row, select

from shared import datasets, models
from shared.errors import NotAllowedNow, NotFound
from shared.list_params import ListParams
from shared.storage import Storage
from shared.tables import datasets as dataset_table
from shared.tables import versions as version_table
from worker import stored_files
from worker.interactions.stored import EVENTS, ITEMS, USERS
from worker.recommenders import artifacts, listing
from worker.recommenders.artifacts import RecommenderModel
from worker.recommenders.histories import Histories, gather
from worker.recommenders.ranking import Rules

# Of models and of listeners each: one of 100,000 items and 128 factors is 80 MB.
MOST_BYTES = 1024 * 1024 * 1024
# Of a model the rules of the last requests: each has an entry for every item.
RULES_KEPT = 32

T = TypeVar("T", bound="Model | Listeners")


@dataclass(frozen=True)
class Model:
    """A model in memory, and what it was asked for of late."""

    learned: RecommenderModel
    size_bytes: int
    rules: "OrderedDict[str, Rules]" = field(default_factory=OrderedDict)

    def ruled(self, wanted: ListParams) -> Rules:
        """The rules of what is asked. Raises InvalidRequest."""
        asked = wanted.model_dump_json()
        if asked not in self.rules:
            self.rules[asked] = listing.rules(self.learned, wanted, pointer="")
        self.rules.move_to_end(asked)
        while len(self.rules) > RULES_KEPT:
            self.rules.popitem(last=False)
        return self.rules[asked]


@dataclass(frozen=True)
class Listeners:
    """Who has played what in a dataset, as it was when it had this content."""

    sha256: str
    places: dict[str, int]
    items: list[str]
    histories: Histories
    size_bytes: int


class Kept(Generic[T]):
    """The last that were asked for, up to so many bytes."""

    def __init__(self) -> None:
        self.held: OrderedDict[str, T] = OrderedDict()

    def find(self, name: str, read: Callable[[], T]) -> T:
        """What is kept under a name, or is read now."""
        if name not in self.held:
            made = read()
            while self.held and made.size_bytes + sum(each.size_bytes for each in self.held.values()) > MOST_BYTES:
                self.held.popitem(last=False)
            self.held[name] = made
        self.held.move_to_end(name)
        return self.held[name]

    def drop(self, name: str) -> None:
        self.held.pop(name, None)


class Tastes:
    """What an answering worker has of recommendations."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
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
        files = {file["name"]: stored_files.get(self._storage, file) for file in row.files}
        learned = artifacts.unpack(files)
        return Model(learned, learned.size_bytes)

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
        parts = {part["name"]: part for part in row.parts}
        events = self._table(parts[EVENTS], ["user", "item", "weight"])
        users, items = (self._table(parts[name], [column]) for name, column in ((USERS, "user"), (ITEMS, "item")))
        names = items.column("item").to_pylist()
        user, item, weight = (np.asarray(events.column(name)) for name in ("user", "item", "weight"))
        histories = gather(user, item, weight, users=users.num_rows, items=len(names))
        places = {name: place for place, name in enumerate(users.column("user").to_pylist())}
        size = sum(array.nbytes for array in (histories.indptr, histories.items, histories.weights))
        # As Python holds texts: a hundred bytes each beside their letters.
        size += users.nbytes + items.nbytes + 150 * users.num_rows + 60 * len(names)
        return Listeners(row.sha256, places, names, histories, size)

    def _table(self, part: dict[str, Any], columns: list[str]) -> Any:  # Any: a pyarrow Table
        return pq.read_table(io.BytesIO(stored_files.get(self._storage, part)), columns=columns)

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
