"""What earlier jobs say of the next one's time."""

import pytest

from shared.calibration import Past, calibrate
from shared.expectation import Expected
from shared.tariff import Tariff


def test_without_any_job_the_expectation_stands_and_its_range_is_wide() -> None:
    told = calibrate(Expected(10.0), [])

    assert (told.seconds, told.low, told.high, told.jobs) == (10.0, 2.5, 40.0, 0)


def test_jobs_that_took_half_as_long_halve_the_expectation() -> None:
    told = calibrate(Expected(10.0), [Past(Expected(10.0), 5.0, cpu_s=10.0)] * 50)

    assert told.seconds == pytest.approx(5.0, rel=0.03)
    assert told.cores == 2.0
    assert told.seconds / told.low == pytest.approx(1.5)


def test_a_single_job_is_half_believed() -> None:
    assert calibrate(Expected(10.0), [Past(Expected(10.0), 2.5)]).seconds == pytest.approx(5.0)


def test_jobs_of_another_size_say_little() -> None:
    small, large = [Past(Expected(1.0), 0.1)] * 20, [Past(Expected(1000.0), 3000.0)] * 20

    assert calibrate(Expected(1.0), small + large).seconds == pytest.approx(0.1, rel=0.2)
    assert calibrate(Expected(1000.0), small + large).seconds == pytest.approx(3000.0, rel=0.2)


def test_one_job_that_met_something_unusual_moves_nothing() -> None:
    usual = calibrate(Expected(10.0), [Past(Expected(10.0), 10.0)] * 20).seconds

    assert (
        calibrate(Expected(10.0), [*[Past(Expected(10.0), 10.0)] * 20, Past(Expected(10.0), 5000.0)]).seconds == usual
    )


def test_jobs_that_differ_among_themselves_widen_the_range() -> None:
    told = calibrate(Expected(10.0), [Past(Expected(10.0), seconds) for seconds in (2.0, 5.0, 10.0, 20.0, 50.0) * 4])

    assert told.low <= 3.0 and told.high >= 40.0


def test_jobs_that_end_early_shorten_what_is_told_of_one_that_may_and_of_no_other() -> None:
    # Of 100 epochs at 1 s each they needed 25.
    past = [Past(Expected(5.0, 1.0, 100, may_stop=True), 30.0, epochs=25.0)] * 50

    assert calibrate(Expected(5.0, 1.0, 100, may_stop=True), past).seconds == pytest.approx(30.0, rel=0.05)
    assert calibrate(Expected(5.0, 1.0, 100), past).seconds == pytest.approx(105.0, rel=0.05)


def test_jobs_that_end_at_chance_widen_the_range_and_say_nothing_of_how_long_an_epoch_takes() -> None:
    epochs = [10.0, 20.0, 30.0, 60.0, 90.0] * 10
    past = [Past(Expected(0.0, 1.0, 100, may_stop=True), each, epochs=each) for each in epochs]

    told = calibrate(Expected(0.0, 1.0, 100, may_stop=True), past)

    assert told.seconds == pytest.approx(30.0, rel=0.1)
    assert told.low <= 11.0 and told.high >= 80.0
    assert calibrate(Expected(0.0, 1.0, 100), past).seconds == pytest.approx(100.0, rel=0.01)


def test_without_prices_there_is_no_money() -> None:
    assert Tariff().money(cpu_s=3600.0, gpu_s=0.0, energy_wh=1000.0) is None
    assert Tariff(kwh=0.3).money(cpu_s=3600.0, gpu_s=0.0, energy_wh=1000.0) == 0.3
    assert Tariff(cpu_hour=2.0, kwh=0.3).money(cpu_s=1800.0, gpu_s=0.0, energy_wh=1000.0) == 1.3
