"""What a decoder that was taken over can do under each layer alone, under all of them, and under none."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import sandbox
from shared.confinement import Bounds
from shared.containment import landlock, tier
from shared.containment.landlock import Reach
from shared.containment.tier import Containment
from shared.containment.tiers import LANDLOCK, NETWORK_NAMESPACE, RLIMITS, SECCOMP, TIERS
from shared.errors import TryAgain
from tests.shared.containment import escaping

NETWORK = {"connect", "send_datagram"}
PROCESSES = {"run", "fork", "bomb", "signal_parent", "trace_parent", "make_namespace", "use_ring", "use_keys"}
FILES = {"read", "list_folder", "write", "overwrite", "delete", "link", "read_parent"}
OWN = {"write_inside", "signal_itself"}
# What the kernel may refuse by itself, to whoever is not root or anybody.
OF_THE_HOST = {"trace_parent", "make_namespace", "use_ring", "use_keys", "read_parent"}


@pytest.fixture
def near() -> Iterator[socket.socket]:
    """A listener on this host, which counts who has come."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        yield listener


def visitors(near: socket.socket) -> int:
    count = 0
    while True:
        try:
            near.accept()[0].close()
        except BlockingIOError:
            return count
        count += 1


def escapes(folder: Path, near: socket.socket) -> set[str]:
    """What gets through of all that is tried in the sandbox."""
    inside, outside = folder / "inside", folder / "outside"
    inside.mkdir()
    outside.mkdir()
    for name in ("secret", "log", "victim"):
        (outside / name).write_text("x")
    request = {"inside": str(inside), "outside": str(outside), "port": near.getsockname()[1]}
    tried = sandbox.run(
        "tests.shared.containment.escaping",
        request,
        bounds=Bounds(wall_s=60.0),
        progress=lambda *_: None,
        reach=Reach(writes=(str(inside),)),
    )
    assert tried.keys() == escaping.ACTS.keys()
    return {name for name, came in tried.items() if came == "through"}


def test_every_try_is_of_one_sort() -> None:
    assert escaping.ACTS.keys() == NETWORK | PROCESSES | FILES | OWN


def test_without_a_layer_all_gets_through(tmp_path: Path, near: socket.socket, a_machine_without_layers: None) -> None:
    through = escapes(tmp_path, near)

    assert through | OF_THE_HOST == escaping.ACTS.keys()
    assert visitors(near) == 1


@pytest.mark.parametrize(
    ("layer", "refused"),
    [(SECCOMP, NETWORK | PROCESSES), (LANDLOCK, FILES | {"run"}), (NETWORK_NAMESPACE, NETWORK)],
)
def test_each_layer_alone_refuses_its_own(
    tmp_path: Path, near: socket.socket, monkeypatch: pytest.MonkeyPatch, layer: str, refused: set[str]
) -> None:
    holds = layer in tier.measured().layers
    monkeypatch.setattr(tier, "measured", lambda: Containment((layer,), {}))

    if not holds:
        # This machine has not got it: then it is said, and no file is opened as if it had.
        with pytest.raises(TryAgain):
            escapes(tmp_path, near)
        return
    through = escapes(tmp_path, near)

    assert not through & refused
    assert through >= OWN
    # The others are for the other layers: this shows that the tries are good for something.
    kept = {LANDLOCK: {"fork", "bomb"}, SECCOMP: FILES - {"read_parent"}, NETWORK_NAMESPACE: FILES - {"read_parent"}}
    assert through >= kept[layer]
    if layer == LANDLOCK and landlock.version() >= 6:
        assert not through & {"connect", "signal_parent"}


def test_under_all_that_this_machine_has_nothing_gets_through_but_its_own(tmp_path: Path, near: socket.socket) -> None:
    held = tier.measured().layers
    expected = {SECCOMP: NETWORK | PROCESSES, LANDLOCK: FILES | {"run"}, NETWORK_NAMESPACE: NETWORK, RLIMITS: set()}

    through = escapes(tmp_path, near)

    assert not through & set().union(*(expected[layer] for layer in held))
    assert through >= OWN
    assert held != TIERS or (through == OWN and visitors(near) == 0)
    assert (tmp_path / "outside" / "log").read_text() == ("x" if LANDLOCK in held else "y")
    assert os.getppid() > 0
