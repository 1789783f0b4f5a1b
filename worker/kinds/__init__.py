"""How each kind reads its data, describes its network, measures it and predicts: one folder a kind."""

import pkgutil
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from worker.kinds.protocol import Kind

PARTS, OPTIONAL = ("data", "model", "metrics", "predict"), ("certainty", "truth", "labels")


def find(name: str) -> Kind:
    """A kind by name; it has a folder here and a contract in shared/kinds."""
    present = [part for part in OPTIONAL if find_spec(f"{__name__}.{name}.{part}") is not None]
    return Kind(**{part: import_module(f"{__name__}.{name}.{part}") for part in (*PARTS, *present)})


def load() -> None:
    """Import every kind, for processes that are forked from this one: each would do it for its first job."""
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        import_module(module.name)


def find_listener(name: str) -> Any:  # Any: a module with `open(model, params) -> worker.audio_scoring.Listener`
    """What a kind without trainings hears in recordings."""
    return import_module(f"{__name__}.{name}.listen")
