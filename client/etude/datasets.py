"""Datasets as a client sees them: immutable once ready."""

from typing import Any

Json = dict[str, Any]


class Dataset:
    """One version of a dataset."""

    def __init__(self, raw: Json) -> None:
        self.raw = raw
        self.id: str = raw["id"]
        self.name: str = raw["name"]
        self.version: int = raw["version"]
        self.reference: str = raw["reference"]
        self.state: str = raw["state"]
        self.profile: Json = raw["profile"] or {}

    def __repr__(self) -> str:
        return f"<Dataset {self.reference} {self.state}>"

    @property
    def target(self) -> list[str]:
        """The columns to be learned, named or inferred."""
        return list(self.profile.get("roles", {}).get("target", ()))

    @property
    def audio(self) -> Json | None:
        """What was heard of all tracks together: tracks, hours, formats, flags, faults; None for a table."""
        audio: Json | None = self.profile.get("audio")
        return audio

    @property
    def symbolic(self) -> Json | None:
        """What was read of all scores together: pieces, usable, bars, voices, keys, faults; None for all else."""
        symbolic: Json | None = self.profile.get("symbolic")
        return symbolic

    @property
    def plays(self) -> Json | None:
        """What was read of plays: users, items, events, spreads, bots, what was left out; None for all else."""
        plays: Json | None = self.profile.get("interactions")
        return plays

    @property
    def labels(self) -> int | None:
        """How many labels the one column of a classification has; None for all else."""
        if self.kind != "classification" or len(self.target) != 1:
            return None
        found = (column["distinct"] for column in self.profile.get("columns", ()) if column["name"] == self.target[0])
        return next(found, None)

    @property
    def kind(self) -> str:
        """The kind that fits: by the format, else classes for text and few whole numbers, else regression."""
        if self.symbolic is not None:
            return "generation"
        if self.plays is not None:
            return "recommendation"
        columns = {column["name"]: column for column in self.profile.get("columns", ())}
        for column in (columns[name] for name in self.target if name in columns):
            if column["type"] == "number" or (column["type"] == "integer" and column["distinct"] > 20):
                return "regression"
        return "classification"
