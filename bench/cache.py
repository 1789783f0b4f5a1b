"""Where benchmarks keep what they fetch, so that it is fetched once: ETUDE_BENCH_CACHE, or ~/.cache/etude-bench.

Nothing in it is needed by the service, and all of it may be deleted.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench.measurement import MeasurementBroken

# Not a setting of the service, which refuses what it does not know.
VARIABLE = "ETUDE_BENCH_CACHE"


def folder() -> Path:
    """The cache; made where it is missing."""
    chosen = Path(os.environ.get(VARIABLE) or Path.home() / ".cache" / "etude-bench")
    chosen.mkdir(parents=True, exist_ok=True)
    return chosen


def keep(name: str, make: Callable[[Path], None]) -> Path:
    """A folder of the cache that is there whole or not at all: `make` fills a new one, which then takes its name."""
    kept = folder() / name
    if kept.is_dir():
        return kept
    with tempfile.TemporaryDirectory(prefix=f"{name}.", dir=folder()) as beside:
        fresh = Path(beside) / name
        fresh.mkdir()
        make(fresh)
        # Two who fetch the same at once have made the same.
        with contextlib.suppress(OSError):
            fresh.rename(kept)
    return kept


def site(*requirements: str) -> Path:
    """Packages that only a peer needs, without what they ask for, in a folder for PYTHONPATH.

    Raises MeasurementBroken when they cannot be had.
    """
    digest = hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:12]
    return keep(f"site-{digest}", lambda into: _install(into, requirements))


def _install(into: Path, requirements: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps",
               "--only-binary=:all:", "--target", str(into), *requirements]  # fmt: skip
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    if ran.returncode:
        said = f"expected pip to install {', '.join(requirements)}, which this benchmark is measured against"
        raise MeasurementBroken(f"{said}: {ran.stderr.strip()[-500:]}")
