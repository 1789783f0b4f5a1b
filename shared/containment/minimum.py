"""Stops the start of whatever opens uploads where they cannot be kept in as the operator demands."""

from shared.containment import tier
from shared.containment.tiers import LANDLOCK, NETWORK_NAMESPACE, RLIMITS, SECCOMP, needed
from shared.settings import Settings, SettingsWrong

NEEDS = {
    RLIMITS: "it needs Linux",
    SECCOMP: "it needs Linux 4.14 with CONFIG_SECCOMP_FILTER, on x86_64 or aarch64",
    LANDLOCK: "it needs Linux 5.13 with landlock among the security modules (kernel parameter lsm=), and in a container"
    " a seccomp profile that lets landlock_* through, as Docker's has since 2022",
    NETWORK_NAMESPACE: "it needs user namespaces for everybody (user.max_user_namespaces above 0, and on Ubuntu"
    " kernel.apparmor_restrict_unprivileged_userns at 0), and in a container a seccomp profile that lets unshare"
    " through, as Docker's does not",
}


def demand(settings: Settings) -> None:
    """Raises SettingsWrong with what is missing, why, and what it needs."""
    if not settings.sandbox_at_least:
        return
    found = tier.measured()
    missing = [f"{layer} does not hold: {found.missing[layer]}; {NEEDS[layer]}." for layer in _lacking(settings, found)]
    if not missing:
        return
    said = f"expected {settings.sandbox_at_least}, this machine reaches {found.tier}. Or demand less."
    raise SettingsWrong("\n".join(["Etude cannot start.", f"ETUDE_SANDBOX_AT_LEAST: {said}", *missing]))


def _lacking(settings: Settings, found: tier.Containment) -> list[str]:
    return [layer for layer in needed(settings.sandbox_at_least) if layer not in found.layers]
