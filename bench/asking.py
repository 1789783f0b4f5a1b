"""A peer in a process of its own, which does its work once for every line that it reads and answers with a number."""

import os
import subprocess
import sys

from bench.measurement import MeasurementBroken
from shared.processes import die_with_parent


class Asked:
    """`python -m module`, kept warm between questions; what is named is put into its environment."""

    def __init__(self, module: str, *arguments: str, **environment: str) -> None:
        self._module = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "2", **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=die_with_parent,
        )

    def ask(self, question: str = "") -> float:
        """Have it do its work once; the number that it says."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(f"{question}\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise MeasurementBroken(f"{self._module} ended with {self._process.wait()}")
        return float(answer)

    def __enter__(self) -> "Asked":
        return self

    def __exit__(self, *error: object) -> None:
        # The end of its input is the end of its work.
        self._process.communicate()
