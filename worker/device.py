"""The device that a child computes on: set up once, before TensorFlow's first operation."""

from collections.abc import Callable

_cards = 0


def cards() -> int:
    """How many graphics cards this process holds; none before `prepare`."""
    return _cards


def prepare() -> None:
    """Let memory grow as it is needed, and one operation at a time have all threads: small networks train faster so."""
    import tensorflow as tf

    global _cards
    found = tf.config.list_physical_devices("GPU")
    _cards = len(found)
    for gpu in found:
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.threading.set_inter_op_parallelism_threads(1)


def multiplication(side: int) -> Callable[[], float]:
    """Multiply two squares, to be timed."""
    import tensorflow as tf

    square = tf.fill((side, side), 0.5)
    # Read, so that a device that only queues has done it.
    return lambda: float(tf.linalg.matmul(square, square)[0, 0])
