"""Room on disk for what does not fit in memory."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import IO


class Scratch(ExitStack):
    """Files without a name in one folder: they are gone when this is closed, or the process is."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def new_file(self) -> IO[bytes]:
        return self.enter_context(tempfile.TemporaryFile(dir=self._folder))
