"""What private steps come to, by the privacy loss distributions of Google's dp-accounting; no formula of our own.

Adjacent are two sets of units of which one has one unit more. Sampling is Poisson's: each unit by itself.
"""

import functools
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import dp_accounting
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant

from shared.errors import Fault, JobFailed
from shared.privacy_params import LEAST_NOISE, MOST_NOISE

NAME = "dp-accounting PLD"
# Of the noise multiplier that is looked for: the epsilon that comes out lies as little below the one asked for.
NEAR = 0.002
# Of what Rényi's bound finds, less than is ever enough.
BELOW = 0.6
# Of privacy loss the library's own grid, and as many points of it as an epsilon of 30 has: left as fine, an epsilon of
# 1,000 took minutes and gigabytes. A coarser one is never told too low, and hardly differs.
GRID, POINTS = 1e-4, 300_000

Account = Callable[[], Any]  # of a library without types


def accountant() -> str:
    """Whose arithmetic it is, with its version."""
    return f"{NAME} {version('dp-accounting')}"


@functools.lru_cache(maxsize=64)
def epsilon(noise_multiplier: float, *, sampling: float, steps: int, delta: float) -> float:
    """The epsilon of so many steps, in each of which a unit is with this probability."""
    bound = _epsilon(RdpAccountant, noise_multiplier, sampling=sampling, steps=steps, delta=delta)
    return _epsilon(_pld(bound), noise_multiplier, sampling=sampling, steps=steps, delta=delta)


@functools.lru_cache(maxsize=64)
def noise_multiplier(wanted: float, *, sampling: float, steps: int, delta: float) -> float:
    """The least noise with which so many steps come to this epsilon. Raises JobFailed (privacy_unreachable)."""

    def told(account: Account, noise: float) -> float:
        return _epsilon(account, noise, sampling=sampling, steps=steps, delta=delta)

    def calibrate(account: Account, low: float, high: float) -> float:
        found: float = dp_accounting.calibrate_dp_mechanism(
            account,
            lambda noise: _event(noise, sampling=sampling, steps=steps),
            wanted,
            delta,
            dp_accounting.ExplicitBracketInterval(low, high),
            tol=NEAR * low,
        )
        return found

    # Rényi's bound, which is told in no time, first: it is never less than what is needed.
    if told(RdpAccountant, MOST_NOISE) > wanted:
        raise _unreachable(wanted)
    if told(RdpAccountant, LEAST_NOISE) <= wanted:
        return LEAST_NOISE
    bound = calibrate(RdpAccountant, LEAST_NOISE, MOST_NOISE)
    low = max(LEAST_NOISE, BELOW * bound)
    exact = _pld(told(RdpAccountant, low))
    if told(exact, low) <= wanted:
        return low
    return calibrate(exact, low, bound)


def _pld(bound: float) -> Account:
    """An accountant for what comes to at most `bound`, by as fine a grid as there is room for."""
    interval = max(GRID, bound / POINTS)
    return functools.partial(PLDAccountant, value_discretization_interval=interval)


def _epsilon(account: Account, noise: float, *, sampling: float, steps: int, delta: float) -> float:
    if steps == 0:
        return 0.0
    fresh = account()
    fresh.compose(_event(noise, sampling=sampling, steps=steps))
    return float(fresh.get_epsilon(delta))


def _event(noise: float, *, sampling: float, steps: int) -> dp_accounting.DpEvent:
    once: dp_accounting.DpEvent = dp_accounting.GaussianDpEvent(noise)
    if sampling < 1.0:
        once = dp_accounting.PoissonSampledDpEvent(sampling, once)
    return dp_accounting.SelfComposedDpEvent(once, steps)


def _unreachable(wanted: float) -> JobFailed:
    known = f"noise between {LEAST_NOISE:g} and {MOST_NOISE:g}"
    said = f"expected an epsilon that {known} comes to, received {wanted:g}"
    return JobFailed(
        f"The steps cannot come to that epsilon: {said}. Ask for fewer epochs, a smaller batch_size, or another "
        "epsilon; or name noise_multiplier.",
        code="privacy_unreachable",
        faults=[Fault(said, pointer="/params/privacy/epsilon")],
    )
