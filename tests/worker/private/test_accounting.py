"""What private steps come to: as dp-accounting says, as closed forms say, and as was published."""

import resource

import dp_accounting
import pytest
from dp_accounting.pld import PLDAccountant
from scipy.optimize import brentq
from scipy.stats import norm

from shared.errors import JobFailed
from worker.private import accounting


@pytest.mark.parametrize(
    ("noise", "sampling", "steps", "delta"), [(1.1, 0.016, 1250, 1e-5), (4.0, 0.01, 10_000, 1e-5), (1.0, 0.5, 20, 1e-4)]
)
def test_epsilon_is_that_of_the_library_itself(noise: float, sampling: float, steps: int, delta: float) -> None:
    once = dp_accounting.PoissonSampledDpEvent(sampling, dp_accounting.GaussianDpEvent(noise))
    account = PLDAccountant().compose(dp_accounting.SelfComposedDpEvent(once, steps))

    assert accounting.epsilon(noise, sampling=sampling, steps=steps, delta=delta) == account.get_epsilon(delta)


def test_without_sampling_epsilon_is_that_of_the_analytic_gaussian_mechanism() -> None:
    # Balle and Wang, "Improving the Gaussian Mechanism for Differential Privacy", ICML 2018, theorem 8; 25 releases
    # with noise 5 are one with noise 1.
    def delta(epsilon: float) -> float:
        return float(norm.cdf(0.5 - epsilon) - pow(2.718281828459045, epsilon) * norm.cdf(-0.5 - epsilon))

    exact = brentq(lambda epsilon: delta(epsilon) - 1e-5, 0.1, 20)

    assert accounting.epsilon(5.0, sampling=1.0, steps=25, delta=1e-5) == pytest.approx(exact, abs=5e-3)


def test_epsilon_is_less_than_the_moments_accountant_of_the_paper_found() -> None:
    # Abadi et al. 2016, section 3.2: q 0.01, sigma 4, delta 1e-5, 10,000 steps come to 1.26 by theirs, a bound.
    found = accounting.epsilon(4.0, sampling=0.01, steps=10_000, delta=1e-5)

    assert 0.9 < found < 1.26


@pytest.mark.parametrize(("wanted", "sampling", "steps"), [(1.0, 0.02, 500), (8.0, 0.1, 200), (3.0, 1.0, 40)])
def test_the_noise_that_is_found_comes_to_the_epsilon_and_hardly_less(
    wanted: float, sampling: float, steps: int
) -> None:
    noise = accounting.noise_multiplier(wanted, sampling=sampling, steps=steps, delta=1e-5)

    assert 0.98 * wanted < accounting.epsilon(noise, sampling=sampling, steps=steps, delta=1e-5) <= wanted


def test_an_epsilon_that_no_noise_comes_to_is_refused() -> None:
    with pytest.raises(JobFailed, match="cannot come to that epsilon") as refusal:
        accounting.noise_multiplier(0.01, sampling=1.0, steps=100_000, delta=1e-6)

    assert refusal.value.code == "privacy_unreachable"
    assert refusal.value.faults[0].pointer == "/params/privacy/epsilon"


def test_an_epsilon_that_promises_nothing_costs_no_memory_either() -> None:
    """With the library's own grid these took 80 s and 2.6 GB, and more than there was."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    found = [accounting.epsilon(0.1, sampling=1.0, steps=steps, delta=1e-5) for steps in (10, 500)]

    assert found == [pytest.approx(633.93, abs=0.01), pytest.approx(25_953.7, abs=1.0)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 512 * 1024


def test_no_steps_cost_nothing_and_more_cost_more() -> None:
    few, many = (accounting.epsilon(1.5, sampling=0.1, steps=steps, delta=1e-5) for steps in (10, 100))

    assert accounting.epsilon(1.5, sampling=0.1, steps=0, delta=1e-5) == 0.0
    assert 0 < few < many


def test_the_accountant_tells_its_name_and_version() -> None:
    assert accounting.accountant() == "dp-accounting PLD 0.6.0"
