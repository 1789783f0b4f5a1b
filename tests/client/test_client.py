"""The Python client: what is repeated is done once, and where a service is found."""

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from etude import Client, EtudeError, JobFailed, NotConfigured, Unreachable, connection


class Flaky:
    """A way to the service that loses the first answer to every POST: it was done, and nobody was told."""

    def __init__(self, port: int) -> None:
        self._to, self.lost = port, 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._pass_on, args=(client,), daemon=True).start()

    def _pass_on(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._to)) as service:
            first = client.recv(1_000_000)
            service.sendall(first)
            threading.Thread(target=_pump, args=(client, service), daemon=True).start()
            if first.startswith(b"POST /v1/jobs") and self.lost < 2:
                service.recv(1_000_000)
                self.lost += 1
                client.shutdown(socket.SHUT_RDWR)
                return
            _pump(service, client)

    def close(self) -> None:
        self._listening.close()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(1_000_000):
            target.sendall(block)


@pytest.fixture
def flaky(home: Path) -> Iterator[Flaky]:
    port = int(json.loads((home / "client.json").read_text())["url"].rpartition(":")[2])
    made = Flaky(port)
    yield made
    made.close()


@pytest.fixture
def client(home: Path) -> Iterator[Client]:
    found = json.loads((home / "client.json").read_text())
    with Client(found["url"], found["key"]) as opened:
        yield opened


def test_a_post_whose_answer_was_lost_makes_one_job(home: Path, client: Client, flaky: Flaky, songs: Path) -> None:
    dataset = client.upload(songs, name="flaky", target="genre")
    key = json.loads((home / "client.json").read_text())["key"]

    with Client(f"http://127.0.0.1:{flaky.port}", key) as through:
        job = through.train(dataset, model="once", params={"epochs": 1, "baselines": False})

    assert flaky.lost == 2
    assert [each.id for each in client.jobs(model="once")] == [job.id]
    client.job(job.id).wait()


def test_the_kind_is_found_from_the_target(client: Client, songs: Path) -> None:
    by_genre = client.upload(songs, name="by-genre", target="genre")
    by_tempo = client.upload(songs, name="by-tempo", target="tempo")

    assert (by_genre.kind, by_tempo.kind) == ("classification", "regression")


def test_a_job_tells_how_it_went(client: Client, songs: Path) -> None:
    dataset = client.upload(songs, target="genre", id="id")
    stages: list[str] = []

    job = client.train(dataset, model="told", params={"epochs": 4}).wait(lambda seen: stages.append(seen.state))
    scored = client.score("told@1", dataset).wait()

    assert stages[-1] == "succeeded"
    assert [epoch["epoch"] for epoch in job.history()] == [1, 2, 3, 4]
    rows = list(scored.predictions())
    assert len(rows) == 200 and rows[0]["key"] == "s0"
    assert list(scored.predictions(errors=True)) == []


def test_a_job_that_fails_says_why(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "one.csv"
    path.write_text("tempo,genre\n" + "".join(f"{number},pop\n" for number in range(40)) + "99,rock\n")
    dataset = client.upload(path, target="genre")

    with pytest.raises(JobFailed) as caught:
        client.train(dataset).wait()

    assert caught.value.code
    assert "rock" in str(caught.value) or "class" in str(caught.value)


def test_a_file_that_is_not_there_is_told_before_anything_is_sent(client: Client) -> None:
    before = len(list(client.datasets()))

    with pytest.raises(EtudeError, match="not a file"):
        client.upload("nowhere.csv")

    assert len(list(client.datasets())) == before


def test_nobody_there_is_said_soon() -> None:
    with pytest.raises(Unreachable, match="make up"), Client("http://127.0.0.1:9", "key", patience_s=0.5) as away:
        away.kinds()


def test_a_service_is_found_by_argument_then_variables_then_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".etude").mkdir()
    (tmp_path / ".etude" / "client.json").write_text('{"url": "http://file/", "key": "from-file"}')
    deep = tmp_path / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    told = {"ETUDE_URL": "http://variable", "ETUDE_KEY": "from-variable"}

    assert connection.find("http://given", "given", environment=told).url == "http://given"
    assert connection.find(None, None, environment=told).key == "from-variable"
    assert connection.find(None, None, environment={}).url == "http://file"
    assert connection.find(None, "given", environment={}) == connection.Connection("http://file", "given")
    assert "from-file" not in repr(connection.find(None, None, environment={}))


@pytest.mark.parametrize("address", ["127.0.0.1:8431", "localhost", "ftp://host", "http://", "http://host:port"])
def test_an_address_that_is_none_is_said_at_once(address: str) -> None:
    with pytest.raises(NotConfigured, match=r"such as http://127\.0\.0\.1:8000"):
        connection.find(None, None, environment={"ETUDE_URL": address, "ETUDE_KEY": "x"})


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"url": "http://x"}'])
def test_a_file_that_is_broken_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "client.json").write_text(content)

    with pytest.raises(NotConfigured, match=r"client\.json"):
        connection.find(None, None, environment={"ETUDE_HOME": str(tmp_path)})
