"""What moves while one waits: a bar on a terminal, a line for each stage elsewhere; always on standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console, Group
from rich.filesize import decimal
from rich.live import Live
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from etude import choice, page, ways
from etude.choice import Choice, Paths
from etude.client import Client
from etude.crew import Crew
from etude.datasets import Dataset
from etude.errors import JobCancelled, JobFailed
from etude.jobs import Job
from etude.leaders import Leaders

# As often as a bar alone is.
REFRESHED_A_SECOND = 10
FIGURES = {name: name for name in ("loss", "val_loss", "accuracy", "val_accuracy")}
# Of scores, in nats: the accuracy of tokens most of which go on as before tells little.
OF_SCORES = {"loss": "loss a token", "val_loss": "on pieces held out"}


class Bar:
    """One bar for all that happens before a job: bytes that go or come, then what the service makes of them."""

    def __init__(self, progress: Progress | None, doing: str) -> None:
        self._progress, self._doing, self._said = progress, doing, doing
        self._task = None if progress is None else progress.add_task(doing, total=None, count="", figures="", eta="")

    def moved(self, done: int, total: int) -> None:
        """Some bytes have gone or come; a total of 0 is one that nobody knows."""
        count = f"{decimal(done)} of {decimal(total)}" if total else decimal(done)
        if self._doing == "uploading" and done >= total:
            # Not at its end: the clock goes on while the service reads what has arrived.
            return self._show("reading", 0, None, count=count)
        return self._show(self._doing, done, total or None, count=count)

    def read(self, seen: Job) -> None:
        """The job that reads what was sent has changed."""
        self._show(describe(seen), seen.progress.get("done") or 0, seen.progress.get("total"), count=count_of(seen),
                   figures=figures(seen), eta=_eta(seen))  # fmt: skip

    def _show(self, doing: str, done: int, total: int | None, **fields: str) -> None:
        if self._progress is not None and self._task is not None:
            cleared = {"figures": "", "eta": "", **fields}
            self._progress.update(self._task, description=doing, completed=done, total=total, **cleared)  # type: ignore[arg-type]
        elif doing != self._said:
            self._said = doing
            print(doing, file=sys.stderr, flush=True)


@contextmanager
def bar(doing: str) -> Iterator[Bar]:
    """A bar on a terminal, and elsewhere a line for each new thing that is done."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Bar(None, doing)
        return
    with _progress(console) as progress:
        yield Bar(progress, doing)


def upload(client: Client, paths: Paths | Choice, **named: Any) -> Dataset:
    """`Client.upload`, and what moves while it goes."""
    chosen = paths if isinstance(paths, Choice) else choice.choose(paths)
    size = decimal(sum(source.size_bytes for source in chosen.sources))
    if not Console(stderr=True).is_terminal:
        print(f"uploading {page.count(len(chosen.sources), 'file')}, {size}", file=sys.stderr, flush=True)
    with bar("uploading") as shown:
        return client.upload(chosen, progress=shown.moved, on_change=shown.read, **named)


def follow(job: Job, *, as_json: bool = False, output: str | None = None) -> None:
    """Show how the job goes until it ends. Raises what `Job.wait` raises; Ctrl-C says how to come back.

    `output` is the file that would be saved then.
    """
    try:
        console = Console(stderr=True)
        _draw(job, console) if console.is_terminal and not as_json else _tell(job)
    except KeyboardInterrupt:
        said = [f"\nStopped watching; {job.id} goes on.", *(f"  {way}" for way in ways.back(job, output=output))]
        print("\n".join(said), file=sys.stderr)
        raise
    except (JobFailed, JobCancelled) as ended:
        ended.commands = ways.after(job)
        raise


def _progress(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<11}"),
        BarColumn(bar_width=32),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[figures]}", style="cyan"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[eta]}", style="dim"),
        console=console,
        transient=True,
    )


def _draw(job: Job, console: Console) -> None:
    progress, crew, leaders = _progress(console), Crew(), Leaders()
    shown = Bar(progress, job.state)

    def moved(seen: Job) -> None:
        shown.read(seen)
        crew.look(seen)
        leaders.look(seen)

    with Live(Group(progress, crew, leaders), console=console, transient=True, refresh_per_second=REFRESHED_A_SECOND):
        job.wait(moved)


def _tell(job: Job) -> None:
    said: list[str] = []

    def moved(seen: Job) -> None:
        line = describe(seen)
        if said[-1:] != [line]:
            said.append(line)
            print(f"{seen.id} {line}", file=sys.stderr, flush=True)

    job.wait(moved)


def describe(job: Job) -> str:
    """The state, or the stage while it runs; in the queue, how many are ahead."""
    if job.state == "queued" and job.raw["queue"]["ahead"]:
        return f"queued, {job.raw['queue']['ahead']} ahead"
    return job.stage or job.state


def count_of(job: Job) -> str:
    """How far it is: `12/48 tracks`."""
    done, total = job.progress.get("done"), job.progress.get("total")
    return f"{done:,}/{page.units(total, str(job.progress['unit']))}" if total else ""


def figures(job: Job) -> str:
    """The last epoch's loss and accuracy, on both sides of the split; of recordings the hours that were heard.

    Of rows and tracks how many a second, as the service's estimate of the end has it; of models the best so far.
    """
    metrics = job.progress.get("metrics") or {}
    if "best" in metrics:
        return f"best {metrics['best']:.4f}"
    heard = [f"{metrics['hours']:.2f} h heard"] if "hours" in metrics else []
    if "chunks_total" in metrics and (eta_s := job.progress.get("eta_s")):
        left = job.progress["total"] - job.progress["done"]
        heard.append(f"{left / eta_s:,.0f} {job.progress['unit']}/s")
    names = OF_SCORES if job.raw["kind"] == "generation" else FIGURES
    return " ".join([*heard, *(f"{said} {metrics[name]:.4f}" for name, said in names.items() if name in metrics)])


def _eta(job: Job) -> str:
    eta_s = job.progress.get("eta_s")
    if eta_s is None or eta_s < 1:
        return ""
    minutes, seconds = divmod(int(eta_s), 60)
    return f"{minutes}:{seconds:02} left"
