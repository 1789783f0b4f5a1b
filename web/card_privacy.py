"""What a card says of the rows that a version was trained on, in plain sentences first, then in figures."""

from collections.abc import Iterator
from typing import Any

from web.card_blocks import Block, Facts, Text
from web.card_words import figure, plain, with_interval

Json = dict[str, Any]

VERDICTS = {
    "leaks": "It can be told, better than by chance, whether a {unit} was among those that trained.",
    "no_leak_seen": "By its losses it can hardly be told whether a {unit} was among those that trained.",
    "inconclusive": "There are too few {unit}s to conclude anything; the figures are shown all the same.",
}
PLAIN = "Differential privacy: none (trained without it). Nothing bounds what it may have learned of a single row."
UNKNOWN = "not measured"
FIGURES = {
    "auc": "AUC (0.5 is chance)", "advantage": "advantage",
    "tpr_at_fpr_0.01": "found at 1 % false alarms", "tpr_at_fpr_0.001": "found at 0.1 % false alarms",
}  # fmt: skip


def blocks(said: Json | None) -> Iterator[Block]:
    """Of the `privacy` of a card; None for a version from before it was told."""
    if not said:
        yield Text(UNKNOWN)
        return
    yield from _dp(said["dp"])
    yield from _membership(said["membership"])


def _dp(dp: Json | str) -> Iterator[Block]:
    if not isinstance(dp, dict):
        yield Text(PLAIN)
        return
    if dp["epsilon"] is None:
        yield Text(f"It was trained with private steps, and has no epsilon: {plain(dp['reason'], 1000)}.")
    else:
        bound = f"epsilon {figure(dp['epsilon'])}, delta {figure(dp['delta'])}"
        yield Text(f"Its weights are differentially private, with {bound}, of each {plain(dp['unit'])} that trained.")
    told = {name: value for name, value in dp.items() if name not in ("reason", "not_counted")}
    yield Facts([(name.replace("_", " "), figure(value)) for name, value in told.items()])
    yield Text(f"Not counted: {plain('; '.join(dp['not_counted']), 2000)}.")


def _membership(report: Json) -> Iterator[Block]:
    if not report["measured"]:
        yield Text(f"Whether its training rows can be told: {UNKNOWN}, {plain(report['reason'], 1000)}.")
        return
    # Of a version from before only rows were told.
    unit = plain(report.get("unit", "row"))
    yield Text(VERDICTS[report["verdict"]].format(unit=unit))
    if report.get("caution"):
        yield Text(f"Note that {plain(report['caution'], 1000)}.")
    counts = f"{report['members']:,} {unit}s that trained, {report['others']:,} of the {plain(report['non_members'])}"
    found = [(told, with_interval(report[name]["value"], report[name]["interval"])) for name, told in FIGURES.items()]
    yield Facts([("attack", plain(report["attack"])), ("on", counts), *found])
