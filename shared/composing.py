"""What is looked at before a job on scores is queued: its parts, its size, how much music there is."""

from typing import Any

from pydantic import BaseModel
from sqlalchemy import Row

from shared import sequence_networks
from shared.errors import Fault, InvalidRequest, NotInstalled
from shared.networks import Size
from shared.sequence_params import SequenceTraining
from shared.settings import Settings

# Of a dataset of pieces, before it is known in which form they will be learned.
FRAMES_A_QUARTER, QUARTERS_A_BAR, PITCHES, CONTEXT = 4, 4, 128, 72
MOST_FIELDS = 8


def check(params: BaseModel, rows: list[Row[Any]], settings: Settings) -> None:
    """Refuse sound without a SoundFont, and a piece of a dataset without a dataset."""
    if "wav" in getattr(params, "formats", ()) and not settings.soundfont:
        said = (
            "There is no sound here yet: the operator installs fluidsynth and names a SoundFont as ETUDE_SOUNDFONT. "
            "Leave wav out of formats; the MIDI file plays anywhere."
        )
        raise NotInstalled(said, code="soundfont_missing", faults=[Fault("expected no wav", pointer="/params/formats")])
    given = getattr(params, "given", None)
    if given is not None and given.piece is not None and not rows:
        said = "expected the dataset in which the given piece stands, received none"
        raise InvalidRequest(said, faults=[Fault(said, pointer="/dataset")])


def size(params: SequenceTraining) -> Size:
    """At its largest: with every pitch, and as many fields as the most voices that a grid has."""
    asked = getattr(params, "representation", None)
    fields = getattr(asked, "voices", None) or MOST_FIELDS
    return sequence_networks.measure(
        params.network,
        codes=(1 + 2 * PITCHES,) * fields,
        tokens=(2 + PITCHES,) * fields,
        context=CONTEXT,
        rows=params.batch_size,
        window=params.window,
    )


def steps(rows: list[Row[Any]]) -> int:
    """About how many steps the pieces of a dataset have."""
    bars = int(rows[0].profile.get("symbolic", {}).get("bars", 0))
    return max(1, bars * QUARTERS_A_BAR * FRAMES_A_QUARTER)
