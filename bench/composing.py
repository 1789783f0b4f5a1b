"""Composing with a model of Bach's chorales: how soon, how many at once, and whether the rules cost likelihood."""

import time

import numpy as np

from bench import chorales
from bench.measurement import Measurement, compare
from bench.service import Json, Service, running
from shared.kinds.generation import Constraints, GenerateParams
from worker import device
from worker.kinds.generation.compose import Composer, Made
from worker.symbolic import voice_leading

NEEDS = "ETUDE_BENCH_CHORALES"
BARS, MANY, JUDGED = 16, 64, 128
SAMPLING_S, JOB_S, PARALLELS = 0.3, 1.0, 0.003
# Of the size of the defaults, and soon trained: how long a job takes does not depend on what was learned.
QUICK: Json = {"epochs": 1, "trial": {"pieces": 1, "bars": 4}}
WARM = 2


def measure(rounds: int) -> list[Measurement]:
    device.prepare()
    composer = Composer.of(chorales.opened())
    return [*_sampling(composer, rounds), *_rules(composer), _job(rounds)]


def _sampling(composer: Composer, rounds: int) -> list[Measurement]:
    alone, together = [], []
    for round_ in range(rounds + 1):
        alone.append(_seconds(composer, 1, round_))
        together.append(_seconds(composer, MANY, round_))
    # The first of each fills caches.
    alone, together = alone[1:], together[1:]
    rates = [(MANY / many, 1 / one) for many, one in zip(together, alone, strict=True)]
    what = f"{BARS} bars of four voices in sixteenths, temperature 1"
    return [
        compare("one piece sampled, against its limit", [(one, SAMPLING_S) for one in alone], unit="s", bar="≤ 1",
                note=what),
        compare(f"{MANY} pieces at once, against one after the other", rates, unit="pieces/s", bar="≥ 5", note=what),
    ]  # fmt: skip


def _seconds(composer: Composer, pieces: int, seed: int) -> float:
    began = time.perf_counter()
    _compose(composer, pieces, seed)
    return time.perf_counter() - began


def _compose(composer: Composer, pieces: int, seed: int, *, constraints: Constraints | None = None) -> list[Made]:
    params = GenerateParams(bars=BARS, pieces=pieces, constraints=constraints)
    seeds = [(seed, number) for number in range(pieces)]
    return composer.compose(composer.brief(params, None), params, seeds=seeds, check=lambda: None)


def _rules(composer: Composer) -> list[Measurement]:
    free, ruled = (_compose(composer, JUDGED, 99, constraints=constraints) for constraints in (None, Constraints()))
    surprise = [float(-np.mean([made.likelihoods.mean() for made in each])) for each in (free, ruled)]
    parallels = [_parallels(each) for each in (free, ruled)]
    given_up = sum(bool(made.relaxed) for made in ruled)
    note = f"{JUDGED} pieces of {BARS} bars; {parallels[0]:.4f} without rules; rules given up in {given_up} pieces"
    nats = "how surprising the network finds what was written within the rules, and what was written without"
    return [
        compare("parallels a moving pair within the rules, against their limit",
                [(max(parallels[1], 1e-9), PARALLELS)], unit="", bar="≤ 1", note=note),
        compare("likelihood within the rules, against without", [(surprise[1], surprise[0])], unit="nats/token",
                bar="≤ 1.05", note=nats),
    ]  # fmt: skip


def _parallels(pieces: list[Made]) -> float:
    counted = np.sum([voice_leading.parallels(made.work.pitches) for made in pieces], axis=0)  # type: ignore[union-attr]
    return float((counted[0] + counted[1]) / counted[2])


def _job(rounds: int) -> Measurement:
    """From the request until the job has succeeded, on a worker that has composed before."""
    with running() as service:
        made = service.call("POST", "/v1/datasets", {"name": "chorales", "format": "symbolic"})
        octets = {"Content-Type": "application/octet-stream"}
        content = chorales.source().read_bytes()
        service.call("PUT", f"/v1/datasets/{made['id']}/files/chorales.npz", content, **octets)
        service.finish(service.call("POST", f"/v1/datasets/{made['id']}/commit")["id"])
        body = {"action": "train", "kind": "generation", "dataset": "chorales", "model": "chorales", "params": QUICK}
        service.finish(service.submit(body))
        took = [_ask(service, seed) for seed in range(rounds + WARM)][WARM:]
    note = f"{BARS} bars to MIDI, MusicXML, JSON and PNG, searched for copies; from the request until it has succeeded"
    return compare("a whole job, against its limit", [(each, JOB_S) for each in took], unit="s", bar="≤ 1", note=note)


def _ask(service: Service, seed: int) -> float:
    began = time.perf_counter()
    body = {"action": "generate", "model": "chorales", "params": {"bars": BARS, "seed": seed}}
    service.finish(service.submit(body))
    return time.perf_counter() - began
