"""A job as a client sees it: poll it, wait for it, read what it made."""

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from etude import archive
from etude.errors import EtudeError, JobCancelled, JobFailed, Refused
from etude.transport import Progress, Transport

ENDED = ("succeeded", "failed", "cancelled")
# Short, so that a bar moves; the service answers at once when something changes.
WAIT_S = 10
# Of a search it is the trials that move, and not the job itself.
TRIALS_WAIT_S = 1
PAGE = 200
ZIP = "application/zip"
MEDIA = {
    ".parquet": "application/vnd.apache.parquet",
    ".csv": "text/csv",
}

Json = dict[str, Any]


def ending(path: str | Path, *, errors: bool = False) -> str:
    """The ending of a file to save predictions in, in lower case. Raises EtudeError for one that is not written."""
    name, endings = Path(path), [".jsonl"] if errors else [*MEDIA, ".jsonl"]
    if name.suffix.lower() not in endings:
        raise EtudeError(f"{name.name}: expected a name that ends in {' or '.join(endings)}.")
    return name.suffix.lower()


class Job:
    """One job; its properties show what was last seen, `refresh` looks again."""

    def __init__(self, transport: Transport, raw: Json) -> None:
        self._transport = transport
        self._etag: str | None = None
        self.raw = raw

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.state}>"

    @property
    def id(self) -> str:
        return str(self.raw["id"])

    @property
    def state(self) -> str:
        return str(self.raw["state"])

    @property
    def stage(self) -> str | None:
        stage: str | None = self.raw["stage"]
        return stage

    @property
    def progress(self) -> Json:
        """`done`, `total`, `unit`, `eta_s`, `metrics`; empty where the stage does not count."""
        return self.raw["progress"] or {}

    @property
    def result(self) -> Json:
        return self.raw["result"] or {}

    @property
    def error(self) -> Json | None:
        error: Json | None = self.raw["error"]
        return error

    @property
    def has_ended(self) -> bool:
        return self.state in ENDED

    def refresh(self, *, wait_s: int = 0) -> "Job":
        """Look again; with `wait_s`, as soon as something has changed."""
        headers = {"Prefer": f"wait={wait_s}"} if wait_s else {}
        if self._etag is not None:
            headers["If-None-Match"] = self._etag
        answer = self._transport.get(f"/v1/jobs/{self.id}", headers=headers)
        if answer.status_code == 200:
            self.raw = answer.json()
        self._etag = answer.headers.get("ETag", self._etag)
        return self

    def watch(self) -> Iterator["Job"]:
        """This job each time that it has changed, until it has ended."""
        yield self.refresh()
        wait_s = TRIALS_WAIT_S if self.raw["action"] == "tune" else WAIT_S
        while not self.has_ended:
            yield self.refresh(wait_s=wait_s)

    def wait(self, on_change: Callable[["Job"], None] | None = None) -> "Job":
        """Return once the job has succeeded. Raises JobFailed or JobCancelled when it ended otherwise."""
        for seen in self.watch():
            if on_change is not None:
                on_change(seen)
        if self.state == "failed":
            problem = self.error or {}
            raise JobFailed(str(problem.get("detail", "The job failed.")), problem=problem)
        if self.state == "cancelled":
            raise JobCancelled(f"{self.id} was cancelled.")
        return self

    def cancel(self, *, keep: str | None = None) -> "Job":
        """Ask for its end; `keep="best"` makes a model version of its best epoch."""
        self.raw = self._transport.post(f"/v1/jobs/{self.id}/cancel", query={"keep": keep} if keep else None)
        return self

    def retry(self) -> "Job":
        """Run a failed job again under the same id."""
        self.raw = self._transport.post(f"/v1/jobs/{self.id}/retry")
        return self

    def workers(self) -> list[Json]:
        """Who is at a scoring: `worker`, `rows`, `chunks`, `took_s`, `failed`, `at`; nobody once it has succeeded."""
        found: list[Json] = (
            self._transport.get(f"/v1/jobs/{self.id}/chunks", query={"limit": 1}).json().get("workers", [])
        )
        return found

    def trials(self, *, at_most: int = 1000) -> Json:
        """Of a search: `data` with its trials, the best first, how many there are in `total`, and why it `stopped`."""
        found: Json = {}
        cursor: str | None = "0"
        while cursor is not None and len(found.get("data", ())) < at_most:
            page = self._transport.get(f"/v1/jobs/{self.id}/trials", query={"limit": PAGE, "cursor": cursor}).json()
            found, cursor = {**page, "data": [*found.get("data", ()), *page["data"]]}, page["next_cursor"]
        return {**found, "data": found["data"][:at_most]}

    def suspects(self) -> Iterator[Json]:
        """Every row of an audit, the most suspect first, each with what was decided of it."""
        cursor: str | None = "0"
        while cursor is not None:
            page = self._transport.get(f"/v1/jobs/{self.id}/audit", query={"limit": PAGE, "cursor": cursor}).json()
            yield from page["data"]
            cursor = page["next_cursor"]

    def download_audit(self, path: str | Path) -> Path:
        """The same as a CSV, in which decisions can be written down. The file appears once it is whole."""
        with archive.appearing(Path(path)) as file:
            self._transport.save(f"/v1/jobs/{self.id}/audit", file, accept=MEDIA[".csv"])
        return Path(path)

    def decide(self, decisions: list[Json]) -> Json:
        """Say which labels are wrong: `row` or `key`, `decision` (accept, reject), maybe `label`; the last one wins."""
        return self._transport.post(f"/v1/jobs/{self.id}/audit/decisions", decisions)

    def decide_from(self, path: str | Path) -> Json:
        """The same from a CSV with these columns; lines without a decision say nothing."""
        return self._transport.post_csv(f"/v1/jobs/{self.id}/audit/decisions", Path(path).read_bytes())

    def apply_audit(self) -> "Job":
        """Make the next version of the dataset with the labels that were accepted; returns the ingest."""
        return Job(self._transport, self._transport.post(f"/v1/jobs/{self.id}/audit/apply"))

    def history(self) -> list[Json]:
        """Every epoch's metrics."""
        rows: list[Json] = self._transport.get(f"/v1/jobs/{self.id}/metrics").json()["data"]
        return rows

    def predictions(self, *, errors: bool = False) -> Iterator[Json]:
        """Every predicted row in the order of the input; with `errors` those that could not be scored."""
        self._demand_predictions(None if errors else "jsonl")
        address = f"/v1/jobs/{self.id}/predictions{'/errors' if errors else ''}"
        cursor: str | None = "0"
        while cursor is not None:
            page = self._transport.get(address, query={"limit": PAGE, "cursor": cursor}).json()
            yield from page["data"]
            cursor = page["next_cursor"]

    def download(self, path: str | Path, *, errors: bool = False) -> Path:
        """The predictions as .parquet, .csv or .jsonl, by the name; with `errors` the rows that failed, as .jsonl.

        The file appears once it is whole.
        """
        path, suffix = Path(path), ending(path, errors=errors)
        self._demand_predictions(None if errors else suffix[1:])
        with archive.appearing(path) as file:
            self._write(file, suffix, errors=errors)
        return path

    def _demand_predictions(self, format: str | None) -> None:
        """Raises EtudeError when this job makes none, or not in this format; None is all of them."""
        if self.raw["action"] not in ("score", "generate"):
            makers = "a scoring alone or a composition has predictions"
            raise EtudeError(f"{self.id} is a {self.raw['action']} job: {makers}.")
        # Of a composition they are those of the files of each piece.
        formats = (self.raw["params"] or {}).get("formats") if self.raw["action"] == "score" else None
        if format is not None and formats is not None and format not in formats:
            asked = f"{self.id} was asked for {', '.join(formats)} and not for {format}"
            raise EtudeError(f"{asked}: the param `formats` of a scoring says for which.")

    @contextmanager
    def _made_files(self) -> Iterator[None]:
        """What is not found of a job that was found is what it did not make."""
        try:
            yield
        except Refused as refused:
            if refused.status != 404:
                raise
            makers = "an export and a composition make them, an analysis with notes or over_time, scorings with explain"
            raise EtudeError(f"{self.id} made no files: {makers}.") from refused

    def files(self) -> Iterator[Json]:
        """The files made for single tracks or pieces: `number`, `key`, `name`, `media_type`, `size_bytes`."""
        cursor: str | None = "0"
        while cursor is not None:
            with self._made_files():
                page = self._transport.get(f"/v1/jobs/{self.id}/files", query={"limit": PAGE, "cursor": cursor}).json()
            yield from page["data"]
            cursor = page["next_cursor"]

    def download_files(self, folder: str | Path, *, progress: Progress | None = None) -> list[Path]:
        """All these files, into a folder; `progress` hears bytes: those that have come, and how many there are."""
        with tempfile.TemporaryFile() as file:
            with self._made_files():
                self._transport.save(f"/v1/jobs/{self.id}/files", file, accept=ZIP, progress=progress)
            return archive.unpack(file, Path(folder))

    def _write(self, file: IO[bytes], suffix: str, *, errors: bool) -> None:
        if suffix in MEDIA:
            return self._transport.save(f"/v1/jobs/{self.id}/predictions", file, accept=MEDIA[suffix])
        for row in self.predictions(errors=errors):
            file.write(json.dumps(row, ensure_ascii=False).encode() + b"\n")
        return None
