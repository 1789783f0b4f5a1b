"""Basic Pitch as its authors ship it: `predict` with their ONNX model and their defaults, on one core.

For every line read, a file that lists recordings, writes the notes of each beside it (onset, offset, pitch; .csv) and
prints seconds of audio for each second of CPU. Its packages must be on PYTHONPATH.
"""

import importlib
import logging
import os
import sys
import time
from importlib import metadata
from pathlib import Path
from typing import Any

import soundfile

MODEL = "basic_pitch/saved_models/icassp_2022/nmp.onnx"


def main() -> None:
    logging.disable(logging.WARNING)
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    inference, model = open_model()
    said, sys.stdout = sys.stdout, sys.stderr  # it prints what it does
    for line in sys.stdin:
        paths = [Path(each) for each in Path(line.strip()).read_text().splitlines()]
        began = time.process_time()
        found = [inference.predict(path, model)[2] for path in paths]
        took = time.process_time() - began
        for path, notes in zip(paths, found, strict=True):
            path.with_suffix(".csv").write_text("".join(f"{note[0]},{note[1]},{note[2]}\n" for note in sorted(notes)))
        print(sum(soundfile.info(path).duration for path in paths) / took, file=said, flush=True)


def open_model() -> tuple[Any, Any]:  # Any: packages without types
    """Their module, and their model on one thread: those that its runtime starts would spin, a fifth of the time."""
    inference, onnxruntime = (importlib.import_module(name) for name in ("basic_pitch.inference", "onnxruntime"))
    path = str(metadata.distribution("basic-pitch").locate_file(MODEL))
    model, options = inference.Model(path), onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    model.model = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return inference, model


if __name__ == "__main__":
    main()
