"""How long a job is expected to take on a machine that was measured, before anything is known of jobs like it.

The figures are of the small server of shared/machines.py (bench/RESULTS.md), and are told for others by what these can
do beside it. What jobs like this really took instead is in shared/calibration.py.
"""

from dataclasses import dataclass, replace

from shared.audio_params import LISTENING_S, MEL_S
from shared.machines import Machine
from shared.networks import Size
from shared.sequence_params import SequenceTraining
from shared.table_params import TableTraining

# Reading, preparing, tracing, evaluating, storing; of a table every row and every column takes its part.
AROUND_S, LEARNED_ROW_S, COLUMN_S = 0.7, 2.5e-5, 0.012
# A tree of the boosted ones beside it, and a row of it; the trees of an output, and of all together.
TREE_S, TREE_ROW_S = 1e-3, 5.5e-7
TREES, MOST_TREES = 60, 600
# Reading a model, storing what it said.
AROUND_SCORING_S = 0.05
# One batch, however small.
BATCH_S = 0.00012
FLOATS_PER_S = 2e10
# Through a convolution.
FRONT_FLOATS_PER_S = 5e9
# In a recurrence that XLA has compiled, with all threads.
SEQUENCE_FLOATS_PER_S = 3e10
# A private step beside an ordinary one of as many rows: drawing, clipping, noise; 2.2 to 3.8 were seen, the most
# with batches of 32 (bench/private_training.py).
PRIVATE_TIMES = 3.0
# What the account of its noise takes.
ACCOUNT_S = 5.0
# Forward, and twice as much backward; a multiplication and an addition each.
TRAINING_FLOATS, SCORING_FLOATS = 6, 2
# Reading a row, writing its prediction.
ROW_S = 3.3e-6


@dataclass(frozen=True)
class Expected:
    """Seconds around the learning, and of each epoch; how many there are at most, and whether they may end early."""

    around_s: float
    epoch_s: float = 0.0
    epochs: int = 0
    may_stop: bool = False

    @property
    def seconds(self) -> float:
        """Of every epoch that there may be."""
        return self.after(self.epochs)

    def after(self, epochs: float) -> float:
        """With so many epochs."""
        return self.around_s + self.epoch_s * epochs

    def times(self, count: int) -> "Expected":
        """Of so many in one job."""
        return replace(self, around_s=self.around_s * count, epoch_s=self.epoch_s * count)

    def plus(self, around_s: float) -> "Expected":
        return replace(self, around_s=self.around_s + around_s)


def of_training(
    size: Size, params: TableTraining, machine: Machine, *, rows: int, columns: int, outputs: int
) -> Expected:
    """Of a network of rows; with folds one more is learned for each."""
    batches = 1 if params.optimizer == "gradient_descent" else -(-rows // params.batch_size)
    rate = FLOATS_PER_S if getattr(params, "front", None) is None else FRONT_FLOATS_PER_S
    arithmetic_s = TRAINING_FLOATS * size.multiplications * rows / rate
    around_s = AROUND_S + rows * LEARNED_ROW_S + columns * COLUMN_S
    times = 1.0
    if params.privacy is not None:
        times, around_s = PRIVATE_TIMES, around_s + ACCOUNT_S
    if params.baselines and params.privacy is None:
        # Of two classes one has trees, as a number has.
        trees = min(MOST_TREES, TREES * (outputs if outputs > 2 else 1))
        around_s += trees * (TREE_S + rows * TREE_ROW_S)
    return Expected(
        machine.seconds(around_s, 0.0),
        machine.seconds(batches * BATCH_S, arithmetic_s) * (1 + (params.folds or 0)) * times,
        params.epochs_at_most,
        may_stop=params.stopping is not None,
    )


def of_sequences(size: Size, params: SequenceTraining, machine: Machine, *, steps: int) -> Expected:
    """Of a network of sequences that have so many steps in all."""
    epoch_s = TRAINING_FLOATS * size.multiplications * steps / SEQUENCE_FLOATS_PER_S
    return Expected(
        machine.seconds(AROUND_S, 0.0),
        machine.seconds(0.0, epoch_s),
        params.epochs_of(steps),
        may_stop=params.stopping is not None,
    )


def of_scoring(parameters: int, machine: Machine, *, rows: int) -> Expected:
    """Of so many rows by one network."""
    return Expected(machine.seconds(AROUND_SCORING_S + rows * ROW_S, rows * SCORING_FLOATS * parameters / FLOATS_PER_S))


def of_plays(seconds: float, machine: Machine) -> Expected:
    """Of recommenders that are tried one after the other."""
    return Expected(machine.seconds(AROUND_S + seconds, 0.0))


def of_listening(hours: float, machine: Machine, *, has_networks: bool = True) -> float:
    """Seconds to hear so many hours of recordings, if none of them was heard before."""
    return machine.seconds(0.0, (LISTENING_S if has_networks else MEL_S) * hours * 3600)
