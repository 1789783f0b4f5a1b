"""A model version as an archive with a signed manifest, and whether this service has signed one."""

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

from shared import builtin, models, signatures
from shared.keys import READ
from web import card_html, card_markdown, cards, registry_schemas
from web.api import Answer, Call, route
from web.registry_requests import SignedManifest

ZIP = "application/zip"
MANIFEST, SIGNATURE = "manifest.json", "manifest.sig"
FORM = 1

Json = dict[str, Any]


@route("GET", "/v1/models/<name>/versions/<int:number>/download", scope=READ, media_types=(ZIP,),
       errors=(404, 409), is_slow=True)  # fmt: skip
def download(call: Call, name: str, number: int) -> Answer:
    """The version as an archive: spec, weights, card, a manifest with the SHA-256 of each, and its signature."""
    if builtin.is_builtin(name):
        raise builtin.fixed(name)
    row = models.find_version(call.sql, call.caller.tenant, name, number)
    contents = {file["name"]: call.services.storage.get(file["key"]) for file in row.files}
    card = cards.make(call, name, number)
    contents |= _card(card)
    manifest = _manifest(row.id, contents, card["rights"])
    signature = signatures.sign(call.services.settings.pepper, manifest)
    headers = {"Content-Disposition": f'attachment; filename="model-{row.id}.zip"'}
    packed = _pack({**contents, MANIFEST: manifest, SIGNATURE: f"{signature}\n".encode()})
    return Answer(packed, headers=headers, media_type=ZIP)


def _card(card: Json) -> dict[str, bytes]:
    return {
        "card.json": json.dumps(card, indent=1, ensure_ascii=False).encode(),
        "card.html": card_html.page(card).encode(),
        "card.md": card_markdown.page(card).encode(),
    }


def _manifest(version_id: str, contents: dict[str, bytes], rights: Json) -> bytes:
    """The same whoever fetches it: nothing of the tenant, and no moment; the rights are those of now, in short."""
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(contents.items())}
    short = {name: rights[name] for name in ("commercial", "consent", "licences", "attributions", "marks")}
    said = {"form": FORM, "version": version_id, "rights": short, "files": digests}
    return json.dumps(said, indent=1).encode()


def _pack(contents: dict[str, bytes]) -> Iterator[bytes]:
    """A zip, stored: weights do not shrink."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as file:
        for name, content in contents.items():
            file.writestr(zipfile.ZipInfo(name), content)
    yield packed.getvalue()


@route("POST", "/v1/manifests/verify", scope=READ, body=SignedManifest, answer=registry_schemas.Verified, opens=False,
       changes=False)  # fmt: skip
def verify(call: Call) -> Answer:
    """Whether this service has signed a manifest, for whomever; nothing is written."""
    sent: SignedManifest = call.body
    # Text may hold half of a pair of surrogates, which no manifest of ours does.
    manifest = sent.manifest.encode("utf-8", "replace")
    return Answer({"is_ours": signatures.is_ours(call.services.settings.pepper, manifest, sent.signature)})
