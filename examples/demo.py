"""`make demo`: trains a network to name the tradition of a piece from its features, and shows how good it is.

Everything goes through the service as a client meets it: the API, the queue, a worker, the database. A service that
runs already under ETUDE_HOME is used and left running; else one is started here and stopped at the end.
"""

import csv
import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from etude import Job, page, show, watch
from sqlalchemy import Select, select

from examples import running
from examples.running import console, step
from shared import settings
from shared.database import Database
from shared.tables import models, versions
from shared.tenancy import EVERYONE

HERE = Path(__file__).parent / "composers"
MODEL, DATASET = "composer", "composers"
# The same seed, the same network: byte for byte on the same machine.
PARAMS = {"seed": 7}
BARS = "▁▂▃▄▅▆▇█"
EXAMPLES_SHOWN = 6

Json = dict[str, Any]

# What examples/composers/README.md says of it.
RIGHTS: Json = {
    "licence": "Apache-2.0",
    "holder": "the authors of Etude",
    "source": "measurements of music in the public domain: examples/composers/README.md",
    "consent": {"training": "granted", "basis": "the licence"},
}


def main() -> int:
    """Run the demo; returns the exit status."""
    return running.run(demonstrate, _say_how_to_go_on)


def demonstrate(home: Path) -> None:
    """Upload, train, judge, score, look into the database."""
    with running.client_of(home) as client:
        step(1, f"Upload {HERE.name}/pieces.csv: real pieces by seven composers and traditions")
        columns = {"target": "composer", "group": "work", "id": "piece"}
        pieces = watch.upload(client, HERE / "pieces.csv", name=DATASET, rights=RIGHTS, **columns)
        show.dataset(pieces)

        step(2, "Train a network to name the composer; all pieces of a work stay on one side of the split")
        trained = client.train(pieces, kind="classification", model=MODEL, params=PARAMS)
        watch.follow(trained)
        console.print(f"loss on the validation rows, epoch by epoch: {curve(trained.history())}")

        step(3, "Does the network help? The same held-out rows, and simpler models beside it")
        show.job(trained)
        running.tell_privacy(client, trained.result["reference"])

        step(4, "Score pieces that nobody has seen, and compare")
        unseen = client.upload(HERE / "held_out.csv", name=f"{DATASET}-held-out", group="work", id="piece")
        scored = client.score(trained.result["reference"], unseen)
        watch.follow(scored)
        compare(scored)

        step(5, "The same metrics in the SQL database")
        _show_row(query_of(trained.id))
        _show_places(home, trained, scored)


def curve(history: list[Json]) -> str:
    """The validation losses as a line of bars, at most sixty."""
    losses = [epoch["val_loss"] for epoch in history if "val_loss" in epoch]
    shown = losses[:: max(1, len(losses) // 60)]
    low, high = min(shown), max(shown)
    bars = (BARS[int((loss - low) / (high - low or 1) * (len(BARS) - 1))] for loss in shown)
    return f"{''.join(bars)} {losses[0]:.3f} → {losses[-1]:.3f}"


def compare(scored: Job) -> None:
    """How many of the unseen pieces were named right, some of them, and what is mistaken for what."""
    with (HERE / "held_out_composers.csv").open() as file:
        truth = {row["piece"]: row["composer"] for row in csv.DictReader(file)}
    rows = list(scored.predictions())
    right = sum(row["prediction"] == truth[row["key"]] for row in rows)
    console.print(f"{right} of {len(rows)} pieces named right ({right / len(rows):.0%})")
    table = page.table("piece", "predicted", "probability", "truly")
    for row in rows[:: max(1, len(rows) // EXAMPLES_SHOWN)][:EXAMPLES_SHOWN]:
        composer = truth[row["key"]]
        colour = "green" if composer == row["prediction"] else "red"
        chance = f"{row['probabilities'][row['prediction']]:.2f}"
        table.add_row(row["key"], f"[{colour}]{row['prediction']}[/{colour}]", chance, composer)
    console.print(table)
    wrong = Counter((truth[row["key"]], row["prediction"]) for row in rows if truth[row["key"]] != row["prediction"])
    for (composer, taken_for), count in wrong.most_common(3):
        console.print(f"  {count} × {composer} taken for {taken_for}")


def query_of(job_id: str) -> Select[Any, Any, Any]:
    """The model version of a training."""
    return (
        select(models.c.name, versions.c.number, versions.c.metrics)
        .join(versions, versions.c.model == models.c.id)
        .where(versions.c.job == job_id)
    )


def _show_row(query: Select[Any, Any, Any]) -> None:
    """Ask the database that the worker wrote to, not the service."""
    database = Database(settings.read(), whose=EVERYONE)
    with database.reading() as sql:
        said_in_sql = str(query.compile(sql.engine, compile_kwargs={"literal_binds": True}))
        lies = sql.exec_driver_sql(said_in_sql).one()
        name, number, said = sql.execute(query).one()
    database.close()
    metrics = said["validation"]
    figures = ", ".join(f"{name} {metrics[name]['value']:.3f}" for name in ("accuracy", "macro_f1", "log_loss"))
    console.print(f"{said_in_sql};", style="dim", markup=False)
    # Names and figures lie sealed; with the root key they are opened.
    console.print(f"{_cut(lies[0])} | {lies[1]} | {_cut(lies[2])}", style="dim", markup=False)
    console.print(f"{name} | {number} | {figures}\n")


def _cut(cell: str) -> str:
    return f"{str(cell).strip(chr(34))[:44]}…"


def _show_places(home: Path, trained: Job, scored: Job) -> None:
    chosen = settings.read()
    console.print(f"  database     {chosen.database_url}")
    console.print(f"  files        {chosen.storage_url}")
    console.print(f"  model        {trained.result['reference']}, made by {trained.id}")
    console.print(f"  predictions  {scored.id}")
    console.print(f"  logs         {home / 'logs'}")


def _say_how_to_go_on(home: Path) -> None:
    client = os.path.relpath(home / "client.json")
    commands = "\n".join(
        (
            "make up                            the service, until Ctrl-C; then, beside it:",
            ".venv/bin/etude jobs               what has run",
            f".venv/bin/etude models {MODEL}    its versions, metrics and jobs",
            ".venv/bin/etude train songs.csv --target genre --watch",
            f'KEY=$(python3 -c \'import json; print(json.load(open("{client}"))["key"])\')',
            f'curl -H "Authorization: Bearer $KEY" http://127.0.0.1:8000/v1/models/{MODEL}',
            "http://127.0.0.1:8000/docs         the API, to try by hand",
        )
    )
    console.print(commands, markup=False)


if __name__ == "__main__":
    sys.exit(main())
