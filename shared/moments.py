"""Moments as clients read them."""

from datetime import UTC, datetime


def shown(seconds: float) -> str:
    """RFC 3339 in UTC, to the millisecond, of seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
