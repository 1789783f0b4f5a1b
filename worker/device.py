"""The device that a child computes on: set up once, before TensorFlow's first operation."""


def prepare() -> None:
    """Let memory grow as it is needed, and one operation at a time have all threads: small networks train faster so."""
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.threading.set_inter_op_parallelism_threads(1)
