"""An event, as a line for a person to read."""

import sys
from typing import Any

from rich.text import Text

from etude import page

COLOURS = {"succeeded": "green", "failed": "red", "cancelled": "yellow", "running": "cyan"}

Json = dict[str, Any]


def event(said: Json) -> None:
    """When, of which job where there are several, what."""
    out = page.console()
    line = Text(page.when(said["at"]) if "at" in said else " " * 16, style="dim")
    if "job" in said:
        line += Text(f"  {said['job']}")
    line += Text(f"  {said['type']:<12} ")
    line += Text(words(said["type"], said["data"]), style=COLOURS.get(str(said["data"].get("state")), ""))
    out.print(line, soft_wrap=True)
    sys.stdout.flush()


def words(type_: str, data: Json) -> str:
    """What an event says, in a few words."""
    if type_ == "progress":
        done = data["progress"]
        return f"{data['stage']} {done.get('done')}/{done.get('total')} {done.get('unit', '')}".rstrip()
    if type_ in ("state", "stage"):
        told = (data.get("stage") or data["state"], data.get("reason"))
        return " ".join(word for word in told if word)
    return ", ".join(f"{name} {value}" for name, value in data.items())
