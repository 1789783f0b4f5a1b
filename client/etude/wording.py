"""What the service says of a request, in the words of the command line."""

import re
from typing import Any

# What it says of the fields of a request, and what one does here instead.
PHRASES = (
    ("name an artist or album as columns.group", "add `--group artist`, or whatever column tells artist or album"),
    ("a column with the names of the files (file)", "a column with the names of the files (`--file song` names it)"),
    ("There is no such job.", "There is no such job: `etude jobs` lists those that there are."),
    ("There is no such schedule.", "There is no such schedule: `etude schedule list` lists those that there are."),
    ("or change that one.", "or change that one with `etude schedule change`."),
    ("is failed: it has no predictions yet.", "has failed and has no predictions: `etude job` says why."),
    ("it has no predictions yet.", "it has no predictions yet: `etude watch` stays until it has."),
)
# Where the service says a fault is, and the option that has it.
PLACES = (
    (re.compile("^/columns/"), "--"),
    (re.compile("^/(cron|timezone|overlap|misfire)$"), r"--\1"),
    (re.compile("^/misfire_grace_s$"), "--grace"),
    (re.compile("^/params/resume_of$"), "--resume"),
    (re.compile("^/params/prompt(?=/|$)"), "--continue"),
    (re.compile("^/params/melody(?=/|$)"), "--harmonise"),
    (re.compile("^/params/infill/bars(?=/|$)"), "--bars-anew"),
    (re.compile("^/params/infill(?=/|$)"), "--fill"),
    (re.compile("^/params/ranges(?=/|$)"), "--range"),
    (re.compile("^/params/copies(?=/|$)"), "--copies-at-most"),
    (re.compile("^/params/top_p$"), "--top-p"),
    (re.compile("^/params/(pieces|bars|key|meter|tempo|temperature)$"), r"--\1"),
    (re.compile("^(?:/params)?/filters/(allow|deny)(?=/|$)"), r"--\1"),
    (re.compile("^(?:/params)?/cap(?=/|$)"), "--cap"),
    (re.compile("^(?:/params)?/k$"), "--count"),
    (re.compile("^(?:/params)?/diversity$"), "--diversity"),
    (re.compile("^(?:/params)?/popularity_penalty$"), "--popularity-penalty"),
    (re.compile("^(?:/params)?/min_listeners$"), "--min-listeners"),
    (re.compile("^/items(?=/|$)"), "--played"),
    (re.compile("^/promote/alias$"), "--promote"),
    (re.compile("^(?:/promote)?/require(?=/|$).*$"), "--require"),
    (re.compile("^/expected_version$"), "--expect"),
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
    parts = [_as_option(str(fault[name])) for name in ("pointer", "file") if fault.get(name)]
    parts += [f"{name} {fault[name]}" for name in ("row", "column") if fault.get(name) is not None]
    return f"{', '.join(parts)}: " if parts else ""


def _as_option(pointer: str) -> str:
    for theirs, ours in PLACES:
        pointer = theirs.sub(ours, pointer)
    return pointer
