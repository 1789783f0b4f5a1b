"""Walk the JSON Schema of a kind's params: a document within every limit, and one beyond each of them."""

import math
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

Json = dict[str, Any]

# What pydantic writes in place of JSON Schema's words when a validator stands before the limit.
PYDANTIC = {"minimum": "ge", "maximum": "le", "exclusiveMinimum": "gt", "exclusiveMaximum": "lt"}


def beyond(params: type[BaseModel]) -> Iterator[tuple[str, Json]]:
    """Documents that each go one step beyond one limit, with the path of the field."""
    schema = params.model_json_schema()
    yield from _objects(schema, schema, ())


def _objects(schema: Json, root: Json, path: tuple[str, ...]) -> Iterator[tuple[str, Json]]:
    for name, field in schema.get("properties", {}).items():
        for choice in _choices(field, root):
            for value in _values(choice, root):
                yield ".".join((*path, name)), _document(schema, root, name, value)
            inner = choice.get("items", choice)
            for each in _choices(inner, root):
                for deeper, document in _objects(each, root, (*path, name)):
                    wrapped = [document] if "items" in choice else document
                    yield deeper, _document(schema, root, name, wrapped)


def _choices(field: Json, root: Json) -> list[Json]:
    """The schemas that a value may follow, references resolved."""
    if "$ref" in field:
        return _choices(root["$defs"][field["$ref"].rsplit("/")[-1]], root)
    if "anyOf" in field or "oneOf" in field:
        return [choice for each in field.get("anyOf", field.get("oneOf")) for choice in _choices(each, root)]
    return [field]


def _values(schema: Json, root: Json) -> Iterator[Any]:
    """Values one step beyond each limit of a schema."""
    kind = schema.get("type")
    if kind in ("integer", "number"):
        for below, above in ((_limit(schema, "minimum"), -math.inf), (_limit(schema, "maximum"), math.inf)):
            if below is not None:
                yield below + int(math.copysign(1, above)) if kind == "integer" else math.nextafter(below, above)
        excluded = (_limit(schema, "exclusiveMinimum"), _limit(schema, "exclusiveMaximum"))
        yield from (value for value in excluded if value is not None)
    if kind == "string" and "enum" not in schema and "const" not in schema:
        yield from ("x" * length for length in _lengths(schema, "Length"))
    if kind == "array":
        item = _example(_choices(schema["items"], root)[0], root)
        yield from ([item] * length for length in _lengths(schema, "Items"))


def _limit(schema: Json, name: str) -> float | None:
    return schema.get(name, schema.get(PYDANTIC[name]))


def _lengths(schema: Json, what: str) -> list[int]:
    return [schema[name] + step for name, step in ((f"min{what}", -1), (f"max{what}", 1)) if name in schema]


def _document(schema: Json, root: Json, name: str, value: Any) -> Json:
    """An object that has what it must have, and `value` under `name`."""
    return {**_example(schema, root), name: value}


def _example(schema: Json, root: Json) -> Any:
    """The smallest value within the limits."""
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if schema.get("type") == "object":
        fields = schema.get("properties", {})
        wanted = [name for name in fields if name in schema.get("required", ())]
        return {name: _example(_choices(fields[name], root)[0], root) for name in wanted}
    if schema.get("type") == "array":
        item = _example(_choices(schema["items"], root)[0], root)
        return [item] * schema.get("minItems", 0)
    if schema.get("type") == "string":
        return "x" * schema.get("minLength", 1)
    excluded = _limit(schema, "exclusiveMinimum")
    return (_limit(schema, "minimum") or 0) if excluded is None else excluded + 1
