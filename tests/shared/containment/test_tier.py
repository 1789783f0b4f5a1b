"""The tier is what was tried, and a machine that reaches less than is demanded starts nothing."""

import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest

from shared.containment import minimum, tier
from shared.containment.tiers import NONE, TIERS, needed, reached
from shared.settings import Settings, SettingsWrong

ROOT = Path(__file__).parents[3]
# As the profile of a container does: the call is answered as if there were none, for this process and all it starts.
SCRIPT = """
import sys
from shared import sandbox, settings
from shared.confinement import Bounds
from shared.containment import calls, kernel, minimum, seccomp, tier
from shared.errors import TryAgain

every = tier.measure()
machine = kernel.machine()
denied = {name: {**calls.ALLOWED, **calls.FORBIDDEN}[name] for name in sys.argv[1].split()}
kernel.forbid_new_privileges()
seccomp._install([
    *seccomp._opening(machine),
    *seccomp._always(denied, machine, seccomp.NOT_THERE),
    (seccomp.RETURN, 0, 0, seccomp.ALLOW),
])
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
minimum.demand(settings.read({"ETUDE_SANDBOX_AT_LEAST": sys.argv[2]}))
"""


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
    ("denied", "expected", "missing"),
    [
        ("seccomp", "rlimits", "seccomp"),
        ("landlock_create_ruleset", "seccomp", "landlock"),
        ("unshare", "landlock", "network_namespace"),
    ],
)
def test_what_a_container_forbids_lowers_the_tier_and_may_stop_the_start(
    denied: str, expected: str, missing: str
) -> None:
    if missing not in tier.measured().layers or reached(needed(missing)) not in needed(tier.measured().tier):
        pytest.skip(f"{missing} is not to be had on this machine as it is: {tier.measured().missing}")

    said = subprocess.run(
        [sys.executable, "-c", SCRIPT, denied, missing], cwd=ROOT, capture_output=True, text=True, check=False
    )

    told, unconfined, confined = said.stdout.splitlines()
    assert told.split()[0] == expected and missing in told.split()[1:]
    # Promised and not kept: no file is opened, and none is blamed.
    assert unconfined == "decoder_unavailable"
    assert confined == "{'rows': 3}"
    assert said.returncode == 1
    assert f"ETUDE_SANDBOX_AT_LEAST: expected {missing}, this machine reaches {expected}." in said.stderr
    assert f"{missing} does not hold: " in said.stderr and "it needs " in said.stderr


def test_a_machine_that_reaches_what_is_demanded_may_start(settings: Settings) -> None:
    reached_here = tier.measured().tier

    for enough in needed(reached_here):
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
