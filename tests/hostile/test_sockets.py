"""What no HTTP library would send, through the real server: endless bodies, forged hosts, requests in requests."""

import contextlib
import gzip
import json
import re
from itertools import product

import pytest

from tests.hostile import raw
from tests.hostile.invariants import INSIDES, Watch, check_problem
from web import app  # noqa: F401 — its import declares the routes
from web.api import ROUTES

NAME = b'{"name": "songs"}'
JSON = "Content-Type: application/json"
LENGTH = f"Content-Length: {len(NAME)}"
CHUNKED = "Transfer-Encoding: chunked"
# Bodies of several sorts; each route takes one at most.
PART = b'Content-Disposition: form-data; name="a"; filename="../../a"\r\n\r\n1\r\n'
FORMS = [
    ("multipart/form-data; boundary=x", b"--x\r\n" + PART + b"--x--\r\n"),
    ("application/x-www-form-urlencoded", b"&".join(b"k%d=1" % number for number in range(6_000))),
]


def asked(watch: Watch, method: str, path: str, *lines: str, body: bytes = b"") -> bytes:
    return raw.ask(watch.attacker.door.port, raw.head(method, path, watch.attacker.door.key, *lines) + body)


def check_refused(answer: bytes, *by: tuple[int, str]) -> None:
    """A problem, or what the server says of bytes that are no request: a status, and nothing else."""
    status, said, headers = raw.parse(answer)
    if said is None:
        assert (status, "") in by and headers.get("content-length") == "0", answer[:200]
        return
    assert (status, said["code"]) in by, said
    check_problem(status, said, headers, (status, said["code"]))


@pytest.mark.hostile("H08")
def test_fifty_megabytes_that_are_announced_are_refused_unread(watch: Watch) -> None:
    answer = asked(watch, "POST", "/v1/datasets", JSON, "Content-Length: 52428800", body=b"{" * 1000)

    check_refused(answer, (413, "body_too_large"))


@pytest.mark.hostile("H09")
def test_a_body_without_an_end_is_refused_after_what_may_come(watch: Watch) -> None:
    sent, chunk = 0, b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    with raw.connect(watch.attacker.door.port) as connection:
        connection.sendall(raw.head("POST", "/v1/datasets", watch.attacker.door.key, JSON, CHUNKED))
        with contextlib.suppress(ConnectionError):
            while sent < 64 * 2**20:
                connection.sendall(chunk)
                sent += len(chunk)
        answer = b""
        with contextlib.suppress(ConnectionError):
            answer = raw.read(connection)

    # What the kernel holds on both sides is above what the application has read.
    assert sent < 16 * 2**20
    if answer:
        check_refused(answer, (413, "body_too_large"))


@pytest.mark.hostile("H10")
def test_bodies_that_come_byte_by_byte_hold_up_nobody(watch: Watch) -> None:
    top = raw.head("POST", "/v1/datasets", watch.attacker.door.key, JSON, "Content-Length: 1000")
    with contextlib.ExitStack() as open_:
        slow = [open_.enter_context(raw.connect(watch.attacker.door.port)) for _ in range(100)]
        for connection in slow:
            connection.sendall(top + b"{")

        watch.check_neighbour()
        for connection in slow:
            connection.sendall(b" ")
        watch.check_neighbour()


@pytest.mark.hostile("H11")
@pytest.mark.parametrize(("sort", "body"), FORMS, ids=["multipart", "urlencoded"])
def test_no_route_reads_a_form(watch: Watch, sort: str, body: bytes) -> None:
    taken = [each for each in ROUTES if each.scope is not None and (each.body is not None or each.is_upload)]
    said = [f"Content-Type: {sort}", f"Content-Length: {len(body)}"]

    for declared in taken:
        path = re.sub(r"<[^>]+>", "x", re.sub(r"<int:[^>]+>", "1", declared.path))
        check_refused(asked(watch, declared.method, path, *said, body=body), (415, "unsupported_media_type"))
    assert len(taken) > 15


@pytest.mark.hostile("H15")
def test_an_id_that_leads_elsewhere_is_the_id_of_nothing(watch: Watch) -> None:
    ids = [
        "../../etc/passwd", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", "//proc/self/root", "x%23/../..", "a%00b", "x" * 10_240,
        "%ff%fe", "\udcff\udcfe", "a%0d%0aSet-Cookie:%20x=1", "%c0%ae%c0%ae%2f", "a%5c..%5cb", "%e2%80%ae",
    ]  # fmt: skip

    for noun, wrong in product(("jobs", "datasets", "models", "schedules", "webhooks", "keys"), ids):
        answer = asked(watch, "GET", f"/v1/{noun}/{wrong}")
        check_refused(answer, (404, "not_found"), (400, ""))
        assert b"set-cookie" not in answer.lower()


@pytest.mark.hostile("H62")
def test_a_method_that_nobody_needs_is_not_allowed(watch: Watch) -> None:
    for method in ("TRACE", "CONNECT", "PROPFIND", "BREW"):
        answer = asked(watch, method, "/v1/jobs", "X-Canary: kanarienvogel")

        check_refused(answer, (405, "method_not_allowed"))
        assert b"kanarienvogel" not in answer


@pytest.mark.hostile("H62")
def test_a_host_that_is_none_is_refused_and_one_that_is_one_is_taken(watch: Watch) -> None:
    for host in ("a b", "a/b?@c", "a,b", "\udcff", "", "[x", "a:b"):
        check_refused(asked(watch, "GET", "/v1/jobs", f"Host: {host}"), (400, "bad_request"), (400, ""))
    check_refused(asked(watch, "GET", "/v1/jobs", "Host: a", "Host: b"), (400, "bad_request"))

    for host in ("etude.test", "etude.test:8000", "[::1]:8000", "127.0.0.1", "etude_web"):
        assert raw.parse(asked(watch, "GET", "/v1/jobs", f"Host: {host}"))[0] == 200


@pytest.mark.hostile("H62")
def test_who_forges_where_the_server_is_finds_no_link_there(watch: Watch) -> None:
    forged = [
        "Host: evil.test", "X-Forwarded-Host: evil.test", "X-Forwarded-Proto: gopher", "X-Forwarded-For: 10.0.0.1",
        "Forwarded: host=evil.test", "X-Original-URL: /v1/keys", "X-Rewrite-URL: /v1/keys",
    ]  # fmt: skip

    answer = asked(watch, "POST", "/v1/datasets", *forged, JSON, LENGTH, body=NAME)

    status, _, headers = raw.parse(answer)
    assert status == 201 and headers["location"].startswith("/v1/datasets/")
    assert b"evil.test" not in answer and b"gopher" not in answer


@pytest.mark.hostile("H62")
def test_a_method_in_a_header_is_no_method(watch: Watch) -> None:
    names = ["X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"]
    dataset = watch.attacker.call("POST", "/v1/datasets", {"name": "songs"})["id"]

    status, said, _ = raw.parse(asked(watch, "GET", f"/v1/datasets/{dataset}", *(f"{name}: DELETE" for name in names)))

    assert (status, said["id"]) == (200, dataset)
    assert watch.attacker.call("GET", f"/v1/datasets/{dataset}")["id"] == dataset


@pytest.mark.hostile("H62")
@pytest.mark.parametrize("lines", [[CHUNKED, "Content-Length: 4"], ["Content-Length: 4", CHUNKED]], ids=str)
def test_of_two_lengths_no_second_request_comes(watch: Watch, lines: list[str]) -> None:
    """Whoever stands before us may have seen another end; so what follows on this connection is nobody's request."""
    smuggled = raw.head("DELETE", "/v1/datasets/x", watch.attacker.door.key)
    top = raw.head("POST", "/v1/datasets", watch.attacker.door.key, JSON, *lines)

    with raw.connect(watch.attacker.door.port) as connection:
        connection.sendall(top + b"%x\r\n%s\r\n0\r\n\r\n" % (len(NAME), NAME) + smuggled)
        answer = raw.read(connection, is_whole=False)

    assert answer.count(b"HTTP/1.1 ") == 1
    assert raw.parse(answer)[2]["connection"] == "close"


@pytest.mark.hostile("H62")
def test_what_two_could_read_in_two_ways_is_no_request(watch: Watch) -> None:
    watch.is_unheard = True
    lengths = ("+17", "-1", "9" * 23, "\udcff", "0x11", "1 7", "17,18")

    for lines in (
        [CHUNKED, "Transfer-Encoding: identity"], ["Transfer-Encoding: xchunked"], ["X-A : b"], ["X-A: b", " folded"],
        ["X-A: a\0b"], ["Content-Length: 3", "Content-Length: 4"], *([f"Content-Length: {said}"] for said in lengths),
    ):  # fmt: skip
        check_refused(asked(watch, "POST", "/v1/datasets", JSON, *lines, body=NAME), (400, ""))


@pytest.mark.hostile("H64")
@pytest.mark.parametrize(
    ("lines", "by"),
    [
        ([f"X-{number}: y" for number in range(200)], (431, "")),
        ([f"X-{number}: y" for number in range(10_000)], (431, "")),
        (["Last-Event-ID: " + "y" * 60_000], (422, "event_unknown")),
        (["Last-Event-ID: \udcff"], (422, "event_unknown")),
        (["Last-Event-ID: 0,0"], (422, "event_unknown")),
        (["Last-Event-ID: 9223372036854775808"], (422, "event_unknown")),
    ],
    ids=["200", "10,000", "60 KB", "no ASCII", "two", "beyond"],
)
def test_headers_without_end_open_no_stream(watch: Watch, lines: list[str], by: tuple[int, str]) -> None:
    watch.is_unheard = by[0] == 431
    check_refused(asked(watch, "GET", "/v1/events", "Accept: text/event-stream", *lines), by)


@pytest.mark.hostile("H67")
def test_a_cursor_that_is_none_is_refused(watch: Watch) -> None:
    codes = [(422, code) for code in ("invalid_request", "invalid_parameter", "event_unknown")]
    job = watch.attacker.call("GET", "/v1/jobs?limit=1")["data"][0]["id"]

    for said in ("-1", "%00", "A" * 5000, "%ff", "..%2f", "ev_" + "A" * 32, "1e3"):
        for path in (f"/v1/events?after={said}", f"/v1/jobs/{job}/events?after={said}"):
            check_refused(asked(watch, "GET", path), *codes)
        for noun in ("jobs", "datasets", "models", "audit-log"):
            answer = asked(watch, "GET", f"/v1/{noun}?cursor={said}")
            # A text that could be a cursor is one, behind which nothing comes.
            if raw.parse(answer)[0] != 200:
                check_refused(answer, *codes)
            assert not INSIDES.search(answer.partition(raw.END + raw.END)[2].decode())


@pytest.mark.hostile("H67")
def test_a_cursor_of_another_tenant_shows_nothing_of_its(watch: Watch) -> None:
    theirs = watch.witness.call("GET", "/v1/jobs?limit=1")["data"][0]["id"]
    event = watch.witness.call("GET", "/v1/events?limit=1")["data"][0]["id"]

    seen = watch.attacker.call("GET", f"/v1/jobs?cursor={theirs}")
    watch.attacker.refused("GET", f"/v1/events?after={event}", by=(422, "event_unknown"))

    assert theirs not in json.dumps(seen)
    watch.attacker.refused("GET", f"/v1/jobs/{theirs}", by=(404, "not_found"))


@pytest.mark.hostile("H68")
def test_a_poisoned_condition_is_no_condition(watch: Watch) -> None:
    job = watch.attacker.call("GET", "/v1/jobs?limit=1")["data"][0]["id"]

    for line in (
        "If-None-Match: " + '"a",' * 2000, "If-None-Match: \udcff", 'If-None-Match: "', "If-None-Match: W/",
        "Range: bytes=" + "0-0," * 2000 + "0-0", "Range: bytes=-99999999999999999999", "Prefer: wait=1e9",
        "Prefer: wait=-5", "Prefer: wait=" + "9" * 5000, "If-Modified-Since: x", "Accept-Language: " + "a-" * 20_000,
        "Cookie: " + "a=b;" * 10_000, "X-Request-Id: " + "x" * 5000, "X-Request-Id: a\udcffb",
    ):  # fmt: skip
        status, said, headers = raw.parse(asked(watch, "GET", f"/v1/jobs/{job}", line))
        assert (status, said["id"]) == (200, job), line[:40]
        assert len(headers["x-request-id"]) <= 64


@pytest.mark.hostile("H69")
def test_a_packed_body_is_unpacked_by_nobody(watch: Watch) -> None:
    bomb = gzip.compress(b" " * 2**26)
    lines = [JSON, "Content-Encoding: gzip", f"Content-Length: {len(bomb)}"]

    check_refused(asked(watch, "POST", "/v1/datasets", *lines, body=bomb), (400, "json_invalid_text"))


@pytest.mark.hostile("H69")
def test_a_body_in_another_alphabet_is_not_guessed_at(watch: Watch) -> None:
    body = '{"name": "songs"}'.encode("utf-16")
    lines = ["Content-Type: application/json; charset=utf-16", f"Content-Length: {len(body)}"]

    check_refused(asked(watch, "POST", "/v1/datasets", *lines, body=body), (400, "json_invalid_text"))
