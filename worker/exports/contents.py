"""What lies beside an exported network: what goes in, what comes out, and rows to try it with."""

import json
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Protocol, runtime_checkable

import numpy as np

from worker import features
from worker.artifacts import Model
from worker.exports.formats import Format
from worker.features import Feature

# Rows whose answers are told; so many fit a page.
TOLD_ROWS = 8

Json = dict[str, Any]

README = """\
# {reference}

The network of a model version, exported as {format}. `model.json` says all that is needed to use it.

1. Read the columns named in `preprocessing.features`, in their order.
2. Make the float32 matrix (rows, {inputs}), whose columns `inputs.columns` names, feature by feature:
   - `number`: an empty cell becomes `fill` (without one the row cannot be answered); then the value is clipped to
     `low` and `high` where they are given, and (value - mean) / scale is taken in float64. With `indicator` a second
     column is 1 where the cell was empty, else 0.
   - `category`: a column for each of `words`, 1 where the cell is this word, else 0; with `rest` one more that is 1
     for any other word and for an empty cell. With `boolean`, 0, 1 and words in capitals count as false and true.
3. Run the network: the tensor `{inputs_tensor}` goes in, `{outputs_tensor}` comes out, float32 (rows, {outputs}).
   Any number of rows may go in at once{at_once}.
4. Read the outputs as `outputs` says: {meaning}

`example` has rows of such a matrix that were drawn at random, and what the service answers for them.
"""
AT_ONCE = {"litert": ": resize the input tensor to it, and allocate the tensors anew"}


@runtime_checkable
class Readable(Protocol):
    """A scorer that can tell what the outputs of its network mean to whoever runs it elsewhere."""

    @property
    def features(self) -> tuple[Feature, ...]: ...

    @property
    def network(self) -> Callable[[np.ndarray], np.ndarray]: ...

    def tell_outputs(self) -> Json:
        """`columns` with a name for each output, `meaning` as a sentence, and the numbers that it speaks of."""


@dataclass(frozen=True)
class Exported:
    """A model whose temperatures are folded into its network, and what is said of where it is from."""

    reference: str
    model: Model
    scorer: Readable
    lineage: Json
    rights: Json


def pack(exported: Exported, name: str, made: Format, files: Mapping[str, bytes], told: Json) -> bytes:
    """One archive: the network, model.json, and a README. The same model makes the same bytes but for the network's."""
    spec, outputs = exported.model.network, exported.scorer.tell_outputs()
    said = {
        "model": exported.reference,
        "kind": exported.model.kind,
        "format": name,
        "files": sorted(files),
        "inputs": {
            "tensor": made.inputs, "dtype": "float32", "columns": features.names(exported.scorer.features),
        },
        "preprocessing": exported.model.preprocessing,
        "outputs": {"tensor": made.outputs, "dtype": "float32", **outputs},
        **told,
        "lineage": exported.lineage,
        "rights": exported.rights,
    }  # fmt: skip
    readme = README.format(
        reference=exported.reference, format=name, inputs=spec.inputs, outputs=spec.outputs, inputs_tensor=made.inputs,
        outputs_tensor=made.outputs, at_once=AT_ONCE.get(name, ""), meaning=outputs["meaning"],
    )  # fmt: skip
    described = json.dumps(said, indent=1, ensure_ascii=False).encode()
    return _archive({"README.md": readme.encode(), "model.json": described, **files})


def example(x: np.ndarray, outputs: np.ndarray) -> Json:
    """Some rows as JSON, with their answers; none whose answer is no number, for JSON has no word for it."""
    chosen = np.flatnonzero(np.isfinite(outputs).all(axis=1))[:TOLD_ROWS]
    return {"inputs": x[chosen].tolist(), "outputs": outputs[chosen].tolist()}


def _archive(files: Mapping[str, bytes]) -> bytes:
    whole = BytesIO()
    with zipfile.ZipFile(whole, "w") as archive:
        for name, content in files.items():
            # A moment of its own would make the same export another file each time.
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return whole.getvalue()
