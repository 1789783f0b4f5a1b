"""Of which versions there is an export."""

from typing import Any

from sqlalchemy import Row

from shared.errors import Fault, InvalidRequest
from shared.export_params import EXPORT
from shared.kinds import KINDS

# ONNX and LiteRT files end at 2 GB, and a worker holds a few copies of the weights while it writes and checks them.
MOST_PARAMETERS = 100_000_000


def refuse_unfit(version: Row[Any]) -> None:
    """Raise InvalidRequest (export_unsupported) for a version that no format is for."""
    kinds = [name for name, contract in KINDS.items() if EXPORT in contract.ACTIONS]
    if version.kind not in kinds:
        raise _unsupported(f"expected a model of kind {' or '.join(kinds)}, received one of kind {version.kind}")
    if version.lineage.get("dataset", {}).get("format", "table") != "table":
        raise _unsupported("expected a model of a table: of recordings, what hears them would be missing")
    if version.parameters > MOST_PARAMETERS:
        said = f"expected at most {MOST_PARAMETERS:,} parameters, received a model with {version.parameters:,}"
        raise _unsupported(said)


def _unsupported(said: str) -> InvalidRequest:
    return InvalidRequest(said, code="export_unsupported", faults=[Fault(said, pointer="/model")])
