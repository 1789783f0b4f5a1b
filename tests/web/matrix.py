"""What a request can name, for every route that there is: its path, its query, its body; a new route is asked for here.

Nothing here lists routes: they come from web.api.ROUTES, and what is said of them is said by the names of their
parameters. Whoever adds a parameter, a body or a reference finds a KeyError that names it.
"""

import re
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from tests.web.belongings import Belongings
from web import app
from web.api import ROUTES, Route

assert app.DECLARED

Json = dict[str, Any]

PARAMETER = re.compile(r"<(?:(\w+):)?(\w+)>")
# Of an object's id nobody has: of the same length, as both stand in the answer.
UNKNOWN = "0"

# Which object a path's parameter names; of jobs the sort that the path is about.
OBJECTS = {
    "job_id": "scoring", "dataset_id": "dataset", "name": "model", "schedule": "schedule", "webhook_id": "webhook",
    "delivery_id": "delivery", "reference": "taste", "key_id": "key", "erasure_id": "erasure",
}  # fmt: skip
OF_PATHS = {
    ("job_id", "/audit"): "audit",
    ("job_id", "/trials"): "search",
    ("job_id", "/metrics"): "training",
    ("job_id", "/retry"): "failed_scoring",
    ("job_id", "/cancel"): "training",
    ("dataset_id", "/files"): "open_dataset",
    ("dataset_id", "/commit"): "open_dataset",
    ("name", "/similar"): "ear",
}
# Parameters that name a part of an object, and are nobody's without it.
PARTS = {"number": "1", "row": "0", "alias": "champion", "path:name": "a.csv"}

BODIES: dict[str, Any] = {
    "ModelChange": {"description": "x"},
    "AliasMove": {"version": 1},
    "RowDecision": {"decision": "reject"},
    "DecisionList": [{"row": 0, "decision": "reject"}],
    "NewDataset": {"name": "new"},
    "ListenerErasure": {"user": "u"},
    "NewEntry": {"licence": "MIT"},
    "NewJob": {"action": "train", "kind": "classification", "dataset": "{dataset}"},
    "SignedManifest": {"manifest": {}, "signature": "x"},
    "Recommend": {"user": "u"},
    "NewSchedule": {
        "name": "new", "cron": "0 3 * * *",
        "job": {"action": "train", "kind": "classification", "dataset": "{dataset}"},
    },
    "ScheduleChange": {"cron": "0 4 * * *"},
    "NewWebhook": {"url": "https://example.org/y"},
    "WebhookChange": {"description": "x"},
    "NewKey": {"name": "new", "scope": "read"},
    "Rotation": {},
    "NewErasure": {"subject": {"dataset": "{dataset_name}"}, "models": "keep"},
}  # fmt: skip
# What has to be there in a query.
QUERIES = {"CompareQuery": "versions=1,2", "DiffQuery": "with={scoring}", "SimilarItemsQuery": "item=a",
           "SimilarQuery": "track=a"}  # fmt: skip

# The references that a body can hold: where it stands, what it can name, and a body in which nothing else is wrong.
TRAIN = {"action": "train", "kind": "classification", "dataset": "{dataset}"}
SCORE = {"action": "score", "dataset": "{dataset}", "model": "{model}@2"}
JOB_REFERENCES = (
    ("dataset", "dataset", TRAIN),
    ("dataset", "dataset_name", TRAIN),
    ("model", "model", SCORE),
    ("params.resume_of", "failed_scoring", {**SCORE, "params": {"resume_of": "{failed_scoring}"}}),
    ("params.against", "model", {"action": "evaluate", "dataset": "{dataset}", "model": "{model}@2",
                                 "params": {"against": "{model}@1"}}),
)  # fmt: skip
REFERENCES: dict[str, tuple[tuple[str, str, Json], ...]] = {
    "NewJob": JOB_REFERENCES,
    "NewSchedule": tuple((f"job.{at}", what, {"name": "new", "cron": "0 3 * * *", "job": body})
                         for at, what, body in JOB_REFERENCES),
    "ScheduleChange": tuple((f"job.{at}", what, {"job": body}) for at, what, body in JOB_REFERENCES),
    "NewDataset": (("base", "dataset", {"name": "new", "base": "{dataset}"}),
                   ("base", "dataset_name", {"name": "new", "base": "{dataset}"})),
    "Recommend": (("dataset", "dataset", {"user": "u", "dataset": "{dataset}"}),),
    "NewErasure": tuple(("subject.dataset", what, {"subject": {"dataset": "x"}, "models": "keep"})
                        for what in ("dataset", "dataset_name")),
    # An alias of the path's own model.
    "AliasMove": (),
}  # fmt: skip
# What an estimate does not ask for, however it is called.
UNFOLLOWED = {("/v1/estimate", "params.resume_of"), ("/v1/estimate", "params.against")}
# The parameters of queries that can name a row; the others choose among rows, or order them.
NAMING = {
    ("Page", "cursor"): ("schedule", "webhook", "training", "key", "erasure"),
    ("DatasetsPage", "cursor"): ("dataset",),
    ("DatasetsPage", "name"): ("dataset_name",),
    ("JobsPage", "cursor"): ("scoring",),
    ("JobsPage", "parent"): ("search",),
    ("JobsPage", "schedule"): ("schedule", "schedule_name"),
    ("JobsPage", "model"): ("model",),
    ("JobsPage", "labels"): ("model",),
    ("DeliveriesPage", "cursor"): ("delivery",),
    ("DiffQuery", "other"): ("scoring",),
    ("SimilarQuery", "dataset"): ("dataset", "dataset_name"),
    ("FeedPage", "job"): ("scoring",),
    ("AuditLogPage", "key"): ("key",),
    ("AuditLogPage", "object"): ("dataset", "model", "key"),
}
NAMING_NONE = {
    "limit", "kind", "action", "state", "since", "until", "by", "n", "from_", "at", "keep", "expected_version",
    "format", "versions", "item", "track", "k", "where", "after", "type", "last_event_id",
}  # fmt: skip
# A number of a row or of a moment, not a row's id.
NUMBERED = ("RowsPage", "RunsPage", "UsageQuery", "DiffQuery", "AuditLogPage", "JobEventsPage")


def guarded() -> list[Route]:
    """Every route that needs a key."""
    return [route for route in ROUTES if route.scope is not None]


def parameters(route: Route) -> Iterator[tuple[str, str | None]]:
    """The names in a path, each with the object that it names, or None."""
    for sort, name in PARAMETER.findall(route.path):
        if name in PARTS or f"{sort}:{name}" in PARTS:
            yield name, None
            continue
        special = [what for (known, part), what in OF_PATHS.items() if known == name and part in route.path]
        yield name, special[0] if special else OBJECTS[name]


def named(route: Route) -> list[str]:
    """The parameters of a path that name an object."""
    return [name for name, what in parameters(route) if what is not None]


def path(route: Route, whose: dict[str, Belongings], *, unknown: frozenset[str] = frozenset()) -> str:
    """The path with the objects of `whose`, by parameter; those of `unknown` are replaced by nobody's."""
    objects = dict(parameters(route))

    def put(found: re.Match[str]) -> str:
        sort, name = found.groups()
        what = objects[name]
        if what is None:
            return PARTS[name] if name in PARTS else PARTS[f"{sort}:{name}"]
        value = str(getattr(whose[name], what))
        return nobodys(value) if name in unknown else value

    return PARAMETER.sub(put, route.path)


def nobodys(value: str) -> str:
    """A value of the same form that names nothing."""
    return value[:-6] + UNKNOWN * 6


def body(route: Route, mine: Belongings) -> Any:
    """A body in which nothing is wrong."""
    return None if route.body is None else filled(BODIES[route.body.__name__], vars(mine))


def query(route: Route, mine: Belongings) -> str:
    name = "" if route.query is None else route.query.__name__
    return QUERIES.get(name, "").format(**vars(mine))


def filled(template: Any, values: Json) -> Any:
    if isinstance(template, dict):
        return {name: filled(value, values) for name, value in template.items()}
    if isinstance(template, list):
        return [filled(value, values) for value in template]
    return template.format(**values) if isinstance(template, str) else template


def with_reference(at: str, what: str, template: Json, *, mine: Belongings, value: str) -> Any:
    """A body of one's own but for one reference."""
    made = filled(template, vars(mine))
    *folders, last = at.split(".")
    place = made
    for folder in folders:
        place = place[folder]
    place[last] = value
    return made


def references(route: Route) -> tuple[tuple[str, str, Json], ...]:
    """The references that a route's body can hold; a body with a field of that sort has to be told of here."""
    if route.body is None:
        return ()
    name = route.body.__name__
    return REFERENCES[name] if has_reference(route.body) else REFERENCES.get(name, ())


def has_reference(model: type[BaseModel]) -> bool:
    """Whether a body has a field that is a reference, or a body in it has."""
    schema = str(model.model_json_schema())
    return "'dataset'" in schema or "'base'" in schema or "'model'" in schema


def naming(route: Route) -> Iterator[tuple[str, str]]:
    """The parameters of a query that name an object, each with the object; an unknown parameter is a KeyError."""
    if route.query is None:
        return
    called = route.query.__name__
    for field, info in route.query.model_fields.items():
        if field in NAMING_NONE or (field == "cursor" and called in NUMBERED):
            continue
        for what in NAMING[called, field]:
            yield ("label.team" if field == "labels" else info.alias or field), what
