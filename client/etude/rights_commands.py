"""The commands about licences and consents of datasets."""

from typing import Any

import click

from etude import Client, options, show, show_rights


@click.command(
    short_help="Show on what terms a dataset may be used.",
    epilog=options.examples("etude rights songs@2", "etude rights songs@2 --history"),
)
@click.argument("dataset")
@click.option("--history", "is_history", is_flag=True, help="Every entry of its ledger, the last first.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Entries to show.")
@options.as_json
def rights(dataset: str, is_history: bool, limit: int, as_json: bool) -> None:
    """Show licences and consents of DATASET, or the history of them."""
    with Client() as client:
        if is_history:
            entries = list(client.rights_history(dataset, limit=limit))
            return show.as_json(entries) if as_json else show_rights.history(entries)
        said = client.rights(dataset)
        return show.as_json(said) if as_json else show_rights.rights(said)


@click.command(
    "rights-set",
    short_help="Declare a licence or a consent, or change it.",
    epilog=options.examples(
        "etude rights-set songs@2 --licence CC-BY-4.0 --holder 'Ada Lovelace' --source https://example.org/songs",
        "etude rights-set songs@2 --consent granted --basis 'contract 17' --until 2027-12-31T00:00:00Z",
        "etude rights-set songs@2 --track s00017 --consent refused --reason 'asked by letter'",
    ),
)
@click.argument("dataset")
@click.option("--licence", help="An SPDX id, or own, licensed, all-rights-reserved, public-domain.")
@click.option("--commercial", type=click.Choice(["yes", "no", "unknown"]), help="Where the licence does not tell.")
@click.option("--consent", type=click.Choice(["granted", "refused", "unknown"]), help="To be learned from.")
@click.option("--basis", help="By what: a contract's number, a form.")
@click.option("--until", help="When the consent ends, such as 2027-12-31T00:00:00Z.")
@click.option("--holder", help="Whose it is, and who is to be named.")
@click.option("--source", help="Where it is from.")
@click.option("--track", help="The key of the one row that this is about.")
@click.option("--reason", help="Why, for its history.")
@options.as_json
def rights_set(
    dataset: str, consent: str | None, basis: str | None, until: str | None, as_json: bool, **said: Any
) -> None:
    """Write the next entry of the ledger of DATASET; what is left out stays as it was."""
    if consent is None and (basis or until):
        raise click.UsageError("--basis and --until are of a consent: say --consent granted.")
    consents = {"training": consent, "basis": basis, "until": until}
    given = {name: value for name, value in consents.items() if value is not None} if consent else None
    with Client() as client:
        entered = client.set_rights(dataset, consent=given, **said)
        show.as_json(entered) if as_json else show_rights.entered(entered)


COMMANDS = (rights, rights_set)
