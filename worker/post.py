"""What a worker process has for all its jobs, and what it can do."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from shared.claims import Skills
from shared.database import Database
from shared.kinds import KINDS
from shared.settings import Settings
from shared.storage import Storage

# Found when it is asked for: a worker of the light queue never loads TensorFlow.
ACTIONS = {
    "ingest": "worker.intake",
    "erase": "worker.erasing",
    "rotate": "worker.rewrapping",
    "train": "worker.pipeline",
    "tune": "worker.searching",
    "trial": "worker.trials",
    "score": "worker.pipeline",
    "generate": "worker.generating",
    "evaluate": "worker.pipeline",
    "audit": "worker.auditing",
    "reproduce": "worker.reproducing",
    "export": "worker.exporting",
}


@dataclass(frozen=True)
class Post:
    """What a worker process has for all its jobs, and whose data it has held."""

    settings: Settings
    database: Database
    storage: Storage
    worker: str
    # Calls so many workers to the queue; without it they come with the tick.
    ring: Callable[[int], object] = lambda count: None

    @property
    def scratch(self) -> Path:
        """Where this worker's jobs keep files while they run; one process at a time has it."""
        return self.settings.home / "scratch" / self.worker.replace("@", "-")


def skills() -> Skills:
    """The actions and kinds that this version of the worker knows."""
    return Skills(actions=list(ACTIONS), kinds=list(KINDS))
