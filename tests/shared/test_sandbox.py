"""The sandbox: a child that crashes, hangs, eats or lies ends as a clear error, and this process lives on."""

import contextlib
import json
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared import sandbox
from shared.confinement import Bounds
from shared.containment.landlock import Reach
from shared.errors import JobCancelled, JobFailed, TryAgain
from worker import ingest

ROOT = Path(__file__).parents[2]
MiB = 1024 * 1024
WAIT_AT_MOST_S = 20.0


def run(do: str, *, progress: Callable[[int, int | None], None] = lambda done, total: None, **rest: Any) -> Any:
    bounds = Bounds(**{"wall_s": 30.0, **rest.pop("bounds", {})})
    reach = rest.pop("reach", Reach())
    return sandbox.run("tests.worker.odd_decoder", {"do": do, **rest}, bounds=bounds, progress=progress, reach=reach)


def is_alive(pid: int) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    return False


def wait_until_gone(pid: int) -> None:
    until = time.monotonic() + WAIT_AT_MOST_S
    while is_alive(pid):
        assert time.monotonic() < until, f"{pid} is still there"
        time.sleep(0.02)


def test_the_child_has_its_limits_and_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETUDE_DATABASE_URL", "postgresql://secret")

    told = run("tell", bounds={"address_bytes": 1024 * MiB, "cpu_s": 50, "file_bytes": MiB, "open_files": 40})

    assert told["limits"] == {
        "AS": [1024 * MiB] * 2, "CPU": [50, 55], "FSIZE": [MiB] * 2, "NOFILE": [40] * 2, "CORE": [0, 0],
    }  # fmt: skip
    assert told["no_new_privs"] and told["leads_its_session"]
    assert not [name for name in told["environment"] if name.startswith(("ETUDE", "AWS", "REDIS"))]
    assert set(told["open_files"]) <= {"0", "1", "2", "3"}


def test_progress_comes_before_the_outcome() -> None:
    seen: list[tuple[int, int | None]] = []

    outcome = run("report", progress=lambda done, total: seen.append((done, total)))

    assert outcome == {"rows": 3}
    assert seen == [(0, 3), (1, 3), (2, 3)]


def test_the_faults_of_the_child_are_raised_here() -> None:
    with pytest.raises(JobFailed) as failed:
        run("fail")

    assert failed.value.code == "dataset_rejected"
    assert [(fault.file, fault.row) for fault in failed.value.faults] == [("t.csv", 7)]
    assert failed.value.faults_total == 250


@pytest.mark.hostile("H44")
@pytest.mark.parametrize(
    ("do", "bounds", "code"),
    [
        ("crash", {}, "decoder_crashed"),
        ("leave", {}, "decoder_crashed"),
        ("babble", {}, "decoder_crashed"),
        ("flood", {}, "decoder_crashed"),
        ("complain", {}, "decoder_crashed"),
        ("allocate", {"address_bytes": 512 * MiB}, "decoder_memory"),
        ("allocate_aside", {}, "decoder_memory"),
        ("kill", {}, "decoder_memory"),
        ("spin", {"cpu_s": 1}, "decoder_timeout"),
        ("spin", {"wall_s": 0.5}, "decoder_timeout"),
        ("wait", {"wall_s": 0.5}, "decoder_timeout"),
        ("close", {"wall_s": 0.5}, "decoder_timeout"),
    ],
)
def test_a_child_that_misbehaves_fails_the_job_and_not_the_worker(do: str, bounds: dict[str, Any], code: str) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    with pytest.raises(JobFailed) as failed:
        run(do, bounds=bounds)

    assert failed.value.code == code
    assert run("report") == {"rows": 3}
    # What a child says is read in bounded pieces: kilobytes on Linux.
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 * 1024


def test_a_child_that_writes_too_much_is_stopped(tmp_path: Path) -> None:
    with pytest.raises(JobFailed) as failed:
        run("fill", path=str(tmp_path / "file"), bounds={"file_bytes": MiB}, reach=Reach(writes=(str(tmp_path),)))

    assert failed.value.code == "decoder_crashed"
    assert (tmp_path / "file").stat().st_size <= MiB


def test_a_full_disk_is_no_fault_of_the_file() -> None:
    with pytest.raises(TryAgain) as again:
        run("full")

    assert again.value.code == "disk_full"


def test_a_cancelled_job_ends_its_child() -> None:
    seen: list[int] = []

    def leave(done: int, total: int | None) -> None:
        seen.append(done)
        raise JobCancelled

    with pytest.raises(JobCancelled):
        run("wait", progress=leave)

    wait_until_gone(seen[0])


def test_the_child_dies_with_its_parent() -> None:
    script = (
        "from shared import sandbox; from shared.confinement import Bounds\n"
        "sandbox.run('tests.worker.odd_decoder', {'do': 'wait'}, bounds=Bounds(),"
        " progress=lambda done, total: print(done, flush=True))"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    assert is_alive(child)

    parent.send_signal(signal.SIGKILL)
    parent.communicate()

    wait_until_gone(child)


@pytest.mark.usefixtures("a_machine_without_layers")
def test_an_outcome_that_is_a_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.csv").write_bytes(b"a\n1\n")
    real = sandbox.run
    monkeypatch.setattr(
        sandbox,
        "run",
        lambda module, request, **rest: real("tests.worker.odd_decoder", {"do": "link", **request}, **rest),
    )

    with pytest.raises(JobFailed) as failed:
        ingest.run(
            [ingest.UploadedFile("t.csv", tmp_path / "t.csv")], columns={}, out_dir=tmp_path, progress=lambda a, b: None
        )

    assert failed.value.code == "decoder_crashed"


def test_the_parent_needs_neither_arrow_nor_numpy() -> None:
    script = (
        "import sys, worker.ingest; print([name for name in ('pyarrow', 'numpy', 'tensorflow') if name in sys.modules])"
    )

    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert said.stdout.strip() == "[]"


def test_the_decoder_imports_no_network_library_and_no_database() -> None:
    script = "import json, sys, worker.decode; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"

    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)

    assert {"pyarrow", "numpy"} <= set(json.loads(said.stdout))
    assert not {"tensorflow", "keras", "sklearn", "sqlalchemy", "celery", "redis", "obstore"} & set(
        json.loads(said.stdout)
    )


def test_nothing_is_left_open_in_this_process() -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))

    for _ in range(3):
        run("report")

    assert len(list(Path("/proc/self/fd").iterdir())) == before
