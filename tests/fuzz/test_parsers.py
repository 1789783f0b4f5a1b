"""Whatever comes, a parser answers or refuses by name. FUZZ_TIMES times as many examples in `make fuzz`."""

import io
import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared import cron
from shared.errors import BadRequest, EtudeError, JobFailed
from shared.sealing import segments
from tests.hostile.test_broker import message
from tests.hostile_archives import archive, npy, stored
from web import strict_json
from web.environ import HOST, demand_host
from worker import rings
from worker.formats import archive as archives
from worker.formats.limits import Limits
from worker.formats.source import Faults

TIMES = int(os.environ.get("FUZZ_TIMES", "1"))
KEY, PLACE = b"k" * 32, b"t/ten/x"
SEALED = b"".join(segments.seal(KEY, PLACE, [b"la" * 700_000]))
GOOD = archive([stored("X.npy", npy([1.0, 2.0])), stored("y.npy", npy([1, 0]))])


def opened(sealed: bytes) -> bytes:
    """What a reader gets of the file as it lies there."""
    opener = segments.Opener(KEY, PLACE, header=sealed[: segments.HEADER_BYTES], size=len(sealed))
    return b"".join(opener.open([sealed[segments.HEADER_BYTES :]], first=0, after=opener.count))


def read_arrays(content: bytes) -> dict[str, bytes] | None:
    """The bytes of each array by its entry, None where the archive is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.npz"
        path.write_bytes(content)
        into = io.BytesIO()
        try:
            arrays = archives.unpack(path, into, Limits(), Faults("t.npz"))
        except JobFailed as refused:
            assert refused.code == "dataset_rejected"
            return None
        return {f"{each.name}.npy": each.read(0, each.rows).tobytes() for each in arrays}


often = settings(max_examples=100 * TIMES, deadline=None, suppress_health_check=list(HealthCheck))
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | texts
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=20,
)


@often
@given(values)
def test_honest_json_is_read_as_the_library_reads_it(value: Any) -> None:
    assert strict_json.read(json.dumps(value).encode()) == json.loads(json.dumps(value))


@often
@given(st.binary(max_size=200) | values.map(lambda value: json.dumps(value).encode()[:-1]) | st.text().map(str.encode))
def test_any_bytes_are_json_or_refused(content: bytes) -> None:
    try:
        strict_json.read(content)
    except BadRequest as refused:
        assert refused.code.startswith("json_")


@often
@given(st.binary(max_size=300) | values.map(lambda value: json.dumps(value).encode()))
def test_no_bytes_ring_that_are_no_ring(content: bytes) -> None:
    assert rings.read(content) is None


@often
@given(st.integers(0, 5000), st.integers(1, 255))
def test_a_ring_with_a_byte_changed_rings_for_its_queue_or_not_at_all(place: int, change: int) -> None:
    content = bytearray(message())
    content[place % len(content)] ^= change

    assert rings.read(bytes(content)) in ("light", None)


@often
@given(st.text(max_size=40) | st.from_regex(r"[-0-9*/,LW#]+( [-0-9*/,LW#]+){4}", fullmatch=True))
def test_any_text_is_a_cron_expression_or_refused(text: str) -> None:
    try:
        cron.read(text)
    except (ValueError, EtudeError) as refused:
        assert str(refused)


@often
@given(st.binary(max_size=60).map(lambda content: content.decode("latin-1")))
def test_a_host_is_one_or_refused(host: str) -> None:
    environ = {"HTTP_HOST": host, "SERVER_PROTOCOL": "HTTP/1.1"}
    if HOST.fullmatch(host):
        demand_host(environ)
        return
    with pytest.raises(BadRequest):
        demand_host(environ)


@often
@given(st.integers(0, len(SEALED) - 1), st.integers(1, 255), st.sampled_from(["change", "cut", "grow", "swap"]))
def test_whatever_is_changed_of_a_sealed_file_is_noticed(place: int, change: int, how: str) -> None:
    harmed = bytearray(SEALED)
    if how == "change":
        harmed[place] ^= change
    elif how == "cut":
        del harmed[place:]
    elif how == "grow":
        harmed[place:place] = bytes([change])
    else:
        harmed[place:] = harmed[place:][::-1] + b"x"

    assert bytes(harmed) != SEALED
    with pytest.raises(segments.Tampered):
        opened(bytes(harmed))


@often
@given(st.lists(st.tuples(st.integers(0, len(GOOD) - 1), st.integers(0, 255)), min_size=1, max_size=6))
def test_an_archive_with_bytes_changed_is_read_or_refused_by_name(changes: list[tuple[int, int]]) -> None:
    """The check before the unpacking, against Python's own reader: what we take, it reads to the same bytes."""
    content = bytearray(GOOD)
    for place, value in changes:
        content[place] = value

    taken = read_arrays(bytes(content))

    if taken is not None:
        with zipfile.ZipFile(io.BytesIO(content)) as theirs:
            assert {name: theirs.read(name)[-len(data) :] for name, data in taken.items()} == taken
