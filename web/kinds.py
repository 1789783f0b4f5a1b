"""/v1/kinds: what may be asked for, with defaults and limits, straight from the contracts."""

from functools import cache
from typing import Any

from shared.keys import READ
from shared.kinds import KINDS
from web import schemas
from web.api import Answer, Call, route


@route("GET", "/v1/kinds", scope=READ, answer=schemas.KindList, opens=False)
def index(call: Call) -> Answer:
    """Each kind's actions with the JSON Schema of their params, and its metrics."""
    return Answer({"data": described()})


@cache
def described() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "description": (kind.__doc__ or "").strip(),
            "formats": list(kind.FORMATS),
            "metrics": [{"name": metric, "better": better} for metric, better in kind.METRICS.items()],
            "actions": {action: {"params": params.model_json_schema()} for action, params in kind.ACTIONS.items()},
        }
        for name, kind in KINDS.items()
    ]
