"""A client verifies signatures of Ed25519 by itself, as the library that signed them does."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from etude import EtudeError, ed25519, show_erasures
from etude.erasure_commands import verify
from etude.erasures import demand_signed

from shared import receipts
from shared.sealing.key_rows import Store

STORE = Store("ks_1", b"s" * 32)
RECEIPT = {"form": receipts.FORM, "erasure": "era_1", "subject": {"dataset": "Lieder für Ängström"}, "artefacts": []}


def signed() -> dict[str, Any]:
    return {
        "receipt": RECEIPT,
        "signature": receipts.sign(STORE, RECEIPT),
        "public_key": receipts.public_key(STORE),
    }


@pytest.mark.parametrize("length", [0, 1, 63, 64, 1000])
def test_what_was_signed_verifies_and_nothing_else(length: int) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    public, message = key.public_key().public_bytes_raw(), bytes(length)
    signature = key.sign(message)

    assert ed25519.verifies(public, message, signature)
    assert not ed25519.verifies(public, message + b"x", signature)
    assert not ed25519.verifies(bytes(32), message, signature)
    assert not ed25519.verifies(public, message, signature[:32] + bytes(32))
    # S and S + L would be two signatures of one message.
    s = int.from_bytes(signature[32:], "little") + ed25519.L
    assert not ed25519.verifies(public, message, signature[:32] + s.to_bytes(32, "little"))
    for place in range(0, 64, 7):
        flipped = bytearray(signature)
        flipped[place] ^= 1
        assert not ed25519.verifies(public, message, bytes(flipped))


def test_the_vector_of_the_standard_verifies() -> None:
    # RFC 8032, 7.1, test 2.
    public = bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c")
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )

    assert ed25519.verifies(public, b"\x72", signature)


def test_a_receipt_is_verified_as_it_comes_over_the_wire() -> None:
    demand_signed(json.loads(json.dumps(signed())))
    demand_signed(signed(), receipts.public_key(STORE))
    assert receipts.is_signed(receipts.public_key(STORE), RECEIPT, receipts.sign(STORE, RECEIPT))


@pytest.mark.parametrize(
    "change",
    [
        {"receipt": {**RECEIPT, "artefacts": [{}]}},
        {"signature": base64.b64encode(bytes(64)).decode()},
        {"signature": "not base64!"},
        {"public_key": receipts.public_key(Store("ks_2", b"t" * 32))},
        {"public_key": ""},
        {"receipt": None},
    ],
)
def test_a_receipt_that_was_changed_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(EtudeError):
        demand_signed({**signed(), **change})
    with pytest.raises(EtudeError):
        demand_signed({})


def test_a_receipt_of_another_service_is_not_of_the_one_that_is_known() -> None:
    with pytest.raises(EtudeError, match="not what was signed"):
        demand_signed(signed(), receipts.public_key(Store("ks_2", b"t" * 32)))


@pytest.mark.parametrize("is_known", [True, False])
def test_a_key_that_came_with_its_receipt_is_told_as_compared_with_none(tmp_path: Path, is_known: bool) -> None:
    public, file = receipts.public_key(STORE), tmp_path / "receipt.json"
    # Not what the file says of itself.
    file.write_text(json.dumps({**signed(), "key_id": "0" * 16}))

    told = CliRunner().invoke(verify, [str(file), *(["--public-key", public] if is_known else [])])

    said = " ".join(told.output.split())
    assert told.exit_code == 0, told.output
    assert f"era_1 is what was signed with the key {receipts.identify(public)}." in said
    assert ("compared with none" in said) is not is_known


def test_what_an_erasure_has_ended_is_told_and_not_only_what_it_has_destroyed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    done = {
        "erasure": "era_1", "done_at": "2026-11-27T23:25:00Z",
        "subject": {"kind": "listener", "dataset": "plays", "version": None, "pseudonym": "p-1"},
        "datasets": [{"reference": "plays@1", "done": "rewritten"}], "artefacts": [{}] * 3, "unnamed_files": [{}],
        "models": [{"reference": "taste@1", "done": "kept"}], "aliases_removed": ["taste@champion"],
        "jobs_cancelled": ["job_1"], "jobs_restarted": ["job_3"],
        "schedules_paused": ["sch_1"], "retrained": ["job_2"], "not_retrained": [],
        "remains": [{"what": "figures", "why": "Counts stay."}],
    }  # fmt: skip

    show_erasures.receipt({"receipt": done, "key_id": "abc"})

    told = " ".join(capsys.readouterr().out.split())
    for said in (
        "p-1 in plays", "plays@1 is rewritten", "4 files destroyed", "taste@1 has learned from it, and is kept",
        "taste@champion points to nothing now", "job_1 was working on it, and was ended", "sch_1 is paused",
        "job_3 had read it, and begins anew",
        "job_2 trains anew", "remains: figures. Counts stay.",
    ):  # fmt: skip
        assert said in told
