"""An action that needs no TensorFlow: steps that can be slow, stuck or deadly, each with a checkpoint, then a version.

The state is a chain of SHA-256, so that an attempt which resumed wrongly ends in another digest.
"""

import hashlib
import os
import signal
import time
from pathlib import Path

import numpy as np

from shared import models
from shared.errors import JobFailed, TryAgain
from shared.models import NewVersion
from worker.callbacks import Checkpoint
from worker.desk import Desk
from worker.ending import Ending

SEED = b"rehearsal"


def train(desk: Desk) -> Ending:
    """`params`: steps, step_s, checkpoint_every; at a step: kill_at, stuck_at (for stuck_s), fail_at, again_at."""
    params = desk.claim.params
    desk.enter("training")
    done, state = _resume(desk)
    while done < params["steps"]:
        _misbehave(params, done)
        time.sleep(params.get("step_s", 0.0))
        done, state = done + 1, hashlib.sha256(state).digest()
        desk.report([{"epoch": done, "loss": 1.0 / done}], total=params["steps"])
        if desk.is_checkpoint_due() or done % params.get("checkpoint_every", 1) == 0:
            desk.save(Checkpoint(done, {"state": np.frombuffer(state, np.uint8)}))
        desk.check()
    desk.enter("storing")
    files = [desk.put("weights.bin", state)]
    version = NewVersion(files=files, metrics={}, baselines={}, warnings=[], lineage={}, parameters=0)
    return Ending(lambda sql: {**models.record(sql, desk.claim, version), "digest": state.hex()})


def digest_after(steps: int) -> str:
    """What an uninterrupted rehearsal ends in."""
    state = SEED
    for _ in range(steps):
        state = hashlib.sha256(state).digest()
    return state.hex()


def _resume(desk: Desk) -> tuple[int, bytes]:
    last = desk.checkpoints.last(desk)
    return (0, SEED) if last is None else (last.epoch, last.arrays["state"].tobytes())


def _misbehave(params: dict[str, object], done: int) -> None:
    if params.get("kill_at") == done:
        os.kill(os.getpid(), signal.SIGKILL)
    if params.get("stuck_at") == done and not _has_happened(params):
        time.sleep(float(str(params["stuck_s"])))
    if params.get("fail_at") == done:
        raise JobFailed("The rehearsal was told to fail.", code="rehearsed")
    if params.get("again_at") == done and not _has_happened(params):
        raise TryAgain("The rehearsal was told to be tried again.")


def _has_happened(params: dict[str, object]) -> bool:
    """Whether it has happened before: `once` names a file that says so."""
    if "once" not in params:
        return False
    mark = Path(str(params["once"]))
    if mark.exists():
        return True
    mark.touch()
    return False
