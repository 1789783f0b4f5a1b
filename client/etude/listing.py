"""What a ranked list is to be like, as the service takes it: of one listener at once, or of all in a scoring."""

from collections.abc import Mapping
from typing import Any, TypedDict


class Wanted(TypedDict, total=False):
    """All may be left out.

    `filters` is `{"allow": {column: values}, "deny": {…}}` over the table of items, values a list or `{"min", "max"}`;
    `cap` is `{"column", "at_most"}`. `diversity` and `popularity_penalty` go from 0 to 1.
    """

    k: int
    exclude_heard: bool
    filters: Mapping[str, Any]
    cap: Mapping[str, Any]
    diversity: float
    popularity_penalty: float
    min_listeners: int
    explain: bool
