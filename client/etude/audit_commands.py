"""The commands that look for wrong labels, and correct them."""

from typing import Any

import click

from etude import Client, given, near, options, outcome, page, show, show_audit, watch
from etude.choice import Format
from etude.jobs import Job

JOB = "job_"


@click.command(
    short_help="Find the labels of DATA that are probably wrong.",
    epilog=options.examples(
        "etude audit songs.csv --target genre --watch",
        "etude audit recordings/ --target genre --folds 10 --watch",
        "etude audit job_… --csv suspects.csv",
    ),
)
@click.argument("data", nargs=-1, required=True)
@options.columns
@options.format
@click.option("--folds", type=click.IntRange(2, 20), help="Each row is judged by one of so many networks; 5 without.")
@click.option("--csv", "csv_file", metavar="FILE", type=click.Path(dir_okay=False),
              help="Save every row, the most suspect first, for a spreadsheet.")  # fmt: skip
@options.params
@click.option("--watch", "is_watching", is_flag=True, help="Stay and show the suspects.")
@options.as_json
def audit(
    data: tuple[str, ...],
    folds: int | None,
    csv_file: str | None,
    param: tuple[str, ...],
    params_file: str | None,
    is_watching: bool,
    as_json: bool,
    id_: str | None,
    format_: Format | None,
    **columns: Any,
) -> None:
    """Judge the labels of DATA, files or a dataset such as songs@2, by networks that have not learned from them.

    With an audit that is done, job_…, its suspects are shown, or saved. Say of each in the CSV accept (the label is
    wrong) or reject, and give the file to `etude audit-apply`.
    """
    with Client() as client:
        if len(data) == 1 and data[0].startswith(JOB):
            job = client.job(data[0])
        else:
            dataset = given.dataset(client, data, format=format_, kind="classification", id=id_, **columns)
            params = options.read_params(param, params_file) | ({} if folds is None else {"folds": folds})
            with near.named(client):
                job = client.audit(dataset, params=params)
        outcome.end(job, is_watching=is_watching or csv_file is not None, as_json=as_json, output=csv_file)
        if csv_file is not None:
            show.saved(job.download_audit(csv_file))


@click.command(
    "audit-apply",
    short_help="Correct the labels that were found wrong.",
    epilog=options.examples("etude audit-apply job_… suspects.csv", "etude audit-apply job_…"),
)
@click.argument("job_id")
@click.argument("file", required=False, type=click.Path(exists=True, dir_okay=False))
@options.as_json
def audit_apply(job_id: str, file: str | None, as_json: bool) -> None:
    """Make the next version of the dataset that JOB_ID has audited, with the labels that were accepted.

    FILE is a CSV with the columns row or key, decision (accept or reject) and maybe label; what it decides is sent
    before. Of a row the last decision counts. The audited version stays as it is.
    """
    with Client() as client:
        audited: Job = client.job(job_id)
        if file is not None:
            said = audited.decide_from(file)
            if not as_json:
                _tell(said)
        ingest = audited.apply_audit()
        watch.follow(ingest, as_json=as_json)
        dataset = client.dataset(ingest.raw["datasets"][0])
        if as_json:
            return show.as_json(dataset.raw)
        show.dataset(dataset)
        show_audit.corrected(dataset.raw)


def _tell(said: dict[str, Any]) -> None:
    page.say(f"{page.count(said['decided'], 'decision')}: {said['accepted']:,} labels are wrong in all")
    if said["new_labels"]:
        page.say(f"new labels: {', '.join(said['new_labels'])}")


COMMANDS = (audit, audit_apply)
