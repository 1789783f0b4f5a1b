"""The names under which what is heard of a recording is remembered (shared/features.py).

The number in a name goes up when what it stands for changes; then everything is heard again.
"""

from shared.audio_params import EMBEDDING_NETWORKS, Precision

# What is heard of a track when it is uploaded, the musical figures, and the log-mel spectrogram.
EAR, MUSIC, MEL = "ear@3", "music@1", "mel@1"
TAGGER_VERSION, NOTES_VERSION = 1, 2


def tagger(name: str, precision: Precision = "float32") -> str:
    """Of a pretrained network: the tags and the embedding of every window."""
    return f"{name}@{TAGGER_VERSION}" + ("" if precision == "float32" else f":{precision}")


def notes(thresholds: str) -> str:
    """Of the notes that are found with these thresholds (`notes.name_of`)."""
    return f"notes@{NOTES_VERSION}:{thresholds}"


# What remembers each half of a track's vector: the mean over its windows, 200 numbers each.
EMBEDDING = tuple(tagger(name) for name in EMBEDDING_NETWORKS)
