"""The textbook job through the whole service, against the same script run cold and against a bare warm `fit`."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

from bench.asking import Asked
from bench.measurement import Measurement, compare
from bench.service import Json, Service, running

SCRIPT = Path(__file__).parent / "peers" / "textbook_script.py"
# Of those that follow a first one, in each round.
REPEATS = 3
QUIET = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2"}


def measure(rounds: int) -> list[Measurement]:
    first, again, script, warm = [], [], [], []
    with running() as service, Asked("bench.peers.warm_fit") as bare:
        wanted = job(service.upload("textbook", table(), target="genre"))
        bare.ask()
        for _ in range(rounds):
            service.renew_child()
            first.append(run(service, wanted))
            script.append(run_script())
            again.append(median(run(service, wanted) for _ in range(REPEATS)))
            warm.append(bare.ask())
    fresh = "in a worker child that has trained nothing before"
    kept = "the network's shape is known to the child"
    return [
        _faster("textbook job, first time, against the script cold", first, script, bar="≥ 5", note=fresh),
        _faster("textbook job, again, against the script cold", again, script, bar="≥ 20", note=kept),
        _faster("textbook job, first time, against bare fit, warm", first, warm, bar="≥ 1", note=fresh),
        _faster("textbook job, again, against bare fit, warm", again, warm, bar="≥ 1", note=kept),
    ]


def _faster(name: str, ours: list[float], peer: list[float], *, bar: str, note: str) -> Measurement:
    rounds = list(zip(ours, peer, strict=True))
    return compare(name, rounds, unit="s", bar=bar, is_speedup=True, note=f"submit to succeeded at the client; {note}")


def table() -> bytes:
    """100 rows of 10 uniform features with random labels."""
    chance = random.Random(1)
    rows = [[f"{chance.random():.6f}" for _ in range(10)] + [chance.choice(["rock", "pop"])] for _ in range(100)]
    return "\n".join(",".join(row) for row in [[*(f"x{place}" for place in range(10)), "genre"], *rows]).encode()


def job(dataset: str) -> Json:
    """The body that asks for the textbook training."""
    params = {
        "preprocess": "none", "hidden": [{"units": 10, "activation": "relu"}, {"units": 8, "activation": "relu"}],
        "optimizer": "adam", "learning_rate": 0.001, "loss": "binary_crossentropy", "epochs": 10, "batch_size": 32,
        "validation_split": 0.2, "seed": 7,
    }  # fmt: skip
    return {"action": "train", "kind": "classification", "dataset": dataset, "model": "rock-or-pop", "params": params}


def run(service: Service, wanted: Json) -> float:
    """Seconds from the submission to the answer that says succeeded."""
    began = time.perf_counter()
    service.finish(service.submit(wanted))
    return time.perf_counter() - began


def run_script() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, str(SCRIPT)], env=QUIET, check=True, capture_output=True)
    return time.perf_counter() - began
