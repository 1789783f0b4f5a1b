"""Rights as models and predictions carry them: the most restrictive of everything that went in, as of now.

They are asked of the ledger each time, so that what changes after a training is seen; which entries a training has
seen stands in its version's lineage.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, select

from shared import consenting, licences, rights
from shared.audio_params import EMBEDDING_NETWORKS
from shared.consenting import FORBIDDING, ORDER
from shared.errors import NotAllowedNow
from shared.pretrained import PRETRAINED
from shared.rights import Standing
from shared.tables import datasets, jobs

CHAMPION = "champion"
# What an operator says of champions whose rights nobody has declared (ETUDE_UNKNOWN_RIGHTS).
ALLOW, REFUSE = "allow", "refuse"
WITHDRAWN = "consent_withdrawn_after_training"
EXPIRED = "consent_expired"
LEARNED_FROM, SCORED, WEIGHTS = "learned_from", "scored", "base_weights"

Json = dict[str, Any]
Found = Any  # a row of versions, or what builtin makes like one


def of_version(sql: Connection, version: Found, *, is_held: bool = False) -> Json:
    """The rights of a version. `is_held`: nothing may change them until the transaction ends."""
    if version.job is None:
        return add_up([_of_weights(version.lineage["card"], f"{version.name}@{version.number}")])
    then = {each["id"]: each for each in _learned(version.lineage)}
    wanted = list(then) or rights.with_sources(sql, _named(sql, version.job))
    if is_held:
        rights.hold(sql, wanted)
    found = of_datasets(sql, wanted, then=then, learned_at=version.created_at)
    return add_up([*found, *base_weights(version.lineage)])


def of_predictions(sql: Connection, version: Found, dataset_ids: Sequence[str]) -> Json:
    """The rights of what a version says of datasets: its own and theirs."""
    scored = of_datasets(sql, rights.with_sources(sql, dataset_ids), what=SCORED)
    return add_up([*of_version(sql, version)["inputs"], *scored])


def of_training(sql: Connection, dataset_ids: Sequence[str], lineage: Json, then: dict[str, Json]) -> Json:
    """The rights of a version to be; `then` is what its training has seen, by dataset."""
    wanted = rights.with_sources(sql, dataset_ids)
    return add_up([*of_datasets(sql, wanted, then=then), *base_weights(lineage)])


def _learned(lineage: Json) -> list[Json]:
    told: Json = lineage.get("rights") or {}
    return [each for each in told.get("inputs", ()) if each["what"] == LEARNED_FROM]


def _named(sql: Connection, job_id: str) -> list[str]:
    return list(sql.execute(select(jobs.c.datasets).where(jobs.c.id == job_id)).scalar() or ())


def of_datasets(
    sql: Connection,
    dataset_ids: Sequence[str],
    *,
    then: dict[str, Json] | None = None,
    what: str = LEARNED_FROM,
    learned_at: float | None = None,
) -> list[Json]:
    """An input for each dataset: what holds of it now; `then` is what a training has seen of each.

    Marked is what has happened since `learned_at`, if something has learned from them.
    """
    if not dataset_ids:
        return []
    rows = {row.id: row for row in sql.execute(select(datasets).where(datasets.c.id.in_(dataset_ids)))}
    now, seen = rights.standing(sql, dataset_ids), then or {}
    there = [each for each in dataset_ids if each in rows]
    marks = {each: _marks(now[each], seen.get(each), learned_at) for each in there}
    return [{**_of_dataset(rows[each], now[each], seen.get(each), what), "marks": marks[each]} for each in there]


def _of_dataset(row: Row[Any], now: Standing, then: Json | None, what: str) -> Json:
    """`then` has what the table said, which goes with the bytes when they are erased."""
    table: Json = ((row.profile or {}).get("rights") if then is None else then["table"]) or {}
    found = _licences(now, table)
    said = {
        "what": what, "id": row.id, "reference": f"{row.name}@{row.version}", "table": table or None,
        "entry": now.entry if then is None else then["entry"],
        "licences": [licences.as_json(name, said=answer) for name, answer in found if name is not None],
        "commercial": licences.worst([answer for _, answer in found]),
        "consent": _consent(now, table), "holder": now.said["holder"], "source": now.said["source"],
    }  # fmt: skip
    return {**said, "withheld_rows": (then or {}).get("withheld_rows")}


def _marks(now: Standing, then: Json | None, learned_at: float | None) -> list[str]:
    if learned_at is None:
        return []
    marks = [WITHDRAWN] if now.withdrawn_since(0 if then is None else then["entry"]) else []
    has_ended = now.consent == consenting.EXPIRED or now.has_ended_after(learned_at)
    return [*marks, EXPIRED] if has_ended else marks


def _licences(now: Standing, table: Json) -> list[tuple[str | None, str]]:
    """Each licence with its answer on commercial use: of the rows that have their own, then of all others."""
    of_rows = [(name, licences.commercial(name)) for name in table.get("licences", {})]
    of_rows += [
        (said["licence"], said["commercial"] or licences.commercial(said["licence"]))
        for said in now.tracks.values()
        if said["licence"] is not None or said["commercial"] is not None
    ]
    # Where every row has its own, what holds of the dataset holds of none.
    is_needed = not table.get("licences") or table.get("without_licence", 0) > 0
    found = [*of_rows, (now.said["licence"], now.commercial)] if is_needed else of_rows
    return sorted(set(found), key=str)


def _consent(now: Standing, table: Json) -> str:
    if now.consent in FORBIDDING:
        return now.consent
    of_rows = {each for each in table.get("consents", {}) if each != consenting.REFUSED}
    is_needed = not of_rows or table.get("without_consent", 0) > 0
    return str(min({*of_rows, now.consent} if is_needed else of_rows, key=ORDER.index))


def base_weights(lineage: Json) -> list[Json]:
    """Of what comes with the service and is heard with: each network under its own licence."""
    is_deaf = (lineage.get("params") or {}).get("preset") == "network"
    formats = [(lineage.get("dataset") or {}).get("format"), *(each["format"] for each in lineage.get("beside", ()))]
    if is_deaf or "audio" not in formats:
        return []
    return [
        _of_weights({"licence": each.licence, "authors": each.authors}, f"{each.name}@{each.version}")
        for each in PRETRAINED
        if each.tagger in EMBEDDING_NETWORKS
    ]


def _of_weights(card: Json, reference: str) -> Json:
    answer = licences.commercial(card["licence"])
    return {
        "what": WEIGHTS, "id": None, "reference": reference, "table": None, "entry": None,
        "licences": [licences.as_json(card["licence"], said=answer)], "commercial": answer, "consent": None,
        "holder": card["authors"], "source": None, "withheld_rows": None, "marks": [],
    }  # fmt: skip


def add_up(inputs: list[Json]) -> Json:
    """The most restrictive answers of all inputs, their licences, whom to name, and what has happened since."""
    consents = [each["consent"] for each in inputs if each["consent"] is not None]
    attributed = [each for each in inputs if any(of["attribution"] for of in each["licences"])]
    found = {of["licence"]: of for each in inputs for of in each["licences"]}
    return {
        "commercial": licences.worst([each["commercial"] for each in inputs]),
        "consent": min(consents, key=ORDER.index, default=None),
        "licences": [found[name] for name in sorted(found)],
        "attributions": [
            {"reference": each["reference"], "holder": each["holder"], "source": each["source"]} for each in attributed
        ],
        "marks": sorted({mark for each in inputs for mark in each["marks"]}),
        "inputs": inputs,
    }


def demand_movable(sql: Connection, version: Found, alias: str, unknown_rights: str) -> None:
    """Raise NotAllowedNow where an alias may not point to a version; what that rests on is held until the commit.

    No alias comes to a version whose consent is gone, and `champion` to none whose rights are not commercial.
    """
    carried = of_version(sql, version, is_held=True)
    gone = [each["reference"] for each in carried["inputs"] if each["marks"]]
    if gone:
        said = (
            f"Consent to {_listed(gone)} was withdrawn, or has ended, after this version had learned from it: "
            f"{alias} stays where it is. Train anew without it, or erase it."
        )
        raise NotAllowedNow(said, code="alias_consent_withdrawn")
    demand_commercial(carried, alias, unknown_rights)


def demand_commercial(carried: Json, alias: str, unknown_rights: str) -> None:
    """Raise NotAllowedNow where `champion` would come to what may not be used commercially, and say by which input."""
    refused = (licences.NO, licences.UNKNOWN) if unknown_rights == REFUSE else (licences.NO,)
    if alias != CHAMPION or carried["commercial"] not in refused:
        return
    by = [_named_with_licences(each) for each in carried["inputs"] if each["commercial"] in refused]
    said = (
        f"champion is for versions that may be used commercially, and this one may not, by {_listed(by)}. Use another "
        "alias, train on data that allows it, or, where the ledger is wrong, add an entry by "
        "`POST /v1/datasets/{id}/rights`."
    )
    raise NotAllowedNow(said, code="alias_not_commercial")


def _named_with_licences(each: Json) -> str:
    names = [of["licence"] for of in each["licences"] if of["commercial"] == each["commercial"]]
    return f"{each['reference']} ({', '.join(names) or 'no licence declared'}: commercial use {each['commercial']})"


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def refuse_withheld(sql: Connection, dataset_ids: Sequence[str]) -> None:
    """Raise NotAllowedNow where a dataset may not be learned from, or one whose rows it has."""
    wanted = rights.with_sources(sql, dataset_ids)
    found = {each: now for each, now in rights.standing(sql, wanted).items() if now.consent in FORBIDDING}
    if not found:
        return
    rows = sql.execute(select(datasets.c.name, datasets.c.version).where(datasets.c.id.in_(found))).all()
    named = _listed([f"{row.name}@{row.version}" for row in rows])
    how = " or ".join(sorted({now.consent for now in found.values()}))
    said = f"Consent to learn from {named} is {how}: train on another dataset, or add an entry when it is given."
    raise NotAllowedNow(said, code="consent_refused")


def short(carried: Json) -> str:
    """The answers in a line, as a header has them."""
    names = ", ".join(of["licence"] for of in carried["licences"])
    plain = "".join(sign if " " <= sign <= "~" and sign not in '";\\' else "?" for sign in names)
    return f'commercial={carried["commercial"]}; consent={carried["consent"] or "none"}; licences="{plain}"'
