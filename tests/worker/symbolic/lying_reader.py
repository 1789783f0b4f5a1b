"""A child that has been taken over: it leaves behind what no reader does. Run in the sandbox by tests."""

import json
import sys
from pathlib import Path

import numpy as np

from worker.symbolic.decode import HEADERS, NOTES
from worker.symbolic.piece import NOTE

BEGUN = {"file": 0, "place": 0, "key": "a.mid", "part": None}
HEADER = {"voices": [["V", 0, False]], "tempi": [], "meters": [], "keys": [], "pickup": 0}
GOOD = [(0, 10, 60, 80, 0)]
LIES = {
    "far": ([BEGUN, {"header": HEADER, "notes": 1}], [(-5, 10, 60, 80, 0)]),
    "voice": ([BEGUN, {"header": HEADER, "notes": 1}], [(0, 10, 60, 80, 7)]),
    "order": ([BEGUN, {"header": HEADER, "notes": 2}], [(9, 10, 60, 80, 0), (0, 10, 60, 80, 0)]),
    "meter": ([BEGUN, {"header": {**HEADER, "meters": [[0, 0, 4]]}, "notes": 1}], GOOD),
    "tempo": ([BEGUN, {"header": {**HEADER, "tempi": [[0, 0]]}, "notes": 1}], GOOD),
    "long": ([BEGUN, {"header": {**HEADER, "tempi": [[0, 1.0]]}, "notes": 1}], [(0, 10**9, 60, 80, 0)]),
    "name": ([BEGUN, {"header": {**HEADER, "voices": [["V" * 10**6, 0, False]]}, "notes": 1}], GOOD),
    "count": ([BEGUN, {"header": HEADER, "notes": 10**6}], GOOD),
    "key": ([{**BEGUN, "key": "/etc/passwd"}], []),
    "file": ([{**BEGUN, "file": 5}], []),
    "part": ([{**BEGUN, "part": "everything"}], []),
    "orphan": ([{"header": HEADER, "notes": 1}], GOOD),
    "twice": ([BEGUN, {"fault": ["a", "b"]}, {"fault": ["a", "b"]}], []),
    "fault": ([BEGUN, {"fault": ["a b", 7]}], []),
    "list": ([[]], []),
}


def main() -> None:
    request = json.load(sys.stdin)
    out, lie = Path(request["out"]), Path(request["files"][0]["path"]).read_text()
    if lie == "link":
        (out / HEADERS).symlink_to("/etc/passwd")
        (out / NOTES).write_bytes(b"")
    elif lie == "garbage":
        (out / HEADERS).write_bytes(b"\xff\xfe\n")
        (out / NOTES).write_bytes(b"")
    elif lie != "nothing":
        lines, notes = LIES[lie]
        (out / HEADERS).write_text("".join(json.dumps(line) + "\n" for line in lines))
        (out / NOTES).write_bytes(np.array(notes, NOTE).tobytes())
    print(json.dumps({"done": {}}), flush=True)
