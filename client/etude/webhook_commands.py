"""`etude webhook …`: who is told when a job ends."""

from itertools import islice

import click

from etude import Client, options, page, show, show_webhooks

EVENTS = ("job.succeeded", "job.failed", "job.cancelled", "schedule.paused", "schedule.refused", "webhook.ping")


@click.group(short_help="Have a URL of yours told when something has happened.")
def webhook() -> None:
    """Have the service tell a URL of yours when something has happened."""


@webhook.command()
@click.argument("url")
@click.option("--event", "events", type=click.Choice(EVENTS), multiple=True,
              help="What it is told of (repeatable); of everything without it.")  # fmt: skip
@click.option("--description", help="What it is for.")
@options.as_json
def create(url: str, events: tuple[str, ...], description: str | None, as_json: bool) -> None:
    """Add a webhook, and show its secret this once."""
    with Client() as client:
        made = client.create_webhook(url, events=events or ("*",), description=description)
        show.as_json(made.raw) if as_json else show_webhooks.webhook(made)


@webhook.command("list")
@options.as_json
def list_(as_json: bool) -> None:
    """List the webhooks, the newest first."""
    with Client() as client:
        found = list(client.webhooks())
        show.as_json([each.raw for each in found]) if as_json else show_webhooks.webhooks(found)


@webhook.command("show")
@click.argument("webhook_id")
@options.as_json
def show_one(webhook_id: str, as_json: bool) -> None:
    """Show one webhook, and why it is switched off if it is."""
    with Client() as client:
        found = client.webhook(webhook_id)
        show.as_json(found.raw) if as_json else show_webhooks.webhook(found)


@webhook.command()
@click.argument("webhook_id")
@click.option("--url", help="Where it is told from now on.")
@click.option("--event", "events", type=click.Choice(EVENTS), multiple=True, help="What it is told of (repeatable).")
@click.option("--state", type=click.Choice(["active", "disabled"]), help="Whether it is told at all.")
@options.as_json
def change(webhook_id: str, url: str | None, events: tuple[str, ...], state: str | None, as_json: bool) -> None:
    """Change what is given, or switch it on again."""
    given = {"url": url, "events": list(events) or None, "state": state}
    with Client() as client:
        changed = client.webhook(webhook_id).change(**{name: value for name, value in given.items() if value})
        show.as_json(changed.raw) if as_json else show_webhooks.webhook(changed)


@webhook.command()
@click.argument("webhook_id")
@options.as_json
def rotate(webhook_id: str, as_json: bool) -> None:
    """Make a new secret, and show it this once; the old one is good for a day more."""
    with Client() as client:
        rotated = client.webhook(webhook_id).rotate()
        show.as_json(rotated.raw) if as_json else show_webhooks.webhook(rotated)


@webhook.command()
@click.argument("webhook_id")
@options.as_json
def ping(webhook_id: str, as_json: bool) -> None:
    """Have a webhook.ping sent, to see whether it arrives."""
    with Client() as client:
        sent = client.webhook(webhook_id).ping()
        show.as_json(sent) if as_json else show_webhooks.delivery(sent)


@webhook.command()
@click.argument("webhook_id")
@click.argument("delivery_id", required=False)
@click.option("--state", type=click.Choice(["waiting", "delivered", "failed"]))
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@options.as_json
def deliveries(webhook_id: str, delivery_id: str | None, state: str | None, limit: int, as_json: bool) -> None:
    """List what was to be told, the newest first; or show one delivery with its tries."""
    with Client() as client:
        found = client.webhook(webhook_id)
        if delivery_id is not None:
            one = found.delivery(delivery_id)
            return show.as_json(one) if as_json else show_webhooks.delivery(one)
        listed = list(islice(found.deliveries(state=state, limit=limit), limit))
        return show.as_json(listed) if as_json else show_webhooks.deliveries(listed)


@webhook.command()
@click.argument("webhook_id")
@click.argument("delivery_id")
@options.as_json
def redeliver(webhook_id: str, delivery_id: str, as_json: bool) -> None:
    """Have a delivery tried now, however it ended."""
    with Client() as client:
        again = client.webhook(webhook_id).redeliver(delivery_id)
        show.as_json(again) if as_json else show_webhooks.delivery(again)


@webhook.command()
@click.argument("webhook_id")
def delete(webhook_id: str) -> None:
    """Forget a webhook and its deliveries."""
    with Client() as client:
        client.webhook(webhook_id).delete()
        page.say(f"{webhook_id} is gone.")


COMMANDS = (webhook,)
