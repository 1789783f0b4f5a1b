"""The commands of models that learned from scores: compose; and evaluate, of all that were trained."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import click

from etude import Client, composing, given, near, options, show, show_audio, watch
from etude.choice import Format
from etude.composing import Asked, Composition
from etude.errors import EtudeError

EVALUATED = ("generation", "recommendation", "classification", "regression")
# Of which two are judged side by side.
COMPARED = ("classification", "regression")
FORMATS = ("midi", "musicxml", "json", "png", "wav")

Score = click.Path(exists=True, dir_okay=False)


class Formats(click.ParamType[tuple[str, ...]]):
    """`midi,png`: some of the formats, with commas."""

    name = "formats"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        named = tuple(part.strip() for part in str(value).split(","))
        if unknown := [part for part in named if part not in FORMATS]:
            self.fail(f"{', '.join(unknown)}: expected some of {','.join(FORMATS)}", param, ctx)
        return named


class Numbers(click.ParamType[list[int]]):
    """`0,2`: voices, of which the highest is 0."""

    name = "voices"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[int]:
        parts = str(value).split(",")
        if not all(part.strip().isdecimal() for part in parts):
            self.fail(f"{value!r}: expected voices such as 0 or 0,2; the highest is 0", param, ctx)
        return [int(part) for part in parts]


class Spans(click.ParamType[list[list[int]]]):
    """`5-8,12`: bars, each from and to."""

    name = "bars"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> list[list[int]]:
        spans = [re.fullmatch(r"(\d+)(?:-(\d+))?", part.strip()) for part in str(value).split(",")]
        if None in spans:
            self.fail(f"{value!r}: expected bars such as 5-8 or 5-8,12", param, ctx)
        return [[int(span[1]), int(span[2] or span[1])] for span in spans if span]


class Range(click.ParamType[tuple[int, list[int]]]):
    """`0=60-81`: a voice with its lowest and highest pitch."""

    name = "range"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[int, list[int]]:
        found = re.fullmatch(r"(\d)=(\d+)-(\d+)", str(value).strip())
        if found is None:
            self.fail(f"{value!r}: expected voice=lowest-highest, such as 0=60-81 for the highest voice", param, ctx)
        return int(found[1]), [int(found[2]), int(found[3])]


@click.command(
    short_help="Have MODEL, which learned from scores, compose.",
    epilog=options.examples(
        'etude compose chorales -n 4 --bars 16 --key "G minor"',
        "etude compose chorales --harmonise melody.mid --voices 0 --no-parallels",
        "etude compose chorales --fill chorale.musicxml --bars-anew 5-8 --out filled",
    ),
)
@click.argument("model")
@click.option("-n", "--pieces", type=click.IntRange(1, 256), default=1, show_default=True, help="How many.")
@click.option("--bars", type=click.IntRange(1, 256), help="How long; 8 bars without it.")
@click.option("--key", help="Such as 'G minor'.")
@click.option("--meter", help="Such as 3/4.")
@click.option("--tempo", type=float, help="Quarters a minute.")
@click.option("--temperature", type=float, help="1 is as learned, less is safer, 0 takes the likeliest every time.")
@click.option("--top-p", type=float, help="Only the likeliest tokens that make up this share; 1 is all.")
@click.option("--seed", type=click.IntRange(0), help="The same seed, the same pieces.")
@click.option("--continue", "continue_from", type=Score, help="A score that stands, and is gone on from.")
@click.option("--keep-bars", type=click.IntRange(1), help="Of --continue only so many bars.")
@click.option("--harmonise", type=Score, help="A melody, or some voices, to which the others are written.")
@click.option("--fill", type=Score, help="A score of which --bars-anew are written anew.")
@click.option("--bars-anew", type=Spans(), help="Such as 5-8, or 5-8,12.")
@click.option("--voices", type=Numbers(), help="Which those of --harmonise are, or which --fill writes; 0 is highest.")
@click.option("--no-parallels", is_flag=True,
              help="No parallel fifths and octaves, no crossing voices, no leap beyond an octave.")  # fmt: skip
@click.option("--strict", is_flag=True, help="The same, and a piece that cannot keep to it is refused.")
@click.option("--range", "ranges", type=Range(), multiple=True,
              help="voice=lowest-highest, such as 0=60-81 (repeatable).")  # fmt: skip
@click.option("--copies-at-most", metavar="NOTES", type=click.IntRange(4),
              help="A piece with a longer passage of the training set is written again.")  # fmt: skip
@click.option("--formats", type=Formats(), help=f"Files of each piece, with commas: {','.join(FORMATS)}.")
@click.option("--wav", is_flag=True, help="Sound too, where the service has a SoundFont.")
@click.option("--out", type=click.Path(file_okay=False), help="The folder for the files; one named after MODEL.")
@options.params
@options.as_json
def compose(
    model: str, out: str | None, param: tuple[str, ...], params_file: str | None, as_json: bool,
    ranges: tuple[tuple[int, list[int]], ...], **asked: Any,
) -> None:  # fmt: skip
    """Have MODEL (name, name@3 or name@champion) compose, and save the files of each piece."""
    more = {"ranges": dict(ranges), "params": options.read_params(param, params_file)}
    # Any: click makes what Asked describes.
    wanted = cast(Asked, {**{name: value for name, value in asked.items() if value is not None}, **more})
    composing.params(wanted)
    with Client() as client:
        _demand_kind(client, model, ("generation",), "learned from scores composes")
        with near.named(client):
            job = client.generate(model, **wanted)
        watch.follow(job, as_json=as_json)
        if job.result["files"]:
            folder = out or _free_folder(model.partition("@")[0])
            with watch.bar("downloading") as bar:
                saved = Composition(job).save(folder, progress=bar.moved)
            show_audio.files(saved, folder)
        show.as_json(job.raw) if as_json else show.job(job, is_saving=True)


def _free_folder(name: str) -> str:
    """What an earlier composition left is not written over."""
    number = 1
    while Path(folder := name if number == 1 else f"{name}-{number}").exists():
        number += 1
    return folder


@click.command(short_help="Say what MODEL comes to on DATA that it has never seen.")
@click.argument("model")
@click.argument("data", nargs=-1, required=True)
@click.option("--name", help="The name for the dataset, when DATA are files.")
@click.option("--against", metavar="OTHER", help="Another version, judged on the same rows, with what is chance.")
@click.option("--target", multiple=True, help="The column with what is true, when DATA are files.")
@options.plays
@options.format
@options.params
@click.option("--watch/--no-watch", "is_watching", default=True, help="Stay and show the result, or only queue it.")
@options.as_json
def evaluate(
    model: str,
    data: tuple[str, ...],
    name: str | None,
    against: str | None,
    format_: Format | None,
    param: tuple[str, ...],
    params_file: str | None,
    is_watching: bool,
    as_json: bool,
    **columns: Any,
) -> None:
    """Say what MODEL comes to on DATA.

    Of a table or recordings how often it is right, and how sure it is, beside OTHER if one is named; of scores how well
    it foretells them, and its music beside theirs; of plays how much of what came later it finds.
    """
    params = {**({} if against is None else {"against": against}), **options.read_params(param, params_file)}
    with Client() as client:
        kind = _demand_kind(client, model, EVALUATED, "was trained is evaluated")
        if against is not None:
            _demand_kind(client, model, COMPARED, "classifies or predicts numbers is judged against another")
        dataset = given.dataset(client, data, format=format_, kind=kind, name=name, **columns)
        with near.named(client):
            job = client.evaluate(model, dataset, params=params)
        if is_watching:
            watch.follow(job, as_json=as_json)
        show.as_json(job.raw) if as_json else show.job(job)


def _demand_kind(client: Client, model: str, kinds: Sequence[str], does: str) -> str:
    """Before anything is sent for a model of another sort, or one that is not there."""
    kind = client.kind_of(model)
    if kind not in kinds:
        raise EtudeError(f"{model.partition('@')[0]} is a model of {kind}: only one that {does}.")
    return kind


COMMANDS = (compose, evaluate)
