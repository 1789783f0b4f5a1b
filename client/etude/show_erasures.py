"""Erasures and their receipts for a person to read."""

from typing import Any

from rich.markup import escape
from rich.text import Text

from etude import page

STATES = {"done": "green", "decided": "yellow", "failed": "red"}

Json = dict[str, Any]


def listed(found: list[Json]) -> None:
    if not found:
        return page.say("Nothing was erased.")
    table = page.table("erasure", "subject", "models", "state", "decided")
    for each in found:
        state = Text(each["state"], style=STATES.get(each["state"], ""))
        table.add_row(
            each["id"], escape(_subject(each["subject"])), each["models"], state, page.when(each["created_at"])
        )
    return page.print_table(table, spare=("decided",))


def receipt(answer: Json) -> None:
    """What was done and what remains; the signature has been verified by then."""
    said, out = answer["receipt"], page.console()
    out.print(escape(f"{said['erasure']}: {_subject(said['subject'])}, done {page.when(said['done_at'])}."))
    if not said["datasets"]:
        out.print("  Nothing of it was found.")
    for each in said["datasets"]:
        out.print(escape(f"  {each['reference']} is {each['done']}."))
    gone = len(said["artefacts"]) + len(said["unnamed_files"])
    out.print(f"  {page.count(gone, 'file')} destroyed, key first.")
    # Where nothing was found, an earlier erasure may have taken what a model has learned from.
    learned = "has learned from it" if said["datasets"] else "may have learned from it"
    for each in said["models"]:
        out.print(escape(f"  {each['reference']} {learned}, and is {each['done']}."))
    for alias in said["aliases_removed"]:
        out.print(escape(f"  {alias} points to nothing now."))
    for job in said["jobs_cancelled"]:
        out.print(f"  {job} was working on it, and was ended: submit it again where it is still wanted.")
    # Receipts from before have none.
    for job in said.get("jobs_restarted", ()):
        out.print(f"  {job} had read it, and begins anew on what is left.")
    for schedule in said["schedules_paused"]:
        out.print(f"  {schedule} is paused: give it another dataset.")
    for job in said["retrained"]:
        out.print(f"  {job} trains anew.")
    for each in said["not_retrained"]:
        out.print(Text(f"  {each['model']} is not trained anew: ", "red") + Text(str(each["reason"]["detail"])))
    for each in said["remains"]:
        out.print(Text(f"  remains: {each['what']}. {each['why']}", "dim"))
    out.print(f"  Signed with the key {answer['key_id']}, and verified.")


def _subject(subject: Json) -> str:
    dataset = subject["dataset"] + (f"@{subject['version']}" if subject["version"] else "")
    return f"{subject['pseudonym']} in {dataset}" if subject["pseudonym"] else dataset
