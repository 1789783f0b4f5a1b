"""/v1/models/…/card: a version's card as JSON, as a page, as Markdown."""

from typing import Any

from flask import request

from shared import evidence
from shared.keys import READ
from web import card_html, card_markdown, registry_schemas, responses
from web.api import Answer, Call, route
from web.reading import JSON
from web.registry_requests import CardQuery

HTML, MARKDOWN = "text/html", "text/markdown"
MEDIA = {"json": JSON, "html": HTML, "markdown": MARKDOWN}

Json = dict[str, Any]


@route("GET", "/v1/models/<name>/versions/<int:number>/card", scope=READ, query=CardQuery,
       answer=registry_schemas.Card, media_types=(JSON, HTML, MARKDOWN), errors=(404,))  # fmt: skip
def show(call: Call, name: str, number: int) -> Answer:
    """The card of a version, in the form that `format` names, or else the header Accept."""
    card = make(call, name, number)
    asked = call.query.format
    media = MEDIA[asked] if asked else request.accept_mimetypes.best_match((JSON, HTML, MARKDOWN), default=JSON)
    if media == JSON:
        return Answer(card)
    said = card_html.page(card) if media == HTML else card_markdown.page(card)
    return Answer(said.encode(), media_type=f"{media}; charset=utf-8")


def make(call: Call, name: str, number: int) -> Json:
    """The card of a version as clients read it."""
    return responses.card(evidence.gather(call.sql, call.caller.tenant, name, number))
