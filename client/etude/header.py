"""The names of the columns in the first line of a CSV, held against those that were named before anything is sent."""

import codecs
import csv
import difflib
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from etude.choice import MANIFESTS, Choice, Source, is_item_table

TEXTS = (*MANIFESTS, ".txt")
# The service takes the one that makes most columns; here a name may stand under any of them.
DELIMITERS = ",;\t"
# 512 names of 255 characters fit, in any script; the service reads no more either.
HEADER_BYTES = 1024 * 1024
ROLES = (
    "target", "group", "id", "mask", "drop", "licence", "consent", "file", "start", "end", "tempo", "key", "notes",
    "user", "item", "weight", "time", "context", "hide",
)  # fmt: skip
NAMES_SHOWN = 20

Columns = Mapping[str, str | Sequence[str] | None]


def demand(chosen: Choice, columns: Columns) -> None:
    """Refuse a column that no file has. What cannot be read here is left to the service, which says why."""
    for source in _tables(chosen):
        names = names_of(source.path)
        for role in ROLES if names else ():
            asked = columns.get(role) or ()
            for name in [asked] if isinstance(asked, str) else asked:
                _demand_one(name, role, source, names)


def _tables(chosen: Choice) -> list[Source]:
    tables = [source for source in chosen.sources if source.path.suffix.lower() in TEXTS]
    if chosen.format == "table":
        return tables
    if chosen.format == "interactions":
        return [source for source in tables if not is_item_table(source)]
    manifests = [source for source in tables if source.path.stem.lower() == "manifest"] or tables
    # Of several the service says itself that it takes none.
    return manifests if len(manifests) == 1 else []


def names_of(path: Path) -> list[str]:
    """Every name that the first line may hold; none where it is no text in one line."""
    try:
        with path.open("rb") as file:
            start = file.read(HEADER_BYTES)
        line = start.removeprefix(codecs.BOM_UTF8).lstrip(b"\r\n").splitlines()[0].decode()
        if line.count('"') % 2:
            return []
        parsed = (next(csv.reader([line], delimiter=sign)) for sign in DELIMITERS)
        return list(dict.fromkeys(name.strip() for names in parsed for name in names))
    except (OSError, UnicodeDecodeError, IndexError, StopIteration, csv.Error):
        return []


def _demand_one(name: str, role: str, source: Source, names: Sequence[str]) -> None:
    if name in names:
        return
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"did you mean {near[0]}?" if near else f"its columns are {', '.join(names[:NAMES_SHOWN])}."
    raise click.BadParameter(f"{source.name} has no column {name}: {hint}", param_hint=f"--{role}")
