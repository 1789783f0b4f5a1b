"""Versions of a dataset of scores without one piece: the row of a key, and all rows with the same notes.

A file that holds nothing else goes; an archive is written anew without it, under its name, so that the keys of the
others stay what they are.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from sqlalchemy import Row as SqlRow

from shared import datasets, sandbox
from shared.containment.landlock import Reach
from shared.erasing import Change, Uploads
from shared.errors import JobFailed
from worker import rewriting, symbolic_intake
from worker.desk import Desk
from worker.symbolic import alike, stored
from worker.symbolic.stored import Row
from worker.symbolic_reading import GIVEN

MODULE = "worker.symbolic.removal"
# What a key ends with that two pieces of one version would have had in common.
PLACE = re.compile(r"#row\d+$")

Json = dict[str, Any]  # Any: JSON


@dataclass(frozen=True)
class Files:
    """The files that a version is made of: its own by their names, and whose name the version has that others are of.

    Nothing is known of the others where one of the versions is deleted.
    """

    own: dict[str, SqlRow[Any]]
    others: dict[str, SqlRow[Any]]


def without(desk: Desk, rows: Sequence[SqlRow[Any]], wanted: str) -> list[Change]:
    """The versions that lose something, without the piece whose key has this pseudonym. Raises JobFailed."""
    prints: set[bytes] = set()
    named: dict[str, set[int]] = {}
    for row in rows:
        named[row.id] = _named(desk, row, wanted)
        if named[row.id]:
            pieces = _rows(desk, row)
            prints |= {_exact(pieces[place]) for place in named[row.id]} - {b""}
    # One at a time: the notes of all versions are more than memory holds.
    changes = (_change(desk, row, named[row.id], prints) for row in rows if any(named.values()))
    return [change for change in changes if change is not None]


def _named(desk: Desk, row: SqlRow[Any], wanted: str) -> set[int]:
    desk.check()
    is_wanted = rewriting.is_wanted(desk, row.name, wanted)
    keys = pq.read_table(desk.fetch_parts(row)[0], columns=["key"]).column("key").to_pylist()
    return {place for place, key in enumerate(keys) if is_wanted(key)}


def _rows(desk: Desk, row: SqlRow[Any]) -> list[Row]:
    desk.check()
    return stored.read(desk.fetch_parts(row))


def _exact(row: Row) -> bytes:
    return b"" if row.piece is None else alike.exact(row.piece)


def _change(desk: Desk, row: SqlRow[Any], named: Collection[int], prints: Collection[bytes]) -> Change | None:
    before = _rows(desk, row)
    gone = {
        place for place, each in enumerate(before)
        if place in named or _exact(each) in prints
    }  # fmt: skip
    if not gone:
        return None
    files = _files(desk, row)
    _refuse_held(row, {before[place].file for place in gone}, files)
    folder = desk.scratch / row.id
    folder.mkdir()
    left = symbolic_intake.compare([each for place, each in enumerate(before) if place not in gone])
    read = symbolic_intake.report(desk, left, folder)
    if not read["symbolic"]["usable"]:
        raise rewriting.nothing_left(row)
    parts = rewriting.put(desk, row, list(symbolic_intake.write(folder, left)))
    lost = [before[place] for place in sorted(gone)]
    uploads = _uploads(desk, row, files, lost, {each.file for each in left}, folder)
    return Change(row, parts, rewriting.profile(row, read), rewriting.identify(row, parts), len(gone), uploads)


def _files(desk: Desk, row: SqlRow[Any]) -> Files:
    chain = rewriting.chain(desk, row)
    with desk.database.reading() as sql:
        own = {file.name: file for file in datasets.files(sql, row.id)}
    return Files(own, {file.name: version for version, files in chain for file in files if file.name not in own})


def _refuse_held(row: SqlRow[Any], names: Collection[str], files: Files) -> None:
    """A version of another name is not ours to change, and from its files this one's next version would be made."""
    for name in sorted(names):
        other = files.others.get(name)
        if other is not None and other.name != row.name:
            named, held = f"{row.name}@{row.version}", f"{other.name}@{other.version}"
            said = f"{named} adds to {held}, which holds the piece: erase it in {other.name} first, then retry."
            raise JobFailed(said, code="held_by_base")


def _uploads(
    desk: Desk, row: SqlRow[Any], files: Files, lost: Sequence[Row], left: Collection[str], folder: Path
) -> Uploads:
    """Files of this version that go, and what takes the place of those that hold other pieces; others are not its."""
    names = sorted({each.file for each in lost} & files.own.keys())
    new = [
        _rewrite(desk, row, files.own[name], {each.key for each in lost if each.file == name}, folder / f"left-{place}")
        for place, name in enumerate(names) if name in left
    ]  # fmt: skip
    gone = [files.own[name] for name in names]
    keys = {each.key for each in lost}
    return Uploads(gone, new, is_whole=False, contents=[], forgotten=set(), keys=keys)


def _rewrite(desk: Desk, row: SqlRow[Any], file: SqlRow[Any], keys: Collection[str], path: Path) -> Json:
    """What is left of an archive, by a confined child, stored under the name that it had. Raises JobFailed."""
    desk.check()
    upload = desk.fetch_upload(file).resolve()
    gone = [*keys, *(PLACE.sub("", key) for key in keys)]
    out = path.resolve() / "left"
    path.mkdir()
    request = {"path": str(upload), "name": file.name, "gone": gone, "out": str(out)}
    reach = Reach((str(upload),), (str(path.resolve()),))
    sandbox.run(MODULE, request, bounds=GIVEN, progress=lambda done, total: desk.check(), reach=reach)
    kept = path / f"{path.name}.upload"
    out.rename(kept)
    return {**rewriting.put_upload(desk, row, kept), "name": file.name}
