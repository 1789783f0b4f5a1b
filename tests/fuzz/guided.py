"""Parsers led by coverage: Atheris keeps each input that reaches what none before it did, and changes that one next.

`python -m tests.fuzz.guided TARGET FOLDER …` is one parser under it, in a process of its own: a finding ends that.
"""

import importlib.util
import subprocess
import sys
from pathlib import Path

OURS = ("web", "worker", "shared")
# What is found is kept beside what has been reached, so that a later run goes on from there.
REACHED = "reached"
LONGEST_BYTES = 32 * 1024
# One that takes as long for so few bytes hangs; one that takes as much memory is a bomb.
HANGS_S, MEMORY_MIB = 20, 2048


def is_there() -> bool:
    """Whether Atheris is; it is built for Linux on x86-64 alone."""
    return importlib.util.find_spec("atheris") is not None


def run(kept: Path, *, seconds: float, seed: int) -> list[str]:
    """Every target for its share of so many seconds; the names of those of which something was found, kept there."""
    # Not by whoever is led: what it loads before Atheris is looking is not seen.
    from tests.fuzz import seeds

    share = max(1, round(seconds / len(seeds.GUIDED)))
    return [name for name, first in seeds.GUIDED.items() if not _is_quiet(name, first(), kept, share, seed)]


def _is_quiet(name: str, first: list[bytes], kept: Path, seconds: int, seed: int) -> bool:
    reached = kept / REACHED / name
    reached.mkdir(parents=True, exist_ok=True)
    for place, content in enumerate(first):
        (reached / f"seed-{place}").write_bytes(content)
    flags = [
        f"-max_total_time={seconds}", f"-timeout={HANGS_S}", f"-rss_limit_mb={MEMORY_MIB}", f"-max_len={LONGEST_BYTES}",
        f"-artifact_prefix={kept}/{name}-", "-verbosity=0", "-print_final_stats=1", f"-seed={seed}",
    ]  # fmt: skip
    print(f"{name}, led by coverage for {seconds} s", flush=True)
    ran = subprocess.run([sys.executable, "-m", "tests.fuzz.guided", name, str(reached), *flags], check=False)
    return ran.returncode == 0


def main() -> None:
    import atheris

    with atheris.instrument_imports(include=list(OURS)):
        from tests.fuzz.targets import TARGETS
    name, *arguments = sys.argv[1:]
    target = TARGETS[name]

    def take(content: bytes) -> None:
        # Atheris wants nothing returned.
        target(content)

    atheris.Setup([sys.argv[0], *arguments], take)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
