"""The layers of containment by their names, and the tier that those that hold amount to."""

from collections.abc import Collection

RLIMITS, SECCOMP, LANDLOCK, NETWORK_NAMESPACE = "rlimits", "seccomp", "landlock", "network_namespace"
# Each tier is a layer with all before it: the first everywhere on Linux, the last where containers often forbid it.
TIERS = (RLIMITS, SECCOMP, LANDLOCK, NETWORK_NAMESPACE)
NONE = "none"


def reached(layers: Collection[str]) -> str:
    """The highest tier whose layers all hold, or `none`."""
    tier = NONE
    for name in TIERS:
        if name not in layers:
            break
        tier = name
    return tier


def lowest(tiers: Collection[str]) -> str:
    """The one that keeps least of them; of one at least."""
    return min(tiers, key=(NONE, *TIERS).index)


def needed(tier: str) -> tuple[str, ...]:
    """The layers of a tier."""
    return TIERS[: TIERS.index(tier) + 1]
