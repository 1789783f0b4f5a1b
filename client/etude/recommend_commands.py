"""The commands of models that recommend: recommend, like, forget."""

import click

from etude import Client, list_options, options, show, show_lists, watch


@click.command(
    short_help="Say what a listener may like, at once.",
    epilog=options.examples(
        "etude recommend taste --user u00042",
        "etude recommend taste --played i00001 --played i00007 --allow licence=cc0 --cap artist=2",
    ),
)
@click.argument("model")
@click.option("--user", help="A listener of a dataset.")
@click.option("--played", multiple=True, help="An item that somebody has played who is in no dataset (repeatable).")
@click.option("--dataset", help="Where --user is looked up; the dataset that MODEL learned from without it.")
@list_options.lists
@options.as_json
def recommend(
    model: str, user: str | None, played: tuple[str, ...], dataset: str | None, as_json: bool, **asked: object
) -> None:
    """Say what a listener may like, at once: one of a dataset, or anybody by what they have played."""
    if (user is None) == (not played):
        raise click.UsageError("Name a listener (--user) or what was played (--played): one of both.")
    if dataset is not None and user is None:
        raise click.UsageError("--dataset is where --user is looked up: name one.")
    wanted, _ = list_options.read(**asked)  # type: ignore[arg-type]
    with Client() as client:
        said = client.recommend(model, user=user, items=played or None, dataset=dataset, **wanted)
        show.as_json(said) if as_json else show_lists.recommended(said, user=user)


@click.command(short_help="List the items that are most like one.")
@click.argument("model")
@click.argument("item")
@click.option("-k", "--count", type=click.IntRange(1, list_options.LONGEST), default=20, show_default=True)
@options.as_json
def like(model: str, item: str, count: int, as_json: bool) -> None:
    """List the items most like ITEM, by what MODEL has learned of who plays them."""
    with Client() as client:
        said = client.similar_items(model, item, k=count)
        show.as_json(said) if as_json else show_lists.similar(said)


@click.command(short_help="Erase a listener's events from a dataset of plays.")
@click.argument("data", metavar="DATASET")
@click.argument("user")
@click.option("--retrain", is_flag=True, help="Train each model that has learned from them anew.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@options.as_json
def forget(data: str, user: str, retrain: bool, yes: bool, as_json: bool) -> None:
    """Erase every event of USER from all versions of DATASET, and say what has learned from them.

    Nothing brings them back. Models and lists that there are stay as they are.
    """
    with Client() as client:
        dataset = client.dataset(data)
        if not yes:
            asked = f"Erase every event of {user} from all versions of {dataset.name}? Nothing brings them back."
            click.confirm(asked, abort=True, err=True)
        job = client.forget(dataset, user, retrain=retrain)
        watch.follow(job, as_json=as_json)
        show.as_json(job.raw) if as_json else show.job(job)


COMMANDS = (recommend, like, forget)
