"""What may be asked for: one module a kind, found by its file name. Only kinds lie in this folder.

Each has ACTIONS (action -> params model), METRICS (name -> "higher" or "lower" is better) and FORMATS (of dataset);
one that trains may have a SPACE, in which a search looks when it is told none.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from shared import training_params, tuning_params

KINDS: dict[str, ModuleType] = {
    module.name: import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)
}
for contract in KINDS.values():
    # What can be trained can be searched for, so no contract has to say it.
    if "train" in contract.ACTIONS and tuning_params.TUNE not in contract.ACTIONS:
        contract.ACTIONS[tuning_params.TUNE] = tuning_params.of_kind(contract)
    if "train" in contract.ACTIONS:
        contract.ACTIONS[training_params.REPRODUCE] = training_params.ReproduceParams
