"""The JSON reader of the door refuses what other readers quietly take."""

import pytest

from shared.errors import BadRequest
from web import strict_json

REFUSED = {
    b'{"a": ': "json_malformed",
    b"": "json_malformed",
    b'{"a": NaN}': "json_not_finite",
    b'{"a": -Infinity}': "json_not_finite",
    b'{"a": 1e999}': "json_not_finite",
    b'{"tenant": 1, "tenant": 2}': "json_duplicate_key",
    # Compared each with each, these would take minutes.
    b"{" + b",".join(b'"%d":1' % number for number in (*range(90_000), 89_999)) + b"}": "json_duplicate_key",
    b"[" * 100_000 + b"]" * 100_000: "json_too_deep",
    b'{"a":' * 100_000 + b"1" + b"}" * 100_000: "json_too_deep",
    b"[" * 33 + b"]" * 33: "json_too_deep",
    b'{"a": 9223372036854775808}': "json_number_range",
    b'{"a": ' + b"9" * 5000 + b"}": "json_number_range",
    b'{"a": "\\u0000"}': "json_invalid_text",
    b'{"a": "\\ud800"}': "json_invalid_text",
    b'{"\\u0000": 1}': "json_invalid_text",
    b'{"a": "\xff"}': "json_invalid_text",
    '{"a": 1}'.encode("utf-16"): "json_invalid_text",
}


@pytest.mark.hostile("H01", "H02", "H03", "H04", "H05", "H06", "H07", "H65")
@pytest.mark.parametrize("body", REFUSED, ids=lambda body: f"{REFUSED[body]}-{len(body)}")
def test_a_hostile_body_is_refused_by_name(body: bytes) -> None:
    with pytest.raises(BadRequest) as refused:
        strict_json.read(body)

    assert refused.value.code == REFUSED[body]


def test_an_honest_body_is_read_as_it_is() -> None:
    body = '{"name": "Für Elise – 献给爱丽丝", "n": [1, -2.5, 9223372036854775807, true, null]}'

    assert strict_json.read(body.encode())["n"] == [1, -2.5, 9223372036854775807, True, None]
