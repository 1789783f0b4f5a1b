"""The commands about versions and aliases: cards, moves, the way back, comparisons, archives."""

from pathlib import Path

import click

from etude import Client, gate, options, page, show, show_registry
from etude.archive import appearing
from etude.errors import EtudeError


@click.command(
    short_help="Print the card of a model version, or save it.",
    epilog=options.examples("etude card songs@3", "etude card songs --html card.html"),
)
@click.argument("model")
@click.option("--html", "html_file", type=click.Path(dir_okay=False), help="Save it as a page.")
@click.option("--markdown", "markdown_file", type=click.Path(dir_okay=False), help="Save it as Markdown.")
@options.as_json
def card(model: str, html_file: str | None, markdown_file: str | None, as_json: bool) -> None:
    """Print what MODEL is: purpose, data, metrics, warnings, limits, cost, how to make it again."""
    with Client() as client:
        for file, form in ((html_file, "html"), (markdown_file, "markdown")):
            if file is not None:
                with appearing(Path(file)) as written:
                    written.write(client.card_text(model, form).encode())
                show.saved(Path(file))
        if as_json:
            return show.as_json(client.card(model))
        if html_file is None and markdown_file is None:
            click.echo(client.card_text(model))
    return None


@click.command(short_help="Say what a model is for, on its cards.")
@click.argument("model")
@click.option("--description", help="What it is.")
@click.option("--intended-use", help="What it is meant for.")
@click.option("--limits", help="What it is not meant for, and where it fails.")
@click.option("--licence", help="On what terms it may be used.")
@options.as_json
def describe(model: str, as_json: bool, **texts: str | None) -> None:
    """Say what the cards of MODEL tell of it; an empty text takes away what was said."""
    said = {name: text for name, text in texts.items() if text is not None}
    if not said:
        raise click.UsageError("Nothing is said: --description, --intended-use, --limits or --licence.")
    with Client() as client:
        changed = client.describe_model(model, **said)
        show.as_json(changed) if as_json else page.say(f"The cards of {model} say so now: `etude card {model}`.")


@click.command(
    short_help="Point an alias to a version.",
    epilog=options.examples(
        "etude alias songs champion 3 --require accuracy=champion,min_rows=100",
        "etude alias songs champion 3 --expect 2 --reason 'heard by two of us'",
    ),
)
@click.argument("model")
@click.argument("alias")
@click.argument("version", type=click.IntRange(1))
@click.option("--require", help=f"A gate: {gate.TOLD}.")
@click.option("--expect", type=click.IntRange(0), help="Only if it still points to this version; 0: to none.")
@click.option("--reason", help="Why, for its history.")
@options.as_json
def alias(
    model: str, alias: str, version: int, require: str | None, expect: int | None, reason: str | None, as_json: bool
) -> None:
    """Point ALIAS of MODEL to VERSION."""
    asked = gate.read(require)
    with Client() as client:
        moved = client.set_alias(model, alias, version, require=asked, expected_version=expect, reason=reason)
        show.as_json(moved) if as_json else show_registry.moved(model, moved, alias)


@click.command(short_help="List the aliases of a model, or the moves of one.")
@click.argument("model")
@click.argument("alias", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Moves to show.")
@options.as_json
def aliases(model: str, alias: str | None, limit: int, as_json: bool) -> None:
    """List where the aliases of MODEL point, or every move of ALIAS: when, from where, who, why."""
    with Client() as client:
        if alias is None:
            found = client.aliases(model)
            return show.as_json(found) if as_json else show_registry.aliases(model, found)
        moves = list(client.alias_history(model, alias, limit=limit))
        return show.as_json(moves) if as_json else show_registry.history(moves)


@click.command(short_help="Point an alias to where it pointed before.")
@click.argument("model")
@click.argument("alias")
@click.option("--expect", type=click.IntRange(1), help="Only if it still points to this version.")
@options.as_json
def rollback(model: str, alias: str, expect: int | None, as_json: bool) -> None:
    """Point ALIAS of MODEL to the version that it pointed to before; again, and it goes on back."""
    with Client() as client:
        said = client.roll_back(model, alias, expected_version=expect)
        show.as_json(said) if as_json else show_registry.rolled_back(model, said)


@click.command(short_help="Show versions of a model side by side.", epilog=options.examples("etude compare songs 2 3"))
@click.argument("model")
@click.argument("versions", nargs=-1, required=True, type=click.IntRange(1))
@options.as_json
def compare(model: str, versions: tuple[int, ...], as_json: bool) -> None:
    """Show VERSIONS of MODEL side by side: metrics, and what differs of params, data and code."""
    with Client() as client:
        said = client.compare_versions(model, versions)
        show.as_json(said) if as_json else show_registry.comparison(said)


@click.command(short_help="Save a model version as an archive.")
@click.argument("model")
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False), help="The .zip file.")
def download(model: str, output: str) -> None:
    """Save MODEL as an archive: spec, weights, card, a manifest of digests, and its signature."""
    with Client() as client:
        show.saved(client.download_model(model, output))


@click.command(short_help="Check an archive of a model version.")
@click.argument("archive", type=click.Path(exists=True, dir_okay=False))
@options.as_json
def verify(archive: str, as_json: bool) -> None:
    """Check that every file of ARCHIVE is what its manifest says, and that this service signed the manifest."""
    with Client() as client:
        said = client.verify_archive(archive)
    if not said["is_ours"]:
        raise EtudeError(f"This service has not signed the manifest of {archive}: ask the one that made it.")
    show.as_json(said) if as_json else show_registry.verified(said)


COMMANDS = (card, describe, alias, aliases, rollback, compare, download, verify)
