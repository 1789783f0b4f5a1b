"""The whole API from Python: upload, train, score, listen, compose, recommend, look."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Unpack
from urllib.parse import quote

from etude import choice, composing, connection, events, roles, sending, webhooks
from etude.choice import Choice, Format, Paths
from etude.composing import Asked, Composition
from etude.datasets import Dataset
from etude.erasures import Erasures
from etude.errors import EtudeError, NotFound, Refused
from etude.jobs import PAGE, Job
from etude.registry import Registry
from etude.rights import Rights
from etude.roles import Roles
from etude.schedules import Schedule, address
from etude.tenancy import Tenancy
from etude.transport import PATIENCE_S, Progress, Transport
from etude.webhooks import Webhook

Json = dict[str, Any]


class Client(Registry, Tenancy, Rights, Erasures):
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
        items: str | Path | None = None,
        base: str | None = None,
        rights: Json | None = None,
        masking: Json | None = None,
        progress: Progress | None = None,
        on_change: Callable[[Job], None] | None = None,
        **columns: Unpack[Roles],
    ) -> Dataset:
        """Make the next version of a dataset from files and folders, and wait until it has been read.

        What they are says whether it is one of tables, audio or scores unless `format` does; with a table of `items`
        they are plays. `rights` say on what terms they may be used: `licence`, `consent`, `holder`, … `masking` says
        what is hidden of columns before anything is written. `progress` hears the bytes that have gone, `on_change` the
        job that reads them. Raises JobFailed with every fault when they cannot be used.
        """
        chosen = paths if isinstance(paths, Choice) else choice.choose(paths, format=format, items=items)
        if base is not None and chosen.format == "interactions":
            # Pseudonyms and erasures go by the name: plays are added to their own alone.
            name = name or self.dataset(base).name
        body: Json = {"name": name or chosen.name, "columns": roles.given(columns)}
        if chosen.format != "table":
            body["format"] = chosen.format
        if base is not None:
            body["base"] = base
        if rights is not None:
            body["rights"] = rights
        if masking:
            body["masking"] = masking
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
        recordings: "Dataset | str | None" = None,
        params: Json | None = None,
        **more: Any,
    ) -> Job:
        """Queue a training; `kind` is found from the target when it is not named. `more`: promote, priority, …

        `recordings` are those of the items of plays, each named as its item is.
        """
        if kind is None:
            data = self.dataset(data) if isinstance(data, str) else data
            kind = data.kind
        named = reference(data) if recordings is None else [reference(data), reference(recordings)]
        body = {"action": "train", "kind": kind, "dataset": named, "params": params or {}, **more}
        return self.submit(**body, **({"model": model} if model else {}))

    def tune(
        self,
        data: "Dataset | str",
        *,
        kind: str | None = None,
        model: str | None = None,
        space: Json | None = None,
        train: Json | None = None,
        params: Json | None = None,
        **more: Any,
    ) -> Job:
        """Queue a search for settings; `train` has what all trials have alike, `space` where they differ.

        `params`: trials, sampler, metric, …; `more`: budget, promote, priority, …
        """
        asked = {**(params or {}), **({"space": space} if space else {}), **({"train": train} if train else {})}
        if kind is None:
            data = self.dataset(data) if isinstance(data, str) else data
            kind = data.kind
        body = {"action": "tune", "kind": kind, "dataset": reference(data), "params": asked, **more}
        return self.submit(**body, **({"model": model} if model else {}))

    def audit(self, data: "Dataset | str", *, params: Json | None = None, **more: Any) -> Job:
        """Queue an audit of the labels of a classification; `params`: folds, top, label_separator, …"""
        body = {"action": "audit", "kind": "classification", "dataset": reference(data), "params": params or {}}
        return self.submit(**body, **more)

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
        kind: str | None = None,
        model: str | None = None,
        items: str | Path | None = None,
        params: Json | None = None,
        on_change: Callable[[Job], None] | None = None,
        **columns: Unpack[Roles],
    ) -> Job:
        """Upload files and train on them, in one call that returns once it has learned; scores become a composer.

        For the kind `recommendation` the files are plays, and `items` is a table of what was played. `model` names the
        dataset too. Raises JobFailed when the files cannot be used or the training fails.
        """
        format = choice.FORMAT_OF.get(kind or "")
        data = self.upload(paths, name=model, format=format, items=items, on_change=on_change, **columns)
        return self.train(data, kind=kind, model=model, params=params).wait(on_change)

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
        """Queue an evaluation: what a model that composes, or recommends, comes to on data that it has never seen."""
        return self.submit(action="evaluate", model=model, dataset=reference(data), params=params or {}, **more)

    def reproduce(self, model: str, **more: Any) -> Job:
        """Queue a version's training once more: its result tells whether the same came out; nothing is published."""
        return self.submit(action="reproduce", model=model, **more)

    def export(self, model: str, *, formats: Sequence[str] | None = None, **more: Any) -> Job:
        """Queue an export: `saved_model`, `litert`, `onnx`, or all; the job's files are an archive a format."""
        return self.submit(action="export", model=model, params={"formats": list(formats)} if formats else {}, **more)

    def submit(self, **body: Any) -> Job:
        """Queue any job, as POST /v1/jobs takes it."""
        return Job(self._transport, self._transport.post("/v1/jobs", body))

    def estimate(self, **body: Any) -> Json:
        """What such a job would take; creates nothing."""
        return self._transport.post("/v1/estimate", body)

    def usage(self, *, by: str = "day", since: str | None = None, until: str | None = None) -> Json:
        """What ended jobs have cost, by day, model, label, kind or job; from `since` to before `until`."""
        asked = {name: value for name, value in (("by", by), ("from", since), ("to", until)) if value is not None}
        found = self._get("/v1/usage", asked)
        while found["next_cursor"] is not None:
            more = self._get("/v1/usage", {**asked, "cursor": found["next_cursor"]})
            found = {**more, "data": [*found["data"], *more["data"]]}
        return found

    def events(
        self, job_id: str | None = None, *, after: str = "0", types: Sequence[str] = (), follow: bool = False
    ) -> Iterator[Json]:
        """What has happened to a job, or to all jobs, behind the event `after`; with `follow` what happens then, too.

        Followed, a job ends with its end, all jobs never do, and a connection that breaks is taken up again. Events of
        the type `progress` come only then, and have no `id`.
        """
        tell = events.followed if follow else events.listed
        return tell(self._transport, job_id, after=after, types=types)

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

    def forget(self, data: "Dataset | str", user: str, *, retrain: bool = False) -> Job:
        """Queue the erasure of a listener's events from every version of a dataset of plays; nothing brings them back.

        Its result names the `models` that have learned from them; `retrain` trains each anew.
        """
        found = self.dataset(data) if isinstance(data, str) else data
        address = f"/v1/datasets/{quote(found.id, safe='')}/erase"
        return Job(self._transport, self._transport.post(address, {"user": user, "retrain": retrain}))

    def workers(self) -> list[Json]:
        """Who works there: `state` is idle, busy, draining, gone or silent; `job` is told when it is yours."""
        found: list[Json] = self._get("/v1/workers")["data"]
        return found

    def kinds(self) -> list[Json]:
        """What may be asked for, with the JSON Schema of each kind's params."""
        kinds: list[Json] = self._get("/v1/kinds")["data"]
        return kinds


def reference(data: "Dataset | str") -> str:
    return data.id if isinstance(data, Dataset) else data
