"""Tables on a narrow terminal, and numbers."""

import pytest
from etude import page


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("FORCE_COLOR", "1"), ("TERM", "dumb"), ("COLUMNS", "80")):
        monkeypatch.setenv(name, value)


def filled() -> page.Table:
    table = page.table("name", "id", "why", "created")
    table.add_row("n" * 20, "job_" + "1" * 26, "a sentence of some length", "2026-11-26 10:38")
    return table


@pytest.mark.usefixtures("narrow")
def test_columns_that_can_be_spared_go_before_anything_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    page.print_table(filled(), spare=("created", "why"))

    out = capsys.readouterr().out
    assert "created" not in out and "a sentence of some length" in out


@pytest.mark.usefixtures("narrow")
def test_an_id_is_never_cut_whatever_stands_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    table = filled()
    table.add_row("m" * 200, "job_2", "x" * 200, "now")

    page.print_table(table)

    assert "job_" + "1" * 26 in capsys.readouterr().out


def test_without_a_terminal_nothing_is_spared(capsys: pytest.CaptureFixture[str]) -> None:
    page.print_table(filled(), spare=("created",))

    assert "2026-11-26 10:38" in capsys.readouterr().out


@pytest.mark.parametrize(("value", "told"), [(-1e-9, "0.000"), (-0.25, "-0.250"), (None, "–"), (12345.6, "12,346")])
def test_what_is_rounded_to_nothing_has_no_sign(value: float | None, told: str) -> None:
    assert page.figure(value) == told
