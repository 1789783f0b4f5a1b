"""The command that searches for settings."""

from typing import Any

import click

from etude import Client, given, near, options, outcome
from etude.choice import Format


@click.command(
    short_help="Search for the settings that suit DATA best.",
    epilog=options.examples(
        "etude tune songs@2 --trials 40 --watch",
        "etude tune songs.csv --target genre --metric macro_f1 --space space.json --watch",
        "etude tune songs@2 --seconds 600 --promote champion --require accuracy --watch",
    ),
)
@click.argument("data", nargs=-1, required=True)
@options.columns
@options.format
@click.option("--kind", help="classification, regression, …; found from the target without it.")
@click.option("--model", help="The model's name; the dataset's without it.")
@click.option("--trials", type=click.IntRange(1, 1000), help="How many points are tried at most; 30 without it.")
@click.option("--seconds", type=float, help="The budget of all trials together, in seconds of computing.")
@click.option("--metric", help="What trials are compared by; see `etude kinds`.")
@click.option("--sampler", type=click.Choice(["tpe", "random"]), help="tpe learns from what was tried.")
@click.option(
    "--space", "space_file", type=click.Path(exists=True, dir_okay=False), help="Where to search, as a JSON file."
)
@click.option("--fixed", multiple=True, help="A setting that all trials have, name=value (repeatable).")
@options.promotion
@options.params
@click.option("--watch", "is_watching", is_flag=True, help="Stay and show the leader board.")
@options.as_json
def tune(
    data: tuple[str, ...],
    kind: str | None,
    model: str | None,
    trials: int | None,
    seconds: float | None,
    metric: str | None,
    sampler: str | None,
    space_file: str | None,
    fixed: tuple[str, ...],
    promote: str | None,
    require: str | None,
    param: tuple[str, ...],
    params_file: str | None,
    is_watching: bool,
    as_json: bool,
    id_: str | None,
    format_: Format | None,
    **columns: Any,
) -> None:
    """Try settings on DATA, files or a dataset such as songs@2, and publish the version that does best.

    Trials run on as many workers as there are. Poor ones are given up early; the search ends when a further hour is not
    expected to gain anything, and says why.
    """
    named = {"trials": trials, "metric": metric, "sampler": sampler}
    params = options.read_params(param, params_file) | {name: said for name, said in named.items() if said is not None}
    more = options.read_promotion(promote, require) | (
        {} if seconds is None else {"budget": {"compute_seconds": seconds}}
    )
    with Client() as client:
        dataset = given.dataset(client, data, format=format_, kind=kind, id=id_, **columns)
        with near.named(client):
            job = client.tune(
                dataset, kind=kind, model=model, space=options.read_params((), space_file),
                train=options.read_params(fixed, None), params=params, **more,
            )  # fmt: skip
        outcome.end(job, is_watching=is_watching, as_json=as_json)


COMMANDS = (tune,)
