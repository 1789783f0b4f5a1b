"""`etude erase …`, `etude erasures …`: data that is to go with what was made of it, and the receipts for that."""

import json
from pathlib import Path

import click

from etude import Client, options, page, show, show_erasures
from etude.erasures import demand_signed, identify
from etude.errors import EtudeError

MODELS = click.Choice(["keep", "delete", "retrain"])


@click.command(short_help="Erase a dataset, or a listener or a track of it, with what was made of it.")
@click.argument("dataset")
@click.option("--listener", help="Only what this one has played, by id or by pseudonym.")
@click.option("--track", help="Only this recording, or the row of this id, by its key.")
@click.option("--models", type=MODELS, required=True, help="What becomes of the models that have learned from it.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.as_json
def erase(dataset: str, listener: str | None, track: str | None, models: str, yes: bool, as_json: bool) -> None:
    """Erase all versions of a dataset by its name, or the one that NAME@3 or an id means; nothing brings it back."""
    if listener and track:
        raise click.UsageError("Name a listener or a track, not both.")
    what = f"what {listener} has played in {dataset}" if listener else f"{track} in {dataset}" if track else dataset
    if not yes:
        click.confirm(f"Erase {what} and what was made of it, for good ({models} the models)?", abort=True, err=True)
    with Client() as client:
        decided = client.erase(dataset, listener=listener, track=track, models=models)
        client.wait_for_erasure(decided["id"])
        answer = client.receipt(decided["id"])
        show.as_json(answer) if as_json else show_erasures.receipt(answer)


@click.group(short_help="List erasures, and fetch and verify their receipts.")
def erasures() -> None:
    """List erasures, and fetch and verify their receipts."""


@erasures.command("list")
@options.as_json
def list_(as_json: bool) -> None:
    """List the erasures, the newest first."""
    with Client() as client:
        found = list(client.erasures())
        show.as_json(found) if as_json else show_erasures.listed(found)


@erasures.command()
@click.argument("erasure_id")
@click.option("--public-key", help="The signing key that was kept from before, in base64.")
@click.option("-o", "output", type=click.Path(dir_okay=False, path_type=Path), help="Save it, too.")
@options.as_json
def receipt(erasure_id: str, public_key: str | None, output: Path | None, as_json: bool) -> None:
    """Fetch a receipt and verify its signature."""
    with Client() as client:
        answer = client.receipt(erasure_id, public_key=public_key)
        if output is not None:
            output.write_text(json.dumps(answer, indent=1, ensure_ascii=False))
        show.as_json(answer) if as_json else show_erasures.receipt(answer)


@erasures.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--public-key", help="The signing key that was kept from before, in base64; else the one in the file.")
def verify(file: Path, public_key: str | None) -> None:
    """Verify a receipt that was saved; asks no service."""
    try:
        answer = json.loads(file.read_text())
    except ValueError as cause:
        raise EtudeError(f"{file} holds no receipt.") from cause
    demand_signed(answer, public_key)
    key = identify(public_key or answer["public_key"])
    page.say(f"{answer['receipt']['erasure']} is what was signed with the key {key}.")
    if public_key is None:
        # Whoever forges a receipt puts a key of his own beside it.
        page.say("That key came with the file, compared with none: give one that you had before as --public-key.")


@erasures.command("signing-key")
@options.as_json
def signing_key(as_json: bool) -> None:
    """Print the public key by which receipts are verified: keep it elsewhere."""
    with Client() as client:
        found = client.signing_key()
        show.as_json(found) if as_json else click.echo(found["public_key"])


COMMANDS = (erase, erasures)
