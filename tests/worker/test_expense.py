"""What a job has cost: this process's share, that of its helpers, that of earlier attempts, each once."""

import time
from dataclasses import replace

import pytest

from shared.claims import Claim
from shared.database import Database
from shared.tariff import Tariff
from tests import factories
from worker import device
from worker.expense import Expense, Used, helped_before

TARIFF = Tariff(cpu_hour=1.0, gpu_hour=36.0, currency="EUR", watts_gpu=3600.0)


@pytest.fixture
def begun(database: Database, tenant: str) -> Claim:
    with database.transaction() as sql:
        factories.make_job(sql, tenant)
        return factories.claim(sql)


def test_what_helpers_used_is_in_the_whole_and_told_apart(begun: Claim) -> None:
    alone = Expense(begun, TARIFF).read(Used())
    helped = Expense(begun, TARIFF).read(Used(60.0, 90.0, 0.0, 2.0))

    assert helped["compute_s"] >= 60 and helped["cpu_s"] >= 90 and helped["energy_wh"] >= 2
    assert (helped["helped_s"], helped["helped"]["cpu_s"], helped["helped"]["energy_wh"]) == (60.0, 90.0, 2.0)
    assert helped["money"] > alone["money"]


def test_a_later_attempt_counts_help_and_what_went_before_once(begun: Claim) -> None:
    first = Expense(begun, TARIFF).read(Used(60.0, 90.0, 0.0, 2.0))
    again = replace(begun, cost=first, compute_s=first["compute_s"] - 60.0, helped_s=60.0)

    second = Expense(again, TARIFF).read(helped_before(again))

    for name in ("compute_s", "cpu_s", "energy_wh"):
        assert first[name] <= second[name] < first[name] + 1.0, name
    assert second["helped"] == first["helped"]


def test_a_card_costs_for_as_long_as_it_is_held(begun: Claim, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device, "_cards", 2)
    expense = Expense(begun, TARIFF)
    # Long enough that rounding to a thousandth of a second says nothing of what is compared.
    time.sleep(0.05)

    cost = expense.read(Used())

    assert cost["gpu_s"] == pytest.approx(2 * cost["compute_s"], abs=0.002) and cost["gpu_s"] >= 0.1
    # 3,600 W are a watt-hour a second; 36 an hour are a cent a second.
    assert cost["energy_wh"] >= cost["gpu_s"] * 0.99 and cost["energy_source"] == "assumed"
    assert cost["money"] >= cost["gpu_s"] * 0.0099


def test_without_a_card_there_are_no_seconds_of_one(begun: Claim) -> None:
    assert Expense(begun, TARIFF).read(Used())["gpu_s"] == 0.0
