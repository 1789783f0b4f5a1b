"""The commands that send files, and have something learned or predicted: train, score, upload."""

from typing import Any

import click

from etude import Client, Dataset, choice, given, hiding, list_options, near, options, outcome, show, sure_options
from etude.choice import Choice, Format
from etude.listing import Wanted


@click.command(
    short_help="Train a model on DATA: a folder, files or a dataset.",
    epilog=options.examples(
        "etude train songs.csv --target genre --watch",
        "etude train recordings/ --target genre --watch",
        "etude train plays.csv --kind recommendation --items items.csv --watch",
    ),
)
@click.argument("data", nargs=-1, required=True)
@options.columns
@options.format
@click.option("--kind", help="classification, regression, recommendation; found from the target without it.")
@click.option("--model", help="The model's name; the dataset's without it.")
@click.option("--recordings", metavar="DATASET", help="Of plays: recordings of the items, named as these are.")
@options.division
@options.promotion
@sure_options.learned
@options.params
@click.option("--watch", "is_watching", is_flag=True, help="Stay and show how it goes.")
@options.as_json
def train(
    data: tuple[str, ...],
    kind: str | None,
    model: str | None,
    recordings: str | None,
    promote: str | None,
    require: str | None,
    folds: int | None,
    test: float | None,
    report_by: tuple[str, ...],
    param: tuple[str, ...],
    params_file: str | None,
    is_watching: bool,
    as_json: bool,
    id_: str | None,
    format_: Format | None,
    calibration: str | None,
    thresholds: tuple[tuple[str, float] | str, ...],
    abstain: float | None,
    **columns: Any,
) -> None:
    """Train a model on DATA: a folder of recordings, files (CSV, Parquet, NPZ), or a dataset such as songs@2.

    The labels of recordings stand in a CSV beside them; without one `--target folder` learns the names of subfolders.
    With `--kind recommendation` the files are plays: who has played what, maybe how much and when.
    """
    # Of plays `--time` is the column that the dataset has of them; of tables the latest rows validate by it.
    is_by_time = columns["time"] if _divides_by_time(kind, format_, columns) else None
    divided = options.read_division(folds, test, is_by_time, report_by)
    if is_by_time is not None:
        columns = {**columns, "time": None}
    sure = sure_options.read(calibration=calibration, thresholds=thresholds, abstain=abstain)
    params = {**divided, **sure, **options.read_params(param, params_file)}
    promotion = options.read_promotion(promote, require)
    with Client() as client:
        is_new = given.is_file(data)
        learned_from = _to_learn if is_new else given.dataset
        dataset = learned_from(client, data, format=format_, kind=kind, id=id_, **columns)
        if is_new and not as_json:
            show.dataset(dataset)
        with near.named(client):
            job = client.train(dataset, kind=kind, model=model, recordings=recordings, params=params, **promotion)
        outcome.end(job, is_watching=is_watching, as_json=as_json)


def _divides_by_time(kind: str | None, format_: Format | None, columns: dict[str, Any]) -> bool:
    is_of_plays = (
        kind == "recommendation"
        or format_ == "interactions"
        or any(columns[name] for name in ("items", "user", "item"))
    )
    return columns["time"] is not None and not is_of_plays


def _to_learn(
    client: Client, data: tuple[str, ...], *, format: Format | None, kind: str | None, items: str | None, **columns: Any
) -> Dataset:
    chosen = given.files(data, format or choice.FORMAT_OF.get(kind or ""), items)
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
        "etude score composer@3 songs@latest --explain --watch",
        "etude score composer@3 songs@2 --resume job_… --watch",
        "etude score taste plays.csv --allow licence=cc0 --cap artist=2 -o lists.parquet",
    ),
)
@click.argument("model")
@click.argument("data", nargs=-1, required=True)
@click.option("--name", help="The name for the dataset, when DATA are files.")
@click.option("--id", "id_", help="The column that names each row, when DATA are files.")
@click.option("-o", "--output", type=options.TableFile(), help="Wait, and save as .parquet, .csv or .jsonl.")
@list_options.lists
@options.plays
@options.format
@options.params
@click.option(
    "--resume", metavar="JOB", help="A cancelled or failed scoring of the same: only what is missing is done."
)
@click.option("--explain", is_flag=True, help="Say of each row or recording what spoke for its answer.")
@click.option("--abstain-below", metavar="SHARE", type=click.FloatRange(0, 1),
              help="Of classes: no label for a row that is less sure; 0 for none without.")  # fmt: skip
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
    explain: bool,
    abstain_below: float | None,
    is_watching: bool,
    as_json: bool,
    **more: Any,
) -> None:
    """Predict every row or recording of DATA with MODEL: name, name@3 or name@champion.

    With a model that recommends DATA are plays, and every listener gets a list.
    """
    wanted, columns = list_options.read(**more)
    asked = {**({"explain": True} if explain else {}), **options.read_params(param, params_file)}
    params = {**wanted, **asked, **({} if resume is None else {"resume_of": resume})}
    params |= {} if abstain_below is None else {"abstain_below": abstain_below}
    options.demand_format(output, params)
    if resume is not None and given.is_file(data):
        said = f"--resume goes on with the dataset that {resume} had: name it, such as songs@2; files make another one."
        raise click.UsageError(said)
    with Client() as client:
        # Before anything is sent for a model that is not there.
        kind = client.kind_of(model)
        _demand_lists(model, kind, wanted)
        dataset = given.dataset(client, data, format=format_, kind=kind, name=name, id=id_, **columns)
        with near.named(client):
            job = client.score(model, dataset, params=params)
        outcome.end(job, is_watching=is_watching or output is not None, as_json=as_json, output=output)
        if output is not None:
            show.saved(job.download(output))


def _demand_lists(model: str, kind: str, wanted: Wanted) -> None:
    if wanted and kind != "recommendation":
        said = "--count, --allow, --deny, --cap, --diversity, --popularity-penalty, --min-listeners and --heard"
        raise click.UsageError(f"{said} are for models that recommend, and {model} is one of {kind}.")


@click.command(short_help="Make the next version of a dataset from files.")
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True))
@options.columns
@options.format
@click.option("--base", help="A dataset to which these files are added.")
@options.hide
@options.as_json
def upload(
    files: tuple[str, ...],
    as_json: bool,
    id_: str | None,
    base: str | None,
    hide: tuple[str, ...],
    format_: Format | None,
    items: str | None,
    **columns: Any,
) -> None:
    """Upload files, or a folder of recordings, as the next version of a dataset, and read them."""
    masking = hiding.read(hide)
    with Client() as client:
        chosen = given.files(files, format_, items)
        dataset = given.upload(client, chosen, id=id_, base=base, masking=masking, **columns)
        show.as_json(dataset.raw) if as_json else show.dataset(dataset)


COMMANDS = (train, score, upload)
