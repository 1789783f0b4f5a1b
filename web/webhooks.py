"""/v1/webhooks: who is told of what, and what became of each delivery."""

from collections.abc import Sequence
from typing import Any

from shared import deliveries, webhooks
from shared.keys import ADMIN, READ
from web import responses, schemas
from web.api import Answer, Call, route
from web.requests import DeliveriesPage, NewWebhook, Page, WebhookChange
from web.services import Services

# A name server that takes longer is one that a delivery would wait for in vain.
LOOK_UP_S = 3.0


def find_receiver(services: Services, body: Any) -> None:  # Any: one of two bodies that may have a URL
    """Refuse a URL that nothing would be sent to; each delivery asks again, for a name may lead elsewhere by then."""
    if body.url is not None:
        services.receivers.find(body.url, limit_s=LOOK_UP_S)


@route("POST", "/v1/webhooks", scope=ADMIN, body=NewWebhook, answer=schemas.WebhookWithSecret, status=201,
       errors=(409,), is_slow=True, before=find_receiver)  # fmt: skip
def create(call: Call) -> Answer:
    """Add a webhook; its secret is shown here and never again."""
    wanted: NewWebhook = call.body
    row = webhooks.create(
        call.sql, call.caller.tenant, url=wanted.url, events=_once(wanted.events), description=wanted.description
    )
    return Answer(responses.webhook_with_secret(row), 201, {"Location": f"/v1/webhooks/{row.id}"})


@route("GET", "/v1/webhooks", scope=READ, query=Page, answer=schemas.WebhookList)
def index(call: Call) -> Answer:
    """The newest webhooks first."""
    page: Page = call.query
    rows = webhooks.page(call.sql, call.caller.tenant, limit=page.limit + 1, before=page.cursor)
    return Answer(responses.page([responses.webhook(row) for row in rows], limit=page.limit))


@route("GET", "/v1/webhooks/<webhook_id>", scope=READ, answer=schemas.Webhook, errors=(404,))
def show(call: Call, webhook_id: str) -> Answer:
    """One webhook."""
    return Answer(responses.webhook(webhooks.find(call.sql, call.caller.tenant, webhook_id)))


@route("PATCH", "/v1/webhooks/<webhook_id>", scope=ADMIN, body=WebhookChange, answer=schemas.Webhook, errors=(404,),
       is_slow=True, before=find_receiver)  # fmt: skip
def change(call: Call, webhook_id: str) -> Answer:
    """Change a webhook; one that is switched off sends nothing more, and what waited for it has failed."""
    values = call.body.model_dump(exclude_none=True)
    if "events" in values:
        values["events"] = _once(values["events"])
    return Answer(responses.webhook(webhooks.change(call.sql, call.caller.tenant, webhook_id, values)))


@route("DELETE", "/v1/webhooks/<webhook_id>", scope=ADMIN, status=204, errors=(404,))
def remove(call: Call, webhook_id: str) -> Answer:
    """Delete a webhook with its deliveries."""
    webhooks.remove(call.sql, call.caller.tenant, webhook_id)
    return Answer(status=204)


@route("POST", "/v1/webhooks/<webhook_id>/rotate", scope=ADMIN, answer=schemas.WebhookWithSecret, errors=(404,))
def rotate(call: Call, webhook_id: str) -> Answer:
    """Make a new secret, shown here once; the old one is signed with as well for 24 h."""
    return Answer(responses.webhook_with_secret(webhooks.rotate(call.sql, call.caller.tenant, webhook_id)))


@route("POST", "/v1/webhooks/<webhook_id>/ping", scope=ADMIN, answer=schemas.Delivery, status=202, errors=(404, 409))
def ping(call: Call, webhook_id: str) -> Answer:
    """Send a `webhook.ping`, whatever the webhook's events are."""
    delivery_id = webhooks.ping(call.sql, call.caller.tenant, webhook_id)
    return Answer(responses.delivery(deliveries.find(call.sql, webhook_id, delivery_id)), 202)


@route("GET", "/v1/webhooks/<webhook_id>/deliveries", scope=READ, query=DeliveriesPage, answer=schemas.DeliveryList,
       errors=(404,))  # fmt: skip
def list_deliveries(call: Call, webhook_id: str) -> Answer:
    """The newest deliveries first."""
    page: DeliveriesPage = call.query
    row = webhooks.find(call.sql, call.caller.tenant, webhook_id)
    found = deliveries.page(call.sql, row.id, limit=page.limit + 1, before=page.cursor, state=page.state)
    return Answer(responses.page([responses.delivery(each) for each in found], limit=page.limit))


@route("GET", "/v1/webhooks/<webhook_id>/deliveries/<delivery_id>", scope=READ, answer=schemas.WholeDelivery,
       errors=(404,))  # fmt: skip
def show_delivery(call: Call, webhook_id: str, delivery_id: str) -> Answer:
    """One delivery: what is sent, and what each try came to."""
    row = webhooks.find(call.sql, call.caller.tenant, webhook_id)
    return Answer(responses.whole_delivery(deliveries.find(call.sql, row.id, delivery_id)))


@route("POST", "/v1/webhooks/<webhook_id>/deliveries/<delivery_id>/redeliver", scope=ADMIN, answer=schemas.Delivery,
       status=202, errors=(404, 409))  # fmt: skip
def redeliver(call: Call, webhook_id: str, delivery_id: str) -> Answer:
    """Try a delivery now, however it ended, under the same id."""
    row = webhooks.find(call.sql, call.caller.tenant, webhook_id)
    deliveries.find(call.sql, row.id, delivery_id)
    webhooks.demand_active(row)
    return Answer(responses.delivery(deliveries.redeliver(call.sql, row.id, delivery_id)), 202)


def _once(events: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(events))
