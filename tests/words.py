"""Reads the source for the words that its documents promise: error codes, and what else a page must name."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
WORD = re.compile(r"^[a-z][a-z0-9]*(_[a-z0-9]+)*$")
# Functions whose first argument is a code.
TELLERS = {"add", "refuse", "Caution", "Flaw", "_warning"}


def error_codes() -> set[str]:
    """Every code of an error, a fault or a warning that the source can send."""
    found: set[str] = set()
    for folder in ("shared", "web", "worker"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                found.update(_codes(node))
    return {word for word in found if WORD.match(word)}


def _codes(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.keyword(arg="code", value=value):
            yield from _texts(value)
        case ast.Call(func=ast.Attribute(attr=name) | ast.Name(id=name), args=[first, _, *_]) if name in TELLERS:
            yield from _texts(first)
        case ast.Dict(keys=keys, values=values):
            for key, value in zip(keys, values, strict=True):
                if isinstance(key, ast.Constant) and key.value == "code":
                    yield from _texts(value)
        case ast.Assign(targets=[ast.Name(id="code" | "CODE")], value=value):
            yield from _texts(value)
        case ast.Assign(targets=[ast.Name(id="CODES")], value=ast.Dict(values=values)):
            for value in values:
                yield from _texts(value)
        case ast.Assign(targets=[ast.Name(id="WRONG")], value=ast.Tuple(elts=rows)):
            for row in rows:
                yield from _texts(row.elts[0]) if isinstance(row, ast.Tuple) else ()
        case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id="code"), *_])], value=ast.Tuple(elts=[first, *_])):
            yield from _texts(first)
        case ast.Yield(value=ast.Tuple(elts=[first, ast.Constant() | ast.JoinedStr() | ast.Name(), *_])):
            yield from _texts(first)
        case ast.FunctionDef(args=ast.arguments(kwonlyargs=arguments, kw_defaults=defaults)):
            for argument, default in zip(arguments, defaults, strict=True):
                if argument.arg == "code" and default is not None:
                    yield from _texts(default)


def _texts(value: ast.expr) -> Iterator[str]:
    match value:
        case ast.Constant(value=str(text)):
            yield text
        case ast.IfExp(body=body, orelse=other):
            yield from _texts(body)
            yield from _texts(other)
