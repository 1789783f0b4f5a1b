"""`etude schedule …`: jobs that are submitted by themselves."""

from itertools import islice
from pathlib import Path
from typing import Any

import click

from etude import Client, options, page, show, show_schedules

Json = dict[str, Any]


@click.group(short_help="Have a job submitted by itself, by a cron expression.")
def schedule() -> None:
    """Have a job submitted by itself, at the moments of a cron expression."""


@schedule.command()
@click.argument("name")
@click.argument("dataset", nargs=-1, required=True)
@click.option("--cron", required=True, help='Minute, hour, day, month, weekday, such as "0 3 * * *".')
@click.option("--timezone", default="UTC", show_default=True, help="Whose clock is meant, such as Europe/Berlin.")
@click.option("--score", "scorer", metavar="MODEL", help="Score DATASET with this model: name, name@3, name@champion.")
@click.option("--train", "kind", metavar="KIND", help="Train on DATASET: classification or regression.")
@click.option("--model", help="The name of the model that is trained; the dataset's without it.")
@click.option("--overlap", type=click.Choice(["skip", "queue", "replace"]), default="skip", show_default=True,
              help="What happens while the run before has not ended.")  # fmt: skip
@click.option("--misfire", type=click.Choice(["skip", "once", "all"]), default="once", show_default=True,
              help="What is made up for after the service was away.")  # fmt: skip
@click.option("--grace", "misfire_grace_s", type=click.FloatRange(0), default=3600.0, show_default=True,
              help="Up to so many seconds late something is made up for.")  # fmt: skip
@options.params
@options.as_json
def create(
    name: str,
    dataset: tuple[str, ...],
    scorer: str | None,
    kind: str | None,
    model: str | None,
    param: tuple[str, ...],
    params_file: str | None,
    as_json: bool,
    **when: Any,
) -> None:
    """Make the schedule NAME for a job on DATASET: songs@latest is at each run the newest, songs@3 always the third."""
    job = {**_action(scorer, kind, model), "dataset": _dataset(dataset)}
    params = options.read_params(param, params_file)
    with Client() as client:
        made = client.create_schedule(name, job={**job, "params": params} if params else job, **when)
        show.as_json(made.raw) if as_json else show_schedules.schedule(made)


def _action(scorer: str | None, kind: str | None, model: str | None) -> Json:
    if (scorer is None) == (kind is None):
        raise click.UsageError("what shall it do? Either --score MODEL or --train KIND.")
    if scorer is not None and model is not None:
        raise click.UsageError("--model names what is trained; the model to score with stands after --score.")
    if scorer is not None:
        return {"action": "score", "model": scorer}
    return {"action": "train", "kind": kind, **({"model": model} if model else {})}


def _dataset(names: tuple[str, ...]) -> str | list[str]:
    """As it was named: what songs@latest means is found at each run. A file lies here, and not where the runs are."""
    files = [name for name in names if Path(name).is_file()]
    if files:
        raise click.UsageError(f"{files[0]} is a file: `etude upload` makes a dataset of it, which a schedule names.")
    return names[0] if len(names) == 1 else list(names)


@schedule.command("list")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@options.as_json
def list_(limit: int, as_json: bool) -> None:
    """List the schedules, the newest first."""
    with Client() as client:
        found = list(client.schedules(limit=limit))
        show.as_json([each.raw for each in found]) if as_json else show_schedules.schedules(found)


@schedule.command("show")
@click.argument("name")
@options.as_json
def show_one(name: str, as_json: bool) -> None:
    """Show one schedule, and why it stands still if it does."""
    with Client() as client:
        found = client.schedule(name)
        show.as_json(found.raw) if as_json else show_schedules.schedule(found)


@schedule.command()
@click.argument("name")
@options.as_json
def pause(name: str, as_json: bool) -> None:
    """Let it submit nothing until it is resumed."""
    with Client() as client:
        paused = client.schedule(name).pause()
        show.as_json(paused.raw) if as_json else show_schedules.schedule(paused)


@schedule.command()
@click.argument("name")
@options.as_json
def resume(name: str, as_json: bool) -> None:
    """Go on from now; what would have come meanwhile is not made up for."""
    with Client() as client:
        resumed = client.schedule(name).resume()
        show.as_json(resumed.raw) if as_json else show_schedules.schedule(resumed)


@schedule.command()
@click.argument("name")
@options.as_json
def run(name: str, as_json: bool) -> None:
    """Submit its job now, paused or not."""
    with Client() as client:
        job = client.schedule(name).run()
        show.as_json(job.raw) if as_json else show.job(job)


@schedule.command("next")
@click.argument("name")
@click.option("-n", "count", type=click.IntRange(1, 100), default=10, show_default=True)
@options.as_json
def next_(name: str, count: int, as_json: bool) -> None:
    """Say when it is due next, by the clock of this machine."""
    with Client() as client:
        moments = client.schedule(name).next(count)
        show.as_json([each.isoformat() for each in moments]) if as_json else show_schedules.moments(moments)


@schedule.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@options.as_json
def runs(name: str, limit: int, as_json: bool) -> None:
    """Show what became of its moments, the newest first."""
    with Client() as client:
        found = list(islice(client.schedule(name).runs(limit=limit), limit))
        show.as_json(found) if as_json else show_schedules.runs(found)


@schedule.command()
@click.argument("name")
def delete(name: str) -> None:
    """Forget a schedule and its runs; its jobs stay."""
    with Client() as client:
        found = client.schedule(name)
        found.delete()
        page.say(f"{found.name} is gone; `etude jobs --schedule {found.id}` lists its jobs.")


COMMANDS = (schedule,)
