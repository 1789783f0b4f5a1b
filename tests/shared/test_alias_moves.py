"""The moves of aliases: the way back, and two clients at one alias, on both databases."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from shared import alias_moves, models
from shared.alias_moves import ROLLED_BACK, Mover, way_back
from shared.database import Database
from shared.errors import NotAllowedNow
from shared.models import NewVersion
from tests import factories

NOTHING = NewVersion(files=[], metrics={}, baselines={}, warnings=[], lineage={}, parameters=0)


@pytest.fixture
def model(database: Database, tenant: str) -> str:
    """The id of a model of three versions."""
    with database.transaction() as sql:
        for _ in range(3):
            factories.make_job(sql, tenant, model="songs")
            models.record(sql, factories.claim(sql), NOTHING)
        return str(models.find(sql, tenant, "songs").id)


def move(database: Database, tenant: str, number: int, *, expected: int | None = None) -> None:
    with database.transaction() as sql:
        models.move_alias(sql, tenant, "songs", "champion", number=number, expected=expected)


def roll_back(database: Database, tenant: str, model: str) -> int:
    with database.transaction() as sql:
        models.hold(sql, model)
        return alias_moves.roll_back(sql, tenant, model, "champion", Mover(ROLLED_BACK), unknown_rights="allow")


def numbers(database: Database, tenant: str, model: str) -> list[int]:
    """Where the alias has pointed, the first first."""
    with database.reading() as sql:
        rows = alias_moves.page(sql, tenant, model, "champion", limit=100, before=None)
    return [row.number for row in reversed(rows)]


def test_a_rollback_goes_on_back_and_not_to_and_fro(database: Database, tenant: str, model: str) -> None:
    for number in (1, 2, 3):
        move(database, tenant, number)

    assert [roll_back(database, tenant, model), roll_back(database, tenant, model)] == [2, 1]
    with pytest.raises(NotAllowedNow) as refusal:
        roll_back(database, tenant, model)

    assert refusal.value.code == "nothing_to_roll_back"
    assert numbers(database, tenant, model) == [1, 2, 3, 2, 1]


def test_after_a_rollback_a_new_move_is_what_is_rolled_back_next(database: Database, tenant: str, model: str) -> None:
    for number in (1, 2):
        move(database, tenant, number)
    roll_back(database, tenant, model)
    move(database, tenant, 3)

    assert roll_back(database, tenant, model) == 1


@pytest.mark.parametrize(
    ("moves", "path"),
    [
        ("", ""),
        ("a", "a"),
        ("a b", "a b"),
        ("a a b b", "a b"),
        ("a b <", "a"),
        ("a b < c", "a c"),
        ("a b c < <", "a"),
        ("a b a", "a b a"),
    ],
)
def test_the_way_back_leaves_out_what_was_taken_back_and_what_did_not_move(moves: str, path: str) -> None:
    told = [(each, ROLLED_BACK if each == "<" else None) for each in moves.split()]

    assert way_back(told) == path.split()


def test_of_two_clients_who_both_expect_where_it_points_one_moves_it(
    database: Database, tenant: str, model: str
) -> None:
    """Both begin at once; which of them comes first is for the database to say."""
    move(database, tenant, 1)
    together = Barrier(2)

    def try_to_move(number: int) -> str:
        together.wait(30)
        try:
            move(database, tenant, number, expected=1)
        except NotAllowedNow as refusal:
            return refusal.code
        return "moved"

    with ThreadPoolExecutor(2) as clients:
        ends = list(clients.map(try_to_move, (2, 3)))

    assert sorted(ends) == ["alias_moved", "moved"]
    assert numbers(database, tenant, model) == [1, 2 if ends[0] == "moved" else 3]


def test_of_two_clients_who_expect_nothing_both_move_it_and_both_are_told_of(
    database: Database, tenant: str, model: str
) -> None:
    together = Barrier(2)

    def go(number: int) -> None:
        together.wait(30)
        move(database, tenant, number)

    with ThreadPoolExecutor(2) as clients:
        list(clients.map(go, (2, 3)))

    assert sorted(numbers(database, tenant, model)) == [2, 3]


def test_that_an_alias_points_nowhere_can_be_expected(database: Database, tenant: str, model: str) -> None:
    move(database, tenant, 1, expected=0)

    with pytest.raises(NotAllowedNow, match="points to version 1 by now, not to nothing"):
        move(database, tenant, 2, expected=0)
