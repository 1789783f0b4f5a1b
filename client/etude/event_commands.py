"""The command that tells what happens."""

import json

import click

from etude import Client, options, show_events


@click.command(
    short_help="Tell what has happened to a job, or to all.",
    epilog=options.examples("etude events job_… --follow", "etude events --follow --type state --json"),
)
@click.argument("job_id", required=False)
@click.option("--follow", "is_following", is_flag=True, help="Go on with what happens; of a job until it has ended.")
@click.option("--type", "types", multiple=True, help="state, stage, checkpoint, warning, … (repeatable).")
@click.option("--after", default="0", help="Only what came after the event of this id.")
@options.as_json
def events(job_id: str | None, is_following: bool, types: tuple[str, ...], after: str, as_json: bool) -> None:
    """Tell what has happened to the job JOB_ID, or to all jobs, the oldest first; with --json a line an event.

    A connection that breaks is taken up again where it broke.
    """
    with Client() as client:
        for event in client.events(job_id, after=after, types=types, follow=is_following):
            if as_json:
                print(json.dumps(event, ensure_ascii=False), flush=True)
            else:
                show_events.event(event)


COMMANDS = (events,)
