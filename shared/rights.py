"""The ledger of rights: on what terms a dataset, or one row of it, may be used, and whether it may be learned from.

Nothing here is ever changed: an entry says all that holds from then on, and the newest counts. Whoever writes one, and
whoever acts on it (shared/carried_rights.py), holds the dataset's row meanwhile.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, func, insert, select

from shared import datasets, licences, row_keys
from shared.consenting import EXPIRED, FORBIDDING, GRANTED, REFUSED, UNKNOWN
from shared.database import now
from shared.errors import Fault, InvalidRequest, NotAllowedNow
from shared.row_keys import RowKeys
from shared.tables import datasets as dataset_table
from shared.tables import keys, rights_entries
from shared.tenancy import owned

SAID = ("licence", "commercial", "consent", "consent_basis", "consent_until", "holder", "source")
# Rows of plays are events of listeners, who are erased, and no recordings.
WITHOUT_TRACKS = (datasets.INTERACTIONS,)

Json = dict[str, Any]


@dataclass(frozen=True)
class Standing:
    """What holds of a dataset now: the whole ledger of it, added up."""

    dataset: str
    # The number of its newest entry; 0: nobody has said anything.
    entry: int
    said: Json
    # Of single rows, by identity: what their newest entries say, each with its `state` and how it names the row.
    tracks: dict[str, Json]
    consent: str
    # The entries by which consent was withdrawn: number and moment, by identity, the newest last; None is all rows.
    withdrawals: dict[str | None, list[tuple[int, float]]]

    @property
    def commercial(self) -> str:
        return self.said["commercial"] or licences.commercial(self.said["licence"])

    @property
    def withheld(self) -> frozenset[str]:
        """The identities (shared/row_keys.py) of the rows that nothing may learn from."""
        return frozenset(key for key, said in self.tracks.items() if said["state"] in FORBIDDING)

    def withdrawn_since(self, entry: int) -> list[int]:
        """The numbers of the entries by which consent is refused now and was not when entry `entry` was the newest."""
        refused = [key for key, said in self.tracks.items() if said["state"] == REFUSED]
        newest = [self.withdrawals[key][-1] for key in ([None] if self.consent == REFUSED else []) + refused]
        return sorted(number for number, _ in newest if number > entry)

    def is_withdrawn_after(self, moment: float) -> bool:
        """Whether an entry has withdrawn consent since then, even if another has given it again."""
        return any(at > moment for entries in self.withdrawals.values() for _, at in entries)

    def has_ended_after(self, moment: float) -> bool:
        """Whether the consent to a row has ended by itself since then."""
        ends = [said["consent_until"] for said in self.tracks.values() if said["state"] == EXPIRED]
        return any(end > moment for end in ends)


def append(
    sql: Connection,
    tenant: str,
    dataset_id: str,
    said: Json,
    *,
    key: str,
    track: str | None = None,
    reason: str | None = None,
    names: RowKeys | None = None,
) -> int:
    """Write the next entry and return its number; what `said` leaves out stays as it was.

    With the key of a row, `track`, it needs what seals that, `names`.

    Raises NotFound, InvalidRequest for what contradicts itself, NotAllowedNow for what changes nothing.
    """
    hold(sql, [dataset_id])
    row = datasets.find(sql, tenant, dataset_id)
    if track is not None and row.format in WITHOUT_TRACKS:
        text = "expected no track: rows of plays are listeners' events, which `POST /v1/datasets/{id}/erase` is for"
        raise InvalidRequest(text, code="track_unsupported", faults=[Fault(text, pointer="/track")])
    if track is not None and row.format == datasets.TABLE and not _has_id(row):
        text = "expected no track: the rows of this table have no key; name an id column and read it first"
        raise InvalidRequest(text, code="track_unsupported", faults=[Fault(text, pointer="/track")])
    _refuse_past(sql, said.get("consent_until"))
    cell = None if track is None else _cell(sql, row, track, names)
    before = _newest(sql, dataset_id, cell)
    values = {**before, **said}
    if "licence" in said and "commercial" not in said:
        # What was said of the licence before says nothing of this one.
        values["commercial"] = None
    if "consent" in said:
        values |= {name: said.get(name) for name in ("consent_basis", "consent_until")}
    _refuse_contradiction(values)
    if values == before:
        what = "this dataset" if track is None else "this row"
        text = f"Nothing changes: that is what the ledger says of {what} already; see `GET …/rights`."
        raise NotAllowedNow(text, code="rights_unchanged")
    return _write(sql, tenant, dataset_id, values, track=cell, reason=reason, key=key)


def _cell(sql: Connection, row: Row[Any], track: str, names: RowKeys | None) -> str:
    """How entries about a row name it: as those before do, for of a row that stands in the open nothing is hidden."""
    same = (rights_entries.c.dataset == row.id) & (rights_entries.c.track == track)
    if sql.execute(select(rights_entries.c.number).where(same).limit(1)).first() is not None:
        return track
    assert names is not None
    return names.seal(row.tenant, row.name, track)


def _write(
    sql: Connection, tenant: str, dataset_id: str, values: Json, *, track: str | None, reason: str | None, key: str
) -> int:
    number = select(func.coalesce(func.max(rights_entries.c.number), 0) + 1).where(
        owned(rights_entries, tenant), rights_entries.c.dataset == dataset_id
    )
    row = {
        "tenant": tenant, "dataset": dataset_id, "number": number.scalar_subquery(), "track": track, "reason": reason,
        "key": key, "at": now(), **values,
    }  # fmt: skip
    return int(sql.execute(insert(rights_entries).values(row).returning(rights_entries.c.number)).scalar_one())


def _has_id(row: Row[Any]) -> bool:
    return ((row.profile or {}).get("roles") or {}).get("id") is not None


def _newest(sql: Connection, dataset_id: str, cell: str | None) -> Json:
    track = rights_entries.c.track
    same: ColumnElement[bool] = track.is_(None)
    if cell is not None:
        identity = row_keys.identity(cell)
        # Each entry has sealed the same key anew; one that stands in the open is that key alone.
        same = track == cell if identity == cell else track.startswith(f"{identity}.", autoescape=True)
    chosen = select(*(rights_entries.c[name] for name in SAID)).where(rights_entries.c.dataset == dataset_id, same)
    row = sql.execute(chosen.order_by(rights_entries.c.number.desc()).limit(1)).one_or_none()
    return dict.fromkeys(SAID) if row is None else dict(row._mapping)


def _refuse_past(sql: Connection, until: float | None) -> None:
    if until is not None and until <= sql.execute(select(now())).scalar_one():
        said = "expected a moment to come: a consent that has ended is training: refused"
        raise InvalidRequest(said, code="consent_until_past", faults=[Fault(said, pointer="/consent/until")])


def _refuse_contradiction(values: Json) -> None:
    if licences.contradicts(values["licence"], values["commercial"]):
        known = licences.commercial(values["licence"])
        said = f"expected {known}, as {values['licence']} says, or the field left out, received {values['commercial']}"
        raise InvalidRequest(said, code="rights_contradict", faults=[Fault(said, pointer="/commercial")])


def hold(sql: Connection, dataset_ids: Iterable[str]) -> None:
    """Entries of these datasets, and moves that rest on them, come one after the other until the transaction ends."""
    wanted = sorted(set(dataset_ids))
    chosen = select(dataset_table.c.id).where(dataset_table.c.id.in_(wanted)).order_by(dataset_table.c.id)
    # Rows that refer to a dataset may be written meanwhile.
    sql.execute(chosen.with_for_update(key_share=True)).all()


def standing(sql: Connection, dataset_ids: Collection[str]) -> dict[str, Standing]:
    """What holds of each of these datasets now."""
    chosen = select(rights_entries).where(rights_entries.c.dataset.in_(dataset_ids))
    entries = sql.execute(chosen.order_by(rights_entries.c.number)).all()
    at = sql.execute(select(now())).scalar_one()
    return {each: _stand(each, [row for row in entries if row.dataset == each], at) for each in dataset_ids}


def _stand(dataset_id: str, entries: Sequence[Row[Any]], at: float) -> Standing:
    whole: Json = dict.fromkeys(SAID)
    nothing = whole
    tracks: dict[str, Json] = {}
    withdrawals: dict[str | None, list[tuple[int, float]]] = {}
    for row in entries:
        said = {name: getattr(row, name) for name in SAID}
        row_is = None if row.track is None else row_keys.identity(row.track)
        before = whole if row_is is None else tracks.get(row_is, nothing)
        # An entry about something else repeats a refusal, and withdraws nothing.
        if said["consent"] == REFUSED != before["consent"]:
            withdrawals.setdefault(row_is, []).append((row.number, row.at))
        if row_is is None:
            whole = said
        else:
            tracks[row_is] = {**said, "state": _state(said, at), "cell": row.track}
    last = entries[-1].number if entries else 0
    return Standing(dataset_id, last, whole, tracks, _state(whole, at), withdrawals)


def _state(said: Json, at: float) -> str:
    if said["consent_until"] is not None and said["consent"] == GRANTED and said["consent_until"] <= at:
        return EXPIRED
    return said["consent"] or UNKNOWN


def page(sql: Connection, dataset_id: str, *, limit: int, before: int | None) -> list[Row[Any]]:
    """The newest entries first, each with the name of its key; from entry `before` on."""
    chosen = (
        select(rights_entries, keys.c.name.label("key_name"))
        .outerjoin(keys, owned(keys, rights_entries.c.tenant) & (keys.c.id == rights_entries.c.key))
        .where(rights_entries.c.dataset == dataset_id)
    )
    if before is not None:
        chosen = chosen.where(rights_entries.c.number <= before)
    return list(sql.execute(chosen.order_by(rights_entries.c.number.desc()).limit(limit)).all())


def names_rows(sql: Connection, dataset_ids: Collection[str], keys: Collection[str]) -> bool:
    """Whether entries of these datasets name one of these rows in the open, as those from before do."""
    chosen = select(rights_entries.c.track).where(
        rights_entries.c.dataset.in_(dataset_ids), rights_entries.c.track.is_not(None)
    )
    return not set(keys).isdisjoint(sql.execute(chosen.distinct()).scalars())


def sealed_rows(sql: Connection, dataset_ids: Collection[str]) -> set[str]:
    """The pseudonyms of the rows that entries of these datasets name under keys of their own."""
    chosen = select(rights_entries.c.track).where(
        rights_entries.c.dataset.in_(dataset_ids), rights_entries.c.track.is_not(None)
    )
    cells = sql.execute(chosen).scalars()
    return {identity for cell in cells if (identity := row_keys.identity(cell)) != cell}


def with_sources(sql: Connection, dataset_ids: Iterable[str]) -> list[str]:
    """These datasets and every version whose rows they have, by `base` or as a corrected copy."""
    found: dict[str, None] = {}
    wanted = list(dataset_ids)
    while wanted:
        found |= dict.fromkeys(wanted)
        chosen = select(dataset_table.c.base, dataset_table.c.copied_from).where(dataset_table.c.id.in_(wanted))
        named = {each for row in sql.execute(chosen) for each in row if each is not None}
        wanted = sorted(named - found.keys())
    return list(found)


def with_descendants(sql: Connection, dataset_id: str) -> list[str]:
    """A dataset and every version that has its rows."""
    found, wanted = {dataset_id: None}, [dataset_id]
    while wanted:
        made_of = dataset_table.c.base.in_(wanted) | dataset_table.c.copied_from.in_(wanted)
        named = set(sql.execute(select(dataset_table.c.id).where(made_of)).scalars())
        wanted = sorted(named - found.keys())
        found |= dict.fromkeys(wanted)
    return list(found)
