"""The models that come with the service: whose they are, under which licence, which files, what their authors claim."""

import hashlib
from dataclasses import dataclass, field
from typing import Literal

Family = Literal["musicnn", "vgg", "basic-pitch"]

# In the order of the networks' outputs.
MTT_TAGS = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano",
    "ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing",
    "vocals", "no vocals", "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop",
    "soft", "sitar", "solo", "man", "classic", "choir", "voice", "new age", "dance", "male voice",
    "female vocal", "beats", "harp", "cello", "no voice", "weird", "country", "metal", "female voice", "choral",
)  # fmt: skip
MSD_TAGS = (
    "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock", "jazz",
    "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "Mellow", "electronica",
    "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient", "acoustic",
    "experimental", "female vocalist", "guitar", "Hip-Hop", "70s", "party", "country", "easy listening", "sexy",
    "catchy", "funk", "electro", "heavy metal", "Progressive rock", "60s", "rnb", "indie pop", "sad", "House", "happy",
)  # fmt: skip

# Players of a game wrote MagnaTagATune's tags, so that one meaning has several names. Offered, never applied unasked:
# the networks give each name its own probability.
TAG_ALIASES = {
    "no vocal": "no vocals",
    "no voice": "no vocals",
    "vocal": "vocals",
    "voice": "vocals",
    "female": "female vocal",
    "female voice": "female vocal",
    "woman": "female vocal",
    "male": "male vocal",
    "male voice": "male vocal",
    "man": "male vocal",
    "classic": "classical",
    "beats": "beat",
    "choral": "choir",
    "female vocalist": "female vocalists",
}

MUSICNN = "musicnn"
BASIC_PITCH = "basic-pitch"

# Of a TensorFlow checkpoint only the index and the tensors are read; its .meta file is a program and is not.
TAGGER_FILES = {
    "mtt-musicnn": {
        "musicnn/MTT_musicnn/.index": "da2d7bb670b2b31e9bc441bb1bd75eca31b5b061f963cc1f9630c1aff3238f57",
        "musicnn/MTT_musicnn/.data-00000-of-00001": "041f3935e981a65cea739842d30c188d3a7d2adf4410955c8668eb3de4a5acab",
    },
    "msd-musicnn": {
        "musicnn/MSD_musicnn/.index": "87f3e0f3550c8d3bafc840374003e5c8af5eeb5ecf6add61af09a7822d3282c8",
        "musicnn/MSD_musicnn/.data-00000-of-00001": "8579734ee6388f799ed0def4bbd0d1fdcbeaf213ef2a9dc860917bd76a303de6",
    },
    "mtt-vgg": {
        "musicnn/MTT_vgg/.index": "4b0d3d2d02bbe0919c063c1fb74bfa9018ac3517e362d681b07444d4207a5f5f",
        "musicnn/MTT_vgg/.data-00000-of-00001": "458f5c8bcecc086a3bba3dce83809df6da6e0a3560a59ddd84711bf3d5fd8303",
    },
    "msd-vgg": {
        "musicnn/MSD_vgg/.index": "50e499238457558bba9f34f8b84d4afb8279afd43520cdf0a4fdf805a49c9ca3",
        "musicnn/MSD_vgg/.data-00000-of-00001": "9683d756b8311146534f333502ebf4a2a78a3e320c54ab0411dff6186d8375fc",
    },
}
# The tensors of a SavedModel; the model itself is a program, and is not read.
_TRANSCRIBER = "basic_pitch/saved_models/icassp_2022/nmp/variables/variables"
TRANSCRIBER_FILES = {
    f"{_TRANSCRIBER}.index": "356aa1a00095cf2dba17386144e8b289cb04195ae090aa7f324312b08220115e",
    f"{_TRANSCRIBER}.data-00000-of-00001": "f5d12cd7245fecea0c956c963751f3519c263615ea954b5948d5e8c9c3376f9b",
}

DATA_NOTE = (
    "The licence given is that of the weights. The terms of the recordings that they were trained on ({data}) are a "
    "separate question, which this licence does not answer."
)


@dataclass(frozen=True)
class Pretrained:
    """One model that comes with the service; `published` holds its authors' figures, none of which we measured."""

    name: str
    title: str
    family: Family
    package: str
    package_version: str
    files: dict[str, str]  # SHA-256 by path in the package
    parameters: int
    authors: str
    paper: str
    licence: str
    licence_file: str  # in the package
    training_data_note: str
    published: dict[str, float] = field(default_factory=dict)
    published_source: str = ""
    tags: tuple[str, ...] = ()
    tagger: str = ""  # its name in worker/pretrained/musicnn.py
    version: int = 1
    kind: str = "analysis"

    @property
    def sha256(self) -> str:
        """One digest for all the weights: SHA-256 over the files' digests, in order of path."""
        digests = "".join(self.files[path] for path in sorted(self.files))
        return hashlib.sha256(digests.encode()).hexdigest()


def _tagger(
    name: str, tagger: str, *, tags: tuple[str, ...], parameters: int, published: tuple[float, float]
) -> Pretrained:
    folder = next(iter(TAGGER_FILES[tagger])).split("/")[1]
    on_mtt = tags is MTT_TAGS
    return Pretrained(
        name=name,
        title=f"{folder.replace('_', ' ')} tagger",
        family="vgg" if tagger.endswith("vgg") else "musicnn",
        package=MUSICNN,
        package_version="0.1.0",
        files=TAGGER_FILES[tagger],
        parameters=parameters,
        authors="Jordi Pons, Xavier Serra",
        paper="musicnn: Pre-trained convolutional neural networks for music audio tagging, 2019 (arXiv 1909.06654)",
        licence="ISC",
        licence_file="musicnn-0.1.0.dist-info/LICENSE.md",
        training_data_note=DATA_NOTE.format(data="MagnaTagATune" if on_mtt else "the Million Song Dataset"),
        published=dict(zip(("roc_auc", "pr_auc"), published, strict=True)),
        published_source=f"as published by the authors in the package's file musicnn/{folder}/experiment.result",
        tags=tags,
        tagger=tagger,
    )


PRETRAINED = (
    _tagger(
        "etude.tagger-mtt", "mtt-musicnn",
        tags=MTT_TAGS, parameters=792_079, published=(0.9066769123674747, 0.38310571748763617),
    ),
    _tagger(
        "etude.tagger-msd", "msd-musicnn",
        tags=MSD_TAGS, parameters=792_079, published=(0.8801927178090048, 0.28906431196994925),
    ),
    _tagger(
        "etude.tagger-mtt-vgg", "mtt-vgg",
        tags=MTT_TAGS, parameters=607_030, published=(0.9030268990308291, 0.382267685217377),
    ),
    _tagger(
        "etude.tagger-msd-vgg", "msd-vgg",
        tags=MSD_TAGS, parameters=607_030, published=(0.8767615259520635, 0.28192480359001065),
    ),
    Pretrained(
        name="etude.transcriber",
        title="Basic Pitch transcriber",
        family="basic-pitch",
        package=BASIC_PITCH,
        package_version="0.4.0",
        files=TRANSCRIBER_FILES,
        parameters=16_782,
        authors="Rachel M. Bittner, Juan José Bosch, David Rubinstein, Gabriel Meseguer-Brocal, Sebastian Ewert",
        paper="A Lightweight Instrument-Agnostic Model for Polyphonic Note Transcription and Multipitch Estimation, "
        "ICASSP 2022 (arXiv 2203.09893)",
        licence="Apache-2.0",
        licence_file="basic_pitch-0.4.0.dist-info/LICENSE",
        training_data_note=DATA_NOTE.format(data="several sets of music, which the paper names"),
    ),
)  # fmt: skip
