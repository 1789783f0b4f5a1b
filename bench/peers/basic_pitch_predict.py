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

import soundfile

MODEL = "basic_pitch/saved_models/icassp_2022/nmp.onnx"


def main() -> None:
    logging.disable(logging.WARNING)
    # Its runtime starts as many threads as there are cores, which spin while they wait for one another.
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    inference = importlib.import_module("basic_pitch.inference")
    model = inference.Model(str(metadata.distribution("basic-pitch").locate_file(MODEL)))
    said, sys.stdout = sys.stdout, sys.stderr  # it prints what it does
    for line in sys.stdin:
        paths = [Path(each) for each in Path(line.strip()).read_text().splitlines()]
        began = time.process_time()
        found = [inference.predict(path, model)[2] for path in paths]
        took = time.process_time() - began
        for path, notes in zip(paths, found, strict=True):
            path.with_suffix(".csv").write_text("".join(f"{note[0]},{note[1]},{note[2]}\n" for note in sorted(notes)))
        print(sum(soundfile.info(path).duration for path in paths) / took, file=said, flush=True)


if __name__ == "__main__":
    main()
