"""How far decoders are confined on this machine: measured once in a process, and true of all that it forks."""

import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass

from shared.containment.code_paths import ROOT
from shared.containment.tiers import TIERS, reached

# It takes a tenth of a second; a machine that swaps takes longer.
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Containment:
    """The layers that hold here, and of those that do not, why."""

    layers: tuple[str, ...]
    missing: dict[str, str]

    @property
    def tier(self) -> str:
        return reached(self.layers)


@functools.cache
def measured() -> Containment:
    """What a child of this process found when it tried what each layer forbids."""
    return measure()


def measure() -> Containment:
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    said = subprocess.run(
        [sys.executable, "-m", "shared.containment.probe"],
        cwd=ROOT,
        env=kept,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    if said.returncode != 0:
        return Containment((), dict.fromkeys(TIERS, f"the probe has failed: {said.stderr.strip()[-300:]}"))
    found: dict[str, str | None] = json.loads(said.stdout)
    missing = {layer: why for layer in TIERS if (why := found[layer]) is not None}
    return Containment(tuple(layer for layer in TIERS if layer not in missing), missing)
