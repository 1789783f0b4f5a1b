"""What must never be told is planted wherever it can be, faults included, and looked for in all that is printed.

What is masked at the door is looked for in everything that is written as well, sealed and opened.
"""

import base64
import io
import json
import os
import sqlite3
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from redis import Redis

from shared import jobs, redis_server, settings
from shared.database import Database
from shared.storage import Storage
from tests.flows.service import Service, wait

# Cells of a table of rules that is taken, and of one that is refused.
MASKED = ("dropped", "hashed", "refused")
# Contents of rows and of files that some error is about: each is to be told by its place and its sort.
WRONG = ("number", "word", "label", "consent", "piece", "manifest", "tag", "decision", "bounded", "wanted", "listed")
# What no error may say; names of columns and files are places, and a request is answered with its own words.
UNTOLD = ("cell", "user", "row", *MASKED, *(f"wrong_{name}" for name in WRONG))
OCTETS = {"Content-Type": "application/octet-stream"}


def canary(where: str) -> str:
    # The sign at the end is written otherwise in a URL.
    return f"canary-{where}-{os.urandom(6).hex()}~é"


class Told(Service):
    """A service of which everything is kept that it says of what went wrong."""

    def __init__(self, home: Path, **more: Any) -> None:
        super().__init__(home, **more)
        self.errors: list[str] = []

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        try:
            return super().call(method, path, body, **headers)
        except AssertionError as refused:
            self.errors.append(str(refused))
            raise

    def finish(self, job_id: str) -> Any:
        job = super().finish(job_id)
        self.errors.append(json.dumps([job["error"], (job["result"] or {}).get("warnings")]))
        return job


class Planted:
    """A service in which everything secret has been through something that went wrong."""

    def __init__(self, folder: Path) -> None:
        self.printed = folder / "printed.txt"
        names = ["cell", "column", "file", "user", "key", "model", "label", "path", "param", "row", "query", *MASKED]
        names += [f"wrong_{name}" for name in WRONG]
        self.words = {name: canary(name) for name in names}
        # What is told of the jobs and counted, and what Redis holds, before everything is stopped.
        self.told, self.in_redis = b"", b""
        with self.printed.open("wb") as file:
            self.service = Told(
                folder / "home", output=file.fileno(), ETUDE_WEBHOOK_PRIVATE="127.0.0.0/8", ETUDE_LOG_LEVEL="debug"
            )
        self.words["own_key"] = self.service.key
        self.jobs: dict[str, str] = {}

    def run(self) -> None:
        self._add_a_webhook()
        self._reject_a_dataset()
        self._reject_music()
        self._fail_a_training()
        self._ask_in_vain()
        self._erase_a_listener()
        self._mask_at_the_door()
        self._score_in_part()
        self._decide_wrongly()
        self._break_inside()
        self._listen()
        self.service.stop()

    def _put(self, dataset: str, name: str, content: str) -> None:
        self.service.put(f"/v1/datasets/{dataset}/files/{urllib.parse.quote(name)}", content.encode())

    def _commit(self, name: str, content: str, **more: object) -> str:
        made = self.service.call("POST", "/v1/datasets", {"name": "songs", **more})["id"]
        self._put(made, name, content)
        self._ingest(made)
        return str(made)

    def _ingest(self, dataset: str) -> None:
        job = self.service.finish(self.service.call("POST", f"/v1/datasets/{dataset}/commit")["id"])
        self.jobs[f"ingest {len(self.jobs)}"] = job["state"]
        told = self.service.call("GET", f"/v1/datasets/{dataset}")
        profile = told["profile"] or {}
        of_format = [profile.get(name) or {} for name in ("audio", "symbolic", "interactions")]
        faults = [told.get("error"), profile.get("warnings"), *(each.get("faults") for each in of_format)]
        self.service.errors.append(json.dumps(faults))

    def _submit(self, **body: object) -> Any:
        return self.service.finish(self.service.call("POST", "/v1/jobs", body)["id"])

    def _reject_a_dataset(self) -> None:
        cell, column, file = self.words["cell"], self.words["column"], self.words["file"]
        self._commit(f"{file}.csv", f'a,{column}\n1,{cell}\n2,"{cell}\n')
        self._commit(f"{file}.parquet", f"PAR1{cell}PAR1")
        consent = self.words["wrong_consent"]
        self._commit("agreed.csv", f"a,agreed\n1,granted\n2,{consent}\n", columns={"consent": "agreed"})

    def _reject_music(self) -> None:
        """Scores and recordings of which none can be read, and of both a list."""
        piece, tag, named = (self.words[f"wrong_{name}"] for name in ("piece", "tag", "manifest"))
        note = f"<note><pitch><step>{piece}</step><octave>4</octave></pitch><duration>4</duration></note>"
        scores = {
            "step.xml": f"<score-partwise><part id='{piece}'><measure>{note}</measure></part></score-partwise>",
            "length.xml": "<score-partwise><part id='P'><measure>"
            f"<note><rest/><duration>{piece}</duration></note></measure></part></score-partwise>",
            "root.xml": f"<{piece[:-2]}/>",
            "encoding.xml": f"<?xml version='1.0' encoding='{piece[:-2]}'?><score-partwise/>",
            "entity.xml": f"<score-partwise>&{piece[:-2]};</score-partwise>",
        }
        # A name of a track, and data where an event is to begin.
        text = piece.encode()
        track = b"\x00\xff\x03" + bytes([len(text)]) + text + b"\x00\x3c\x40"
        midi = b"MThd\0\0\0\6\0\1\0\1\0\x60MTrk" + len(track).to_bytes(4, "big") + track
        made = self.service.call("POST", "/v1/datasets", {"name": "scores", "format": "symbolic"})["id"]
        for name, content in {**{name: score.encode() for name, score in scores.items()}, "track.mid": midi}.items():
            self.service.put(f"/v1/datasets/{made}/files/{name}", content)
        self._ingest(made)
        rows = [f"{named},0,1,rock", f"../{named},0,1,rock", f"a.mp3,{named},1,rock"]
        rows += [f"b.mp3,0,1,{named}", "b.mp3,0,1,pop", "c.mp3,0,1,pop"]
        made = self.service.call(
            "POST", "/v1/datasets", {"name": "takes", "format": "audio", "columns": {"target": "genre"}}
        )
        frame = b"TIT2" + len(tag.encode()).to_bytes(4, "big") + b"\0\0" + tag.encode()
        tagged = b"ID3\x03\0\0" + bytes([0, 0, 0, len(frame)]) + frame + tag.encode() * 9
        for name, content in {"a.mp3": tagged, "b.mp3": tagged + b"b", "c.mp3": tagged + b"c"}.items():
            self.service.put(f"/v1/datasets/{made['id']}/files/{name}", content)
        self._put(made["id"], "manifest.csv", "file,start,end,genre\n" + "\n".join(rows) + "\n")
        self._ingest(made["id"])

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
        of_labels = {**body, "kind": "classification"}
        self.jobs["mixed"] = self._submit(**of_labels)["error"]["code"]
        word, label = self.words["wrong_word"], self.words["wrong_label"]
        rows = "".join(f"{n},{word},{'rock' if n % 2 else 'pop'}\n" for n in range(40))
        dataset = self._commit("words.csv", f"n,word,genre\n{rows}", columns={"target": "genre"})
        untouched = {**of_labels, "dataset": dataset, "params": {"preprocess": "none"}}
        self.jobs["untouched"] = self._submit(**untouched)["error"]["code"]
        lonely = f"n,word,genre\n{rows}40,{word},{label}\n"
        dataset = self._commit("lonely.csv", lonely, columns={"target": "genre"})
        self.jobs["lonely"] = self._submit(**{**of_labels, "dataset": dataset})["error"]["code"]

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
        self.words["secret"], self.webhook = made["secret"], f"/v1/webhooks/{made['id']}/deliveries"
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

    def _mask_at_the_door(self) -> None:
        """Learned from and scored where it is taken; refused for its last row; broken off; and with a wrong digest."""
        rules = {name: {"rule": rule} for name, rule in (("dropped", "drop"), ("hashed", "hash"))}
        body = {"name": "masked", "masking": rules, "columns": {"target": "genre"}}
        cells = ",".join(self.words[name] for name in ("dropped", "hashed"))
        rows = "".join(f"{cells},{n % 7}.5,{'rock' if n % 2 else 'pop'}\n" for n in range(80))
        table = f"dropped,hashed,n,genre\n{rows}"
        dataset = self.service.call("POST", "/v1/datasets", body)["id"]
        address = f"/v1/datasets/{dataset}/files/{urllib.parse.quote(self.words['file'])}.csv"
        wrong = {"Content-Digest": f"sha-256=:{base64.b64encode(bytes(32)).decode()}:"}
        for broken, headers in ((f"{table}{self.words['refused']}\n", {}), (table.replace("d,n", "d,m", 1), wrong)):
            with pytest.raises(AssertionError) as refused:
                self.service.call("PUT", address, broken.encode(), **OCTETS, **headers)
            assert not any(form in str(refused.value).encode() for name in MASKED for form in forms(self.words[name]))
        self.service.put(address, table.encode())
        self.jobs["masked"] = self.service.finish(self.service.call("POST", f"/v1/datasets/{dataset}/commit")["id"])[
            "state"
        ]
        train = {"action": "train", "kind": "classification", "dataset": dataset, "model": "m", "params": {"epochs": 2}}
        self.jobs["learned"] = self.service.finish(self.service.call("POST", "/v1/jobs", train)["id"])["state"]
        score = {"action": "score", "model": "m@1", "dataset": dataset}
        self.jobs["scored"] = self.service.finish(self.service.call("POST", "/v1/jobs", score)["id"])["state"]
        self.card = self.service.get("/v1/models/m/versions/1/card", Accept="text/markdown")
        noise = {"rule": "noise", "distribution": "laplace", "scale": 1.0, "bounds": [0, 9]}
        rules: dict[str, Any] = {
            "n": noise,
            "m": {"rule": "generalise", "width": 5.0},
            "d": {"rule": "generalise", "date": "year"},
        }
        dataset = self.service.call("POST", "/v1/datasets", {"name": "bounded", "masking": rules})["id"]
        bounded = self.words["wrong_bounded"]
        with pytest.raises(AssertionError):
            self._put(dataset, "bounded.csv", f"n,m,d\n1,2,2024-01-01\n{bounded},{bounded},{bounded}\n")

    def _score_in_part(self) -> None:
        """A row that cannot be scored, a column of words alone, and listeners and items where none can be."""
        number, listed = self.words["wrong_number"], self.words["wrong_listed"]
        rows = "".join(f"h,{number if n == 3 else n},pop\n" for n in range(9))
        dataset = self._commit("part.csv", f"hashed,n,genre\n{rows}")
        job = self._submit(action="score", model="m@1", dataset=dataset)
        found = self.service.call("GET", f"/v1/jobs/{job['id']}/predictions/errors")["data"]
        self.jobs["in part"] = found[0]["reason"]
        self.service.errors.append(json.dumps(found))
        dataset = self._commit("part.csv", "hashed,n,genre\n" + f"h,{number},pop\n" * 9)
        self.service.refused("POST", "/v1/jobs", {"action": "score", "model": "m@1", "dataset": dataset})
        for asked in ({"user": [listed]}, {"items": [{"item": [listed]}]}, {"items": [listed, {"item": listed * 60}]}):
            self.service.refused("POST", "/v1/models/m@1/recommend", asked)
        self.service.refused("POST", f"/v1/datasets/{dataset}/erase", {"user": [listed]})

    def _decide_wrongly(self) -> None:
        """Of an audit's suspects: rows that are none, no decisions, and no labels."""
        rows = "".join(f"{n % 2 + n % 3 / 10},{n % 2 if n % 9 else 1 - n % 2}\n" for n in range(60))
        dataset = self._commit("wrong.csv", f"n,genre\n{rows}", columns={"target": "genre"})
        audit = self._submit(action="audit", kind="classification", dataset=dataset, params={"folds": 2, "epochs": 2})
        word, address = self.words["wrong_decision"], f"/v1/jobs/{audit['id']}/audit"
        suspect = self.service.call("GET", address)["data"][0]["row"]
        lines = [f"{word},accept,", f"{suspect},{word},", f"{suspect},accept,{word}"]
        for line in lines:
            with pytest.raises(AssertionError):
                content = f"row,decision,label\n{line}\n".encode()
                self.service.call("POST", f"{address}/decisions", content, **{"Content-Type": "text/csv"})
        self.service.refused("POST", f"{address}/decisions", [{"key": word, "decision": "accept"}])
        self.service.refused("PUT", f"{address}/{suspect}", {"decision": "accept", "label": word})
        self.service.refused("PUT", f"{address}/{suspect}", {"decision": "accept", "label": {"is": word}})

    def _listen(self) -> None:
        events = [self.service.get("/v1/events?limit=200")]
        while (after := json.loads(events[-1])["next_cursor"]) is not None and json.loads(events[-1])["data"]:
            events.append(self.service.get(f"/v1/events?limit=200&after={after}"))
        sent = self.service.call("GET", f"{self.webhook}?limit=200")["data"]
        self.sent = [self.service.get(f"{self.webhook}/{each['id']}") for each in sent]
        self.told = b"".join([*events, *self.sent]) + self.service.get("/metrics")
        client = Redis(unix_socket_path=str(redis_server.make_place(self.service.home / "redis").socket))
        readers = {
            b"string": client.get, b"hash": client.hgetall, b"set": client.smembers,
            b"list": lambda key: client.lrange(key, 0, -1), b"zset": lambda key: client.zrange(key, 0, -1),
        }  # fmt: skip
        keys = list(client.scan_iter())
        self.in_redis = repr([(key, readers[client.type(key)](key)) for key in keys]).encode()
        client.close()

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

    def all_written(self) -> bytes:
        """Every byte of every file, and every stored file once more as it was before it was sealed."""
        home = self.service.home
        # The key of whoever has started the service is there for its client.
        files = [path for path in sorted(home.rglob("*")) if path.is_file() and path.name != "client.json"]
        lying = b"".join(path.read_bytes() for path in files)
        secret = {"ETUDE_ROOT_KEY_FILE": str(home / "root.key")}
        storage = Storage(settings.read({"ETUDE_HOME": str(home), **secret}))
        opened = [storage.get(key) for key in storage.keys("t/")]
        assert len(opened) > 5
        return lying + b"".join(opened) + _tables_of(opened)

    def all_printed(self) -> bytes:
        logs = sorted((self.service.home / "logs").glob("*"))
        return b"".join(path.read_bytes() for path in (self.printed, *logs))


def _tables_of(contents: list[bytes]) -> bytes:
    """The cells of Parquet files, which are compressed there."""
    # One was uploaded that only begins and ends like one.
    found = [content for content in contents if content.startswith(b"PAR1") and len(content) > 200]
    tables = [pq.read_table(io.BytesIO(content)) for content in found]
    assert tables
    return repr([table.to_pylist() for table in tables]).encode()


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
    assert {planted.jobs[name] for name in ("masked", "learned", "scored")} == {"succeeded"}
    assert planted.jobs["training"] not in ("succeeded", "running")
    codes = {name: planted.jobs[name] for name in ("mixed", "untouched", "lonely")}
    assert codes == {"mixed": "column_mixed", "untouched": "cells_not_numeric", "lonely": "class_too_small"}
    length = len(planted.words["wrong_number"])
    assert planted.jobs["in part"] == f"expected a number, received text of {length} characters"


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


def test_nothing_that_was_planted_is_in_an_event_a_figure_or_redis(planted: Planted) -> None:
    assert b"state" in planted.told and b"etude_jobs" in planted.told and len(planted.in_redis) > 2

    for where in (planted.told, planted.in_redis):
        assert {name for name, word in planted.words.items() if any(form in where for form in forms(word))} == set()


def test_no_error_quotes_what_a_row_or_a_file_holds(planted: Planted) -> None:
    told = "\n".join(planted.service.errors)
    # Or the silence would prove nothing: each has been told of.
    for said in (
        "consent_unreadable", "column_mixed", "cells_not_numeric", "class_too_small", "musicxml_invalid",
        "unsupported_format", "xml_corrupt", "midi_corrupt", "file_missing", "path_outside", "excerpt_invalid",
        "labels_differ", "cell_unfit", "column_not_numeric", "decisions_invalid", "row_not_ranked", "label_unfit",
        "/user", "/items/0/item",
    ):  # fmt: skip
        assert f'{said}"' in told, said
    assert len(planted.sent) > 10

    assert {name for name in UNTOLD if any(form in told.encode() for form in forms(planted.words[name]))} == set()


def test_what_is_hidden_at_the_door_is_written_nowhere(planted: Planted) -> None:
    written = planted.all_written()

    hidden = (*MASKED, "user", "own_key")
    assert {name for name in hidden if any(form in written for form in forms(planted.words[name]))} == set()
    # Or the silence would prove nothing: what is no secret stands in the database, and names lie sealed there.
    assert b"interactions" in written and b"n1.ten_" in written
    assert b"h-" in written and b"masked at the door" in planted.card


def test_the_search_finds_what_is_there() -> None:
    word = canary("x")
    for written in (
        word,
        word.encode().hex(),
        urllib.parse.quote(word),
        base64.b64encode(b"ab" + word.encode()).decode(),
    ):
        assert any(form in f"before {written} after".encode() for form in forms(word)), written
