"""bench/RESULTS.md: one table; the rows of what was not measured this time stay, with the day they were measured."""

import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path

from bench.measurement import Measurement

GiB = 1024**3
PACKAGES = (
    "tensorflow-cpu", "tensorflow", "keras", "numpy", "pyarrow", "celery", "redis", "flask", "granian", "gunicorn",
    "sqlalchemy", "librosa", "scikit-learn",
)  # fmt: skip
HEAD = (
    "| module | what | Etude | against | unit | ratio | least and greatest | bar | met | measured | note |",
    "| --- | --- | ---: | ---: | --- | ---: | --- | --- | --- | --- | --- |",
)


def render(before: str, measured: Mapping[str, Sequence[Measurement]], *, at: str, rounds: int) -> str:
    """The whole page: this run's rows, and those of `before` (the page as it was) whose module was not measured."""
    fresh = {module: [_row(module, each, at=f"{at}, {rounds}×") for each in rows] for module, rows in measured.items()}
    rows = {**_kept(before), **fresh}
    lines = [line for module in sorted(rows) for line in rows[module]]
    return "\n".join(
        ["# Measured", "", _about(), "", f"Last run {at}. {machine()} {versions()}", "", *HEAD, *lines, ""]
    )


def _about() -> str:
    return (
        "Written by `make bench`. Every row is a ratio of two things measured one after the other in the same run; "
        "the figures are medians over the rounds, `least and greatest` are the ratios of single rounds."
    )


def _kept(page: str) -> dict[str, list[str]]:
    rows: dict[str, list[str]] = {}
    for line in page.splitlines():
        if line.startswith("| ") and line not in HEAD:
            rows.setdefault(line.split("|")[1].strip(), []).append(line)
    return rows


def _row(module: str, of: Measurement, *, at: str) -> str:
    spread = f"{of.spread[0]:.3g} – {of.spread[1]:.3g}"
    met = "yes" if of.is_met else "**no**"
    cells = [module, of.name, f"{of.ours:.4g}", f"{of.peer:.4g}", of.unit, f"{of.ratio:.3g}", spread, of.bar, met, at]
    return "| " + " | ".join(cell.replace("|", "/") for cell in [*cells, of.note]) + " |"


def machine() -> str:
    """The processor, its cores and the memory, in a sentence."""
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return f"{_processor()}, {os.cpu_count()} cores, {memory_bytes / GiB:.0f} GiB, {platform.system()}."


def _processor() -> str:
    told = Path("/proc/cpuinfo")
    lines = told.read_text().splitlines() if told.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions() -> str:
    """Python and the packages that matter, in a sentence."""
    here = {each.metadata["Name"].lower(): each.version for each in metadata.distributions()}
    return ", ".join([f"Python {platform.python_version()}", *(f"{n} {here[n]}" for n in PACKAGES if n in here)]) + "."
