"""An action that needs no TensorFlow: steps that can be slow, stuck or deadly, each with a checkpoint, then a version.

The state is a chain of SHA-256, so that an attempt which resumed wrongly ends in another digest.
"""

import hashlib
import os
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from shared import models
from shared.errors import JobFailed, TryAgain
from shared.models import NewVersion
from worker.callbacks import Checkpoint
from worker.desk import Desk
from worker.ending import Ending

SEED = b"rehearsal"


def train(desk: Desk) -> Ending:
    """`params`: steps, step_s, checkpoint_every; at a step: kill_at, stuck_at (stuck_s), fail_at, again_at, held_at.

    At `break_at` it fails as nobody foresaw; at `hungry_at` it takes more memory than there is; a job that is held
    waits for the file that `free` names; from `padded_from` on its checkpoints hold `padding_bytes` more.
    """
    params = desk.claim.params
    steps = count_steps(params)
    desk.enter("training")
    done, state = _resume(desk)
    while done < steps:
        _misbehave(params, done)
        time.sleep(params.get("step_s", 0.0))
        done, state = done + 1, hashlib.sha256(state).digest()
        desk.report([{"epoch": done, "loss": 1.0 / done}], total=steps)
        if desk.is_checkpoint_due() or done % params.get("checkpoint_every", 1) == 0:
            desk.save(Checkpoint(done, {"state": np.frombuffer(state, np.uint8), **_padding(params, done)}))
        desk.check()
    desk.enter("storing")
    files = desk.put_all({"weights.bin": state})
    version = NewVersion(files=files, metrics={}, baselines={}, warnings=[], lineage={}, parameters=0)
    told = {"digest": state.hex(), "clock": time.time()}
    return Ending(lambda sql: {**models.record(sql, desk.claim, version), **told})


def count_steps(params: Mapping[str, Any]) -> int:
    """How many steps a rehearsal has: a job that came over HTTP cannot name them, but epochs."""
    return int(params["steps"] if "steps" in params else params["epochs"])


def digest_after(steps: int) -> str:
    """What an uninterrupted rehearsal ends in."""
    state = SEED
    for _ in range(steps):
        state = hashlib.sha256(state).digest()
    return state.hex()


def _resume(desk: Desk) -> tuple[int, bytes]:
    last = desk.checkpoints.last(desk)
    return (0, SEED) if last is None else (last.epoch, last.arrays["state"].tobytes())


def _padding(params: Mapping[str, Any], done: int) -> dict[str, np.ndarray]:
    size = params["padding_bytes"] if done >= params.get("padded_from", done + 1) else 0
    return {"padding": np.zeros(size, np.uint8)} if size else {}


def _misbehave(params: dict[str, object], done: int) -> None:
    if params.get("kill_at") == done:
        os.kill(os.getpid(), signal.SIGKILL)
    if params.get("hungry_at") == done:
        _starve(str(params["counter"]) if "counter" in params else None)
    if params.get("stuck_at") == done and not _has_happened(params):
        time.sleep(float(str(params["stuck_s"])))
    while params.get("held_at") == done and not Path(str(params["free"])).exists():
        time.sleep(0.02)
    if params.get("fail_at") == done and not _has_happened(params):
        raise JobFailed("The rehearsal was told to fail.", code="rehearsed")
    if params.get("break_at") == done:
        raise RuntimeError(f"nobody foresaw this at step {done}")
    if params.get("again_at") == done and not _has_happened(params):
        raise TryAgain("The rehearsal was told to be tried again.")


def _starve(counter: str | None) -> None:
    """Take memory until the kernel ends this process; with `counter`, a stand-in for the kernel's, do as it would."""
    if counter is not None:
        Path(counter).write_text("oom_kill 1\n")
        os.kill(os.getpid(), signal.SIGKILL)
    taken = []
    while True:
        # Zeros would not be given any memory.
        taken.append(b"\xff" * (16 * 2**20))


def _has_happened(params: dict[str, object]) -> bool:
    """Whether it has happened before: `once` names a file that says so."""
    if "once" not in params:
        return False
    mark = Path(str(params["once"]))
    if mark.exists():
        return True
    mark.touch()
    return False
