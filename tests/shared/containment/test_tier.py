"""The tier is what was tried, and a machine that reaches less than is demanded starts nothing."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.containment import minimum, tier
from shared.containment.tiers import LANDLOCK, NETWORK_NAMESPACE, NONE, SECCOMP, TIERS, needed, reached
from shared.settings import Settings, SettingsWrong

ROOT = Path(__file__).parents[3]
# As the profile of a container does: a call is answered as if there were none, for this process and all it starts. A
# kernel without filters forbids nothing so, and has no layer above the limits that could be lowered.
FORBIDDING = """
import contextlib, os, sys
from shared.containment import calls, kernel, seccomp, tier

every = tier.measure()
machine = kernel.machine()
denied = {name: {**calls.ALLOWED, **calls.FORBIDDEN}[name] for name in [sys.argv[1]]}
kernel.forbid_new_privileges()
with contextlib.suppress(OSError):
    seccomp._install([
        *seccomp._opening(machine),
        *seccomp._always(denied, machine, seccomp.NOT_THERE),
        (seccomp.RETURN, 0, 0, seccomp.ALLOW),
    ])
"""
DECODING = """
from shared import sandbox
from shared.confinement import Bounds
from shared.errors import TryAgain

found = tier.measure()
print(found.tier, *found.missing)
tier.measured = lambda: every
try:
    sandbox.run("tests.worker.odd_decoder", {"do": "report"}, bounds=Bounds(), progress=lambda *_: None)
    print("confined")
except TryAgain as again:
    print(again.code)
tier.measured = lambda: found
print(sandbox.run("tests.worker.odd_decoder", {"do": "report"}, bounds=Bounds(), progress=lambda *_: None))
"""
STARTING = """
os.execv(sys.executable, [sys.executable, "-m", *sys.argv[2:]])
"""


def run_where_forbidden(call: str, script: str, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", FORBIDDING + script, call, *arguments],
        cwd=ROOT, env={**os.environ, **settings}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def held_without(layer: str) -> list[str]:
    """The layers of this machine once what a layer needs is forbidden there, as far as it can be forbidden."""
    found = tier.measured().layers
    return [each for each in found if each != layer or SECCOMP not in found]


def needed_here() -> tuple[str, ...]:
    """The layers of the tier that this machine reaches."""
    found = tier.measured().tier
    return () if found == NONE else needed(found)


def demanding(settings: Settings, what: str) -> Settings:
    return dataclasses.replace(settings, sandbox_at_least=what)


@pytest.mark.parametrize(
    ("layers", "expected"),
    [
        ((), NONE),
        (TIERS[:1], "rlimits"),
        (TIERS[:3], "landlock"),
        (TIERS, "network_namespace"),
        # A wall with a gap is as high as the gap.
        (("rlimits", "landlock", "network_namespace"), "rlimits"),
        (("seccomp", "landlock"), NONE),
    ],
)
def test_a_tier_is_a_layer_with_all_before_it(layers: tuple[str, ...], expected: str) -> None:
    assert reached(layers) == expected


def test_every_layer_was_tried_and_either_holds_or_says_why() -> None:
    found = tier.measure()

    assert sorted([*found.layers, *found.missing]) == sorted(TIERS)
    assert all(found.missing.values())


@pytest.mark.parametrize(
    ("denied", "layer"),
    [("seccomp", SECCOMP), ("landlock_create_ruleset", LANDLOCK), ("unshare", NETWORK_NAMESPACE)],
)
def test_what_a_container_forbids_lowers_the_tier_and_nothing_is_opened_that_was_to_be_contained(
    denied: str, layer: str
) -> None:
    before, left = tier.measured().layers, held_without(layer)

    said = run_where_forbidden(denied, DECODING)

    told, promised, confined = said.stdout.splitlines()
    assert told.split() == [reached(left), *(each for each in TIERS if each not in left)]
    # Promised and not kept: no file is opened, and none is blamed.
    assert promised == ("confined" if layer in left or layer not in before else "decoder_unavailable")
    assert confined == "{'rows': 3}"


@pytest.mark.parametrize("program", ["web.serve", "worker.app", "shared.up"])
def test_nothing_that_opens_uploads_starts_below_the_minimum(program: str, tmp_path: Path) -> None:
    home, left = tmp_path / "home", held_without(LANDLOCK)
    why = {LANDLOCK: "landlock_create_ruleset: Function not implemented", **tier.measured().missing}
    settings = {
        "ETUDE_HOME": str(home), "ETUDE_PEPPER": "p" * 32, "ETUDE_ROOT_KEY": "7e57" * 16, "ETUDE_PORT": "0",
        "ETUDE_REDIS_URL": "redis://127.0.0.1:9/0", "ETUDE_SANDBOX_AT_LEAST": "landlock",
    }  # fmt: skip

    said = run_where_forbidden("landlock_create_ruleset", STARTING, program, **settings)

    missing = [layer for layer in needed(LANDLOCK) if layer not in left]
    assert said.returncode == 1 and missing
    reaches = f"expected landlock, this machine reaches {reached(left)}. Or demand less."
    assert f"ETUDE_SANDBOX_AT_LEAST: {reaches}" in said.stderr
    assert [layer for layer in TIERS if f"{layer} does not hold: " in said.stderr] == missing
    assert all(f"{why[layer]}; {minimum.NEEDS[layer]}." in said.stderr for layer in missing)
    assert "Traceback" not in said.stderr
    assert not home.exists()


def test_a_machine_that_reaches_what_is_demanded_may_start(settings: Settings) -> None:
    for enough in needed_here():
        minimum.demand(demanding(settings, enough))
    minimum.demand(demanding(settings, ""))


@pytest.mark.usefixtures("a_machine_without_layers")
def test_a_demand_names_each_layer_that_is_missing(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    why = dict.fromkeys(TIERS, "read a file outside")
    monkeypatch.setattr(tier, "measured", lambda: tier.Containment((), why))

    with pytest.raises(SettingsWrong) as stopped:
        minimum.demand(demanding(settings, "landlock"))

    said = str(stopped.value)
    assert "this machine reaches none" in said
    assert [layer for layer in TIERS if f"{layer} does not hold: read a file outside" in said] == list(TIERS[:3])
