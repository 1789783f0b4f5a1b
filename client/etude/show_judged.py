"""How far a classifier can be trusted, for a person to read: its reliability, its silence, two versions compared."""

from typing import Any

from rich.console import Console
from rich.markup import escape

from etude import page
from etude.jobs import Job

WIDTH = 20

Json = dict[str, Any]


def evaluation(out: Console, shown: Job) -> None:
    """A version on rows that it has not seen, maybe beside another."""
    result = shown.result
    judged, against = result["metrics"]["evaluation"], result.get("against")
    _figures(out, result["model"], judged, against)
    reliability(out, judged.get("reliability", ()))
    _silence(out, judged.get("abstaining"))
    left_out = ", ".join(f"{number:,} {name}" for name, number in result["left_out"].items() if number)
    rows = page.count(result["rows"], "row")
    out.print(escape(f"{result['model']} on {rows}{left_out and f', {left_out} left out'}"))
    if against and "mcnemar" in against:
        _rows(out, against)


def certainty(out: Console, judged: Json) -> None:
    """What a training has learned from its held-out rows beside the network."""
    calibration = judged.get("calibration")
    if calibration:
        before, after = (calibration[part] for part in ("before", "after"))
        is_kept = after is not None and "reason" not in calibration
        moved = f" (was {page.short(before['calibration_error'], 3)})" if is_kept else ""
        out.print(f"calibration error {page.short((after if is_kept else before)['calibration_error'], 3)}{moved}")
        reliability(out, calibration["reliability"])
    for label, said in judged.get("thresholds", {}).items():
        figures = f"F1 {page.short(said['f1'], 3)}, {page.short(said['f1_at_half'], 3)} from 0.5 on"
        out.print(escape(f"{label} is said from {page.short(said['threshold'], 3)} on: {figures}"))
    _silence(out, judged.get("abstaining"))


def reliability(out: Console, bins: Any) -> None:
    """A bar a bin: how often it is right where it is so sure."""
    if not bins:
        return
    shown = page.table("sure", "right", "", "rows")
    for each in bins:
        figures = (page.short(each[name], 2) for name in ("confidence", "accuracy"))
        shown.add_row(*figures, page.bar(each["accuracy"], WIDTH), f"{each['rows']:,}")
    out.print(shown)


def _silence(out: Console, said: Json | None) -> None:
    if said is None:
        return
    if said["below"] is None:
        return out.print(escape(said["reason"]))
    right = "" if said["accuracy"] is None else f", {said['accuracy']:.1%} of these right"
    return out.print(f"below {page.short(said['below'], 3)} it says nothing: {said['coverage']:.1%} get a label{right}")


def _figures(out: Console, model: str, judged: Json, against: Json | None) -> None:
    others = [] if against is None else [against["model"], "difference", "p"]
    shown = page.table("on the evaluation rows", model, *others)
    for name, metric in judged.items():
        if not (isinstance(metric, dict) and "value" in metric):
            continue
        cells = [page.figure_with_interval(metric)]
        if against is not None:
            told = against["differences"].get(name, {})
            difference = {"value": told.get("difference"), "interval": told.get("interval")}
            cells += [page.figure(against["metrics"][name]["value"]), page.figure_with_interval(difference)]
            cells.append(page.short(told.get("p"), 3))
        shown.add_row(name.replace("_", " "), *cells)
    page.print_table(shown)


def _rows(out: Console, against: Json) -> None:
    found = against["mcnemar"]
    said = f"{found['only_this']:,} rows only it has right, {found['only_other']:,} only {against['model']}"
    out.print(escape(f"{said}; by chance alone p = {page.short(found['p'], 3)} (McNemar)"))
