"""The whole API from Python: upload, train, score, look."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from etude import connection, datasets
from etude.datasets import Dataset, Progress
from etude.errors import EtudeError
from etude.jobs import Job
from etude.transport import PATIENCE_S, Transport

Json = dict[str, Any]
Paths = str | Path | Sequence[str | Path]


class Client:
    """One service, as one key sees it; a context manager closes its connections."""

    def __init__(self, url: str | None = None, key: str | None = None, *, patience_s: float = PATIENCE_S) -> None:
        found = connection.find(url, key)
        self.url = found.url
        self._transport = Transport(found, patience_s=patience_s)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def upload(
        self,
        paths: Paths,
        *,
        name: str | None = None,
        target: str | Sequence[str] | None = None,
        group: str | None = None,
        id: str | None = None,
        mask: Sequence[str] = (),
        drop: Sequence[str] = (),
        base: str | None = None,
        progress: Progress | None = None,
    ) -> Dataset:
        """Make the next version of a dataset from files, and wait until it has been read.

        Raises JobFailed with every fault when the files cannot be used.
        """
        files = [Path(path) for path in ([paths] if isinstance(paths, str | Path) else paths)]
        for file in files:
            if not file.is_file():
                raise EtudeError(f"{file} is not a file that can be read.")
        roles = {"target": target if isinstance(target, str | None) else list(target), "group": group, "id": id}
        columns = {role: column for role, column in roles.items() if column is not None}
        columns |= {role: list(names) for role, names in (("mask", mask), ("drop", drop)) if names}
        body: Json = {"name": name or files[0].stem, "columns": columns}
        if base is not None:
            body["base"] = base
        dataset_id = self._transport.post("/v1/datasets", body)["id"]
        self._put(dataset_id, files, progress or (lambda done, total: None))
        Job(self._transport, self._transport.post(f"/v1/datasets/{dataset_id}/commit")).wait()
        return self.dataset(dataset_id)

    def _put(self, dataset_id: str, files: list[Path], progress: Progress) -> None:
        total, before = sum(file.stat().st_size for file in files), 0
        for file in files:
            self._put_file(dataset_id, file, partial(_tell, progress, before, total))
            before += file.stat().st_size

    def _put_file(self, dataset_id: str, file: Path, told: Callable[[int], None]) -> None:
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(file.stat().st_size),
            "Content-Digest": datasets.digest(file),
        }
        address = f"/v1/datasets/{dataset_id}/files/{quote(file.name, safe='')}"
        self._transport.upload(address, lambda: datasets.blocks(file, told), headers=headers)

    def train(
        self,
        data: "Dataset | str",
        *,
        kind: str | None = None,
        model: str | None = None,
        params: Json | None = None,
        **more: Any,
    ) -> Job:
        """Queue a training; `kind` is found from the target when it is not named. `more`: priority, labels, …"""
        if kind is None:
            data = self.dataset(data) if isinstance(data, str) else data
            kind = data.kind
        body = {"action": "train", "kind": kind, "dataset": reference(data), "params": params or {}, **more}
        return self.submit(**body, **({"model": model} if model else {}))

    def score(self, model: str, data: "Dataset | str", *, params: Json | None = None, **more: Any) -> Job:
        """Queue a scoring of every row with a model version: `name`, `name@3` or `name@champion`."""
        return self.submit(action="score", model=model, dataset=reference(data), params=params or {}, **more)

    def submit(self, **body: Any) -> Job:
        """Queue any job, as POST /v1/jobs takes it."""
        return Job(self._transport, self._transport.post("/v1/jobs", body))

    def estimate(self, **body: Any) -> Json:
        """What such a job would take; creates nothing."""
        return self._transport.post("/v1/estimate", body)

    def job(self, job_id: str) -> Job:
        return Job(self._transport, self._get(f"/v1/jobs/{quote(job_id, safe='')}"))

    def jobs(self, *, limit: int | None = None, **filters: str | None) -> Iterator[Job]:
        """The newest first; filters: state, kind, action, model."""
        given = {name: value for name, value in filters.items() if value is not None}
        return (Job(self._transport, raw) for raw in self._list("/v1/jobs", given, limit))

    def dataset(self, name_or_id: str) -> Dataset:
        """By id, `name@3`, `name@latest` or `name`."""
        if name_or_id.startswith("ds_"):
            return Dataset(self._get(f"/v1/datasets/{quote(name_or_id, safe='')}"))
        name, _, version = name_or_id.partition("@")
        for raw in self._list("/v1/datasets", {"name": name}, None):
            wanted = raw["state"] == "ready" if version in ("", "latest") else str(raw["version"]) == version
            if wanted:
                return self.dataset(raw["id"])
        raise EtudeError(f"There is no dataset {name_or_id}: `etude datasets` lists those that there are.")

    def datasets(self, *, limit: int | None = None) -> Iterator[Dataset]:
        """The newest first, without their profiles."""
        return (Dataset(raw) for raw in self._list("/v1/datasets", {}, limit))

    def workers(self) -> list[Json]:
        """Who works there: `state` is idle, busy, draining, gone or silent; `job` is told when it is yours."""
        found: list[Json] = self._get("/v1/workers")["data"]
        return found

    def models(self, *, limit: int | None = None) -> Iterator[Json]:
        return self._list("/v1/models", {}, limit)

    def model(self, name: str) -> Json:
        """One model with all its versions."""
        return self._get(f"/v1/models/{quote(name, safe='')}")

    def version(self, name: str, number: int) -> Json:
        return self._get(f"/v1/models/{quote(name, safe='')}/versions/{number}")

    def set_alias(self, model: str, alias: str, version: int, *, require: Json | None = None) -> Json:
        """Point an alias to a version; `require` is the gate: `{"metric", "not_worse_than"}`."""
        body: Json = {"version": version, **({"require": require} if require else {})}
        return self._transport.put(f"/v1/models/{quote(model, safe='')}/aliases/{quote(alias, safe='')}", body)

    def kinds(self) -> list[Json]:
        """What may be asked for, with the JSON Schema of each kind's params."""
        kinds: list[Json] = self._get("/v1/kinds")["data"]
        return kinds

    def _get(self, path: str) -> Json:
        said: Json = self._transport.get(path).json()
        return said

    def _list(self, path: str, query: Json, limit: int | None) -> Iterator[Json]:
        cursor, left = None, limit
        while left is None or left > 0:
            page_size = 200 if left is None else min(left, 200)
            asked = {**query, "limit": page_size, **({"cursor": cursor} if cursor else {})}
            page = self._transport.get(path, query=asked).json()
            yield from page["data"]
            left = None if left is None else left - len(page["data"])
            cursor = page["next_cursor"]
            if cursor is None:
                return


def _tell(progress: Progress, before: int, total: int, done: int) -> None:
    progress(before + done, total)


def reference(data: "Dataset | str") -> str:
    return data.id if isinstance(data, Dataset) else data
