"""What mutations begin from: small good files of every format, and the small ones among the hostile."""

import functools
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.hostile.test_broker import message
from tests.hostile.uploads import SONG, UPLOADS
from tests.worker.audio import sounds
from tests.worker.symbolic import midi_files as midi
from tests.worker.symbolic import scores

# Beyond, a file is a bomb or a giant: those are tried as they are.
SMALL_BYTES = 200_000
SKIPPED = {"H20", "H23", "H24", "H26", "H28", "H29", "H30", "H35", "H40", "H46", "H48", "H66"}

Seeds = list[tuple[str, bytes]]


def _hostile(format: str) -> Seeds:
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for case in UPLOADS.keys() - SKIPPED:
            for upload in (each for each in UPLOADS[case] if each.format == format):
                path = Path(folder) / upload.file
                upload.make(path)
                if 0 < path.stat().st_size <= SMALL_BYTES:
                    found.append((upload.file, path.read_bytes()))
    return sorted(found)


@functools.cache
def tables() -> Seeds:
    table = pa.table({"tempo": [120.5, 90.0, None], "genre": ["rock", "pop", "rock"], "bars": [4, 8, 16]})
    parquet, npz = io.BytesIO(), io.BytesIO()
    pq.write_table(table, parquet)
    np.savez_compressed(npz, X=np.arange(6.0).reshape(3, 2), y=np.array(["a", "b", "c"]))
    text = b'tempo,genre,"a ""b"""\n120.5,rock,1\n90,"pop, or\nnot",2\n,,3\n'
    good = [("t.csv", text), ("t.parquet", parquet.getvalue()), ("t.npz", npz.getvalue())]
    return good * 4 + _hostile("table")


@functools.cache
def recordings() -> Seeds:
    with tempfile.TemporaryDirectory() as folder:
        made = [sounds.make(Path(folder) / f"a.{suffix}", seconds=1.0) for suffix in sounds.ENCODERS]
        good = [(path.name, path.read_bytes()) for path in made]
    return good * 4 + _hostile("audio")


@functools.cache
def pieces() -> Seeds:
    score = scores.score([scores.attributes() + scores.note("C4", 4)] * 3)
    music = midi.file(midi.tempo(500_000) + midi.melody([60, 62, 64]), midi.note(36, 96, channel=9))
    grid = io.BytesIO()
    np.savez(grid, train_frames=np.array([[60], [62]]), train_lengths=[1, 1])
    good = [("a.mid", music), ("b.mid", SONG), ("a.musicxml", score), ("a.mxl", scores.mxl(score))]
    return [*good * 4, ("a.npz", grid.getvalue()), ("a.zip", scores.zipped({"a.mid": music})), *_hostile("symbolic")]


def _ending(found: Seeds, *suffixes: str) -> list[bytes]:
    return list(dict.fromkeys(content for name, content in found if name.endswith(suffixes)))


BODY = {
    "action": "train",
    "params": {"hidden": [{"units": 8}], "rate": 1e-3, "seed": -7},
    "labels": {"é": None, "b": True},
}
# What each target of targets.py begins from; the first of each is good.
GUIDED: dict[str, Callable[[], list[bytes]]] = {
    "json": lambda: [json.dumps(BODY).encode(), json.dumps(BODY, ensure_ascii=False).encode(), b"[]", b"0"],
    "ring": lambda: [message()],
    "cron": lambda: [b"0 3 * * *", b"*/5 0-23/2 1,15 1-12 1-5", b"0 0 L * 5#2", b"59 23 31 12 *"],
    "midi": lambda: _ending(pieces(), ".mid"),
    "musicxml": lambda: _ending(pieces(), ".musicxml", ".xml"),
    "mxl": lambda: _ending(pieces(), ".mxl"),
    "recording": lambda: [*_ending(recordings(), ".wav"), *_ending(recordings(), ".flac", ".mp3", ".ogg", ".opus")],
    "arrays": lambda: _ending(tables(), ".npz"),
    "csv": lambda: _ending(tables(), ".csv"),
}
