"""What temperature scaling makes of the probabilities of real songs: the calibration error before it and after it.

A test of a fifth of the songs, other ones each round, judges both; the temperature is chosen on validation songs. One
network has learned far too long without anything to hold it back, the other one as the service's defaults have it.
"""

from typing import Any

from bench import songs
from bench.measurement import Measurement, compare
from bench.training import Silence
from shared.kinds import KINDS
from worker import device, evaluation, kinds, training

NEEDS = "ETUDE_BENCH_SONGS"
METRIC = "calibration_error"
OVERFITTED = {
    "epochs": 150, "early_stopping": False, "hidden": [{"units": 256}, {"units": 256}], "weight_decay": 0.0,
    "calibration": "temperature",
}  # fmt: skip

Json = dict[str, Any]


def measure(rounds: int) -> list[Measurement]:
    device.prepare()
    columns = songs.read()
    rows = []
    for named, settings, bar in (("an overfitted network", OVERFITTED, "≤ 0.5"), ("the defaults", {}, "≤ 1")):
        found = [_errors(columns, settings, seed) for seed in range(rounds)]
        note = "on songs that neither taught nor chose; temperatures " + ", ".join(f"{each[2]:.2f}" for each in found)
        said = f"calibration error of {named}, scaled, against unscaled"
        rows.append(compare(said, [each[:2] for each in found], unit="", bar=bar, note=note))
    return rows


def _errors(columns: dict[str, list[Any]], settings: Json, seed: int) -> tuple[float, float, float]:
    """Scaled and unscaled, and the temperature."""
    said = {**settings, "seed": seed, "baselines": False, "test": {"fraction": 0.2, "seed": seed}}
    params: Any = KINDS[songs.KIND].ACTIONS["train"].model_validate(said)  # Any: the kind's own
    kind, prepared = kinds.find(songs.KIND), songs.prepare(songs.load(columns, params), params)
    network, objective = kind.model.describe(prepared, params)
    fitted = training.fit(
        network, objective, params, train=prepared.train, validation=prepared.validation, watch=Silence(),
        checkpoint=None,
    )  # fmt: skip
    settled = evaluation.settle(kind, prepared, evaluation.answers(network, fitted.weights, prepared), params)
    test = prepared.on_test()
    assert test.validation is not None
    raw = evaluation.by_row(test, evaluation.answers(network, fitted.weights, test))
    scaled = kind.metrics.translate(prepared.target, settled.target, raw)
    true = evaluation.by_row(test, test.validation.y)
    after, before = (
        float(kind.metrics.evaluate(prepared.target, true, outputs)[METRIC]["value"]) for outputs in (scaled, raw)
    )
    return after, before, float(settled.told.get("calibration", {}).get("temperature", 1.0))
