"""Energy from counters that turn over, go away, and are of the whole machine."""

from pathlib import Path

import pytest

from shared.tariff import Tariff
from worker.energy import Meter, grown

TARIFF = Tariff(watts_cpu_core=36.0)


def machine(root: Path, *, microjoules: int, busy_ticks: int) -> Path:
    package = root / "intel-rapl:0"
    package.mkdir(exist_ok=True)
    (package / "energy_uj").write_text(f"{microjoules}\n")
    (package / "max_energy_range_uj").write_text("10000000000\n")
    (root / "stat").write_text(f"cpu  {busy_ticks} 0 0 999 5 0 0 0 0 0\ncpu0 1 2 3 4\n")
    return root


def test_a_process_has_its_share_of_what_the_machine_used(tmp_path: Path) -> None:
    meter = Meter(machine(tmp_path, microjoules=0, busy_ticks=0), tmp_path / "stat")

    machine(tmp_path, microjoules=7_200_000_000, busy_ticks=1000)

    # 7200 J are 2 Wh; 5 of 10 busy seconds were of this process.
    assert meter.read(5.0, TARIFF) == (pytest.approx(1.0), "rapl")


def test_a_counter_that_turns_over_goes_on(tmp_path: Path) -> None:
    meter = Meter(machine(tmp_path, microjoules=9_000_000_000, busy_ticks=0), tmp_path / "stat")

    machine(tmp_path, microjoules=2_600_000_000, busy_ticks=100)

    assert meter.read(1.0, TARIFF)[0] == pytest.approx(1.0)


def test_a_counter_that_went_back_for_no_reason_counts_nothing() -> None:
    assert grown(900, 100, turns_at=0) == 0
    assert grown(900, 100, turns_at=1000) == 200


def test_without_counters_the_energy_is_assumed_and_that_is_said(tmp_path: Path) -> None:
    assert Meter(tmp_path, tmp_path / "stat").read(100.0, TARIFF) == (1.0, "assumed")


def test_a_counter_that_cannot_be_read_any_more_is_no_counter(tmp_path: Path) -> None:
    meter = Meter(machine(tmp_path, microjoules=0, busy_ticks=0), tmp_path / "stat")

    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("")

    assert meter.read(100.0, TARIFF) == (1.0, "assumed")
