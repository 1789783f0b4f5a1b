"""That each thread which runs networks computes its own matrix products alone."""

import numpy  # noqa: F401  # the controller knows only libraries that are loaded
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]  # it ships no types

_blas = ThreadpoolController().select(user_api="blas")


def keep_products_whole() -> None:
    """From now on, this process's BLAS computes each product on the thread that asks for it.

    Split in two, the small products of a network are hardly faster on a free machine, and on a busy one, where each
    waits for a thread that is not running, twenty times slower. The limit is not lifted again: it is the process's, and
    whoever is done first would lift it for the others too.
    """
    if any(library.num_threads > 1 for library in _blas.lib_controllers):
        _blas.limit(limits=1)
