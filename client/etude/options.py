"""Options that several commands take."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from etude import gate, jobs
from etude.errors import EtudeError

# Of recordings; without them they are found by their names.
AUDIO_COLUMNS = {
    "file": "the name of the recording",
    "start": "the second at which the excerpt begins",
    "end": "the second at which the excerpt ends",
    "tempo": "the true tempo, to compare with",
    "key": "the true key, to compare with",
    "notes": "the name of the MIDI or CSV file with the true notes",
}

# Of plays; without them they are found by their names.
PLAY_COLUMNS = {
    "user": "who has played",
    "item": "what was played",
    "weight": "how much",
    "time": "when",
    "context": "the playlist, the session, the device",
}

# What files are taken as, and the option that says so.
FLAGS = {"audio": "--audio", "table": "--table", "symbolic": "--scores", "interactions": "--plays"}

Json = dict[str, Any]
Command = Callable[..., None]


class TableFile(click.ParamType[str]):
    """A file that predictions can be saved in: judged before anything is sent for them."""

    name = "file"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        try:
            jobs.ending(str(value))
        except EtudeError as wrong:
            self.fail(str(wrong), param, ctx)
        if Path(value).is_dir():
            self.fail(f"{value} is a folder.", param, ctx)
        return str(value)


def examples(*lines: str) -> str:
    """What stands at the end of a command's help, each line as it is."""
    return "\b\nExamples:\n  " + "\n  ".join(lines)


def as_json(command: Command) -> Command:
    """`--json`."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON on standard output.")(command)


def format(command: Command) -> Command:
    """`--audio`, `--table`, `--scores` and `--plays`."""
    told = {
        "interactions": "DATA are plays: who has played what.",
        "symbolic": "DATA are scores, ZIP and NPZ among them.",
        "table": "DATA are tables.",
        "audio": "DATA are recordings; a folder with any is.",
    }
    for name, said in told.items():
        command = click.option(FLAGS[name], "format_", flag_value=name, default=None, type=str, help=said)(command)
    return command


def audio_columns(command: Command) -> Command:
    """The roles that only a manifest of recordings has."""
    for role, told in reversed(AUDIO_COLUMNS.items()):
        command = click.option(f"--{role}", help=f"The manifest's column with {told}.")(command)
    return command


def plays(command: Command) -> Command:
    """The roles that only plays have, their table of items, and pseudonyms."""
    told = "Of plays: users are known by pseudonyms alone, as they are without it."
    command = click.option("--pseudonymise", is_flag=True, help=told)(command)
    for role, said in reversed(PLAY_COLUMNS.items()):
        command = click.option(f"--{role}", help=f"Of plays: the column with {said}.")(command)
    told = "Of plays: a table of the items (artist, tags, licence, …)."
    return click.option("--items", type=click.Path(exists=True, dir_okay=False), help=told)(command)


def columns(command: Command) -> Command:
    """The roles of columns, and the name of the dataset."""
    command = plays(audio_columns(command))
    for role, told in (
        ("consent", "The column that says of each row whether it may be learned from: granted or refused."),
        ("licence", "The column that says under which licence each row comes."),
    ):
        command = click.option(f"--{role}-column", role, help=told)(command)
    for name, told in (
        ("--drop", "A column to be left out (repeatable)."),
        ("--mask", "A column kept out of training and outputs (repeatable)."),
    ):
        command = click.option(name, multiple=True, help=told)(command)
    command = click.option("--id", "id_", help="The column that names each row.")(command)
    command = click.option("--group", help="Rows that share its value stay on one side of the split.")(command)
    command = click.option("--target", multiple=True, help="The column to be learned (repeatable).")(command)
    return click.option("--name", help="The dataset's name; the file's name without it.")(command)


def hide(command: Command) -> Command:
    """`--hide`."""
    told = "What the service hides of a column before it writes anything (repeatable): drop, hash, width:10, "
    told += "edges:18:30, year, month, prefix:2, laplace:SCALE:LOW:HIGH, gaussian:SCALE:LOW:HIGH."
    return click.option("--hide", multiple=True, metavar="COLUMN=RULE", help=told)(command)


def read_params(text: tuple[str, ...], file: str | None) -> Json:
    """Params from a JSON file, then single ones: `epochs=20`, `hidden=[{"units": 32}]`, `optimizer=adam`."""
    params = _read_file(file) if file else {}
    for setting in text:
        name, is_set, value = setting.partition("=")
        if not is_set:
            raise click.BadParameter(f"{setting!r}: expected name=value.", param_hint="--param")
        try:
            params[name] = json.loads(value)
        except ValueError:
            params[name] = value
    return params


def _read_file(file: str) -> Json:
    try:
        params = json.loads(Path(file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as cause:
        raise click.BadParameter(f"{file} is not JSON: {cause}.", param_hint="--params") from cause
    if not isinstance(params, dict):
        said = f'{file}: expected an object such as {{"epochs": 20}}, received {type(params).__name__}.'
        raise click.BadParameter(said, param_hint="--params")
    return params


def division(command: Command) -> Command:
    """How rows are held out: `--folds`, `--test`, `--time`, and `--report-by`."""
    told = "A column: figures of each of its values, too (repeatable)."
    command = click.option("--report-by", multiple=True, metavar="COLUMN", help=told)(command)
    told = "A share of the rows, such as 0.2, that neither trains nor chooses."
    command = click.option("--test", type=click.FloatRange(0, 1, min_open=True, max_open=True), help=told)(command)
    told = "Validate each row in turn, in so many folds."
    return click.option("--folds", type=click.IntRange(2, 20), help=told)(command)


def read_division(folds: int | None, test: float | None, time: str | None, report_by: tuple[str, ...]) -> Json:
    """What a training's params have of them: nothing without."""
    if folds is not None and time is not None:
        raise click.UsageError("--folds would validate the past by the future: take --time without it.")
    validation = {name: value for name, value in (("folds", folds), ("time", time)) if value is not None}
    said = {"validation": validation, "test": test, "report_by": list(report_by)}
    return {name: value for name, value in said.items() if value}


def read_pairs(text: tuple[str, ...], option: str) -> dict[str, str]:
    """`genre=rock` as a dictionary."""
    pairs = {}
    for each in text:
        name, is_set, value = each.partition("=")
        if not (name and is_set):
            raise click.BadParameter(f"{each!r}: expected column=value.", param_hint=option)
        pairs[name] = value
    return pairs


def demand_format(output: str | None, params: Json) -> None:
    """Refuse a file of a form for which the params do not ask."""
    formats = params.get("formats")
    if output is None or not isinstance(formats, list):
        return
    wanted = jobs.ending(output)[1:]
    if wanted not in formats:
        raise click.UsageError(f"-o {output} needs {wanted} among --param formats={json.dumps(formats)}.")


def demand_lines(output: str) -> None:
    """Refuse a file of rows that failed of another form than the one that the service has them in."""
    try:
        jobs.ending(output, errors=True)
    except EtudeError as wrong:
        raise click.BadParameter(f"with --errors {wrong}", param_hint="-o") from wrong


def promotion(command: Command) -> Command:
    """`--promote` and `--require`."""
    told = f"A gate for --promote: {gate.TOLD}; an alias left out is champion."
    command = click.option("--require", help=told)(command)
    told = "The alias that the new version shall have, such as champion."
    return click.option("--promote", metavar="ALIAS", help=told)(command)


def read_promotion(alias: str | None, require: str | None) -> Json:
    """What a training's body has of `--promote` and `--require`: nothing without them."""
    if alias is None and require is not None:
        raise click.UsageError("--require says what --promote ALIAS requires: name an alias.")
    asked = gate.read(require)
    return {} if alias is None else {"promote": {"alias": alias, **({"require": asked} if asked else {})}}


def params(command: Command) -> Command:
    """`--param` and `--params`."""
    command = click.option("--param", multiple=True, help="A setting, name=value (repeatable): see `etude kinds`.")(
        command
    )
    return click.option(
        "--params", "params_file", type=click.Path(exists=True, dir_okay=False), help="Settings as a JSON file."
    )(command)
