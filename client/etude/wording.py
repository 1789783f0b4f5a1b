"""What the service says of a request, in the words of the command line."""

import re
from typing import Any

# What it says of the fields of a request, and what one does here instead.
PHRASES = (
    ("name an artist or album as columns.group", "add `--group artist`, or whatever column tells artist or album"),
    ("a column with the names of the files (file)", "a column with the names of the files (`--file song` names it)"),
)

Json = dict[str, Any]


def in_options(text: str) -> str:
    """The fields of a request as the options that set them."""
    for theirs, ours in PHRASES:
        text = text.replace(theirs, ours)
    text = re.sub(r"\bcolumns\.([a-z]+)\b", r"--\1", text)
    return re.sub(r"\bparams\.([a-z_]+)\b", r"--param \1=…", text)


def place(fault: Json) -> str:
    """Where a fault is: a field of the request, or the file, row and column."""
    parts = [re.sub(r"^/columns/", "--", str(fault[name])) for name in ("pointer", "file") if fault.get(name)]
    parts += [f"{name} {fault[name]}" for name in ("row", "column") if fault.get(name) is not None]
    return f"{', '.join(parts)}: " if parts else ""
