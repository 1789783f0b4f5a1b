"""Every route, with every object that it names, by everybody who may ask: another tenant's is as unknown as nobody's.

Each layer has to hold alone: the condition in every statement, and PostgreSQL's row-level security beneath it.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from flask.testing import FlaskClient
from sqlalchemy import Column, Connection, Text, create_engine, event, make_url, select, text, type_coerce, update
from werkzeug.test import TestResponse

from shared import keys, tenancy
from shared.backup import engines
from shared.database import Database, now
from shared.sealed_columns import is_sealed
from shared.settings import Settings
from shared.tables import keys as key_table
from shared.tables import metadata
from shared.tables import tenants as tenant_table
from tests.web import matrix
from tests.web.belongings import Belongings, furnish
from tests.web.calling import Caller, a_key
from web.api import Route
from web.app import create_app, create_services
from web.services import Services

AS_IT_IS, UNSAID, UNGUARDED, NEITHER = "as it is", "no condition", "no row-level security", "neither"
# A condition on the tenant, in the words of either database; SET tenant=… has no spaces.
CONDITION = re.compile(r"\b(\w+\.)?tenant = (%\(\w+\)s(::VARCHAR)?|\?|\w+\.tenant\b)")
GLANCE = """
CREATE OR REPLACE FUNCTION glance(job text, of text) RETURNS TABLE (state varchar, revision integer) LANGUAGE plpgsql
AS $$ BEGIN
    PERFORM set_config('etude.tenant', of, true);
    RETURN QUERY SELECT jobs.state, jobs.revision FROM jobs WHERE jobs.id = job;
END $$
"""

Statement = tuple[str, bool]


@pytest.fixture
def layer() -> str:
    """What is switched off."""
    return AS_IT_IS


@pytest.fixture
def services(settings: Settings, owner_url: str, layer: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Services]:
    """Those of web, for which a layer may be switched off; who guesses keys is not held up."""
    settings = replace(settings, wrong_key_rate=0.0)
    if layer in (UNGUARDED, NEITHER):
        # A superuser is above every policy.
        settings = replace(settings, database_url=owner_url)
    made = create_services(settings)
    if layer in (UNSAID, NEITHER):
        monkeypatch.setattr(tenancy, "of_one", lambda statement, _: statement)
        for engine in (made.database._writing, made.database._reading):
            event.listen(engine, "before_cursor_execute", unsay, retval=True)
        engine = create_engine(owner_url)
        with engine.begin() as sql:
            sql.execute(text(GLANCE))
        engine.dispose()
    yield made
    made.database.close()


def unsay(sql: Connection, cursor: Any, statement: str, parameters: Any, *_: Any) -> tuple[str, Any]:
    """The statement without its conditions on the tenant."""
    return CONDITION.sub("TRUE", statement), parameters


@pytest.fixture
def client(services: Services) -> FlaskClient:
    return create_app(services).test_client()


@pytest.fixture
def caller(client: FlaskClient, database: Database, settings: Settings, tenant: str) -> Caller:
    return Caller(client, a_key(database, settings, tenant))


@pytest.fixture
def mine(database: Database, settings: Settings, tenant: str) -> Belongings:
    return furnish(database, settings, tenant, "mine")


@pytest.fixture
def theirs(database: Database, settings: Settings, other: str) -> Belongings:
    return furnish(database, settings, other, "theirs")


in_every_layer = pytest.mark.parametrize(
    ("database_url", "layer"),
    [("sqlite", AS_IT_IS), ("postgresql", AS_IT_IS), ("postgresql", UNSAID), ("postgresql", UNGUARDED)],
    indirect=["database_url"],
)


@in_every_layer
def test_anothers_object_is_as_unknown_as_nobodys(
    caller: Caller, mine: Belongings, theirs: Belongings, settings: Settings
) -> None:
    before = rows_of(settings, theirs.tenant)

    for route in matrix.guarded():
        for name in matrix.named(route):
            demand_alike(caller, route, mine, theirs, {name}, status=404)
        demand_alike(caller, route, mine, theirs, set(matrix.named(route)), status=404)

    assert rows_of(settings, theirs.tenant) == before


def demand_alike(
    caller: Caller, route: Route, mine: Belongings, theirs: Belongings, foreign: set[str], *, status: int
) -> None:
    if not foreign:
        return
    whose = {name: theirs if name in foreign else mine for name in matrix.named(route)}
    paths = [matrix.path(route, whose), matrix.path(route, whose, unknown=frozenset(foreign))]

    known, unknown = (
        shown(ask(caller, route, path, matrix.body(route, mine), matrix.query(route, mine)), path) for path in paths
    )

    assert known == unknown, (route.method, paths[0])
    assert known[0] == status, (route.method, paths[0], known)


@in_every_layer
def test_anothers_object_in_a_body_is_as_unknown_as_nobodys(
    caller: Caller, mine: Belongings, theirs: Belongings, settings: Settings
) -> None:
    before = rows_of(settings, theirs.tenant)

    tried = [
        demand_unknown_reference(caller, route, mine, theirs, reference)
        for route in matrix.guarded()
        for reference in matrix.references(route)
    ]

    assert len(tried) >= 20 and rows_of(settings, theirs.tenant) == before


def demand_unknown_reference(
    caller: Caller, route: Route, mine: Belongings, theirs: Belongings, reference: Any
) -> None:
    at, what, template = reference
    path = matrix.path(route, dict.fromkeys(matrix.named(route), mine))
    value = str(getattr(theirs, what))
    answers = []
    for each in (value, matrix.nobodys(value)):
        said = matrix.with_reference(at, what, template, mine=mine, value=each)
        answers.append(shown(ask(caller, route, path, said, ""), each))

    assert answers[0] == answers[1], (route.method, path, at)
    if (route.path, at) in matrix.UNFOLLOWED:
        assert answers[0][0] == 200, (path, at, answers[0])
        return
    told = (answers[0][0], json.loads(answers[0][1]).get("code"))
    assert told == (422, "unknown_reference"), (route.method, path, at, answers[0])


@in_every_layer
def test_no_list_and_no_count_tells_of_anothers_rows(
    client: FlaskClient, database: Database, settings: Settings, tenant: str, other: str
) -> None:
    caller = Caller(client, a_key(database, settings, tenant))
    lists = [route for route in matrix.guarded() if route.method == "GET" and "<" not in route.path]
    before = {route.path: shown(caller.call("GET", route.path), "") for route in lists}

    theirs = furnish(database, settings, other, "theirs")

    assert len(lists) >= 8
    for route in lists:
        assert shown(caller.call("GET", route.path), "") == before[route.path], route.path
        for field, what in matrix.naming(route):
            value = str(getattr(theirs, what))
            known, unknown = (
                shown(caller.call("GET", f"{route.path}?{field}={each}"), each)
                for each in (value, matrix.nobodys(value))
            )
            assert known == unknown, (route.path, field)
            assert not [name for name in theirs.all() if name in known[1]], (route.path, field)


@in_every_layer
def test_anothers_object_in_a_query_is_as_unknown_as_nobodys(
    caller: Caller, mine: Belongings, theirs: Belongings
) -> None:
    for route in matrix.guarded():
        if "<" not in route.path:
            continue
        path = matrix.path(route, dict.fromkeys(matrix.named(route), mine))
        for field, what in matrix.naming(route):
            value = str(getattr(theirs, what))
            needed = [part for part in matrix.query(route, mine).split("&") if part and part.split("=")[0] != field]
            known, unknown = (
                shown(ask(caller, route, path, None, "&".join([*needed, f"{field}={each}"])), each)
                for each in (value, matrix.nobodys(value))
            )
            assert known == unknown, (path, field)
            assert not [name for name in theirs.all() if name in known[1]], (path, field)


@in_every_layer
def test_neither_an_idempotency_key_nor_an_etag_is_anothers(
    caller: Caller, client: FlaskClient, database: Database, settings: Settings, mine: Belongings, theirs: Belongings
) -> None:
    them = Caller(client, a_key(database, settings, theirs.tenant))
    said = {"name": "new"}
    first = them.call("POST", "/v1/datasets", said, **{"Idempotency-Key": "k"})
    etag = them.call("GET", f"/v1/jobs/{theirs.training}").headers["ETag"]

    second = caller.call("POST", "/v1/datasets", said, **{"Idempotency-Key": "k"})
    unchanged = caller.call("GET", f"/v1/jobs/{theirs.training}", **{"If-None-Match": etag})

    assert (first.status_code, second.status_code) == (201, 201)
    assert "Idempotency-Replayed" not in second.headers and second.json["id"] != first.json["id"]
    assert unchanged.status_code == 404


def test_ones_own_object_is_there(client: FlaskClient, database: Database, settings: Settings, tenant: str) -> None:
    """The matrix would hold of routes that never find anything."""
    caller = Caller(client, a_key(database, settings, tenant))
    for number, route in enumerate(each for each in matrix.guarded() if matrix.named(each)):
        mine = furnish(database, settings, tenant, f"mine{number}")
        whose = dict.fromkeys(matrix.named(route), mine)
        found = ask(caller, route, matrix.path(route, whose), matrix.body(route, mine), matrix.query(route, mine))
        path = matrix.path(route, whose, unknown=frozenset(whose))
        missing = ask(caller, route, path, matrix.body(route, mine), matrix.query(route, mine))

        assert found.status_code not in (401, 403, 422, 500), (route.method, route.path, found.text)
        assert shown(found, "")[1] != shown(missing, "")[1], (route.method, route.path, found.text)
        if route.method == "DELETE":
            continue
        with database.transaction() as sql:
            # There is a limit to them.
            sql.execute(text("DELETE FROM webhooks"))


@in_every_layer
def test_who_may_not_ask_is_told_alike_whatever_there_is(
    client: FlaskClient, database: Database, settings: Settings, tenant: str, mine: Belongings, theirs: Belongings
) -> None:
    nobody, revoked, expired = (Caller(client, key) for key in ("", *dead_keys(database, settings, tenant)))
    scopes = {keys.SUBMIT: keys.READ, keys.ADMIN: keys.SUBMIT}
    low = {scope: Caller(client, a_key(database, settings, tenant, less)) for scope, less in scopes.items()}

    for route in matrix.guarded():
        paths = [matrix.path(route, dict.fromkeys(matrix.named(route), whose)) for whose in (mine, theirs)]
        refused = {
            shown(ask(each, route, path, None, ""), path)[:2] for path in paths for each in (nobody, revoked, expired)
        }
        assert [status for status, _ in refused] == [401], (route.method, paths)
        if route.scope != keys.READ:
            own, foreign = (shown(ask(low[str(route.scope)], route, path, None, ""), path) for path in paths)
            assert own == foreign and own[0] == 403, (route.method, paths, own, foreign)


@in_every_layer
def test_what_was_deleted_is_as_unknown_as_nobodys(caller: Caller, mine: Belongings) -> None:
    gone = {"model", "taste", "ear", "schedule", "webhook", "delivery"}
    deleted = [f"/v1/models/{each}" for each in (mine.model, mine.taste, mine.ear)]
    for path in [*deleted, f"/v1/schedules/{mine.schedule}", f"/v1/webhooks/{mine.webhook}"]:
        answer = caller.call("DELETE", path)
        assert answer.status_code == 204, (path, answer.text)

    asked = [(route, {name for name, what in matrix.parameters(route) if what in gone}) for route in matrix.guarded()]
    for route, names in asked:
        demand_alike(caller, route, mine, mine, names, status=404)

    assert len([route for route, names in asked if names]) >= 30


@in_every_layer
def test_whose_tenant_is_suspended_is_told_alike_whatever_there_is(
    caller: Caller, database: Database, mine: Belongings, theirs: Belongings
) -> None:
    with database.transaction() as sql:
        sql.execute(update(tenant_table).where(tenant_table.c.id == mine.tenant).values(suspended_at=now()))

    for route in matrix.guarded():
        paths = [matrix.path(route, dict.fromkeys(matrix.named(route), whose)) for whose in (mine, theirs)]
        own, foreign = (shown(ask(caller, route, path, None, ""), path) for path in paths)
        assert own == foreign and own[0] in (401, 403), (route.method, paths, own, foreign)


def dead_keys(database: Database, settings: Settings, tenant: str) -> list[str]:
    made = [a_key(database, settings, tenant) for _ in range(2)]
    for key, change in zip(made, ({"revoked_at": now()}, {"expires_at": now() - 1}), strict=True):
        with database.transaction() as sql:
            sql.execute(update(key_table).where(key_table.c.id == f"key_{key.split('_')[1]}").values(change))
    return made


@pytest.mark.parametrize(("database_url", "layer"), [("postgresql", NEITHER)], indirect=["database_url"])
def test_without_both_layers_the_matrix_finds_it(
    caller: Caller, mine: Belongings, theirs: Belongings, settings: Settings
) -> None:
    with pytest.raises(AssertionError):
        test_anothers_object_is_as_unknown_as_nobodys(caller, mine, theirs, settings)


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
def test_one_connection_serves_tenants_in_turn_and_keeps_none(
    settings: Settings, mine: Belongings, theirs: Belongings
) -> None:
    lone = Database(settings, pool_size=1)
    jobs = metadata.tables["jobs"]
    seen = set()
    for turn in range(300):
        whose = (mine, theirs)[turn % 2].tenant
        use = (lone.of(whose).reading, lone.of(whose).transaction)[turn // 2 % 2]
        with use() as sql:
            found = set(sql.execute(text("SELECT tenant FROM jobs")).scalars())
            seen.add(sql.connection.driver_connection)
        with lone.reading() as sql:
            nobodys = sql.execute(select(jobs.c.id)).all()
        assert (found, nobodys) == ({whose}, [])
    lone.close()

    # One to read and one to write.
    assert len(seen) == 2


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_every_statement_of_a_request_names_the_tenant(
    services: Services, caller: Caller, mine: Belongings, theirs: Belongings
) -> None:
    said: list[Statement] = []

    def note(sql: Connection, cursor: Any, statement: str, *_: Any) -> None:
        said.append((statement, tenancy.OPTION in sql.get_execution_options()))

    for engine in (services.database._writing, services.database._reading):
        event.listen(engine, "before_cursor_execute", note)
    for route in matrix.guarded():
        path = matrix.path(route, dict.fromkeys(matrix.named(route), mine))
        ask(caller, route, path, matrix.body(route, mine), matrix.query(route, mine))

    unbound = {statement for statement, is_bound in said if not is_bound and owned_tables(statement)}
    bare = {statement for statement, is_bound in said if is_bound and unnamed(statement)}
    # A key before it is known whose it is; and which workers are busy.
    assert sorted(re.findall(r"FROM (\w+)", statement)[0] for statement in unbound) == ["jobs", "keys"], unbound
    assert bare == set()
    assert len(said) > 150


TABLES = sorted(table.name for table in metadata.sorted_tables if "tenant" in table.c)
MENTION = re.compile(rf"(\bFROM|\bJOIN|\bUPDATE|,) ({'|'.join(TABLES)})\b(?: AS (\w+))?")


def owned_tables(statement: str) -> list[str]:
    """The names, or the other names, by which a statement reads or changes tables of a tenant."""
    flat = " ".join(statement.split())
    # A column may be called as a table is: of a table something is asked.
    return [
        alias or table
        for sign, table, alias in MENTION.findall(flat)
        if sign != "," or re.search(rf"[ (]{alias or table}\.", flat)
    ]


def unnamed(statement: str) -> list[str]:
    """Those of which it does not say whose rows are meant. What an INSERT asks within itself is of what it writes."""
    flat = " ".join(statement.split())
    if flat.startswith("INSERT"):
        return [] if re.search(r"INSERT INTO \w+ \([^)]*\btenant\b", flat) else [flat]
    return [name for name in owned_tables(flat) if not re.search(rf"\b{name}\.tenant = |= {name}\.tenant\b", flat)]


def ask(caller: Caller, route: Route, path: str, body: Any, query: str) -> TestResponse:
    if route.is_upload:
        return caller._client.open(
            path, method=route.method, data=b"a,b\n", headers={"Authorization": f"Bearer {caller._key}"}
        )
    return caller.call(route.method, f"{path}?{query}" if query else path, body)


def shown(answer: TestResponse, named: str) -> tuple[int, str, list[tuple[str, str]]]:
    """All of an answer but what is another in each: its request's id, and what was asked for."""
    request_id = answer.headers["X-Request-Id"]
    # An archive is no text, and is compared all the same.
    body = answer.get_data().decode(errors="replace").replace(request_id, "")
    for part in filter(None, re.split(r"[/?&=]", named)):
        if len(part) > len("champion"):
            body = body.replace(part, "")
    passing = ("X-Request-Id", "ETag", "X-RateLimit")
    headers = [pair for pair in answer.headers if not pair[0].startswith(passing)]
    return answer.status_code, body, headers


def shown_as_it_lies(column: Column[Any]) -> Any:
    return type_coerce(column, Text) if is_sealed(column) else column


def rows_of(settings: Settings, tenant: str) -> dict[str, list[str]]:
    """Every row of a tenant; of its keys and answers none, which its own requests change."""
    with engines.snapshot(make_url(settings.database_url)) as sql:
        return {
            table.name: sorted(
                map(repr, sql.execute(select(*map(shown_as_it_lies, table.c)).where(table.c.tenant == tenant)))
            )
            for table in metadata.sorted_tables
            if "tenant" in table.c and table.name not in ("keys", "answers")
        }
