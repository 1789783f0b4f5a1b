"""/v1/jobs/…/diff: which predictions of two scorings differ, answered while the client waits."""

from shared import job_list
from shared.keys import READ
from shared.questions import Comparison
from web import schemas, terms
from web.api import Answer, Call, route
from web.requests import DiffQuery


@route("GET", "/v1/jobs/<job_id>/diff", scope=READ, query=DiffQuery, answer=schemas.Diff, errors=(404, 409),
       opens=False, is_slow=True)  # fmt: skip
def diff(call: Call, job_id: str) -> Answer:
    """The rows that two scorings predict otherwise, with counts of those that only one of them has."""
    wanted: DiffQuery = call.query
    tenant = call.caller.tenant
    with call.database.reading() as sql:
        scorings = [job_list.find(sql, tenant, each) for each in (job_id, wanted.other)]
    asked = Comparison(tenant=tenant, here=job_id, there=wanted.other, first=wanted.cursor, limit=wanted.limit)
    said = call.services.asker.ask(asked)
    after = wanted.cursor + wanted.limit
    told = {**said, "with": wanted.other, "next_cursor": str(after) if after < said["changed"] else None}
    return Answer(told, headers=terms.of_both(*scorings))
