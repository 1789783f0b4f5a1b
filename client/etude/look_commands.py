"""The commands that look and change nothing: workers, models, datasets, estimate, usage, kinds."""

import click

from etude import Client, options, show, show_scored, show_service
from etude.errors import NotFound


@click.command(short_help="List the workers, and what each does.")
@options.as_json
def workers(as_json: bool) -> None:
    """List the workers: who is alive, what each does, since when, and its last sign of life."""
    with Client() as client:
        found = client.workers()
        show.as_json(found) if as_json else show_service.workers(found)


@click.command(short_help="List the models, or show one.")
@click.argument("name", required=False)
@options.as_json
def models(name: str | None, as_json: bool) -> None:
    """List the models, the versions of one, or what one version comes to, such as chorales@2."""
    with Client() as client:
        if name is None:
            found = list(client.models())
            return show.as_json(found) if as_json else show_service.models(found)
        if "@" in name:
            version = client.resolve(name)
            return show.as_json(version) if as_json else show_service.version(version)
        model = client.model(name)
        return show.as_json(model) if as_json else show_service.model(model)


@click.command(short_help="List the datasets, or show one.")
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@options.as_json
def datasets(name: str | None, limit: int, as_json: bool) -> None:
    """List the datasets, the newest first; or say what is in one, such as songs@2."""
    with Client() as client:
        if name is not None:
            dataset = client.dataset(name)
            return show.as_json(dataset.raw) if as_json else show.dataset(dataset)
        found = list(client.datasets(limit=limit))
        show.as_json([each.raw for each in found]) if as_json else show_service.datasets(found)


@click.command(short_help="Say how large a training would be; creates nothing.")
@click.argument("data")
@click.option("--kind", help="classification, regression, recommendation; found from the target without it.")
@options.params
@options.as_json
def estimate(data: str, kind: str | None, param: tuple[str, ...], params_file: str | None, as_json: bool) -> None:
    """Say how large a training of the dataset DATA would be; creates nothing."""
    params = options.read_params(param, params_file)
    with Client() as client:
        dataset = client.dataset(data)
        said = client.estimate(action="train", kind=kind or dataset.kind, dataset=dataset.id, params=params)
        show.as_json(said) if as_json else show_service.estimate(said)


@click.command(short_help="Tell what jobs have cost.")
@click.option("--by", type=click.Choice(["day", "model", "label", "kind", "job"]), default="day", show_default=True)
@click.option("--from", "since", help="A day such as 2026-01-31, or a moment.")
@click.option("--to", "until", help="The same; jobs that ended before it.")
@options.as_json
def usage(by: str, since: str | None, until: str | None, as_json: bool) -> None:
    """Tell what the jobs that have ended cost: seconds, energy, money."""
    with Client() as client:
        found = client.usage(by=by, since=since, until=until)
        show.as_json(found) if as_json else show_service.usage(found)


@click.command()
@click.argument("name", required=False)
@options.as_json
def kinds(name: str | None, as_json: bool) -> None:
    """List the kinds of learning, or the settings of one."""
    with Client() as client:
        found = [kind for kind in client.kinds() if name in (None, kind["name"])]
        if not found:
            raise NotFound(f"There is no kind {name}: `etude kinds` lists those that there are.")
        show.as_json(found) if as_json else show_service.kinds(found, in_full=name is not None)


@click.command(
    short_help="Tell what two scorings predict otherwise.",
    epilog=options.examples("etude diff job_… job_…", "etude diff job_… job_… --limit 10000 --json"),
)
@click.argument("job")
@click.argument("other")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Rows to show.")
@options.as_json
def diff(job: str, other: str, limit: int, as_json: bool) -> None:
    """Tell which rows the scoring JOB predicts otherwise than the scoring OTHER did."""
    with Client() as client:
        found = client.diff(job, other, limit=limit)
        show.as_json(found) if as_json else show_scored.diff(found)


COMMANDS = (workers, models, datasets, estimate, usage, kinds, diff)
