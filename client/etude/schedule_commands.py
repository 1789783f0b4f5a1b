"""`etude schedule …`: jobs that are submitted by themselves."""

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import click

from etude import Client, options, outcome, page, show, show_schedules
from etude.options import Command

# Each option that says when: its declaration, what it takes, what it is without it, and its help.
WHEN: tuple[tuple[tuple[str, ...], Any, Any, str], ...] = (
    (("--cron",), str, None, 'Minute, hour, day, month, weekday, such as "0 3 * * *".'),
    (("--timezone",), str, "UTC", "Whose clock is meant, such as Europe/Berlin."),
    (("--overlap",), click.Choice(["skip", "queue", "replace"]), "skip",
     "What happens while the run before has not ended."),
    (("--misfire",), click.Choice(["skip", "once", "all"]), "once",
     "What is made up for after the service was away."),
    (("--grace", "misfire_grace_s"), click.FloatRange(0), 3600.0,
     "Up to so many seconds late something is made up for."),
)  # fmt: skip

Json = dict[str, Any]


def when(*, is_new: bool) -> Callable[[Command], Command]:
    """The options that say when; without them a new schedule has what is usual, and another stays as it is."""

    def add(command: Command) -> Command:
        for names, taken, usual, told in reversed(WHEN):
            more = {"default": usual, "show_default": usual is not None, "required": usual is None} if is_new else {}
            command = click.option(*names, type=taken, help=told, **more)(command)
        return command

    return add


@click.group(
    short_help="Have a job submitted by itself, by a cron expression.",
    epilog=options.examples(
        'etude schedule create nightly songs@latest --cron "0 3 * * *" --score composer@champion',
        "etude schedule next nightly                   # when it is due",
        "etude schedule runs nightly                   # what became of each moment, and why",
        "etude schedule change nightly --timezone Europe/Berlin",
    ),
)
def schedule() -> None:
    """Have a job submitted by itself, at the moments of a cron expression.

    NAME is the name of a schedule, or its id.
    """


@schedule.command(
    short_help="Make a schedule for a job on a dataset.",
    epilog=options.examples(
        'etude schedule create nightly songs@latest --cron "0 3 * * *" --score composer@champion',
        'etude schedule create weekly songs@latest --cron "30 4 * * SUN" --train classification --model composer '
        "--promote champion --require accuracy",
        'etude schedule create hourly new@latest --cron "0 * * * *" --score composer --param skip_scored=true',
    ),
)
@click.argument("name")
@click.argument("dataset", nargs=-1, required=True)
@when(is_new=True)
@click.option("--score", "scorer", metavar="MODEL", help="Score DATASET with this model: name, name@3, name@champion.")
@click.option("--train", "kind", metavar="KIND", help="Train on DATASET: classification, regression, recommendation.")
@click.option("--model", help="The name of the model that is trained; the dataset's without it.")
@options.promotion
@options.params
@options.as_json
def create(
    name: str,
    dataset: tuple[str, ...],
    scorer: str | None,
    kind: str | None,
    model: str | None,
    promote: str | None,
    require: str | None,
    param: tuple[str, ...],
    params_file: str | None,
    as_json: bool,
    **moments: Any,
) -> None:
    """Make the schedule NAME for a job on DATASET: songs@latest is at each run the newest, songs@3 always the third."""
    promotion = options.read_promotion(promote, require)
    job = {**_action(scorer, kind, model, promotion), "dataset": _dataset(dataset)}
    params = options.read_params(param, params_file)
    with Client() as client:
        made = client.create_schedule(name, job={**job, "params": params} if params else job, **moments)
        show.as_json(made.raw) if as_json else show_schedules.schedule(made)


def _action(scorer: str | None, kind: str | None, model: str | None, promotion: Json) -> Json:
    if (scorer is None) == (kind is None):
        raise click.UsageError("what shall it do? Either --score MODEL or --train KIND.")
    if scorer is not None and "promote" in promotion:
        raise click.UsageError("--promote is of a training: --score makes no version.")
    if scorer is not None and model is not None:
        raise click.UsageError("--model names what is trained; the model to score with stands after --score.")
    if scorer is not None:
        return {"action": "score", "model": scorer}
    return {"action": "train", "kind": kind, **({"model": model} if model else {}), **promotion}


def _dataset(names: tuple[str, ...]) -> str | list[str]:
    """As it was named: what songs@latest means is found at each run. A file lies here, and not where the runs are."""
    files = [name for name in names if Path(name).is_file()]
    if files:
        raise click.UsageError(f"{files[0]} is a file: `etude upload` makes a dataset of it, which a schedule names.")
    return names[0] if len(names) == 1 else list(names)


@schedule.command(
    short_help="Change when it is due, or what happens when it cannot run.",
    epilog=options.examples(
        'etude schedule change nightly --cron "0 4 * * *" --timezone Europe/Berlin',
        "etude schedule change nightly --overlap queue --misfire all --grace 600",
    ),
)
@click.argument("name")
@when(is_new=False)
@options.as_json
def change(name: str, as_json: bool, **moments: Any) -> None:
    """Change what is given; with another expression or time zone it goes on from now."""
    given = {field: value for field, value in moments.items() if value is not None}
    if not given:
        said = ", ".join(names[0] for names, *_ in WHEN)
        raise click.UsageError(f"what shall be different? Any of {said}.")
    with Client() as client:
        changed = client.schedule(name).change(**given)
        show.as_json(changed.raw) if as_json else show_schedules.schedule(changed)


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


@schedule.command(epilog=options.examples("etude schedule run nightly --watch"))
@click.argument("name")
@click.option("--watch", "is_watching", is_flag=True, help="Stay and show how it goes.")
@options.as_json
def run(name: str, is_watching: bool, as_json: bool) -> None:
    """Submit its job now, paused or not."""
    with Client() as client:
        outcome.end(client.schedule(name).run(), is_watching=is_watching, as_json=as_json)


@schedule.command("next", epilog=options.examples("etude schedule next nightly -n 3"))
@click.argument("name")
@click.option("-n", "count", type=click.IntRange(1, 100), default=10, show_default=True, help="How many moments.")
@options.as_json
def next_(name: str, count: int, as_json: bool) -> None:
    """Say when it is due next, by the clock of this machine."""
    with Client() as client:
        found = client.schedule(name)
        moments = found.next(count)
        show.as_json([each.isoformat() for each in moments]) if as_json else show_schedules.moments(found, moments)


@schedule.command()
@click.argument("name")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="Runs to show.")
@options.as_json
def runs(name: str, limit: int, as_json: bool) -> None:
    """Show what became of its moments, the newest first."""
    with Client() as client:
        found = client.schedule(name)
        listed = list(islice(found.runs(limit=limit), limit))
        show.as_json(listed) if as_json else show_schedules.runs(found, listed)


@schedule.command()
@click.argument("name")
@options.as_json
def delete(name: str, as_json: bool) -> None:
    """Forget a schedule and its runs; its jobs stay."""
    with Client() as client:
        found = client.schedule(name)
        found.delete()
    if as_json:
        return show.as_json({"schedule": found.id, "state": "deleted"})
    return page.say(f"{found.name} is gone; `etude jobs --schedule {found.id}` lists its jobs.")


COMMANDS = (schedule,)
