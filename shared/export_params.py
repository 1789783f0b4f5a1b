"""What an export takes."""

from typing import Annotated, Literal

from pydantic import Field

from shared.schema import Closed

EXPORT = "export"

Format = Literal["saved_model", "litert", "onnx"]


class ExportParams(Closed):
    """A version's network in formats that other programs run."""

    formats: Annotated[tuple[Format, ...], Field(min_length=1, max_length=3)] = ("saved_model", "litert", "onnx")
