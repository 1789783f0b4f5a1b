"""The card of a model version: what it is, from what, how good, how sure, and what nobody has measured.

The idea is that of Mitchell et al., Model Cards for Model Reporting, 2019.
"""

from typing import Any

from shared import gate, side_by_side
from shared.audio_params import EMBEDDING_NETWORKS
from shared.evidence import Evidence, Found
from shared.pretrained import PRETRAINED, Pretrained

FORM = 1
# Of a search; all of them stand in the version's lineage.
TRIALS_SHOWN = 10
# Points of the curve of a training, evenly chosen from its epochs, the last among them.
POINTS_SHOWN = 100
# What the owner of a model says of it.
TEXTS = ("description", "intended_use", "limits", "licence")
OF_OTHERS = ("name", "title", "authors", "paper", "licence", "licence_file", "training_data_note")

Json = dict[str, Any]


def build(known: Evidence) -> Json:
    """The card, without moments: its maker adds those, as its clients read them."""
    version, model = known.version, known.model
    params = version.lineage.get("params") or {}
    card: Json = {
        "card": FORM,
        "model": model.name,
        "version": version.number,
        "reference": f"{model.name}@{version.number}",
        "kind": model.kind,
        **{name: getattr(model, name, None) for name in TEXTS},
        "job": version.job,
        "data": _data(known),
        "params": params,
        "architecture": {"parameters": version.parameters, "layers": params.get("hidden") or params.get("network")},
        "training": _training(known),
        "metrics": version.metrics,
        "baselines": version.baselines,
        "calibration": _calibration(version),
        "leakage": {"suspected": gate.has_leakage(version), "report": _leakage(version)},
        "warnings": version.warnings,
        "erased_data": version.erased_data or [],
        "privacy": version.lineage.get("privacy"),
        "rights": known.rights,
        "importance": version.metrics.get("importance"),
        "search": _search(version),
        "base_weights": _base_weights(known),
        "cost": None if known.job is None else known.job.cost,
        "reproduce": _reproduce(known),
        "champion": _beside_champion(known),
    }
    return {**card, "not_measured": _not_measured(card)}


def _training(known: Evidence) -> Json | None:
    """How long it learned, what ended it, and its losses epoch by epoch; a search's winner learned in a trial."""
    result = {} if known.job is None else known.job.result or {}
    told = {name: result[name] for name in ("epochs", "best_epoch", "stopped_by") if name in result}
    step = max(1, -(-len(known.epochs) // POINTS_SHOWN))
    chosen = known.epochs[::-1][::step][::-1]
    curve = [{name: each[name] for name in ("epoch", "loss", "val_loss") if name in each} for each in chosen]
    return {**told, "curve": curve} if told or curve else None


def _calibration(version: Found) -> Json | None:
    """What was learned of it, on the rows that taught it: those that validate, whatever the version is judged by."""
    parts = [part for part in version.metrics.values() if isinstance(part, dict)]
    return next((part["calibration"] for part in parts if part.get("calibration")), None)


def _search(version: Found) -> Json | None:
    """How it was chosen, and its rivals, the best first; None of a version that no search has made."""
    search: Json | None = version.lineage.get("search")
    if search is None:
        return None
    sign = -1 if search["better"] == "higher" else 1
    known = [trial for trial in search["trials"] if trial["value"] is not None]
    best = sorted(known, key=lambda trial: (not trial.get("final"), sign * trial["value"], trial["number"]))
    told = ("job", "metric", "better", "sampler", "seed", "trials_run", "winner", "stopped", "compute_s", "space")
    return {**{name: search[name] for name in told}, "best": best[:TRIALS_SHOWN]}


def _leakage(version: Found) -> Json | None:
    report: Json | None = version.metrics.get("leakage") or version.lineage.get("leakage")
    return report


def _data(known: Evidence) -> Json:
    """What was learned from; an erased dataset is known by its digest alone."""
    lineage = known.version.lineage
    said: Json = dict(lineage.get("dataset") or {})
    split = lineage.get("split")
    first = known.datasets[0] if known.datasets else None
    roles = {} if first is None or first.profile is None else first.profile.get("roles") or {}
    return {
        **{name: said.get(name) for name in ("reference", "id", "sha256", "format")},
        "rows": None if first is None else first.rows,
        "classes": None if first is None or first.profile is None else first.profile.get("classes"),
        "others": [f"{row.name}@{row.version}" for row in known.datasets[1:]],
        "group": roles.get("group"),
        "columns": lineage.get("columns"),
        "masking": said.get("masking"),
        "split": split,
        "time_range": (split or {}).get("time_range"),
    }


def _base_weights(known: Evidence) -> list[Json]:
    """The networks of others that it is, or hears with, and their licences."""
    if known.version.job is None:
        return [known.version.lineage["card"]]
    is_deaf = (known.version.lineage.get("params") or {}).get("preset") == "network"
    hears = known.version.lineage.get("dataset", {}).get("format") == "audio" or any(
        row.format == "audio" for row in known.datasets
    )
    return [_of_others(each) for each in PRETRAINED if hears and not is_deaf and each.tagger in EMBEDDING_NETWORKS]


def _of_others(each: Pretrained) -> Json:
    return {**{name: getattr(each, name) for name in OF_OTHERS}, "sha256": each.sha256}


def _reproduce(known: Evidence) -> Json:
    """What the same training needs: submitted as it is, on the same machine, it makes the same model."""
    lineage, job = known.version.lineage, known.job
    # Of a search it is the training that has won.
    body = None if job is None else {
        "action": "train", "kind": job.kind, "dataset": job.datasets, "model": job.model,
        "params": lineage.get("params"),
    }  # fmt: skip
    return {
        "seed": lineage.get("seed"),
        "dataset_sha256": (lineage.get("dataset") or {}).get("sha256"),
        "code": lineage.get("code"),
        "machine": lineage.get("machine"),
        "job": body,
    }


def _beside_champion(known: Evidence) -> Json | None:
    """Its metrics beside those of the version that `champion` points to now; None where that is itself, or nothing."""
    champion = known.champion
    if champion is None or champion.id == known.version.id:
        return None
    both = [known.version, champion]
    part = gate.judged_part(known.version.metrics)
    compared = [each for each in side_by_side.metrics(both, known.model.kind) if each["part"] == part]
    return {
        "reference": f"{known.model.name}@{champion.number}",
        "on_same_rows": side_by_side.on_same_rows(both),
        "metrics": compared,
    }


def _not_measured(card: Json) -> list[str]:
    """What this card has no word of: an older version, or a kind or training without it."""
    absent = [name for name in ("calibration", "importance", "cost") if not card[name]]
    parts = [part for part in ("test", "random_split") if part not in card["metrics"]]
    unknown = [] if card["leakage"]["report"] else ["leakage_report"]
    membership = (card["privacy"] or {}).get("membership") or {}
    unknown += [] if membership.get("measured") else ["membership"]
    machine = [] if card["reproduce"]["machine"] else ["machine"]
    return [*absent, *parts, *unknown, *machine]
