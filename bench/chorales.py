"""Bach's chorales on the canonical split: how well the defaults of a training foretell pieces that were held out.

The encoding states no licence, so it is not ours to hand out: ETUDE_BENCH_CHORALES names the file (an NPZ of
`train_frames`, `train_lengths`, `valid_frames`, `valid_lengths`; sixteenths, four voices, pitches, -1 for silence).
"""

import json
import os
import shutil
import time
from pathlib import Path

from bench import cache
from bench.measurement import Measurement, MeasurementBroken, compare
from bench.training import Silence
from shared.kinds.generation import TrainParams
from worker import device
from worker.artifacts import SPEC, WEIGHTS
from worker.kinds.generation import compose, data, model
from worker.kinds.generation.data import Prepared
from worker.sequences import artifacts, training
from worker.sequences.artifacts import SequenceModel
from worker.symbolic import alike, grids, stored

NEEDS = "ETUDE_BENCH_CHORALES"
GOAL, BEST_GOAL, LIMIT_S = 0.45, 0.40, 1800.0
PARAMS = TrainParams(seed=0)
KEPT = "chorales-model"


def measure(rounds: int) -> list[Measurement]:
    """One training, whatever the rounds: it takes a quarter of an hour."""
    device.prepare()
    shutil.rmtree(cache.folder() / KEPT, ignore_errors=True)
    told = json.loads((trained() / "told.json").read_text())
    note = f"{told['epochs']} epochs, seed {PARAMS.seed}, {told['parameters']:,} parameters, defaults; whole pieces, "
    note += "nothing told of them, 76 pieces of the canonical split; the epoch chosen on the same"
    nats = [(told["loss"], GOAL)]
    return [
        compare("chorales held out, defaults, against the goal", nats, unit="nats/token", bar="≤ 1", note=note),
        compare(
            "chorales held out, defaults, against the goal of three hours", [(told["loss"], BEST_GOAL)],
            unit="nats/token", bar="≤ 1", note="the same training",
        ),
        compare("its training, against its limit", [(told["seconds"], LIMIT_S)], unit="s", bar="≤ 1",
                note="all threads of the machine"),
    ]  # fmt: skip


def trained() -> Path:
    """The folder of a model that was trained with the defaults: `told.json`, `spec.json`, `weights.safetensors`."""
    return cache.keep(KEPT, _train)


def opened() -> SequenceModel:
    """The same, ready to compose."""
    folder = trained()
    return artifacts.unpack({name: (folder / name).read_bytes() for name in (SPEC, WEIGHTS)})


def pieces() -> Prepared:
    """The chorales as a training sees them."""
    path = source()
    read = [part.piece(place, f"{part.name}/{place}") for part in grids.read(path) for place in range(len(part))]
    likenesses = alike.find(read)
    rows = [
        stored.Stored(piece, row, piece.name, piece.name.partition("/")[0], likeness.same_as, likeness.transposed_of)
        for row, (piece, likeness) in enumerate(zip(read, likenesses, strict=True))
    ]
    return data.prepare(rows, PARAMS)


def source() -> Path:
    """The file. Raises MeasurementBroken where it is not named."""
    named = os.environ.get(NEEDS)
    if not named or not Path(named).is_file():
        raise MeasurementBroken(f"expected {NEEDS} to name the chorales (see bench/chorales.py), received {named!r}")
    return Path(named)


def _train(folder: Path) -> None:
    prepared = pieces()
    spec = model.describe(prepared.coding, PARAMS)
    began = time.perf_counter()
    fitted = training.fit(
        spec,
        PARAMS,
        epoch=prepared.epoch,
        epochs=PARAMS.epochs_of(prepared.steps),
        validation=data.steps_of(prepared.coding, prepared.validation, is_told=False),
        watch=Silence(),
        checkpoint=None,
    )
    seconds = time.perf_counter() - began
    target = {
        "coding": prepared.coding.model_dump(mode="json"),
        "usual": compose.usual(prepared.train, prepared.coding).model_dump(mode="json"),
    }
    learned = SequenceModel("generation", spec, fitted.weights, target)
    for name, content in artifacts.pack(learned).items():
        (folder / name).write_bytes(content)
    told = {
        "loss": min(row["val_loss"] for row in fitted.history),
        "epochs": fitted.epochs,
        "seconds": seconds,
        "parameters": sum(array.size for array in fitted.weights.values()),
    }
    (folder / "told.json").write_text(json.dumps(told))
