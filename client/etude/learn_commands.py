"""The commands that send files, and have something learned or predicted: train, score, upload."""

from typing import Any

import click

from etude import Client, Dataset, given, near, options, outcome, show
from etude.choice import Choice, Format


@click.command(short_help="Train a network on DATA: a folder, files or a dataset.")
@click.argument("data", nargs=-1, required=True)
@options.columns
@options.format
@click.option("--kind", help="classification or regression; found from the target without it.")
@click.option("--model", help="The model's name; the dataset's without it.")
@options.promotion
@options.params
@click.option("--watch", "is_watching", is_flag=True, help="Stay and show how it goes.")
@options.as_json
def train(
    data: tuple[str, ...],
    kind: str | None,
    model: str | None,
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
    """Train a network on DATA: a folder of recordings, files (CSV, Parquet, NPZ), or a dataset such as songs@2.

    The labels of recordings stand in a CSV beside them; without one `--target folder` learns the names of subfolders.
    """
    params, promotion = options.read_params(param, params_file), options.read_promotion(promote, require)
    with Client() as client:
        is_new = given.is_file(data)
        dataset = (_to_learn if is_new else given.dataset)(client, data, format=format_, id=id_, **columns)
        if is_new and not as_json:
            show.dataset(dataset)
        with near.named(client):
            job = client.train(dataset, kind=kind, model=model, params=params, **promotion)
        outcome.end(job, is_watching=is_watching, as_json=as_json)


def _to_learn(client: Client, data: tuple[str, ...], *, format: Format | None, **columns: Any) -> Dataset:
    chosen = given.files(data, format)
    _demand_labels(chosen, columns["target"])
    return given.upload(client, chosen, **columns)


def _demand_labels(chosen: Choice, target: tuple[str, ...]) -> None:
    """Before everything is sent and heard: recordings alone say nothing that could be learned."""
    if chosen.format == "audio" and not chosen.has_manifest and not target:
        said = "no CSV tells the labels of these recordings; --target folder learns the names of the subfolders."
        raise click.UsageError(said)


@click.command(
    short_help="Predict every row or recording of DATA.",
    epilog=options.examples(
        "etude score composer held_out.csv -o predictions.parquet",
        "etude score composer@3 songs@latest --watch",
        "etude score composer@3 songs@2 --resume job_… --watch",
    ),
)
@click.argument("model")
@click.argument("data", nargs=-1, required=True)
@click.option("--name", help="The name for the dataset, when DATA are files.")
@click.option("--id", "id_", help="The column that names each row, when DATA are files.")
@click.option("-o", "--output", type=options.TableFile(), help="Wait, and save as .parquet, .csv or .jsonl.")
@options.format
@options.params
@click.option(
    "--resume", metavar="JOB", help="A cancelled or failed scoring of the same: only what is missing is done."
)
@click.option("--watch", "is_watching", is_flag=True, help="Stay and show how it goes.")
@options.as_json
def score(
    model: str,
    data: tuple[str, ...],
    name: str | None,
    id_: str | None,
    output: str | None,
    format_: Format | None,
    param: tuple[str, ...],
    params_file: str | None,
    resume: str | None,
    is_watching: bool,
    as_json: bool,
) -> None:
    """Predict every row or recording of DATA with MODEL: name, name@3 or name@champion."""
    params = options.read_params(param, params_file) | ({} if resume is None else {"resume_of": resume})
    options.demand_format(output, params)
    if resume is not None and given.is_file(data):
        said = f"--resume goes on with the dataset that {resume} had: name it, such as songs@2; files make another one."
        raise click.UsageError(said)
    with Client() as client:
        # Before anything is sent for a model that is not there.
        client.resolve(model)
        dataset = given.dataset(client, data, format=format_, name=name, id=id_)
        with near.named(client):
            job = client.score(model, dataset, params=params)
        outcome.end(job, is_watching=is_watching or output is not None, as_json=as_json, output=output)
        if output is not None:
            show.saved(job.download(output))


@click.command(short_help="Make the next version of a dataset from files.")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True))
@options.columns
@options.format
@click.option("--base", help="A dataset to which these files are added.")
@options.as_json
def upload(
    files: tuple[str, ...],
    as_json: bool,
    id_: str | None,
    base: str | None,
    format_: Format | None,
    **columns: Any,
) -> None:
    """Upload files, or a folder of recordings, as the next version of a dataset, and read them."""
    with Client() as client:
        dataset = given.upload(client, given.files(files, format_), id=id_, base=base, **columns)
        show.as_json(dataset.raw) if as_json else show.dataset(dataset)


COMMANDS = (train, score, upload)
