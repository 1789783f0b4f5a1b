"""How long a job is roughly expected to take: enough to let short ones pass long ones, and shown to nobody.

The figures are of one core of a small server (bench/RESULTS.md); a wrong one costs a place in the queue, and what the
job really took is what counts for the tenant's share.
"""

from shared.audio_params import LISTENING_S, MEL_S
from shared.networks import Size
from shared.table_params import TableTraining

# Reading, preparing, evaluating, storing.
AROUND_S = 1.0
# One batch, however small.
BATCH_S = 0.0002
FLOATS_PER_S = 5e9
# In a recurrence that XLA has compiled, with all threads.
SEQUENCE_FLOATS_PER_S = 3e10
# Forward, and twice as much backward; a multiplication and an addition each.
TRAINING_FLOATS, SCORING_FLOATS = 6, 2
# Reading a row, writing its prediction.
ROW_S = 5e-6


def of_training(size: Size, params: TableTraining, *, rows: int) -> float:
    """Seconds for all epochs that it may have: early stopping is not foreseen."""
    batches = 1 if params.optimizer == "gradient_descent" else -(-rows // params.batch_size)
    epoch_s = batches * BATCH_S + TRAINING_FLOATS * size.multiplications * rows / FLOATS_PER_S
    return AROUND_S + rows * ROW_S + params.epochs_at_most * epoch_s


def of_sequences(size: Size, *, steps: int) -> float:
    """Seconds for so many steps of all epochs together."""
    return AROUND_S + TRAINING_FLOATS * size.multiplications * steps / SEQUENCE_FLOATS_PER_S


def of_scoring(parameters: int, *, rows: int) -> float:
    """Seconds to score so many rows with one network."""
    return AROUND_S + rows * (ROW_S + SCORING_FLOATS * parameters / FLOATS_PER_S)


def of_listening(hours: float, *, has_networks: bool = True) -> float:
    """Seconds to hear so many hours of recordings, if none of them was heard before."""
    return (LISTENING_S if has_networks else MEL_S) * hours * 3600
