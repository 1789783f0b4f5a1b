"""`etude keys …`, `etude limits`, `etude encryption-key`, `etude audit-log`: who may do what, how much, and who did."""

import click

from etude import Client, options, page, show, show_tenant

SCOPES = click.Choice(["read", "submit", "admin"])


@click.group(short_help="Make, list, rotate and revoke keys of the tenant.")
def keys() -> None:
    """Make, list, rotate and revoke keys of the tenant; needs a key with the scope admin."""


@keys.command()
@click.argument("name")
@click.option("--scope", type=SCOPES, default="read", show_default=True, help="How far it reaches.")
@click.option("--expires-in-days", type=click.IntRange(1, 366), help="90 without it.")
@options.as_json
def create(name: str, scope: str, expires_in_days: int | None, as_json: bool) -> None:
    """Make a key and print it, this once, alone on standard output."""
    with Client() as client:
        made = client.create_key(name, scope=scope, expires_in_days=expires_in_days)
        show.as_json(made) if as_json else show_tenant.secret(made)


@keys.command("list")
@options.as_json
def list_(as_json: bool) -> None:
    """List the keys, the newest first."""
    with Client() as client:
        found = list(client.keys())
        show.as_json(found) if as_json else show_tenant.keys(found)


@keys.command()
@click.argument("key_id")
@click.option("--grace-s", type=click.IntRange(0, 604_800), help="How long the old one is good; a day without it.")
@options.as_json
def rotate(key_id: str, grace_s: int | None, as_json: bool) -> None:
    """Make a key in the place of another and print it, this once, alone on standard output."""
    with Client() as client:
        made = client.rotate_key(key_id, grace_s=grace_s)
        show.as_json(made) if as_json else show_tenant.secret(made)


@keys.command()
@click.argument("key_id")
def revoke(key_id: str) -> None:
    """End a key; within seconds it opens nothing any more."""
    with Client() as client:
        client.revoke_key(key_id)
        page.say(f"{key_id} is revoked.")


@click.command()
@options.as_json
def limits(as_json: bool) -> None:
    """Show what the tenant may have, and what of it is used."""
    with Client() as client:
        found = client.limits()
        show.as_json(found) if as_json else show_tenant.limits(found)


@click.command("encryption-key", short_help="Show the key that the data lies under, or replace it.")
@click.option("--rotate", is_flag=True, help="Have a newer one made in its place, and wait for that.")
@options.as_json
def encryption_key(rotate: bool, as_json: bool) -> None:
    """Show which key the tenant's data lies under, and since when; the key itself is shown to nobody."""
    with Client() as client:
        if rotate:
            client.rotate_encryption_key().wait()
        found = client.encryption_key()
        show.as_json(found) if as_json else show_tenant.encryption_key(found)


@click.command("audit-log", short_help="List what was changed and what was refused.")
@click.option("--key", help="Only what this key did.")
@click.option("--action", help="Only this, such as keys.create.")
@click.option("--object", "object_", help="Only what was done to this id.")
@click.option("--from", "since", help="From this day or moment on.")
@click.option("--to", "until", help="Before this day or moment.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@options.as_json
def audit_log(limit: int, object_: str | None, as_json: bool, **filters: str | None) -> None:
    """List what was changed and what was refused, the newest first."""
    with Client() as client:
        found = list(client.audit_log(limit=limit, object=object_, **filters))
        show.as_json(found) if as_json else show_tenant.audit_log(found)


COMMANDS = (keys, limits, encryption_key, audit_log)
