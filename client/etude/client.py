"""The whole API from Python: upload, train, score, listen, compose, look."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Unpack
from urllib.parse import quote

from etude import choice, composing, connection, roles, sending, webhooks
from etude.choice import Choice, Format, Paths
from etude.composing import Asked, Composition
from etude.datasets import Dataset
from etude.errors import EtudeError, NotFound, Refused
from etude.jobs import PAGE, Job
from etude.roles import Roles
from etude.schedules import Schedule, address
from etude.transport import PATIENCE_S, Progress, Transport
from etude.webhooks import Webhook

Json = dict[str, Any]


class Client:
    """One service, as one key sees it; a context manager closes its connections."""

    def __init__(self, url: str | None = None, key: str | None = None, *, patience_s: float = PATIENCE_S) -> None:
        found = connection.find(url, key)
        self.url = found.url
        self._transport = Transport(found, patience_s=patience_s)
        self._list = self._transport.listed

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self._transport.close()

    def upload(
        self,
        paths: Paths | Choice,
        *,
        name: str | None = None,
        format: Format | None = None,
        base: str | None = None,
        progress: Progress | None = None,
        on_change: Callable[[Job], None] | None = None,
        **columns: Unpack[Roles],
    ) -> Dataset:
        """Make the next version of a dataset from files and folders, and wait until it has been read.

        What they are says whether it is one of tables, audio or scores unless `format` does. `progress` hears the bytes
        that have gone, `on_change` the job that reads them. Raises JobFailed with every fault when they cannot be used.
        """
        chosen = paths if isinstance(paths, Choice) else choice.choose(paths, format=format)
        body: Json = {"name": name or chosen.name, "columns": roles.given(columns)}
        if chosen.format != "table":
            body["format"] = chosen.format
        if base is not None:
            body["base"] = base
        dataset_id = self._transport.post("/v1/datasets", body)["id"]
        sending.send(self._transport, dataset_id, chosen.sources, progress or (lambda done, total: None))
        Job(self._transport, self._transport.post(f"/v1/datasets/{dataset_id}/commit")).wait(on_change)
        return self.dataset(dataset_id)

    def train(
        self,
        data: "Dataset | str",
        *,
        kind: str | None = None,
        model: str | None = None,
        params: Json | None = None,
        **more: Any,
    ) -> Job:
        """Queue a training; `kind` is found from the target when it is not named. `more`: promote, priority, …"""
        if kind is None:
            data = self.dataset(data) if isinstance(data, str) else data
            kind = data.kind
        body = {"action": "train", "kind": kind, "dataset": reference(data), "params": params or {}, **more}
        return self.submit(**body, **({"model": model} if model else {}))

    def score(self, model: str, data: "Dataset | str", *, params: Json | None = None, **more: Any) -> Job:
        """Queue a scoring of every row with a model version: `name`, `name@3` or `name@champion`."""
        return self.submit(action="score", model=model, dataset=reference(data), params=params or {}, **more)

    def analyze(
        self,
        data: "Dataset | str",
        *,
        include: Sequence[str] | None = None,
        model: str | None = None,
        params: Json | None = None,
        **more: Any,
    ) -> Job:
        """Queue an analysis of every track: tags, rhythm, tonality, loudness, …; `include` says which of them."""
        asked = {**(params or {}), **({"include": list(include)} if include is not None else {})}
        body = {"action": "score", "kind": "analysis", "dataset": reference(data), "params": asked, **more}
        return self.submit(**body, **({"model": model} if model else {}))

    def learn(
        self,
        paths: Paths | Choice,
        *,
        model: str | None = None,
        params: Json | None = None,
        on_change: Callable[[Job], None] | None = None,
        **columns: Unpack[Roles],
    ) -> Job:
        """Upload files and train on them, in one call that returns once it has learned; scores become a composer.

        `model` names the dataset too. Raises JobFailed when the files cannot be used or the training fails.
        """
        data = self.upload(paths, name=model, on_change=on_change, **columns)
        return self.train(data, model=model, params=params).wait(on_change)

    def compose(
        self,
        model: str,
        *,
        save: str | Path | None = None,
        on_change: Callable[[Job], None] | None = None,
        **asked: Unpack[Asked],
    ) -> Composition:
        """Have a model that learned from scores compose, and wait; `save` is the folder for the files."""
        made = Composition(self.generate(model, **asked).wait(on_change))
        if save is not None:
            made.save(save)
        return made

    def generate(self, model: str, **asked: Unpack[Asked]) -> Job:
        """Queue the same. Raises EtudeError for what does not fit together, before anything is sent."""
        voices = composing.voices_of(self.resolve(model)) if asked.get("ranges") else None
        return self.submit(action="generate", model=model, params=composing.params(asked, voices=voices))

    def evaluate(self, model: str, data: "Dataset | str", *, params: Json | None = None, **more: Any) -> Job:
        """Queue an evaluation: what a model that composes comes to on scores that it has never seen."""
        return self.submit(action="evaluate", model=model, dataset=reference(data), params=params or {}, **more)

    def submit(self, **body: Any) -> Job:
        """Queue any job, as POST /v1/jobs takes it."""
        return Job(self._transport, self._transport.post("/v1/jobs", body))

    def estimate(self, **body: Any) -> Json:
        """What such a job would take; creates nothing."""
        return self._transport.post("/v1/estimate", body)

    def job(self, job_id: str) -> Job:
        return Job(self._transport, self._get(f"/v1/jobs/{quote(job_id, safe='')}"))

    def diff(self, job_id: str, other: str, *, limit: int = 50, cursor: int = 0) -> Json:
        """What two scorings predict otherwise: counts, and up to `limit` of the rows from the `cursor`th on."""
        path, query = f"/v1/jobs/{quote(job_id, safe='')}/diff", {"with": other}
        found = self._get(path, {**query, "limit": min(limit, PAGE), "cursor": cursor})
        while found["next_cursor"] is not None and (left := limit - len(found["data"])) > 0:
            more = self._get(path, {**query, "limit": min(left, PAGE), "cursor": found["next_cursor"]})
            found = {**found, "data": [*found["data"], *more["data"]], "next_cursor": more["next_cursor"]}
        return found

    def jobs(self, *, limit: int | None = None, **filters: str | None) -> Iterator[Job]:
        """The newest first; filters: state, kind, action, model, schedule."""
        given = {name: value for name, value in filters.items() if value is not None}
        return (Job(self._transport, raw) for raw in self._list("/v1/jobs", given, limit))

    def create_schedule(self, name: str, *, cron: str, job: Json, **more: Any) -> Schedule:
        """Have a job submitted by itself: `job` as POST /v1/jobs takes it. `more`: timezone, overlap, misfire, …"""
        body = {"name": name, "cron": cron, "job": job, **more}
        return Schedule(self._transport, self._transport.post("/v1/schedules", body), self._list)

    def schedule(self, name_or_id: str) -> Schedule:
        return Schedule(self._transport, self._get(address(name_or_id)), self._list)

    def schedules(self, *, limit: int | None = None) -> Iterator[Schedule]:
        """The newest first."""
        return (Schedule(self._transport, raw, self._list) for raw in self._list("/v1/schedules", {}, limit))

    def create_webhook(
        self, url: str, *, events: Sequence[str] = ("*",), description: str | None = None
    ) -> Webhook:  # fmt: skip
        """Have `url` told of events; the answer has the `secret`, which cannot be read again."""
        body: Json = {"url": url, "events": list(events), **({"description": description} if description else {})}
        return Webhook(self._transport, self._transport.post("/v1/webhooks", body), self._list)

    def webhook(self, webhook_id: str) -> Webhook:
        return Webhook(self._transport, self._get(webhooks.address(webhook_id)), self._list)

    def webhooks(self, *, limit: int | None = None) -> Iterator[Webhook]:
        """The newest first."""
        return (Webhook(self._transport, raw, self._list) for raw in self._list("/v1/webhooks", {}, limit))

    def dataset(self, name_or_id: str) -> Dataset:
        """By id, `name@3`, `name@latest` or `name`."""
        if name_or_id.startswith("ds_"):
            return Dataset(self._get(f"/v1/datasets/{quote(name_or_id, safe='')}"))
        name, _, version = name_or_id.partition("@")
        for raw in self._versions(name):
            wanted = raw["state"] == "ready" if version in ("", "latest") else str(raw["version"]) == version
            if wanted:
                return self.dataset(raw["id"])
        raise NotFound(f"There is no dataset {name_or_id}: `etude datasets` lists those that there are.")

    def _versions(self, name: str) -> Iterator[Json]:
        try:
            yield from self._list("/v1/datasets", {"name": name}, None)
        except Refused as refused:
            # A name that the service does not take is one that nothing has.
            if refused.status != 422:
                raise

    def datasets(self, *, limit: int | None = None) -> Iterator[Dataset]:
        """The newest first, without their profiles."""
        return (Dataset(raw) for raw in self._list("/v1/datasets", {}, limit))

    def tracks(self, data: "Dataset | str", *, limit: int | None = None) -> Iterator[Json]:
        """What was heard of each track of a dataset of audio, and what is wrong with it."""
        found = self.dataset(data) if isinstance(data, str) else data
        if found.raw["format"] != "audio":
            raise EtudeError(f"{found.reference} is a dataset of tables: only recordings have tracks.")
        return self._list(f"/v1/datasets/{quote(found.id, safe='')}/tracks", {}, limit)

    def delete_dataset(self, data: "Dataset | str") -> Json:
        """Erase the bytes of one version; returns the `models` and `predictions` that came from it, and stay."""
        found = self.dataset(data) if isinstance(data, str) else data
        said: Json = self._transport.delete(f"/v1/datasets/{quote(found.id, safe='')}").json()
        return said

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

    def resolve(self, model: str) -> Json:
        """The version that `name@3`, `name@latest`, `name@champion` or `name` means. Raises NotFound."""
        try:
            return self.version(*self._numbered(model))
        except Refused as refused:
            if refused.status != 404:
                raise
            raise NotFound(f"There is no model {model}: `etude models` lists those that there are.") from refused

    def delete_model(self, name: str) -> None:
        """Delete a model with all its versions and files."""
        self._transport.delete(f"/v1/models/{quote(name, safe='')}")

    def similar(
        self,
        model: str,
        track: str,
        *,
        k: int = 10,
        dataset: str | None = None,
        where: Mapping[str, str] | None = None,
    ) -> Json:
        """The `k` tracks that sound most like `track`, by its key; `where` keeps those with these values in columns.

        `dataset` is where to look, the one that the model learned from without it.
        """
        name, number = self._numbered(model)
        query: Json = {"track": track, "k": k, **({"dataset": dataset} if dataset else {})}
        query |= {f"where.{column}": value for column, value in (where or {}).items()}
        return self._get(f"/v1/models/{quote(name, safe='')}/versions/{number}/similar", query)

    def _numbered(self, reference: str) -> tuple[str, int]:
        """The version that `name@3`, `name@latest`, `name@champion` or `name` means, as the service reads it."""
        name, _, which = reference.partition("@")
        if which.isdecimal():
            return name, int(which)
        found = self.model(name)
        newest = {"latest": found["versions"][0]["version"]} if found["versions"] else {}
        known = {**newest, **found["aliases"]}
        number = known.get(which or "champion", known.get("latest") if not which else None)
        if number is None:
            raise NotFound(f"There is no {reference}: `etude models {name}` lists the versions that there are.")
        return name, int(number)

    def set_alias(self, model: str, alias: str, version: int, *, require: Json | None = None) -> Json:
        """Point an alias to a version; `require` is the gate: `{"metric", "not_worse_than"}`."""
        body: Json = {"version": version, **({"require": require} if require else {})}
        return self._transport.put(f"/v1/models/{quote(model, safe='')}/aliases/{quote(alias, safe='')}", body)

    def kinds(self) -> list[Json]:
        """What may be asked for, with the JSON Schema of each kind's params."""
        kinds: list[Json] = self._get("/v1/kinds")["data"]
        return kinds

    def _get(self, path: str, query: Json | None = None) -> Json:
        said: Json = self._transport.get(path, query=query).json()
        return said


def reference(data: "Dataset | str") -> str:
    return data.id if isinstance(data, Dataset) else data
