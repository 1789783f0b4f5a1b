"""Nearly good files into confined decoders. A child that ends is counted; a parent that does, or a lie, is an error."""

import random
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from shared.confinement import Bounds
from shared.errors import JobFailed
from tests.fuzz import seeds
from tests.fuzz.mutation import mutate
from tests.words import error_codes
from tests.worker.audio.test_ear import ask, hear_all
from worker import ingest, symbolic_reading
from worker.audio.limits import TrackBounds
from worker.ingest import UploadedFile

WALL_S = 20.0
CODES = error_codes()
CRASHED = {"decoder_crashed", "decoder_memory", "decoder_timeout"}


@dataclass
class Tried:
    """What became of the files: how often each code, and which ended the child that read them."""

    codes: Counter[str] = field(default_factory=Counter)
    ended: list[tuple[str, bytes, str]] = field(default_factory=list)

    def note(self, code: str, name: str, content: bytes) -> None:
        assert code == "accepted" or code in CODES, code
        self.codes[code] += 1
        if code in CRASHED:
            self.ended.append((name, content, code))


def drawn(chosen: seeds.Seeds, count: int, seed: int) -> seeds.Seeds:
    draw, others = random.Random(seed), [content for _, content in chosen]
    picked = [draw.choice(chosen) for _ in range(count)]
    return [(name, mutate(content, others, draw)) for name, content in picked]


def try_tables(folder: Path, count: int, seed: int, tried: Tried) -> None:
    """A table of its own child each; what is accepted is a table of finite numbers and as many rows as it says."""
    for place, (name, content) in enumerate(drawn(seeds.tables(), count, seed)):
        own = folder / f"{seed}-{place}"
        own.mkdir()
        (own / name).write_bytes(content)
        try:
            made = ingest.run(
                [UploadedFile(name, own / name)], columns={}, out_dir=own, progress=lambda done, total: None,
                bounds=Bounds(wall_s=WALL_S),
            )  # fmt: skip
        except JobFailed as failed:
            assert failed.detail and failed.detail.isprintable() and str(own) not in failed.detail, failed.detail
            tried.note(failed.faults[0].code if failed.faults else failed.code, name, content)
            continue
        _check_table(pq.read_table(made.paths[0]), made.profile["rows"])
        tried.note("accepted", name, content)


def _check_table(table: pa.Table, rows: int) -> None:
    assert table.num_rows == rows > 0
    table.validate(full=True)
    for column in table.columns:
        if pa.types.is_floating(column.type):
            assert pc.all(pc.is_finite(column)).as_py() in (True, None)


def try_recordings(folder: Path, count: int, seed: int, tried: Tried) -> None:
    """One ear hears all: after each of them it must hear the next."""
    sent = drawn(seeds.recordings(), count, seed)
    requests = []
    for place, (name, content) in enumerate(sent):
        path = folder / f"{seed}-{place}-{name}"
        path.write_bytes(content)
        requests.append(ask(path, {}, id=place, name=name))
    answers, _ = hear_all(requests, bounds=TrackBounds(wall_s=WALL_S, address_bytes=512 * 2**20))
    for place, (name, content) in enumerate(sent):
        heard = answers[place].get("heard")
        if heard is not None:
            assert 0 < heard["duration_s"] < 3600 and np.isfinite(heard["duration_s"]), heard
        tried.note("accepted" if heard is not None else answers[place]["fault"]["code"], name, content)


def try_pieces(folder: Path, count: int, seed: int, tried: Tried) -> None:
    """One child reads all, and is begun again after one that ends it."""
    sent = drawn(seeds.pieces(), count, seed)
    own = folder / f"{seed}-pieces"
    own.mkdir()
    files = []
    for place, (name, content) in enumerate(sent):
        (own / f"upload-{place}").write_bytes(content)
        files.append(UploadedFile(f"{place:06}/{name}", own / f"upload-{place}"))
    readings = symbolic_reading.read(files, own)
    told: set[int] = set()
    for each in readings:
        place = int(each.key.partition("/")[0])
        if each.fault is not None:
            assert each.fault.detail and "/tmp/" not in each.fault.detail, each.fault
        told.add(place)
        tried.note("accepted" if each.fault is None else str(each.fault.code), *sent[place])
    assert told == set(range(len(sent))), "of a file nothing is told"
