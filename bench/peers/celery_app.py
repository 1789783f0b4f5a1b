"""A Celery application with nothing set but its broker: its task notes the moment in which it began."""

import os
import time
from pathlib import Path

from celery import Celery

app = Celery("peer", broker=os.environ["PEER_BROKER"])


@app.task  # type: ignore[untyped-decorator]  # Celery ships no types
def note(path: str) -> None:
    began = time.time()
    with Path(path).open("a") as file:
        file.write(f"{began}\n")
