"""Tagging a catalogue of Ogg recordings through the whole service, against the first pipeline that one would write.

CPU seconds are those of every process of the service. Before each round the catalogue is erased and brought anew:
what has been heard before would be answered from what is remembered.
"""

import io
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import soundfile

from bench import catalogue, consumption, recordings
from bench.asking import Asked
from bench.catalogue import Cost
from bench.measurement import Measurement, MeasurementBroken, compare
from bench.service import Service, running

GiB = 1024**3
SECONDS = 1200.0
# A window at a time the peer takes a seventh longer; 4 and 64 at a time are no better.
BATCH = 16
FLOAT32, BFLOAT16, CLIP_S = 62.0, 70.0, 0.7
CLIP_LENGTH_S, CLIPS = 30, 5


def measure(rounds: int) -> list[Measurement]:
    every = recordings.soundtrack("wesnoth-1.16-music")
    paths, twice = (catalogue.choose(every, seconds=seconds) for seconds in (SECONDS, 2 * SECONDS))
    exact, rough, ingests, first, peaks, clips = [], [], [], [], [], []
    fresh = cut(every)
    # A child that makes place for a fresh one, as it does when it has grown, takes with it what it had used.
    lasting_child = {"ETUDE_CHILD_GROWTH_BYTES": str(GiB)}
    with (
        running(**lasting_child) as service,
        Asked("bench.peers.first_pipeline", str(BATCH)) as peer,
        _listed(paths) as listed,
    ):
        service.training_child()
        tag(service, paths[:1])
        peer.ask(listed)
        for _ in range(rounds):
            ingest, cost = tag(service, paths)
            ingests.append(ingest)
            exact.append(cost)
            first.append(peer.ask(listed))
            rough.append(tag(service, paths, precision="bfloat16")[1])
            clips.append(median(answer(service, next(fresh)) for _ in range(CLIPS)))
        for _ in range(rounds):
            peaks.append((peak_mib(service, twice), peak_mib(service, paths)))
    return [*_speeds(catalogue.seconds_of(paths), exact, rough, ingests, first), _clips(clips), _peaks(peaks)]


def _speeds(
    lasting: float, exact: list[Cost], rough: list[Cost], ingests: list[Cost], first: list[float]
) -> list[Measurement]:
    ours = [lasting / cost.cpu_s for cost in exact]
    wall, ingest = (median(lasting / each for each in some) for some in
                    ([cost.wall_s for cost in exact], [cost.cpu_s for cost in ingests]))  # fmt: skip
    note = (
        f"{lasting:.0f} s of Ogg in CPU seconds of all processes, from the request to the stored predictions; by the "
        f"clock {wall:.0f} × on {os.cpu_count()} cores; its ingest before that {ingest:.0f} × a core"
    )
    serial = f"soundfile, mean, soxr, librosa, Keras in batches of {BATCH}: no service, and nothing stored"
    same = "on a processor the same as float32: bfloat16 is no faster there than what is exact"
    return [
        _row("tagging in float32, a core, against its goal", ours, [FLOAT32] * len(ours), note),
        _row("tagging in float32, a core, against the first pipeline", ours, first, serial),
        _row("tagging with precision bfloat16, a core, against its goal", [lasting / cost.cpu_s for cost in rough],
             [BFLOAT16] * len(rough), same),
    ]  # fmt: skip


def _row(name: str, ours: list[float], peer: list[float], note: str) -> Measurement:
    pairs = list(zip(ours, peer, strict=True))
    return compare(name, pairs, unit="× real time", bar="≥ 1", note=note)


def _clips(seconds: list[float]) -> Measurement:
    note = f"medians of {CLIPS} clips a round, each another; from the request until its tags are read, worker warm"
    pairs = [(each, CLIP_S) for each in seconds]
    return compare(f"the tags of {CLIP_LENGTH_S} s, against its limit", pairs, unit="s", bar="≤ 1", note=note)


def _peaks(peaks: list[tuple[float, float]]) -> Measurement:
    note = (
        f"the most (PSS) of all processes while {2 * SECONDS:.0f} and {SECONDS:.0f} s are tagged, each by a new child"
    )
    return compare("memory of tagging, a catalogue twice as long", peaks, unit="MiB", bar="≤ 1.1", note=note)


@contextmanager
def _listed(paths: list[Path]) -> Iterator[str]:
    """The path of a file that names recordings, one a line."""
    with tempfile.NamedTemporaryFile("w", prefix="etude-bench-") as file:
        file.write("\n".join(str(path) for path in paths))
        file.flush()
        yield file.name


def _read(paths: list[Path]) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in paths}


def tag(service: Service, paths: list[Path], **params: str) -> tuple[Cost, Cost]:
    """What bringing and tagging recordings took that were not known, and are not known afterwards."""
    dataset, ingest = catalogue.bring(service, _read(paths))
    cost = catalogue.analyse(service, dataset, **params)
    catalogue.erase(service, dataset)
    return ingest, cost


def peak_mib(service: Service, paths: list[Path]) -> float:
    """The most memory of all processes while a child that is new tags recordings."""
    service.renew_child()
    dataset, _ = catalogue.bring(service, _read(paths))
    with consumption.watching(catalogue.root(service)) as most:
        catalogue.analyse(service, dataset)
    catalogue.erase(service, dataset)
    return most()


def cut(paths: list[Path]) -> Iterator[bytes]:
    """Clips as Ogg files, no two of them the same."""
    for path in paths:
        with soundfile.SoundFile(path) as file:
            while len(sound := file.read(CLIP_LENGTH_S * file.samplerate)) == CLIP_LENGTH_S * file.samplerate:
                written = io.BytesIO()
                soundfile.write(written, sound, file.samplerate, format="OGG", subtype="VORBIS")
                yield written.getvalue()


def answer(service: Service, clip: bytes) -> float:
    """Seconds from asking for the tags of a clip until they are read."""
    dataset, _ = catalogue.bring(service, {"clip.ogg": clip})
    began = time.perf_counter()
    job = service.submit({**catalogue.JOB, "dataset": dataset})
    service.finish(job)
    rows = service.call("GET", f"/v1/jobs/{job}/predictions", Accept="application/json")["data"]
    took = time.perf_counter() - began
    if not rows[0]["tags"]:
        raise MeasurementBroken(f"expected tags, received {rows[0]}")
    return took
