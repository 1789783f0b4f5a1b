"""The commands that are about a version as it stands: export, reproduce."""

import click

from etude import Client, near, options, outcome, show, show_audio, watch

FORMATS = ("saved_model", "litert", "onnx")


@click.command(
    short_help="Save MODEL's network for other programs.",
    epilog=options.examples("etude export genres@3 --format onnx -o genres", "etude export genres@champion"),
)
@click.argument("model")
@click.option("--format", "formats", type=click.Choice(FORMATS), multiple=True, help="All of them without it.")
@click.option("-o", "--output", type=click.Path(file_okay=False), help="The folder; one named after MODEL.")
@options.as_json
def export(model: str, formats: tuple[str, ...], output: str | None, as_json: bool) -> None:
    """Save the network of MODEL (name, name@3 or name@champion), a table's classification or regression.

    An archive a format: the network, what its columns are and how they are made, what its outputs mean. Each was
    checked against the answers of the service before it was handed out.
    """
    with Client() as client:
        with near.named(client):
            job = client.export(model, formats=formats or None)
        watch.follow(job, as_json=as_json)
        folder = output or model.partition("@")[0]
        with watch.bar("downloading") as bar:
            saved = job.download_files(folder, progress=bar.moved)
        show_audio.files(saved, folder)
        show.as_json(job.raw) if as_json else show.job(job, is_saving=True)


@click.command(
    short_help="Train MODEL's version once more, and tell whether the same comes out.",
    epilog=options.examples("etude reproduce genres@3 --watch"),
)
@click.argument("model")
@click.option("--watch", "is_watching", is_flag=True, help="Stay and show what came out.")
@options.as_json
def reproduce(model: str, is_watching: bool, as_json: bool) -> None:
    """Train once more what MODEL (name, name@3 or name@champion) is, and hold it against what is stored.

    Nothing is published. It takes as long as the training took; where the code, the libraries or the machine are
    others, that is told beside what came out.
    """
    with Client() as client:
        with near.named(client):
            job = client.reproduce(model)
        outcome.end(job, is_watching=is_watching, as_json=as_json)


COMMANDS = (export, reproduce)
