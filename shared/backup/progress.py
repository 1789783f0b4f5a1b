"""A line on a terminal that says how many files are done; elsewhere nothing."""

import sys
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")


def shown(verb: str, each: Iterable[T], total: int) -> Iterator[T]:
    """The same things one by one, with the line kept up beside them."""
    if not sys.stderr.isatty():
        yield from each
        return
    for done, thing in enumerate(each):
        sys.stderr.write(f"\r{verb} {done:,} of {total:,} files")
        yield thing
    sys.stderr.write(f"\r{verb} {total:,} of {total:,} files\n")
