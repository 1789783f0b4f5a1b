"""What a client asks about erasures: decide, look, wait, and a receipt that it verifies itself."""

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from etude import ed25519
from etude.errors import EtudeError
from etude.transport import Transport

Json = dict[str, Any]

LOOK_S = 0.5


class Erasures:
    """The part of a client that is about data that is to go."""

    _transport: Transport

    def erase(self, dataset: str, *, models: str, listener: str | None = None, track: str | None = None) -> Json:
        """Decide that a dataset is erased with what was made of it, or what one listener has played, or one track.

        `track`: the key of a row, of a recording or of a table with ids. `models`: keep, delete or retrain those that
        have learned from it. Returns at once; nothing brings the data back.
        """
        one = {"listener": listener, "track": track}
        subject = {"dataset": dataset, **{name: key for name, key in one.items() if key is not None}}
        return self._transport.post("/v1/erasures", {"subject": subject, "models": models})

    def erasures(self, *, limit: int | None = None) -> Iterator[Json]:
        """The newest first."""
        return self._transport.listed("/v1/erasures", {}, limit)

    def erasure(self, erasure_id: str) -> Json:
        said: Json = self._transport.get(_address(erasure_id)).json()
        return said

    def wait_for_erasure(self, erasure_id: str) -> Json:
        """The erasure once it is done. Raises EtudeError when its job has failed, which can be retried."""
        while True:
            found = self.erasure(erasure_id)
            if found["state"] == "failed":
                said = found["error"]["detail"]
                raise EtudeError(f"{erasure_id} is not done: {said} Retry it: etude retry {found['job']}")
            if found["state"] == "done":
                return found
            time.sleep(LOOK_S)

    def receipt(self, erasure_id: str, *, public_key: str | None = None) -> Json:
        """The signed receipt, verified with the key that was kept from before, or else with the one that is told now.

        Raises EtudeError when it is not what was signed.
        """
        answer: Json = self._transport.get(f"{_address(erasure_id)}/receipt").json()
        demand_signed(answer, public_key)
        return answer

    def signing_key(self) -> Json:
        """The public key by which receipts are verified: worth keeping elsewhere."""
        said: Json = self._transport.get("/v1/erasures/signing-key").json()
        return said


def demand_signed(answer: Json, public_key: str | None = None) -> None:
    """Raise EtudeError unless an answer's receipt is what was signed."""
    try:
        public, signature = (
            base64.b64decode(text, validate=True) for text in (public_key or answer["public_key"], answer["signature"])
        )
        signed = json.dumps(answer["receipt"], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    except (KeyError, ValueError, TypeError) as cause:
        raise EtudeError("This is no signed receipt: fetch it again with `etude erasures receipt`.") from cause
    if not ed25519.verifies(public, signed, signature):
        raise EtudeError("The receipt is not what was signed with this key: trust none of it.")


def identify(public_key: str) -> str:
    """The short name of a public key: what a service calls `key_id`, worked out and not believed."""
    return hashlib.sha256(base64.b64decode(public_key)).hexdigest()[:16]


def _address(erasure_id: str) -> str:
    return f"/v1/erasures/{quote(erasure_id, safe='')}"
