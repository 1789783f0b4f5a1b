"""DATA on the command line: files and folders to upload, or a dataset that is there already."""

from pathlib import Path
from typing import Any

import click

from etude import choice, show_audio, watch
from etude.choice import Choice, Format
from etude.client import Client
from etude.datasets import Dataset


def dataset(client: Client, data: tuple[str, ...], *, format: Format | None = None, **columns: Any) -> Dataset:
    """The dataset that DATA are, uploaded if need be; a file or folder goes before a dataset of the same name."""
    return upload(client, files(data, format), **columns) if is_file(data) else client.dataset(data[0])


def is_file(data: tuple[str, ...]) -> bool:
    """Whether files are meant, or a dataset."""
    if any(Path(name).exists() for name in data):
        return True
    if len(data) == 1 and not Path(data[0]).suffix:
        return False
    raise click.BadParameter(f"{' '.join(data)}: there is no such file.")


def files(data: tuple[str, ...], format: Format | None) -> Choice:
    """What is sent of DATA; says what is not."""
    chosen = choice.choose(list(data), format=format)
    show_audio.left_out(chosen)
    return chosen


def upload(client: Client, chosen: Choice, *, target: tuple[str, ...] = (), **columns: Any) -> Dataset:
    one_or_more = target[0] if len(target) == 1 else list(target)
    with watch.bar("uploading") as bar:
        return client.upload(chosen, target=one_or_more, progress=bar.moved, on_change=bar.read, **columns)
