"""Options that several commands take."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

Json = dict[str, Any]
Command = Callable[..., None]


def as_json(command: Command) -> Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")(command)


def columns(command: Command) -> Command:
    """The roles of columns, and the name of the dataset."""
    for name, told in (
        ("--drop", "A column to be left out (repeatable)."),
        ("--mask", "A column kept out of training and outputs (repeatable)."),
    ):
        command = click.option(name, multiple=True, help=told)(command)
    command = click.option("--id", "id_", help="The column that names each row.")(command)
    command = click.option("--group", help="Rows that share its value stay on one side of the split.")(command)
    command = click.option("--target", multiple=True, help="The column to be learned (repeatable).")(command)
    return click.option("--name", help="The dataset's name; the file's name without it.")(command)


def read_params(text: tuple[str, ...], file: str | None) -> Json:
    """Params from a JSON file, then single ones: `epochs=20`, `hidden=[{"units": 32}]`, `optimizer=adam`."""
    try:
        params: Json = json.loads(Path(file).read_text()) if file else {}
    except ValueError as cause:
        raise click.BadParameter(f"{file} is not JSON: {cause}.") from cause
    for setting in text:
        name, is_set, value = setting.partition("=")
        if not is_set:
            raise click.BadParameter(f"{setting!r}: expected name=value.", param_hint="--param")
        try:
            params[name] = json.loads(value)
        except ValueError:
            params[name] = value
    return params


def params(command: Command) -> Command:
    """`--param` and `--params`."""
    command = click.option("--param", multiple=True, help="A setting, name=value (repeatable): see `etude kinds`.")(
        command
    )
    return click.option(
        "--params", "params_file", type=click.Path(exists=True, dir_okay=False), help="Settings as a JSON file."
    )(command)
