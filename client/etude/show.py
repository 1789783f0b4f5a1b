"""What a person reads, on standard output: tables that fit a terminal; and JSON for programs."""

import json
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from etude import page, show_audio
from etude.datasets import Dataset
from etude.errors import EtudeError
from etude.jobs import Job

WORKER_COLOURS = {"idle": "dim", "busy": "cyan", "draining": "yellow", "gone": "dim", "silent": "red"}
COLOURS = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "running": "cyan", "queued": "dim"}
NAMES = {
    "network": "network",
    "majority_class": "majority",
    "mean": "mean",
    "logistic_regression": "logistic regr.",
    "linear_regression": "linear regr.",
    "gradient_boosted_trees": "boosted trees",
}
CLASSES_SHOWN, ALIKE_SHOWN = 30, 3
# No name of a tenant's model begins so.
OWN = "etude."

Json = dict[str, Any]


def as_json(said: Any) -> None:
    json.dump(said, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


def say(text: str) -> None:
    page.say(text)


def saved(path: Path) -> None:
    page.console(is_error=True).print(f"Saved {escape(str(path))} ({path.stat().st_size:,} bytes).")


def error(wrong: EtudeError, *, as_json: bool) -> None:
    """Why it did not work, every single fault with its place."""
    if as_json:
        print(json.dumps(wrong.problem or {"detail": str(wrong)}, ensure_ascii=False), file=sys.stderr)
        return
    out = page.console(is_error=True)
    out.print(Text("error: ", style="red bold") + Text(str(wrong)))
    for fault in wrong.faults:
        if str(fault["message"]) != str(wrong) or _place(fault):
            out.print(f"  {escape(_place(fault))}{escape(str(fault['message']))}")
    hidden = int(wrong.problem.get("errors_total", 0)) - len(wrong.faults)
    if hidden > 0:
        out.print(f"  … and {hidden:,} more")
    if request := wrong.problem.get("request_id"):
        out.print(f"  request {escape(str(request))}", style="dim")


def _place(fault: Json) -> str:
    parts = [str(fault[name]) for name in ("pointer", "file") if fault.get(name)]
    parts += [f"{name} {fault[name]}" for name in ("row", "column") if fault.get(name) is not None]
    return f"{', '.join(parts)}: " if parts else ""


def jobs(found: Iterable[Job]) -> None:
    table = page.table("id", "action", "state", "model", "progress", "created")
    for job in found:
        done = job.progress
        count = f"{done['done']:,}/{done['total']:,} {done['unit']}" if done else ""
        state = Text(job.stage or job.state, style=COLOURS.get(job.state, ""))
        table.add_row(job.id, job.raw["action"], state, job.raw["model"] or "", count, page.when(job.raw["created_at"]))
    page.console().print(table)


def job(shown: Job) -> None:
    """One job: where it stands, and what it made."""
    out, raw = page.console(), shown.raw
    head = Text(shown.id) + Text(f"  {raw['action']} {raw['kind'] or ''}  ")
    out.print(head + Text(shown.stage or shown.state, style=COLOURS.get(shown.state, "")))
    if shown.state == "queued" and (ahead := raw["queue"]["ahead"]):
        out.print(f"  {ahead:,} before it in the queue")
    if not shown.has_ended:
        out.print(f"  etude watch {shown.id}", style="dim")
    if shown.error:
        error(EtudeError(str(shown.error.get("detail")), problem=shown.error), as_json=False)
    # A scoring has metrics too, where the truth is known; an ingest has rows too, which its dataset shows.
    if raw["action"] == "train" and "metrics" in shown.result:
        _trained(out, shown)
    elif raw["action"] == "score" and "rows" in shown.result:
        _scored(out, shown)


def _trained(out: Console, shown: Job) -> None:
    result = shown.result
    # Recordings are learned in segments, and judged as wholes.
    unit, held_out = ("tracks", "folder") if "segments" in result["metrics"] else ("rows", "held_out.csv")
    for part, metrics in result["metrics"].items():
        name = "validation segments" if part == "segments" else f"{part} {unit}"
        out.print(metrics_table(name, metrics, result["baselines"].get(part, {})))
        if "per_class" in metrics and part != "segments":
            out.print(_per_class(metrics["per_class"]))
    _warn(out, result["warnings"])
    stopped = f", stopped by {result['stopped_by'].replace('_', ' ')}" if result["stopped_by"] else ""
    best = f", best {result['best_epoch']}" if result["best_epoch"] else ""
    cost = f"{shown.raw['cost']['compute_s']:.1f} s"
    out.print(f"{escape(result['reference'])}  {result['epochs']} epochs{best}{stopped}  {cost}")
    out.print(f"  etude score {escape(result['reference'])} {held_out} -o predictions.parquet", style="dim")


def _warn(out: Console, warnings: Sequence[Json]) -> None:
    """Warnings, of each sort the first few: forty columns that are left out are one fact."""
    seen = Counter(warning["code"] for warning in warnings)
    shown: Counter[str] = Counter()
    for warning in warnings:
        code = warning["code"]
        shown[code] += 1
        if shown[code] <= ALIKE_SHOWN:
            out.print(Text("warning: ", style="yellow") + Text(str(warning["detail"])))
        if shown[code] == ALIKE_SHOWN < seen[code]:
            out.print(f"  … and {seen[code] - ALIKE_SHOWN:,} more of this sort", style="yellow")


def _scored(out: Console, shown: Job) -> None:
    result = shown.result
    if shown.raw["kind"] == "analysis":
        return show_audio.analysis(out, shown)
    errors = f", {result['errors']:,} could not be scored" if result["errors"] else ""
    out.print(f"{result['rows']:,} rows{errors}")
    if result.get("classes"):
        table = page.table("predicted", "rows")
        for name, count in sorted(result["classes"].items(), key=lambda pair: -pair[1])[:CLASSES_SHOWN]:
            table.add_row(str(name), f"{count:,}")
        out.print(table)
    out.print(f"  etude predictions {shown.id} -o predictions.parquet", style="dim")


def metrics_table(part: str, metrics: Json, baselines: Json) -> Table:
    """The network beside the simpler models, on the same rows."""
    columns = {"network": metrics, **baselines}
    table = page.table(f"on the {part}", *(NAMES.get(name, name.replace("_", " ")) for name in columns))
    for name, metric in metrics.items():
        if isinstance(metric, dict) and "value" in metric:
            values = [page.figure(column.get(name, {}).get("value")) for column in columns.values()]
            table.add_row(name.replace("_", " "), *values)
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
    else:
        target = ", ".join(made.target) or "none"
        rows = f"{profile.get('rows', 0):,} rows, {len(profile.get('columns', ()))} columns"
        page.say(f"{made.reference}  {rows}, target {target}")
    told = () if made.audio is None else show_audio.TOLD_OTHERWISE
    _warn(page.console(), [each for each in profile.get("warnings", ()) if each["code"] not in told])


def datasets(found: Iterable[Dataset]) -> None:
    table = page.table("dataset", "state", "rows", "id", "created")
    for each in found:
        rows = "" if each.raw["rows"] is None else f"{each.raw['rows']:,}"
        table.add_row(each.reference, each.state, rows, each.id, page.when(each.raw["created_at"]))
    page.console().print(table)


def workers(found: list[Json]) -> None:
    if not found:
        return page.say("No worker has ever been here: jobs wait until one is started.")
    table = page.table("worker", "state", "does", "since", "last beat")
    for each in found:
        state = Text(each["state"], style=WORKER_COLOURS.get(each["state"], ""))
        job = each["job"] or {}
        does = " ".join(str(job[name]) for name in ("action", "model", "stage", "id") if job.get(name))
        since = job.get("since") or each["started_at"]
        table.add_row(escape(each["name"]), state, escape(does), page.when(since), page.ago(each["beat_at"]))
    return page.console().print(table)


def models(found: Iterable[Json]) -> None:
    table = page.table("model", "kind", "newest", "aliases", "created")
    for each in found:
        aliases = ", ".join(f"{alias} → {version}" for alias, version in each["aliases"].items())
        said = aliases or ("comes with the service" if each["name"].startswith(OWN) else "")
        table.add_row(each["name"], each["kind"], str(each["newest_version"]), said, page.when(each["created_at"]))
    page.console().print(table)


def model(shown: Json) -> None:
    """A model's versions, each with its first metrics; of the service's own whose they are."""
    table = page.table("version", "aliases", "metrics", "parameters", "job", "created")
    for version in shown["versions"]:
        # The service's own were made by no job.
        job_id = version["links"].get("job", "").rpartition("/")[2] or "–"
        aliases, parameters = ", ".join(version["aliases"]), f"{version['parameters']:,}"
        row = (version["reference"], aliases, _first_metrics(version), parameters, job_id)
        table.add_row(*row, page.when(version["created_at"]))
    page.console().print(table)
    for version in shown["versions"]:
        _card(version["lineage"].get("card"))


def _first_metrics(version: Json) -> str:
    part, metrics = next(iter(version["metrics"].items()), ("", {}))
    scalars = [(name, metric["value"]) for name, metric in metrics.items() if "value" in metric][:3]
    figures = ", ".join(f"{name} {page.figure(value)}" for name, value in scalars)
    return f"{figures} (the authors' own figures)" if part == "published" and figures else figures


def _card(card: Json | None) -> None:
    """Whose a model of the service is, and on what terms."""
    if card is None:
        return
    out = page.console()
    out.print(escape(f"{card['title']} by {card['authors']}, {card['licence']}, from {card['package']}"))
    for name in ("paper", "published_source", "training_data_note"):
        if card.get(name):
            out.print(escape(f"  {card[name]}"), style="dim")


def rows(found: list[Json]) -> None:
    if not found:
        return page.say("No rows.")
    columns = [name for name in found[0] if name != "probabilities"]
    table = page.table(*columns, *(["probability"] if "probabilities" in found[0] else []))
    for row in found:
        said = [", ".join(map(str, row[name])) if isinstance(row[name], list) else str(row[name]) for name in columns]
        if "probabilities" in row:
            said.append(page.figure(max(row["probabilities"].values(), default=None)))
        table.add_row(*map(escape, said))
    return page.console().print(table)


def estimate(said: Json) -> None:
    fits = "fits" if said["fits"] else "does not fit this service"
    page.say(f"{said['parameters']:,} parameters, {said['memory_bytes'] / 1e6:,.1f} MB: {fits}")


def kinds(found: list[Json], *, in_full: bool) -> None:
    for kind in found:
        page.say(f"{kind['name']}: {kind['description']}")
        for action, schema in kind["actions"].items():
            names = schema["params"].get("properties", {})
            if not in_full:
                page.say(f"  {action}: {', '.join(names)}")
                continue
            table = page.table(f"{action}: param", "default")
            for name, field in names.items():
                table.add_row(name, escape(json.dumps(field.get("default"), ensure_ascii=False)))
            page.console().print(table)
