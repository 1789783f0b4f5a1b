"""Which column is what: the roles that a client names, and how they are sent."""

from collections.abc import Sequence
from typing import Any, TypedDict

Json = dict[str, Any]


class Roles(TypedDict, total=False):
    """Which column is what; six are those of a manifest of recordings, the last those of plays.

    All are found by name without it. Users are known by pseudonyms whether `pseudonymise` says so or not.
    """

    target: str | Sequence[str] | None
    group: str | None
    id: str | None
    mask: Sequence[str]
    drop: Sequence[str]
    licence: str | None
    consent: str | None
    file: str | None
    start: str | None
    end: str | None
    tempo: str | None
    key: str | None
    notes: str | None
    user: str | None
    item: str | None
    weight: str | None
    time: str | None
    context: str | None
    pseudonymise: bool


def given(columns: Roles) -> Json:
    """The roles that were given, as JSON."""
    named = {role: value if isinstance(value, str | bool) else list(value or ()) for role, value in columns.items()}  # type: ignore[call-overload]
    return {role: value for role, value in named.items() if value}
