"""DATA on the command line: files and folders to upload, or a dataset that is there already."""

from pathlib import Path
from typing import Any

import click

from etude import choice, header, options, show_audio, watch
from etude.choice import Choice, Format
from etude.client import Client
from etude.datasets import Dataset

Json = dict[str, Any]

# Roles whose flags end in -column, for the words alone mean the terms themselves.
OF_RIGHTS = ("licence", "consent")
# A dataset's name may have a dot: only these are endings of files.
ENDINGS = frozenset((*choice.RECORDINGS, *choice.SCORES, *choice.ARCHIVES, *choice.TABLES))


def dataset(
    client: Client, data: tuple[str, ...], *, format: Format | None = None, kind: str | None = None, **columns: Any
) -> Dataset:
    """The dataset that DATA are, uploaded if need be; a file or folder goes before a dataset of the same name.

    `kind` is what it is for: some say of files what they are.
    """
    if is_file(data):
        items = columns.pop("items", None)
        return upload(client, files(data, format or choice.FORMAT_OF.get(kind or ""), items), **columns)
    return existing(client, data[0], format=format, **columns)


def existing(client: Client, reference: str, *, format: Format | None = None, **columns: Any) -> Dataset:
    """A dataset that is there. Refuses the options that would say something of files, for nobody would heed them."""
    asked = [f"--{role}-column" if role in OF_RIGHTS else f"--{role}" for role, value in columns.items() if value]
    asked += [options.FLAGS[format]] if format else []
    if asked:
        said = f"{', '.join(asked)} {'is' if len(asked) == 1 else 'are'} for files."
        raise click.UsageError(f"{reference} is a dataset whose columns are fixed; {said}")
    return client.dataset(reference)


def is_file(data: tuple[str, ...]) -> bool:
    """Whether files are meant, or a dataset."""
    if any(Path(name).exists() for name in data):
        return True
    if len(data) == 1 and "/" not in data[0] and Path(data[0]).suffix.lower() not in ENDINGS:
        return False
    raise click.BadParameter(f"there is no such file or folder: {', '.join(data)}.", param_hint="DATA")


def files(data: tuple[str, ...], format: Format | None, items: str | None = None) -> Choice:
    """What is sent of DATA, and of their table of items; says what is not."""
    chosen = choice.choose(list(data), format=format, items=items)
    show_audio.left_out(chosen)
    return chosen


def upload(
    client: Client, chosen: Choice, *, target: tuple[str, ...] = (), masking: Json | None = None, **columns: Any
) -> Dataset:
    """Send them; a column that is named and not there is refused before."""
    if chosen.format == "symbolic":
        _refuse_columns({"target": target, **columns})
    # With a base the columns are those of another dataset.
    elif columns.get("base") is None:
        header.demand(chosen, {"target": target, "hide": list(masking or ()), **columns})
    one_or_more = target[0] if len(target) == 1 else list(target)
    return watch.upload(client, chosen, target=one_or_more, masking=masking, **columns)


def _refuse_columns(columns: dict[str, Any]) -> None:
    asked = [f"--{role}" for role in header.ROLES if columns.get(role)]
    if asked:
        said = "scores have no columns; what is learned is their notes"
        raise click.UsageError(f"{', '.join(asked)} {'is' if len(asked) == 1 else 'are'} for tables: {said}.")
