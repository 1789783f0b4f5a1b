"""The figures of each part of an analysis, as columns whose names and types do not depend on the tracks."""

from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from worker.audio import spectrum
from worker.fields import COUNT, NUMBER, NUMBERS, TEXT

Json = Mapping[str, Any]

LOUDNESS = (
    "integrated_lufs", "range_lu", "momentary_max_lufs", "short_term_max_lufs", "true_peak_dbtp", "sample_peak_dbfs",
    "crest_db", "dynamic_range_db",
)  # fmt: skip
CHARACTER = ("danceability", "energy", "onset_rate_per_s", "pulse_clarity", "percussiveness", "brightness")
SPECTRUM = tuple(
    f"{name}_{moment}{unit}"
    for name, unit in zip(spectrum.FIGURES, spectrum.UNITS, strict=True)
    for moment in ("mean", "std")
)

SCHEMAS: Mapping[str, Mapping[str, pa.DataType]] = {
    "rhythm": {
        "bpm": NUMBER, "bpm_other": NUMBER, "confidence": NUMBER, "stability": NUMBER, "beat_count": COUNT,
        "beats": NUMBERS,
    },
    "tonality": {
        "key": TEXT, "mode": TEXT, "confidence": NUMBER, "second_key": TEXT, "second_mode": TEXT,
        "tuning_cents": NUMBER, "chroma": NUMBERS,
    },
    "loudness": dict.fromkeys(LOUDNESS, NUMBER),
    "spectrum": {**dict.fromkeys(SPECTRUM, NUMBER), "mfcc": NUMBERS},
    "character": dict.fromkeys(CHARACTER, NUMBER),
}  # fmt: skip


def flat(part: str, said: Json | None) -> Json | None:
    """A part's figures without objects inside."""
    if said is None:
        return None
    if part == "rhythm":
        return {**said, "beat_count": len(said["beats"])}
    if part == "tonality":
        second = said["second"] or {}
        return {**said, "second_key": second.get("key"), "second_mode": second.get("mode")}
    return said
