"""What must never be in a log is planted wherever it can be, faults included, and looked for in all that is printed."""

import base64
import json
import os
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import jobs, settings
from shared.database import Database
from tests.flows.service import Service, wait


def canary(where: str) -> str:
    # The sign at the end is written otherwise in a URL.
    return f"canary-{where}-{os.urandom(6).hex()}~é"


class Planted:
    """A service in which everything secret has been through something that went wrong."""

    def __init__(self, folder: Path) -> None:
        self.printed = folder / "printed.txt"
        names = ("cell", "column", "file", "user", "key", "model", "label", "path", "param", "row", "query")
        self.words = {name: canary(name) for name in names}
        with self.printed.open("wb") as file:
            self.service = Service(
                folder / "home", output=file.fileno(), ETUDE_WEBHOOK_PRIVATE="127.0.0.0/8", ETUDE_LOG_LEVEL="debug"
            )
        self.words["own_key"] = self.service.key
        self.jobs: dict[str, str] = {}

    def run(self) -> None:
        self._reject_a_dataset()
        self._fail_a_training()
        self._ask_in_vain()
        self._add_a_webhook()
        self._erase_a_listener()
        self._break_inside()
        self.service.stop()

    def _put(self, dataset: str, name: str, content: str) -> None:
        self.service.put(f"/v1/datasets/{dataset}/files/{urllib.parse.quote(name)}", content.encode())

    def _commit(self, name: str, content: str, **more: object) -> str:
        made = self.service.call("POST", "/v1/datasets", {"name": "songs", **more})["id"]
        self._put(made, name, content)
        job = self.service.finish(self.service.call("POST", f"/v1/datasets/{made}/commit")["id"])
        self.jobs[f"ingest {len(self.jobs)}"] = job["state"]
        return str(made)

    def _reject_a_dataset(self) -> None:
        cell, column, file = self.words["cell"], self.words["column"], self.words["file"]
        self._commit(f"{file}.csv", f'a,{column}\n1,{cell}\n2,"{cell}\n')
        self._commit(f"{file}.parquet", f"PAR1{cell}PAR1")

    def _fail_a_training(self) -> None:
        cell, column, file = self.words["cell"], self.words["column"], self.words["file"]
        rows = "".join(f"{n},{cell if n == 7 else n},{'rock' if n % 2 else 'pop'}\n" for n in range(40))
        dataset = self._commit(f"{file}.csv", f"n,{column},genre\n{rows}", columns={"target": "genre"})
        body = {"action": "train", "kind": "regression", "dataset": dataset, "model": "m", "params": {"epochs": 1}}
        try:
            job = self.service.finish(self.service.call("POST", "/v1/jobs", body)["id"])
            self.jobs["training"] = job["state"]
        except AssertionError as refused:
            self.jobs["training"] = json.loads(str(refused))["code"]

    def _ask_in_vain(self) -> None:
        words = {name: urllib.parse.quote(word) for name, word in self.words.items()}
        for path in (f"/v1/models/{words['model']}", f"/v1/{words['path']}", f"/v1/jobs?label.team={words['label']}",
                     f"/v1/events?type={words['query']}", f"/v1/jobs/{words['path']}/events"):  # fmt: skip
            self.service.refused("GET", path) if "label" not in path else self.service.call("GET", path)
        self.service.refused("POST", "/v1/jobs", {"action": self.words["param"]})
        request = urllib.request.Request(self.service.url + "/v1/jobs?key=" + words["key"])
        request.add_header("Authorization", f"Bearer {self.words['key'].encode().hex()}")
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=30)
        refused.value.close()

    def _add_a_webhook(self) -> None:
        """One that nobody answers at: each delivery is tried, and fails."""
        made = self.service.call("POST", "/v1/webhooks", {"url": f"https://127.0.0.1:8443/{self.words['path'][:-2]}"})
        self.words["secret"] = made["secret"]
        sent = self.service.call("POST", f"/v1/webhooks/{made['id']}/ping")["id"]
        wait(lambda: bool(self.service.call("GET", f"/v1/webhooks/{made['id']}/deliveries/{sent}")["tries"]))

    def _erase_a_listener(self) -> None:
        user = self.words["user"]
        plays = "user,item,weight\n" + "".join(f"{user if n % 3 else n},i{n % 7},1\n" for n in range(60))
        made = self.service.call("POST", "/v1/datasets", {"name": "plays", "format": "interactions"})["id"]
        self._put(made, "plays.csv", plays)
        self.service.finish(self.service.call("POST", f"/v1/datasets/{made}/commit")["id"])
        job = self.service.call("POST", f"/v1/datasets/{made}/erase", {"user": user})
        self.jobs["erasure"] = self.service.finish(job["id"])["state"]

    def _break_inside(self) -> None:
        """A 500, and a job that ends as internal: both by what no door lets in."""
        chosen = settings.read({"ETUDE_HOME": str(self.service.home)})
        database = Database(chosen, pool_size=1)
        with sqlite3.connect(self.service.home / "etude.db") as sql:
            tenant = sql.execute("SELECT tenant FROM jobs LIMIT 1").fetchone()[0]
            dataset = sql.execute("SELECT id FROM datasets WHERE state = 'ready' LIMIT 1").fetchone()[0]
        params = {"epochs": self.words["param"]}
        new = jobs.NewJob(tenant, "train", "train", "classification", [dataset], model="m", params=params)
        with database.transaction() as opened:
            broken = jobs.submit(opened, new).id
        ended = self.service.finish(broken)
        self.jobs["broken"] = ended["error"]["code"]
        database.close()
        with sqlite3.connect(self.service.home / "etude.db") as sql:
            sql.execute(
                "UPDATE jobs SET created_at = ?, revision = revision + 1 WHERE id = ?", (self.words["row"], broken)
            )
        self.jobs["500"] = self.service.refused("GET", f"/v1/jobs/{broken}")["code"]

    def all_printed(self) -> bytes:
        logs = sorted((self.service.home / "logs").glob("*"))
        return b"".join(path.read_bytes() for path in (self.printed, *logs))


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Planted]:
    made = Planted(tmp_path_factory.mktemp("canaries"))
    try:
        made.run()
        yield made
    finally:
        if made.service.process.poll() is None:
            made.service.stop()


def forms(word: str) -> set[bytes]:
    """The word as it is, and as what may carry it writes it."""
    content = word.encode()
    found = {content, content.hex().encode(), content.hex().upper().encode(), urllib.parse.quote(word).encode()}
    found |= {json.dumps(word)[1:-1].encode(), ascii(word)[1:-1].encode(), word.encode("latin-1", "replace")}
    for before in range(3):
        # Three ways of falling on groups of three; the ends depend on what is beside.
        coded = base64.b64encode(b"\0" * before + content)[4:-4]
        found |= {coded, coded.replace(b"+", b"-").replace(b"/", b"_")}
    # The part that looks the same in most alphabets.
    return found | {word.removesuffix("~é").encode()}


def test_everything_has_gone_wrong_that_should(planted: Planted) -> None:
    assert planted.jobs["broken"] == "internal" and planted.jobs["500"] == "internal"
    assert planted.jobs["erasure"] == "succeeded"
    assert {planted.jobs["ingest 0"], planted.jobs["ingest 1"]} == {"failed"}
    assert planted.jobs["training"] not in ("succeeded", "running")


def test_the_logs_tell_of_it(planted: Planted) -> None:
    """Or the silence below would prove nothing."""
    lines = [json.loads(line) for line in planted.all_printed().splitlines() if line.startswith(b"{")]
    web = [line for line in lines if line["event"] == "internal" and line.get("route") == "/v1/jobs/<job_id>"]
    worker = [line for line in lines if line["event"] == "internal" and line.get("job")]

    assert len(web) == 1 and {"request_id", "tenant", "exception"} <= web[0].keys()
    assert "Error" in web[0]["exception"].splitlines()[-1] and "job_list" in web[0]["exception"]
    assert len(worker) == 1 and {"attempt", "tenant", "exception"} <= worker[0].keys()
    requests = [line for line in lines if line["event"] == "request"]
    assert all({"route", "method", "status", "ms", "request_id"} <= line.keys() for line in requests)
    polled = [line for line in requests if line["route"] == "/v1/jobs/<job_id>" and line["status"] == 200]
    assert polled and all({"tenant", "job"} <= line.keys() for line in polled)
    assert not [line for line in requests if line["route"] in ("/healthz", "/readyz", "/metrics")]
    assert [line for line in requests if line["status"] == 500]


def test_nothing_that_was_planted_is_in_any_log(planted: Planted) -> None:
    printed = planted.all_printed()

    found = {name for name, word in planted.words.items() if any(form in printed for form in forms(word))}

    assert len(printed) > 1000
    assert found == set()


def test_the_search_finds_what_is_there() -> None:
    word = canary("x")
    for written in (
        word,
        word.encode().hex(),
        urllib.parse.quote(word),
        base64.b64encode(b"ab" + word.encode()).decode(),
    ):
        assert any(form in f"before {written} after".encode() for form in forms(word)), written
