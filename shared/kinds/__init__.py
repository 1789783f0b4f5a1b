"""What may be asked for: one module a kind, found by its file name. Only kinds lie in this folder.

Each has ACTIONS (action -> params model), METRICS (name -> "higher" or "lower" is better) and FORMATS (of dataset).
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

KINDS: dict[str, ModuleType] = {
    module.name: import_module(f"{__name__}.{module.name}") for module in iter_modules(__path__)
}
