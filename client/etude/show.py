"""What a person reads, on standard output: tables that fit a terminal; and JSON for programs."""

import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

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
CLASSES_SHOWN = 30

Json = dict[str, Any]


def _console(*, is_error: bool = False) -> Console:
    # Without a terminal a line is as long as it is: it may be read by a program.
    console = Console(stderr=is_error, highlight=False)
    return console if console.is_terminal else Console(stderr=is_error, highlight=False, width=160)


def as_json(said: Any) -> None:
    json.dump(said, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


def say(text: str) -> None:
    _console().print(escape(text))


def saved(path: Path) -> None:
    _console(is_error=True).print(f"Saved {escape(str(path))} ({path.stat().st_size:,} bytes).")


def error(wrong: EtudeError, *, as_json: bool) -> None:
    """Why it did not work, every single fault with its place."""
    if as_json:
        print(json.dumps(wrong.problem or {"detail": str(wrong)}, ensure_ascii=False), file=sys.stderr)
        return
    console = _console(is_error=True)
    console.print(Text("error: ", style="red bold") + Text(str(wrong)))
    for fault in wrong.faults:
        if str(fault["message"]) != str(wrong) or _place(fault):
            console.print(f"  {escape(_place(fault))}{escape(str(fault['message']))}")
    hidden = int(wrong.problem.get("errors_total", 0)) - len(wrong.faults)
    if hidden > 0:
        console.print(f"  … and {hidden:,} more")
    if request := wrong.problem.get("request_id"):
        console.print(f"  request {escape(str(request))}", style="dim")


def _place(fault: Json) -> str:
    parts = [str(fault[name]) for name in ("pointer", "file") if fault.get(name)]
    parts += [f"{name} {fault[name]}" for name in ("row", "column") if fault.get(name) is not None]
    return f"{', '.join(parts)}: " if parts else ""


def jobs(found: Iterable[Job]) -> None:
    table = _table("id", "action", "state", "model", "progress", "created")
    for job in found:
        done = job.progress
        count = f"{done['done']:,}/{done['total']:,} {done['unit']}" if done else ""
        state = Text(job.stage or job.state, style=COLOURS.get(job.state, ""))
        table.add_row(job.id, job.raw["action"], state, job.raw["model"] or "", count, _when(job.raw["created_at"]))
    _console().print(table)


def job(shown: Job) -> None:
    """One job: where it stands, and what it made."""
    console, raw = _console(), shown.raw
    head = Text(shown.id) + Text(f"  {raw['action']} {raw['kind'] or ''}  ")
    console.print(head + Text(shown.stage or shown.state, style=COLOURS.get(shown.state, "")))
    if shown.state == "queued" and (ahead := raw["queue"]["ahead"]):
        console.print(f"  {ahead:,} before it in the queue")
    if not shown.has_ended:
        console.print(f"  etude watch {shown.id}", style="dim")
    if shown.error:
        error(EtudeError(str(shown.error.get("detail")), problem=shown.error), as_json=False)
    if "metrics" in shown.result:
        _trained(console, shown)
    elif "rows" in shown.result:
        _scored(console, shown)


def _trained(console: Console, shown: Job) -> None:
    result = shown.result
    for part, metrics in result["metrics"].items():
        console.print(metrics_table(part, metrics, result["baselines"].get(part, {})))
        if "per_class" in metrics:
            console.print(_per_class(metrics["per_class"]))
    for warning in result["warnings"]:
        console.print(Text("warning: ", style="yellow") + Text(str(warning["detail"])))
    stopped = f", stopped by {result['stopped_by'].replace('_', ' ')}" if result["stopped_by"] else ""
    best = f", best {result['best_epoch']}" if result["best_epoch"] else ""
    cost = f"{shown.raw['cost']['compute_s']:.1f} s"
    console.print(f"{escape(result['reference'])}  {result['epochs']} epochs{best}{stopped}  {cost}")
    console.print(f"  etude score {escape(result['reference'])} held_out.csv -o predictions.parquet", style="dim")


def _scored(console: Console, shown: Job) -> None:
    result = shown.result
    errors = f", {result['errors']:,} could not be scored" if result["errors"] else ""
    console.print(f"{result['rows']:,} rows{errors}")
    if result.get("classes"):
        table = _table("predicted", "rows")
        for name, count in sorted(result["classes"].items(), key=lambda pair: -pair[1])[:CLASSES_SHOWN]:
            table.add_row(str(name), f"{count:,}")
        console.print(table)
    console.print(f"  etude predictions {shown.id} -o predictions.parquet", style="dim")


def metrics_table(part: str, metrics: Json, baselines: Json) -> Table:
    """The network beside the simpler models, on the same rows."""
    columns = {"network": metrics, **baselines}
    table = _table(f"on the {part} rows", *(NAMES.get(name, name.replace("_", " ")) for name in columns))
    for name, metric in metrics.items():
        if isinstance(metric, dict) and "value" in metric:
            values = [_figure(column.get(name, {}).get("value")) for column in columns.values()]
            table.add_row(name.replace("_", " "), *values)
    return table


def _per_class(classes: Json) -> Table:
    table = _table("class", "precision", "recall", "f1", "rows")
    for name, row in list(classes.items())[:CLASSES_SHOWN]:
        figures = [_figure(row.get(figure)) for figure in ("precision", "recall", "f1")]
        table.add_row(str(name), *figures, f"{row.get('rows', '')}")
    if len(classes) > CLASSES_SHOWN:
        table.add_row(f"… {len(classes) - CLASSES_SHOWN} more", "", "", "", "")
    return table


def dataset(made: Dataset) -> None:
    profile = made.profile
    target = ", ".join(made.target) or "none"
    say(
        f"{made.reference}  {profile.get('rows', 0):,} rows, {len(profile.get('columns', ()))} columns, target {target}"
    )
    for warning in profile.get("warnings", ()):
        _console().print(Text("warning: ", style="yellow") + Text(str(warning["detail"])))


def datasets(found: Iterable[Dataset]) -> None:
    table = _table("dataset", "state", "rows", "id", "created")
    for each in found:
        rows = "" if each.raw["rows"] is None else f"{each.raw['rows']:,}"
        table.add_row(each.reference, each.state, rows, each.id, _when(each.raw["created_at"]))
    _console().print(table)


def workers(found: list[Json]) -> None:
    if not found:
        return say("No worker has ever been here: jobs wait until one is started.")
    table = _table("worker", "state", "does", "since", "last beat")
    for each in found:
        state = Text(each["state"], style=WORKER_COLOURS.get(each["state"], ""))
        job = each["job"] or {}
        does = " ".join(str(job[name]) for name in ("action", "model", "stage", "id") if job.get(name))
        since = job.get("since") or each["started_at"]
        table.add_row(escape(each["name"]), state, escape(does), _when(since), _ago(each["beat_at"]))
    return _console().print(table)


def models(found: Iterable[Json]) -> None:
    table = _table("model", "kind", "newest", "aliases", "created")
    for each in found:
        aliases = ", ".join(f"{alias} → {version}" for alias, version in each["aliases"].items())
        table.add_row(each["name"], each["kind"], str(each["newest_version"]), aliases, _when(each["created_at"]))
    _console().print(table)


def model(shown: Json) -> None:
    """A model's versions, each with its first metrics."""
    table = _table("version", "aliases", "metrics", "parameters", "job", "created")
    for version in shown["versions"]:
        part: Json = next(iter(version["metrics"].values()), {})
        scalars = [(name, metric["value"]) for name, metric in part.items() if "value" in metric][:3]
        figures = ", ".join(f"{name} {_figure(value)}" for name, value in scalars)
        job_id = version["links"]["job"].rpartition("/")[2]
        row = (version["reference"], ", ".join(version["aliases"]), figures, f"{version['parameters']:,}", job_id)
        table.add_row(*row, _when(version["created_at"]))
    _console().print(table)


def rows(found: list[Json]) -> None:
    if not found:
        return say("No rows.")
    columns = [name for name in found[0] if name != "probabilities"]
    table = _table(*columns, *(["probability"] if "probabilities" in found[0] else []))
    for row in found:
        said = [", ".join(map(str, row[name])) if isinstance(row[name], list) else str(row[name]) for name in columns]
        if "probabilities" in row:
            said.append(_figure(max(row["probabilities"].values(), default=None)))
        table.add_row(*map(escape, said))
    return _console().print(table)


def estimate(said: Json) -> None:
    fits = "fits" if said["fits"] else "does not fit this service"
    say(f"{said['parameters']:,} parameters, {said['memory_bytes'] / 1e6:,.1f} MB: {fits}")


def kinds(found: list[Json], *, in_full: bool) -> None:
    for kind in found:
        say(f"{kind['name']}: {kind['description']}")
        for action, schema in kind["actions"].items():
            names = schema["params"].get("properties", {})
            if not in_full:
                say(f"  {action}: {', '.join(names)}")
                continue
            table = _table(f"{action}: param", "default")
            for name, field in names.items():
                table.add_row(name, escape(json.dumps(field.get("default"), ensure_ascii=False)))
            _console().print(table)


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for place, name in enumerate(columns):
        table.add_column(name, no_wrap=place == 0)
    return table


def _figure(value: float | None) -> str:
    if value is None:
        return "–"
    return f"{value:.3f}" if abs(value) < 1000 else f"{value:,.0f}"


def _ago(moment: str) -> str:
    # The service's clock and this one may differ; a sign of life from the future is one from now.
    seconds = max(0, int((datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()))
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


def _when(moment: str) -> str:
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M")
