"""Every condition of every statement that writes, taken out one at a time.

A mutant is a module of shared/ whose source lacks one condition; while it is `applied`, whoever asks the module by its
name gets the functions of the mutant.
"""

import ast
import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import sqlalchemy

WRITES = ("update", "delete")
ALWAYS = ast.parse("_always()", mode="eval").body


@dataclass(frozen=True)
class Mutant:
    """One condition less; `number` counts the conditions of the module."""

    module: ModuleType
    number: int
    where: str
    condition: str

    def __str__(self) -> str:
        return f"{self.module.__name__.rpartition('.')[2]}.{self.where}: {self.condition}"


def find(module: ModuleType) -> list[Mutant]:
    """Every mutant of a module."""
    tree = _parse(module)
    return [
        Mutant(module, number, where, ast.unparse(condition))
        for number, (where, condition) in enumerate(_conditions(tree))
    ]


@contextmanager
def applied(mutant: Mutant) -> Iterator[None]:
    """Have the module forget the condition, within."""
    tree = _parse(mutant.module)
    _, doomed = list(_conditions(tree))[mutant.number]
    before = dict(vars(mutant.module))
    vars(mutant.module)["_always"] = sqlalchemy.true
    exec(compile(_Without(doomed).visit(tree), str(mutant.module.__file__), "exec"), vars(mutant.module))
    try:
        yield
    finally:
        vars(mutant.module).clear()
        vars(mutant.module).update(before)


def _parse(module: ModuleType) -> ast.Module:
    return ast.parse(Path(str(module.__file__)).read_text())


def _conditions(tree: ast.Module) -> Iterator[tuple[str, ast.expr]]:
    """The operands of every conjunction that is not part of a reading statement, in the order of the source."""
    for statement in tree.body:
        if isinstance(statement, ast.ClassDef | ast.Import | ast.ImportFrom):
            continue
        where = getattr(statement, "name", None) or ast.unparse(statement).partition(" ")[0]
        for node in _walk(statement):
            if isinstance(node, ast.Call) and _is_where_of_a_write(node):
                for argument in node.args:
                    if not _is_conjunction(argument):
                        yield where, argument
            elif _is_conjunction(node):
                for operand in (node.left, node.right):
                    if not _is_conjunction(operand):
                        yield where, operand


def _walk(node: ast.AST) -> Iterator[ast.AST]:
    """As ast.walk, but not into statements that only read: what they leave out, the write asks again."""
    yield node
    for child in ast.iter_child_nodes(node):
        if not (isinstance(child, ast.Call) and _verb(child) in ("select", "exists")):
            yield from _walk(child)


def _is_conjunction(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd)


def _is_where_of_a_write(call: ast.Call) -> bool:
    return isinstance(call.func, ast.Attribute) and call.func.attr == "where" and _verb(call) in WRITES


def _verb(call: ast.Call) -> str | None:
    """The function with which a chain of calls begins: `update` of `update(jobs).where(…).values(…)`."""
    inner: ast.expr = call
    while isinstance(inner, ast.Call) and isinstance(inner.func, ast.Attribute):
        inner = inner.func.value
    return inner.func.id if isinstance(inner, ast.Call) and isinstance(inner.func, ast.Name) else None


class _Without(ast.NodeTransformer):
    def __init__(self, doomed: ast.expr) -> None:
        self._doomed = doomed

    def visit(self, node: ast.AST) -> ast.AST:
        if node is self._doomed:
            return ast.copy_location(copy.deepcopy(ALWAYS), node)
        return self.generic_visit(node)
