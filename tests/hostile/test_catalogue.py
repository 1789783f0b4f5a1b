"""The catalogue of hostile inputs is whole: each has tests that are there and say so, codes that exist, its row."""

import importlib
import re
from pathlib import Path

import pytest

from tests.hostile.catalogue import CASES, PAGE, Case, render
from tests.hostile.uploads import AT_THE_DOOR, GOOD, UPLOADS

TESTS = Path(__file__).parents[1]
SAYS = "@pytest.mark." + "hostile("
API = (PAGE.parent / "api.md").read_text()


def proven_by(test: str) -> set[str]:
    """What a test says that it proves; raises where there is none of the name."""
    path, _, name = test.partition("::")
    module = importlib.import_module("tests." + path.removesuffix(".py").replace("/", "."))
    marks = getattr(getattr(module, name), "pytestmark", [])
    return {case for mark in marks if mark.name == "hostile" for case in mark.args}


def test_no_hostile_input_of_the_study_is_missing_and_each_is_there_once() -> None:
    assert [case.id for case in CASES] == [f"H{number:02}" for number in range(1, 70)]
    assert all(case.tests for case in CASES)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_every_test_that_is_named_says_what_it_proves(case: Case) -> None:
    assert all(case.id in proven_by(test) for test in case.tests)


def test_every_test_that_says_so_is_named() -> None:
    saying = {
        f"{file}::{name}": proven_by(f"{file}::{name}")
        for file in (
            path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py") if SAYS in path.read_text()
        )
        for name in re.findall(r"(?m)^def (test_\w+)\(", (TESTS / file).read_text())
    }

    for case in CASES:
        assert {test for test, proven in saying.items() if case.id in proven} == set(case.tests), case.id


def test_every_code_is_one_of_the_api() -> None:
    listed = set(re.findall(r"`([a-z_]+)`", API.partition("## Codes")[2].partition("## Not yet")[0]))

    assert {code for case in CASES for code in case.codes} <= listed


def test_the_files_that_are_sent_are_refused_with_the_codes_that_are_named() -> None:
    for case in CASES:
        sent = {upload.code for upload in UPLOADS.get(case.id, [])}
        if sent:
            assert sent - {GOOD} - AT_THE_DOOR <= set(case.codes), case.id


def test_the_page_says_the_same() -> None:
    assert PAGE.read_text() == render(), "write it: python -m tests.hostile.catalogue"
