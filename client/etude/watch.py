"""What moves while one waits: a bar on a terminal, a line for each stage elsewhere; always on standard error."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.progress import TransferSpeedColumn as Speed

from etude.datasets import Progress as Told
from etude.jobs import Job

FIGURES = ("loss", "val_loss", "accuracy", "val_accuracy")


@contextmanager
def upload() -> Iterator[Told]:
    """A bar of bytes, then a spinner while the service reads them."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda done, total: None
        return
    columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), DownloadColumn(), Speed())
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task("uploading", total=None)

        def told(done: int, total: int) -> None:
            said = "reading and checking" if done >= total else "uploading"
            bar.update(task, completed=done, total=total, description=said)

        yield told


def follow(job: Job, *, as_json: bool = False) -> None:
    """Show how the job goes until it ends. Raises what `Job.wait` raises; Ctrl-C says how to come back."""
    try:
        console = Console(stderr=True)
        _draw(job, console) if console.is_terminal and not as_json else _tell(job)
    except KeyboardInterrupt:
        say = f"\nStopped watching; {job.id} goes on.\n  etude watch {job.id}\n  etude cancel {job.id}"
        print(say, file=sys.stderr)
        raise


def _draw(job: Job, console: Console) -> None:
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description:<11}"),
        BarColumn(bar_width=32),
        TextColumn("{task.fields[count]}"),
        TextColumn("{task.fields[figures]}", style="cyan"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[eta]}", style="dim"),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        task = bar.add_task(job.state, total=None, count="", figures="", eta="")

        def moved(seen: Job) -> None:
            done, total = seen.progress.get("done"), seen.progress.get("total")
            bar.update(
                task,
                description=describe(seen),
                completed=done or 0,
                total=total,
                count=f"{done:,}/{total:,} {seen.progress['unit']}" if total else "",
                figures=figures(seen),
                eta=_eta(seen),
            )

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


def figures(job: Job) -> str:
    """The last epoch's loss and accuracy, on both sides of the split."""
    metrics = job.progress.get("metrics", {})
    return " ".join(f"{name} {metrics[name]:.4f}" for name in FIGURES if name in metrics)


def _eta(job: Job) -> str:
    eta_s = job.progress.get("eta_s")
    if eta_s is None or eta_s < 1:
        return ""
    minutes, seconds = divmod(int(eta_s), 60)
    return f"{minutes}:{seconds:02} left"
