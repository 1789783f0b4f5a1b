"""What private steps come to, by the privacy loss distributions of Google's dp-accounting; no formula of our own.

Adjacent are two sets of units of which one has one unit more. Sampling is Poisson's: each unit by itself.
"""

import functools
from importlib.metadata import version

import dp_accounting
from dp_accounting.pld import PLDAccountant
from dp_accounting.rdp import RdpAccountant

from shared.errors import Fault, JobFailed
from shared.privacy_params import LEAST_NOISE, MOST_NOISE

NAME = "dp-accounting PLD"
# Of the noise multiplier that is looked for: the epsilon that comes out lies as little below the one asked for.
NEAR = 0.002
# A bracket around what Rényi's bound finds, which is never less than what is needed.
BELOW = 0.6


def accountant() -> str:
    """Whose arithmetic it is, with its version."""
    return f"{NAME} {version('dp-accounting')}"


def _event(noise_multiplier: float, *, sampling: float, steps: int) -> dp_accounting.DpEvent:
    once: dp_accounting.DpEvent = dp_accounting.GaussianDpEvent(noise_multiplier)
    if sampling < 1.0:
        once = dp_accounting.PoissonSampledDpEvent(sampling, once)
    return dp_accounting.SelfComposedDpEvent(once, steps)


@functools.lru_cache(maxsize=64)
def epsilon(noise_multiplier: float, *, sampling: float, steps: int, delta: float) -> float:
    """The epsilon of so many steps, in each of which a unit is with this probability."""
    if steps == 0:
        return 0.0
    account = PLDAccountant()
    account.compose(_event(noise_multiplier, sampling=sampling, steps=steps))
    return float(account.get_epsilon(delta))


@functools.lru_cache(maxsize=64)
def noise_multiplier(wanted: float, *, sampling: float, steps: int, delta: float) -> float:
    """The least noise with which so many steps come to this epsilon. Raises JobFailed (privacy_unreachable)."""

    def calibrate(fresh: type, low: float, high: float) -> float:
        found: float = dp_accounting.calibrate_dp_mechanism(
            fresh,
            lambda noise: _event(noise, sampling=sampling, steps=steps),
            wanted,
            delta,
            dp_accounting.ExplicitBracketInterval(low, high),
            tol=NEAR * low,
        )
        return found

    try:
        bound = calibrate(RdpAccountant, LEAST_NOISE, MOST_NOISE)
        found = calibrate(PLDAccountant, max(LEAST_NOISE, BELOW * bound), bound * (1 + NEAR))
    except (dp_accounting.NoBracketIntervalFoundError, ValueError) as cause:
        known = f"noise between {LEAST_NOISE:g} and {MOST_NOISE:g}"
        said = f"expected an epsilon that {known} comes to, received {wanted:g}"
        raise JobFailed(
            f"The steps cannot come to that epsilon: {said}. Ask for fewer epochs, a smaller batch_size, or another "
            "epsilon; or name noise_multiplier.",
            code="privacy_unreachable",
            faults=[Fault(said, pointer="/params/privacy/epsilon")],
        ) from cause
    return float(found)
