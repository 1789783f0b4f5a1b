"""What a person reads, on standard output: tables that fit a terminal; and JSON for programs."""

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from etude import (
    cautions,
    leaders,
    page,
    show_audio,
    show_audit,
    show_composed,
    show_divided,
    show_judged,
    show_lists,
    show_plays,
    show_reasons,
    show_recommender,
    show_scored,
    show_scores,
    show_service,
    show_versions,
    wording,
)
from etude.datasets import Dataset
from etude.errors import EtudeError
from etude.jobs import Job

COLOURS = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "running": "cyan", "queued": "dim"}
NAMES = {
    "network": "network",
    "majority_class": "majority",
    "mean": "mean",
    "logistic_regression": "logistic regr.",
    "linear_regression": "linear regr.",
    "gradient_boosted_trees": "boosted trees",
}
CLASSES_SHOWN = 30

Json = dict[str, Any]


def as_json(said: Any) -> None:
    json.dump(said, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


def saved(path: Path) -> None:
    page.console(is_error=True).print(f"Saved {escape(str(path))} ({path.stat().st_size:,} bytes).")


def error(wrong: EtudeError, *, as_json: bool) -> None:
    """Why it did not work, every single fault with its place."""
    if as_json:
        said = wrong.problem or {"detail": str(wrong), "code": wrong.code}
        print(json.dumps(said, ensure_ascii=False), file=sys.stderr)
        return
    out = page.console(is_error=True)
    out.print(Text("error: ", style="red bold") + Text(wording.in_options(str(wrong))))
    for fault in wrong.faults:
        if str(fault["message"]) != str(wrong) or wording.place(fault):
            out.print(f"  {escape(wording.place(fault))}{escape(wording.in_options(str(fault['message'])))}")
    if any(fault.get("row") is not None for fault in wrong.faults):
        out.print("  rows are counted from 0, which is the first below a header", style="dim")
    hidden = int(wrong.problem.get("errors_total", 0)) - len(wrong.faults)
    if hidden > 0:
        out.print(f"  … and {hidden:,} more")
    if request := wrong.problem.get("request_id"):
        out.print(f"  request {escape(str(request))}", style="dim")
    for command in wrong.commands:
        out.print(f"  {escape(command)}", style="dim")


def usage(wrong: click.ClickException, *, as_json: bool) -> None:
    """What is wrong with the command itself."""
    if not as_json:
        return wrong.show()
    print(json.dumps({"detail": wrong.format_message(), "code": "usage"}, ensure_ascii=False), file=sys.stderr)


def jobs(found: Iterable[Job]) -> None:
    table = page.table("id", "action", "state", "model", "progress", "created")
    for job in found:
        done = job.progress
        count = f"{done['done']:,}/{page.units(done['total'], done['unit'])}" if done else ""
        state = Text(job.stage or job.state, style=COLOURS.get(job.state, ""))
        table.add_row(job.id, job.raw["action"], state, job.raw["model"] or "", count, page.when(job.raw["created_at"]))
    page.print_table(table, spare=("created", "progress", "model"))


def job(shown: Job, *, is_saving: bool = False) -> None:
    """One job: where it stands, and what it made; `is_saving`: its output is saved, and nothing is said of how to."""
    out, raw = page.console(), shown.raw
    head = Text(shown.id) + Text(f"  {raw['action']} {raw['kind'] or ''}  ")
    out.print(head + Text(shown.stage or shown.state, style=COLOURS.get(shown.state, "")))
    if shown.state == "queued" and (ahead := raw["queue"]["ahead"]):
        out.print(f"  {ahead:,} before it in the queue")
    if not shown.has_ended and raw.get("cancel_requested_at"):
        out.print("  asked to end; it ends at the next beat")
    if not shown.has_ended:
        out.print(f"  etude watch {shown.id}", style="dim")
    if shown.error:
        error(EtudeError(str(shown.error.get("detail")), problem=shown.error), as_json=False)
    if shown.result:
        _made(out, shown, is_saving=is_saving)


def _made(out: Console, shown: Job, *, is_saving: bool) -> None:
    """What a job came to, by what it did; an ingest has rows too, which its dataset shows."""
    result = shown.result
    match shown.raw["action"]:
        case "tune":
            leaders.show(out, shown)
            _trained(out, shown)
        # A scoring has metrics too, where the truth is known.
        case "train" if "metrics" in result:
            _trained(out, shown)
        case "generate":
            show_composed.composition(out, shown, is_saving=is_saving)
        case "evaluate":
            judges = {"recommendation": show_recommender, "generation": show_composed}
            judges.get(shown.raw["kind"], show_judged).evaluation(out, shown)
            cautions.show(out, result.get("warnings", ()))
        case "audit":
            show_audit.audit(out, shown)
            cautions.show(out, result.get("warnings", ()))
        case "export":
            show_versions.exported(out, shown, is_saving=is_saving)
        case "reproduce":
            show_versions.reproduced(out, shown)
        case "erase":
            show_lists.erased(out, shown)
        case "rotate":
            out.print(f"{page.count(result['keys'], 'key')} wrapped with key {result['generation']} of the tenant.")
        case "score" if "lists" in result:
            show_lists.scored(out, shown, is_saving=is_saving)
        case "score" if "rows" in result:
            is_analysis = shown.raw["kind"] == "analysis"
            (show_audio.analysis if is_analysis else show_scored.scored)(out, shown, is_saving=is_saving)


def _trained(out: Console, shown: Job) -> None:
    result = shown.result
    if shown.raw["kind"] == "generation":
        show_composed.card(out, result)
    elif shown.raw["kind"] == "recommendation":
        show_recommender.trained(out, shown)
    else:
        _judged(out, result)
    cautions.show(out, result["warnings"])
    stopped = f", stopped by {result['stopped_by'].replace('_', ' ')}" if result["stopped_by"] else ""
    cost = show_service.cost(shown.raw["cost"])
    out.print(f"{escape(result['reference'])}  {_learned(shown)}{stopped}  {cost}")
    _promoted(out, result)
    out.print(f"  {_next(shown)}", style="dim", markup=False)


def _learned(trained: Job) -> str:
    """How long it learned, or which of several that learned it is."""
    if trained.raw["kind"] == "recommendation":
        return show_recommender.kept(trained)
    result = trained.result
    best = f", best {result['best_epoch']}" if result["best_epoch"] else ""
    return f"{page.count(result['epochs'], 'epoch')}{best}"


def _next(trained: Job) -> str:
    """What one does with a model version that was made."""
    reference = trained.result["reference"]
    if trained.raw["kind"] == "recommendation":
        return f"etude recommend {reference} --user …"
    if trained.raw["kind"] == "generation":
        return f"etude compose {reference}"
    held_out = "folder" if "segments" in trained.result["metrics"] else "held_out.csv"
    return f"etude score {reference} {held_out} -o predictions.parquet"


def _judged(out: Console, result: Json) -> None:
    """What the network comes to on each part, beside the simpler models, and on each class."""
    # Recordings are learned in segments, and judged as wholes.
    unit = "tracks" if "segments" in result["metrics"] else "rows"
    apart = (*show_reasons.APART, *show_divided.APART)
    for part, metrics in result["metrics"].items():
        if part in apart:
            continue
        name = "validation segments" if part == "segments" else f"{part} {unit}"
        out.print(metrics_table(name, metrics, result["baselines"].get(part, {})))
        if "per_class" in metrics and part != "segments":
            out.print(_per_class(metrics["per_class"]))
        show_judged.certainty(out, metrics)
    show_divided.show(out, result)
    if found := result["metrics"].get("importance"):
        show_reasons.importance(out, found)


def _promoted(out: Console, result: Json) -> None:
    """Whether the version has taken an alias over, and from which; or why not."""
    said = result.get("promotion")
    if said is None:
        return
    alias = f"{result['model']}@{said['alias']}"
    if not said["moved"]:
        return out.print(Text(f"{alias} stays: ", style="yellow") + Text(said["reason"]["detail"]))
    before = f", which was version {said['from']}" if said["from"] is not None else ""
    return out.print(Text(f"{alias} is now version {result['version']}{before}."))


def metrics_table(part: str, metrics: Json, baselines: Json) -> Table:
    """The network beside the simpler models, on the same rows."""
    columns = {"network": metrics, **baselines}
    table = page.table(f"on the {part}", *(NAMES.get(name, name.replace("_", " ")) for name in columns))
    for name, metric in metrics.items():
        if isinstance(metric, dict) and "value" in metric:
            values = [page.figure(column.get(name, {}).get("value")) for column in baselines.values()]
            table.add_row(name.replace("_", " "), page.figure_with_interval(metric), *values)
    return table


def _per_class(classes: Json) -> Table:
    table = page.table("class", "precision", "recall", "f1", "rows")
    for name, row in list(classes.items())[:CLASSES_SHOWN]:
        figures = [page.figure(row.get(figure)) for figure in ("precision", "recall", "f1")]
        table.add_row(str(name), *figures, f"{row.get('rows', '')}")
    if len(classes) > CLASSES_SHOWN:
        table.add_row(f"… {len(classes) - CLASSES_SHOWN} more", "", "", "", "")
    return table


def dataset(made: Dataset) -> None:
    profile = made.profile
    if made.audio is not None:
        show_audio.dataset(made, made.audio)
    elif made.symbolic is not None:
        show_scores.dataset(made, made.symbolic)
    elif made.plays is not None:
        show_plays.dataset(made, made.plays)
    else:
        size = f"{page.count(profile.get('rows', 0), 'row')}, {page.count(len(profile.get('columns', ())), 'column')}"
        page.say(f"{made.reference}  {size}, target {show_audio.target(made)}")
    cautions.show(page.console(), [each for each in profile.get("warnings", ()) if each["code"] not in _told(made)])


def _told(made: Dataset) -> tuple[str, ...]:
    """The warnings that have lines of their own."""
    if made.plays is not None:
        return show_plays.TOLD_OTHERWISE
    return (*show_audio.TOLD_OTHERWISE, *show_scores.TOLD_OTHERWISE) if made.audio or made.symbolic else ()


def rows(found: list[Json]) -> None:
    if not found:
        return page.say("No rows.")
    if "basis" in found[0]:
        return show_lists.rows(found)
    columns = [name for name in found[0] if name not in ("probabilities", "explanation")]
    told = show_reasons.columns(found) if "explanation" in found[0] else {}
    table = page.table(*columns, *(["probability"] if "probabilities" in found[0] else []), *told)
    for place, row in enumerate(found):
        said = [", ".join(map(str, row[name])) if isinstance(row[name], list) else str(row[name]) for name in columns]
        if "probabilities" in row:
            said.append(page.figure(max(row["probabilities"].values(), default=None)))
        said += [cells[place] for cells in told.values()]
        table.add_row(*map(escape, said))
    return page.print_table(table)
