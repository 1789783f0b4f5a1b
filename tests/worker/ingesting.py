"""Ingests what standard input names, one after another in one process, and prints how each went.

A process of its own, small and fresh: only so is the peak memory of its children theirs alone.
"""

import json
import resource
import sys
from pathlib import Path
from typing import Any

from shared.confinement import Bounds
from shared.errors import EtudeError
from worker import ingest
from worker.formats.limits import Limits

# Kilobytes on Linux, bytes on macOS.
RSS_UNIT = 1 if sys.platform == "darwin" else 1024


def main() -> None:
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    files = [ingest.UploadedFile(Path(path).name, Path(path)) for path in request["files"]]
    said: dict[str, Any] = {"progress": []}
    try:
        ingested = ingest.run(
            files,
            columns=request.get("columns", {}),
            out_dir=Path(request["out_dir"]),
            progress=lambda done, total: said["progress"].append([done, total]),
            limits=Limits(**request.get("limits", {})),
            bounds=Bounds(**{"wall_s": 120.0, **request.get("bounds", {})}),
        )
        said["profile"] = ingested.profile
    except EtudeError as error:
        said["error"] = error.as_json()
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * RSS_UNIT
    return {**said, "peak_bytes": peak, "left": sorted(path.name for path in Path(request["out_dir"]).iterdir())}


if __name__ == "__main__":
    main()
