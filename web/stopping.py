"""How the worker process of a server learns that it is being stopped: a file that is there from then on.

granian tells its application nothing, and waits until everybody has been answered; a stream has no end of its own.
"""

import os
from pathlib import Path

# In the environment, since the worker process inherits that however it is started.
MARK = "WEB_STOPPING_MARK"


def say() -> None:
    Path(os.environ[MARK]).touch()


def is_said() -> bool:
    mark = os.environ.get(MARK)
    return mark is not None and Path(mark).exists()
