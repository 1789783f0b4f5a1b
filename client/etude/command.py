"""`etude` on the command line.

Results go to standard output, progress and errors to standard error. Exit codes: 0 well; 1 the job failed; 2 the
request was refused or the command was wrong, a file that is not there included; 3 the service has no job, dataset or
model of that name, the key is missing or not allowed to, or nothing tells where the service is; 4 the service cannot be
reached; 5 the job was cancelled; 130 Ctrl-C, which stops watching and never the job.
"""

import sys
from itertools import islice
from typing import Any

import click

from etude import (
    Client,
    __version__,
    audio_commands,
    audit_commands,
    compose_commands,
    erasure_commands,
    event_commands,
    learn_commands,
    look_commands,
    options,
    outcome,
    page,
    recommend_commands,
    registry_commands,
    rights_commands,
    schedule_commands,
    show,
    tenant_commands,
    tune_commands,
    version_commands,
    webhook_commands,
)
from etude.errors import EtudeError

Json = dict[str, Any]


def main() -> None:
    """The entry point: runs a command and turns what went wrong into an exit code."""
    as_json = "--json" in sys.argv
    try:
        sys.exit(etude.main(standalone_mode=False) or 0)
    except click.ClickException as wrong:
        show.usage(wrong, as_json=as_json)
        sys.exit(outcome.REFUSED)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(outcome.INTERRUPTED)
    except BrokenPipeError:
        # `etude jobs | head`: nobody reads any more, and that is no error.
        sys.stderr.close()
        sys.exit(0)
    except EtudeError as error:
        show.error(error, as_json=as_json)
        sys.exit(outcome.exit_code(error))


@click.group(epilog=__doc__.partition("\n\n")[2].replace("\n", " "))
@click.version_option(__version__, prog_name="etude")
def etude() -> None:
    """Train, score and judge music models with an Etude service."""


for each in (
    *learn_commands.COMMANDS,
    *tune_commands.COMMANDS,
    *audit_commands.COMMANDS,
    *audio_commands.COMMANDS,
    *compose_commands.COMMANDS,
    *recommend_commands.COMMANDS,
    *look_commands.COMMANDS,
    *event_commands.COMMANDS,
    *registry_commands.COMMANDS,
    *rights_commands.COMMANDS,
    *version_commands.COMMANDS,
    *schedule_commands.COMMANDS,
    *webhook_commands.COMMANDS,
    *tenant_commands.COMMANDS,
    *erasure_commands.COMMANDS,
):
    etude.add_command(each)


@etude.command()
@click.option("--state", type=click.Choice(["queued", "running", "succeeded", "failed", "cancelled"]))
@click.option(
    "--action", help="train, tune, score, generate, evaluate, audit, reproduce, export, ingest, erase or rotate."
)
@click.option("--model", help="Only the trainings of this model.")
@click.option("--schedule", help="Only those that this schedule submitted: its name or id.")
@click.option("--limit", type=click.IntRange(1, 10_000), default=20, show_default=True)
@options.as_json
def jobs(limit: int, as_json: bool, **filters: str | None) -> None:
    """List jobs, the newest first."""
    with Client() as client:
        found = list(client.jobs(limit=limit, **filters))
        show.as_json([job.raw for job in found]) if as_json else show.jobs(found)


@etude.command()
@click.argument("job_id")
@click.option("--watch", "is_watching", is_flag=True, help="Stay until it ends.")
@options.as_json
def job(job_id: str, is_watching: bool, as_json: bool) -> None:
    """Show one job."""
    with Client() as client:
        outcome.end(client.job(job_id), is_watching=is_watching, as_json=as_json)


@etude.command("watch", short_help="Show how a job goes until it ends.", epilog=options.examples("etude watch job_…"))
@click.argument("job_id")
@options.as_json
def watch_job(job_id: str, as_json: bool) -> None:
    """Show how a job goes until it ends; Ctrl-C leaves it running.

    Of a scoring in chunks a terminal shows what each worker does too.
    """
    with Client() as client:
        outcome.end(client.job(job_id), is_watching=True, as_json=as_json)


@etude.command()
@click.argument("job_id")
@click.option("--keep", type=click.Choice(["best"]), help="Keep the best epoch as a model version.")
@options.as_json
def cancel(job_id: str, keep: str | None, as_json: bool) -> None:
    """Ask for the end of a job."""
    with Client() as client:
        asked = client.job(job_id).cancel(keep=keep)
        show.as_json(asked.raw) if as_json else show.job(asked)


@etude.command()
@click.argument("job_id")
@click.option("--watch", "is_watching", is_flag=True, help="Stay until it ends.")
@options.as_json
def retry(job_id: str, is_watching: bool, as_json: bool) -> None:
    """Run a failed job again."""
    with Client() as client:
        outcome.end(client.job(job_id).retry(), is_watching=is_watching, as_json=as_json)


@etude.command(short_help="Erase versions of datasets, or models.")
@click.argument("names", nargs=-1, required=True)
@click.option("--model", "are_models", is_flag=True, help="NAMES are models: all their versions go.")
@options.as_json
def delete(names: tuple[str, ...], are_models: bool, as_json: bool) -> None:
    """Erase datasets, each NAME with its version such as songs@2; with --model, models. Nothing brings them back."""
    unnumbered = [] if are_models else [name for name in names if "@" not in name and not name.startswith("ds_")]
    if unnumbered:
        raise click.UsageError(f"{unnumbered[0]}: say which version shall go, such as {unnumbered[0]}@1.")
    with Client() as client:
        said = [_delete_model(client, name) if are_models else client.delete_dataset(name) for name in names]
    if as_json:
        return show.as_json(said)
    for name, each in zip(names, said, strict=True):
        page.say(f"{name} is gone.{_made_of(each)}")


def _delete_model(client: Client, name: str) -> Json:
    client.delete_model(name)
    return {"model": name, "state": "deleted"}


def _made_of(said: Json) -> str:
    """What was made of a dataset outlives it."""
    made = [*said.get("models", ()), *said.get("predictions", ())]
    return f" What was made of it stays: {', '.join(made)}." if made else ""


@etude.command(
    epilog=options.examples(
        "etude predictions job_… -o predictions.parquet",
        "etude predictions job_… --errors -o errors.jsonl",
    )
)
@click.argument("job_id")
@click.option("-o", "--output", type=options.TableFile(), help="A .parquet, .csv or .jsonl file.")
@click.option("--errors", is_flag=True, help="The rows that could not be scored, with reasons; -o saves .jsonl alone.")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="Rows to print without -o.")
@options.as_json
def predictions(job_id: str, output: str | None, errors: bool, limit: int, as_json: bool) -> None:
    """Print or save what a scoring predicted."""
    if output is not None and errors:
        options.demand_lines(output)
    with Client() as client:
        found = client.job(job_id)
        if output is not None:
            return show.saved(found.download(output, errors=errors))
        rows = list(islice(found.predictions(errors=errors), limit + 1))
        if as_json:
            return show.as_json(rows[:limit])
        show.rows(rows[:limit])
        if len(rows) > limit:
            page.say("… and more: --limit says how many are shown, -o saves all.")


if __name__ == "__main__":
    main()
