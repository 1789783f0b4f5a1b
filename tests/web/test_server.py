"""The web process under bad input and many clients, over real sockets."""

import base64
import dataclasses
import hashlib
import json
import socket
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select, update

from shared import keys
from shared.database import Database
from shared.settings import MiB, Settings
from shared.storage import CLAIM, Storage
from shared.tables import dataset_files, jobs, outputs
from tests.conftest import make_tenant
from tests.factories import make_job
from tests.waiting import until
from tests.web import serving
from tests.web.serving import LIMIT_S, Server

# Beyond what is received before anybody looks at the key.
LARGE = b"x" * 100_000
OCTETS = {"Content-Type": "application/octet-stream"}
CSV = b"tempo,genre\n120,rock\n90,pop\n"


@pytest.fixture
def open_dataset(server: Server) -> str:
    status, said, _ = server.call("POST", "/v1/datasets", {"name": "songs", "columns": {"target": "genre"}})
    assert status == 201
    return str(said["id"])


def count_files(database: Database) -> int:
    with database.reading() as sql:
        return int(sql.execute(select(func.count()).select_from(dataset_files)).scalar_one())


def stored(settings: Settings) -> list[Path]:
    # But that which says whose keys the folder belongs to.
    found = (settings.home / "storage").rglob("*")
    return [path for path in found if path.is_file() and path.name != CLAIM]


def raw(server: Server, content: bytes, *, cut: bool = False) -> bytes:
    """What comes back for these bytes; with `cut` the connection is closed right after them."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT_S) as connection:
        connection.sendall(content)
        if cut:
            return b""
        if b"Connection: close" not in content:
            # What is no request gets no end either; a client that has closed its half is taken for gone.
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while block := connection.recv(65_536):
            answer += block
        return answer


@pytest.mark.hostile("H50")
def test_an_upload_that_is_cut_off_leaves_nothing_and_can_be_sent_again(
    server: Server, open_dataset: str, database: Database, redis: Settings
) -> None:
    address = f"/v1/datasets/{open_dataset}/files/t.csv"
    head = f"PUT {address} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
    head += "Content-Type: application/octet-stream\r\nContent-Length: 1000000\r\n\r\n"

    raw(server, head.encode() + CSV, cut=True)
    again, _, _ = server.call("PUT", address, CSV, **OCTETS)

    assert again == 204
    assert count_files(database) == 1
    # The half file goes once the server has noticed that nobody sends the rest.
    assert until(lambda: len(stored(redis)) == 1)
    with database.reading() as sql:
        key = sql.execute(select(dataset_files.c.key)).scalar_one()
    assert Storage(redis).get(key) == CSV and CSV not in stored(redis)[0].read_bytes()


@pytest.mark.hostile("H50")
def test_a_digest_that_differs_is_told_and_nothing_is_kept(
    server: Server, open_dataset: str, database: Database, redis: Settings
) -> None:
    wrong = base64.b64encode(hashlib.sha256(b"other bytes").digest()).decode()

    status, said, _ = server.call(
        "PUT", f"/v1/datasets/{open_dataset}/files/t.csv", CSV, **OCTETS, **{"Content-Digest": f"sha-256=:{wrong}:"}
    )

    assert (status, said["code"]) == (422, "digest_mismatch")
    assert count_files(database) == 0
    assert stored(redis) == []


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"name": ', 400, "json_malformed"),
        (b'{"name": NaN}', 400, "json_not_finite"),
        (b'{"name": 1e999}', 400, "json_not_finite"),
        (b'{"name": "a", "name": "b"}', 400, "json_duplicate_key"),
        (b"[" * 100_000 + b"]" * 100_000, 400, "json_too_deep"),
        (b'{"name": "a\\u0000"}', 400, "json_invalid_text"),
        (b'{"name": "\xff"}', 400, "json_invalid_text"),
        (b'{"name": "a", "colour": 1}', 422, "invalid_request"),
        (b"[null]", 422, "invalid_request"),
    ],
    ids=["broken", "nan", "infinite", "twice", "deep", "nul", "not-utf-8", "unknown-field", "no-object"],
)
def test_json_that_cannot_be_read_is_refused_by_name(server: Server, body: bytes, status: int, code: str) -> None:
    found, said, headers = server.call("POST", "/v1/datasets", body)

    assert (found, said["code"]) == (status, code)
    assert headers["content-type"] == "application/problem+json"
    assert server.call("GET", "/healthz")[0] == 200


@pytest.mark.hostile("H08")
@pytest.mark.parametrize("is_forked", [False])
def test_fifty_megabytes_of_json_are_refused_and_not_held(server: Server) -> None:
    before = server.worker().memory_info().rss
    body = json.dumps({"name": "x" * (50 * MiB)}).encode()

    answer = raw(
        server,
        f"POST /v1/datasets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode()
        + body[: 2 * MiB],
    )

    assert b" 413 " in answer.split(b"\r\n")[0]
    assert b"body_too_large" in answer
    assert server.worker().memory_info().rss - before < 20 * MiB


@pytest.mark.hostile("H15")
@pytest.mark.parametrize("name", ["..%2f..%2fetc%2fpasswd", "a%00b", "%2e%2e", "x" * 300, "a%5cb", "%e2%80%aegnp.exe"])
def test_names_that_mislead_are_refused(server: Server, open_dataset: str, redis: Settings, name: str) -> None:
    status, said, _ = server.call("PUT", f"/v1/datasets/{open_dataset}/files/{name}", CSV, **OCTETS)

    assert status in (404, 422), said
    assert stored(redis) == []


@pytest.mark.hostile("H62")
@pytest.mark.parametrize(
    "request_text",
    [
        "GET / HTTP/1.1\r\n\r\n",
        "BREW /v1/jobs HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        "GET /v1/jobs HTTP/1.1\r\nHost: x\r\nX-Long: " + "y" * 200_000 + "\r\n\r\n",
        "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
        "\x00\x01\x02\x03",
    ],
    ids=["no-host", "strange-method", "negative-length", "long-header", "two-lengths", "no-http"],
)
def test_what_is_no_request_harms_nobody(server: Server, request_text: str) -> None:
    answer = raw(server, request_text.encode())

    assert not answer.startswith(b"HTTP/1.1 2")
    assert not answer.startswith(b"HTTP/1.1 5")
    assert server.call("GET", "/healthz")[0] == 200


@pytest.mark.parametrize("is_forked", [False])
def test_250_clients_wait_at_once_and_the_rest_is_served(server: Server, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job = make_job(sql, tenant)
    address = f"/v1/jobs/{job}"

    with ThreadPoolExecutor(250) as pool:
        waiting = [pool.submit(server.call, "GET", address, None, Prefer="wait=20") for _ in range(250)]
        healthy = [server.call("GET", "/healthz")[0] for _ in range(20)]
        polled = [server.call("GET", address)[1]["state"] for _ in range(20)]
        assert server.call("POST", f"{address}/cancel")[0] == 202
        answers = [each.result(LIMIT_S) for each in waiting]

    assert (set(healthy), set(polled)) == ({200}, {"queued"})
    assert {(status, said["state"]) for status, said, _ in answers} == {(200, "cancelled")}
    assert all(headers["preference-applied"] == "wait=20" for _, _, headers in answers)
    # No thread of its own, and little memory.
    assert server.worker().num_threads() < 100
    assert server.worker().memory_info().rss < 130 * MiB


@pytest.mark.hostile("H10")
def test_clients_that_send_slowly_hold_up_nobody(server: Server, database: Database, tenant: str) -> None:
    with database.transaction() as sql:
        job = make_job(sql, tenant)
    half = f"POST /v1/jobs HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
    half += "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"

    slow = [socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT_S) for _ in range(100)]
    for connection in slow:
        connection.sendall(half.encode())
    answers = [server.call("GET", f"/v1/jobs/{job}")[0] for _ in range(5)]
    made = server.call("POST", "/v1/datasets", {"name": "songs"})[0]
    for connection in slow:
        connection.close()

    assert (answers, made) == ([200] * 5, 201)


def begin_uploads(server: Server, address: str, number: int) -> list[socket.socket]:
    begun = []
    for each in range(number):
        begun.append(socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT_S))
        head = f"PUT {address}/s{each} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
        begun[-1].sendall(f"{head}Content-Length: 1000000\r\n\r\n".encode() + b"x" * 1000)
    return begun


def test_slow_uploads_hold_up_no_small_call_and_no_upload_of_another_tenant(
    server: Server, redis: Settings, database: Database, open_dataset: str
) -> None:
    address = f"/v1/datasets/{open_dataset}/files"
    other = make_tenant(database)
    with database.transaction() as sql:
        key = keys.create(sql, other, name="test", scope=keys.ADMIN, pepper=redis.pepper)
    neighbour = dataclasses.replace(server, key=key)
    theirs = f"/v1/datasets/{neighbour.call('POST', '/v1/datasets', {'name': 'songs'})[1]['id']}/files"

    slow = begin_uploads(server, address, 40)
    assert until(lambda: server.call("PUT", f"{address}/l.csv", LARGE, **OCTETS)[0] == 429)
    small, _, _ = server.call("PUT", f"{address}/t.csv", CSV, **OCTETS)
    refused, said, headers = server.call("PUT", f"{address}/l.csv", LARGE, **OCTETS)
    let_in, _, _ = neighbour.call("PUT", f"{theirs}/l.csv", LARGE, **OCTETS)
    slow += begin_uploads(neighbour, theirs, 40)
    assert until(lambda: server.call("PUT", f"{address}/l.csv", LARGE, **OCTETS)[0] == 503)
    for connection in slow:
        connection.close()

    assert (small, let_in) == (204, 204)
    assert (refused, said["code"], said["retryable"], "retry-after" in headers) == (429, "too_many_uploads", True, True)
    assert until(lambda: server.call("PUT", f"{address}/l.csv", LARGE, **OCTETS)[0] == 204)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_writes_that_find_sqlite_locked_do_not_hold_up_the_rest(server: Server, redis: Settings) -> None:
    locker = sqlite3.connect(redis.database_url.removeprefix("sqlite:///"), isolation_level=None)
    locker.execute("BEGIN IMMEDIATE")

    with ThreadPoolExecutor(60) as pool:
        writing = [pool.submit(server.call, "POST", "/v1/datasets", {"name": f"d{number}"}) for number in range(60)]
        healthy = [server.call("GET", "/healthz")[0] for _ in range(20)]
        written_meanwhile = sum(each.done() for each in writing)
        locker.execute("ROLLBACK")
        statuses = {each.result(LIMIT_S)[0] for each in writing}
    locker.close()

    assert set(healthy) == {200}
    assert written_meanwhile == 0
    assert statuses == {201}


def test_a_nul_in_an_address_names_nothing(server: Server) -> None:
    paths = ["/v1/jobs/a%00b", "/v1/jobs/a%00b/events", "/v1/datasets/a%00b", "/v1/models/a%00b"]

    assert [server.call("GET", path)[0] for path in paths] == [404] * 4
    assert server.call("GET", "/v1/jobs?model=a%00")[0] == 422


def test_a_client_that_has_gone_makes_room_for_another(redis: Settings, database: Database, tenant: str) -> None:
    chosen = dataclasses.replace(redis, waiting_clients=1)
    with database.transaction() as sql:
        key = keys.create(sql, tenant, name="test", scope=keys.ADMIN, pepper=chosen.pepper)
        job = make_job(sql, tenant)
    server = serving.start(chosen, key)
    address = f"/v1/jobs/{job}"
    head = f"GET {address} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {key}\r\nPrefer: wait=60\r\n\r\n"
    waiting = socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT_S)
    waiting.sendall(head.encode())
    # Nothing comes: it waits.
    waiting.settimeout(1.0)
    with pytest.raises(TimeoutError):
        waiting.recv(1)

    def waits() -> bool:
        return "preference-applied" in server.call("GET", address, None, Prefer="wait=1")[2]

    assert not waits(), "the second of one client waited, too"
    waiting.close()
    assert until(waits), "the place of a client that has gone was not given to another"
    server.stop()


def test_a_body_of_unknown_length_is_read_like_any_other(server: Server) -> None:
    body = json.dumps({"name": "songs"}).encode()
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:5], body[5:])) + b"0\r\n\r\n"
    head = f"POST /v1/datasets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
    head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"

    answer = raw(server, head.encode() + chunks)

    assert answer.startswith(b"HTTP/1.1 201 ")
    assert b'"name":"songs"' in answer


def store_predictions(settings: Settings, database: Database, tenant: str, *, mib: int) -> tuple[str, Path]:
    """A scoring that has ended with a CSV of that size: the job, and the file as it lies in storage."""
    with database.transaction() as sql:
        job = make_job(sql, tenant, action="score")
    key = f"t/{tenant}/jobs/{job}/1/predictions.csv"
    stored_ = Storage(settings).put(key, (b"0123456789abcde\n" * 65_536 for _ in range(mib)))
    with database.transaction() as sql:
        sql.execute(update(jobs).where(jobs.c.id == job).values(state="succeeded"))
        sql.execute(
            insert(outputs).values(
                tenant=tenant,
                job=job,
                name="predictions.csv",
                key=key,
                size_bytes=stored_.size_bytes,
                sha256=stored_.sha256,
                rows=1,
            )
        )
    return job, settings.home / "storage" / key


@pytest.mark.parametrize("is_forked", [False])
def test_a_client_that_reads_slowly_holds_no_memory(
    server: Server, redis: Settings, database: Database, tenant: str
) -> None:
    job, _ = store_predictions(redis, database, tenant, mib=64)
    head = f"GET /v1/jobs/{job}/predictions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
    before = server.worker().memory_info().rss

    with socket.create_connection(("127.0.0.1", server.port), timeout=LIMIT_S) as slow:
        slow.sendall(f"{head}Accept: text/csv\r\nConnection: close\r\n\r\n".encode())
        first = slow.recv(65_536)
        held = server.worker().memory_info().rss - before
        rest = sum(len(block) for block in iter(lambda: slow.recv(1 << 20), b""))

    assert f"content-length: {64 * MiB}".encode() in first
    assert len(first.partition(b"\r\n\r\n")[2]) + rest == 64 * MiB
    assert held < 24 * MiB


def test_a_file_that_is_gone_is_told_before_anything_is_sent(
    server: Server, redis: Settings, database: Database, tenant: str
) -> None:
    job, path = store_predictions(redis, database, tenant, mib=1)
    path.unlink()

    status, said, _ = server.call("GET", f"/v1/jobs/{job}/predictions", None, Accept="text/csv")

    assert (status, said["code"], said["retryable"]) == (503, "file_missing", True)


def test_a_query_of_raw_utf_8_is_read_as_such(server: Server) -> None:
    head = f"GET /v1/jobs?model=\u65e5 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"

    answer = raw(server, f"{head}Connection: close\r\n\r\n".encode())

    assert answer.startswith(b"HTTP/1.1 200 ")


def test_a_request_that_is_cut_off_is_not_acted_on(server: Server) -> None:
    whole = b'{"name": "cut"}'
    head = f"POST /v1/datasets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
    head += "Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n"

    raw(server, head.encode() + whole, cut=True)

    # Later than the other one has been looked at: requests are taken one after the other.
    assert server.call("POST", "/v1/datasets", {"name": "next"})[0] == 201
    names = [each["name"] for each in server.call("GET", "/v1/datasets")[1]["data"]]
    assert names == ["next"]


def test_a_header_that_cannot_be_read_is_refused_where_it_matters(server: Server, database: Database) -> None:
    body = b'{"name": "songs"}'
    head = f"POST /v1/datasets HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {server.key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"

    refused = raw(server, head.encode() + b"Idempotency-Key: k\xe9y\r\n\r\n" + body)
    taken = raw(server, head.encode() + b"User-Agent: J\xfcrgen\r\n\r\n" + body)

    assert refused.startswith(b"HTTP/1.1 400 ")
    assert b"idempotency_key_invalid" in refused
    assert taken.startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize("is_forked", [False])
def test_the_web_process_is_small_and_holds_no_arrays(server: Server, database: Database) -> None:
    assert server.worker().memory_info().rss < 120 * MiB
    with database.reading() as sql:
        assert sql.execute(select(func.count()).select_from(jobs)).scalar_one() == 0
    script = (
        "import sys; import web.app, web.serve; "
        "print([name for name in ('tensorflow', 'keras', 'numpy', 'pyarrow', 'sklearn') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert ran.stdout.strip() == "[]", ran.stderr
