"""What is asked of a list on the command line, as the service takes it."""

from typing import Any

import click
import pytest
from click.testing import CliRunner
from etude import list_options


def read(*arguments: str) -> Any:
    """What a command with these options would send."""
    said: list[Any] = []

    @click.command()
    @list_options.lists
    def command(**asked: Any) -> None:
        said.append(list_options.read(**asked))

    CliRunner().invoke(command, arguments, standalone_mode=False, catch_exceptions=False)
    return said[0][0]


def test_nothing_is_sent_of_what_is_not_asked() -> None:
    assert read() == {}


def test_values_of_one_column_are_one_rule_and_a_span_is_one_by_itself() -> None:
    rules = ("--allow", "licence=cc0", "--allow", "licence=cc-by", "--allow", "year=2010..2020", "--deny", "bpm=..90.5")

    assert read(*rules)["filters"] == {
        "allow": {"licence": ["cc0", "cc-by"], "year": {"min": 2010, "max": 2020}},
        "deny": {"bpm": {"max": 90.5}},
    }


def test_dates_stay_text_and_words_with_dots_stay_words() -> None:
    rules = ("--allow", "released=2024-05-01..", "--allow", "title=wait..", "--allow", "artist=a=b", "--deny", "x=..")

    assert read(*rules)["filters"] == {
        "allow": {"released": {"min": "2024-05-01"}, "title": ["wait.."], "artist": ["a=b"]}, "deny": {"x": [".."]},
    }  # fmt: skip


def test_the_other_rules_go_by_their_names() -> None:
    asked = ("-k", "7", "--cap", "artist=2", "--diversity", "0.5", "--min-listeners", "5", "--heard")

    assert read(*asked, "--popularity-penalty", "0.25") == {
        "k": 7, "cap": {"column": "artist", "at_most": 2}, "diversity": 0.5, "popularity_penalty": 0.25,
        "min_listeners": 5, "exclude_heard": False,
    }  # fmt: skip


@pytest.mark.parametrize("cap", ["artist", "artist=0", "=2", "artist=many"])
def test_a_cap_without_a_column_or_a_number_is_refused(cap: str) -> None:
    with pytest.raises(click.BadParameter, match="artist=2"):
        read("--cap", cap)


def test_a_span_and_values_of_one_column_are_refused() -> None:
    with pytest.raises(click.BadParameter, match=r"one from\.\.to"):
        read("--allow", "year=2010..2020", "--allow", "year=2024")
