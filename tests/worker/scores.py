"""Datasets of pieces in storage, and what is given with a request."""

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.worker import working
from worker.runner import Post
from worker.symbolic import alike, midi_writer, stored
from worker.symbolic.piece import Piece

Json = dict[str, Any]

SMALL: Json = {
    "network": {"type": "gru", "units": [24], "embedding": 6, "head": 24},
    "epochs": 4,
    "batch_size": 4,
    "window": 32,
    "trial": {"pieces": 2, "bars": 2},
}


def profile_of(rows: int) -> Json:
    roles = {"target": [], "group": None, "id": None, "mask": [], "drop": []}
    return {"rows": rows, "columns": [], "roles": roles, "duplicates": 0, "symbolic": {"bars": 4 * rows}}


def write(folder: Path, pieces: Mapping[str, Piece], *, parts: Mapping[str, str] | None = None) -> list[Path]:
    """The two tables of a dataset of these pieces, as its ingest writes them."""
    likenesses = alike.find(list(pieces.values()))
    rows = [
        stored.Row(key, key, (parts or {}).get(key), piece, None, likeness)
        for (key, piece), likeness in zip(pieces.items(), likenesses, strict=True)
    ]
    return list(stored.write(folder, rows))


def store(
    post: Post, tenant: str, folder: Path, pieces: Mapping[str, Piece], *, parts: Mapping[str, str] | None = None
) -> str:
    """A ready dataset of these pieces."""
    return working.store_parts(
        post, tenant, write(folder, pieces, parts=parts), profile_of(len(pieces)), format="symbolic"
    )


def given(piece: Piece, **values: Any) -> Json:
    """A piece as it is given with a request."""
    return {"content": base64.b64encode(midi_writer.write(piece)).decode(), **values}
