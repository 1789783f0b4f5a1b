"""What there is, for a person to read: datasets, workers, models with their versions, kinds."""

import json
from collections.abc import Iterable
from typing import Any

from rich.markup import escape
from rich.text import Text

from etude import cautions, page, show_composed, show_reasons, show_recommender
from etude.datasets import Dataset

WORKER_COLOURS = {"idle": "dim", "busy": "cyan", "draining": "yellow", "gone": "dim", "silent": "red"}
# No name of a tenant's model begins so.
OWN = "etude."
# Models whose newest version is shown in full beneath the list.
WITH_CARDS = ("generation", "recommendation")
NO_PARTS = (*show_composed.APART, *show_reasons.APART, *show_recommender.APART)

GiB = 1024**3

Json = dict[str, Any]


def datasets(found: Iterable[Dataset]) -> None:
    table = page.table("dataset", "state", "rows", "id", "created")
    for each in found:
        rows = "" if each.raw["rows"] is None else f"{each.raw['rows']:,}"
        table.add_row(each.reference, each.state, rows, each.id, page.when(each.raw["created_at"]))
    page.print_table(table, spare=("created", "rows"))


def workers(found: list[Json]) -> None:
    if not found:
        return page.say("No worker has ever been here: jobs wait until one is started.")
    table = page.table("worker", "state", "does", "since", "last beat", "contained", "cards")
    for each in found:
        state = Text(each["state"], style=WORKER_COLOURS.get(each["state"], ""))
        job = each["job"] or {}
        does = " ".join(str(job[name]) for name in ("action", "model", "stage", "id") if job.get(name))
        since = job.get("since") or each["started_at"]
        # A service of the version before does not tell.
        contained = each.get("containment") or "–"
        beat = page.ago(each["beat_at"])
        table.add_row(escape(each["name"]), state, escape(does), page.when(since), beat, contained, _cards(each))
    return page.print_table(table, spare=("since", "contained", "cards"))


def _cards(worker: Json) -> str:
    """The memory of each card that a worker computes on, taken and whole."""
    cards = worker.get("devices") or []
    said = (f"{each['index']}: {each['used_bytes'] / GiB:.1f} of {each['total_bytes'] / GiB:.0f} GiB" for each in cards)
    return ", ".join(said) or "–"


def models(found: Iterable[Json]) -> None:
    table = page.table("model", "kind", "newest", "aliases", "created")
    for each in found:
        aliases = ", ".join(f"{alias} → {version}" for alias, version in each["aliases"].items())
        said = aliases or ("comes with the service" if each["name"].startswith(OWN) else "")
        table.add_row(each["name"], each["kind"], str(each["newest_version"]), said, page.when(each["created_at"]))
    page.print_table(table, spare=("created", "kind"))


def model(shown: Json) -> None:
    """A model's versions, each with its first metrics; of the service's own whose they are."""
    table = page.table("version", "aliases", "metrics", "parameters", "job", "created")
    for each in shown["versions"]:
        # The service's own were made by no job.
        job_id = each["links"].get("job", "").rpartition("/")[2] or "–"
        aliases, parameters = ", ".join(each["aliases"]), f"{each['parameters']:,}"
        row = (each["reference"], aliases, _first_metrics(each), parameters, job_id)
        table.add_row(*row, page.when(each["created_at"]))
    page.print_table(table, spare=("created", "parameters"))
    for each in shown["versions"]:
        _card(each["lineage"].get("card"))
    if shown["kind"] in WITH_CARDS and shown["versions"]:
        # The newest first, as they are listed.
        version(shown["versions"][0])


def version(shown: Json) -> None:
    """What one version comes to, beside simpler models, with all that its card tells."""
    out = page.console()
    out.print(escape(f"{shown['reference']}  {shown['parameters']:,} parameters, {page.when(shown['created_at'])}"))
    # A version does not say of which kind it is: the lineage of one that recommends tells which was chosen.
    (show_recommender.version if "chosen" in shown["lineage"] else show_composed.card)(out, shown)
    cautions.show(out, shown["warnings"])


def _first_metrics(version: Json) -> str:
    parts = {name: metrics for name, metrics in version["metrics"].items() if name not in NO_PARTS}
    part, metrics = next(iter(parts.items()), ("", {}))
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


def estimate(said: Json) -> None:
    fits = "fits" if said["fits"] else "does not fit this service"
    page.say(f"{said['parameters']:,} parameters, {said['memory_bytes'] / 1e6:,.1f} MB: {fits}")
    basis = f"from {said['jobs']} earlier jobs" if said["jobs"] else "no such job has run here yet"
    page.say(f"about {said['expected_s']:.1f} s ({said['low_s']:.1f} to {said['high_s']:.1f}; {basis})")
    page.say(f"{_energy(said['energy_wh'])}{_money(said['money'], said['currency'])}")


def usage(found: Json) -> None:
    table = page.table(found["by"], "jobs", "compute s", "CPU s", "GPU s", "energy", "money")
    for row in found["data"]:
        seconds = [f"{row[name]:,.1f}" for name in ("compute_s", "cpu_s", "gpu_s")]
        energy = "" if row["energy_wh"] is None else _energy(row["energy_wh"])
        money = "" if row["money"] is None else f"{row['money']:.4f} {found['currency'] or ''}".strip()
        table.add_row(escape(row["key"]), str(row["jobs"]), *seconds, energy, money)
    page.print_table(table)


def cost(said: Json) -> str:
    """A job's seconds, and its energy and money where they are known."""
    energy = "" if said.get("energy_wh") is None else f", {_energy(said['energy_wh'])}"
    return f"{said['compute_s']:.1f} s{energy}{_money(said.get('money'), said.get('currency'))}"


def _energy(energy_wh: float) -> str:
    return f"{energy_wh:.3g} Wh"


def _money(money: float | None, currency: str | None) -> str:
    return "" if money is None else f", {money:.4f} {currency or ''}".rstrip()


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
            page.print_table(table)
