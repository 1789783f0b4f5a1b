"""Model cards: whole, of old versions, in three forms, and of hostile names."""

import re
from html.parser import HTMLParser
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from shared.database import Database
from shared.settings import Settings
from shared.tables import epochs, jobs, versions
from tests.factories import SONGS, make_dataset
from tests.web.calling import Caller, a_key
from tests.web.registry import lineage, make_version, metric
from web import card_plots
from web.card_blocks import Plot

HOSTILE = '<script>alert("1")</script> | `` ``` `code` *b* [x](javascript:alert(1)) & # \u202eevil\x1b[2J http://x.y'
FORMS = {"html": "text/html", "markdown": "text/markdown", "json": "application/json"}

Json = dict[str, Any]


def card(caller: Caller, number: int = 1, *, name: str = "songs", form: str = "json") -> Any:
    return caller.call("GET", f"/v1/models/{name}/versions/{number}/card?format={form}")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """What is read is read alike from both databases; what is written is tried on both in tests/shared."""
    return sqlite_url


@pytest.fixture
def whole(database: Database, tenant: str) -> int:
    """A version of which everything is known, beside a champion."""
    validation = {
        "accuracy": metric(0.8, low=0.7, high=0.9),
        "log_loss": metric(1.7, low=1.5, high=2.0),
        "per_class": {"rock": {"precision": 0.9, "rows": 10}, HOSTILE: {"precision": 0.5, "rows": 10}},
        "calibration": {"temperature": 1.3, "reliability": [{"lower": 0.0, "upper": 0.5, "rows": 4}]},
        "confusion_matrix": {"labels": ["rock", HOSTILE], "rows": [[7, 3], [1, 9]]},
    }
    metrics = {
        "validation": validation, "test": {}, "importance": [{"column": "tempo", "drop": 0.2}],
        "leakage": {"suspected": True, "checks": ["equal rows"]},
    }  # fmt: skip
    baselines = {"validation": {"majority_class": {"accuracy": metric(0.5)}}}
    with database.transaction() as sql:
        dataset = make_dataset(
            sql, tenant, name="songs", profile={**SONGS, "roles": {**SONGS["roles"], "group": "band"}}
        )
        make_version(sql, tenant, accuracy=0.7)
        return make_version(
            sql, tenant, metrics=metrics, baselines=baselines, lineage=lineage(dataset), datasets=[dataset],
            warnings=[{"code": "leakage_suspected", "detail": HOSTILE}],
        )  # fmt: skip


def test_a_card_has_all_that_is_known(caller: Caller, whole: int) -> None:
    caller.call("PATCH", "/v1/models/songs", {"intended_use": "sorting a radio's archive", "licence": "CC0-1.0"})
    caller.call("PUT", "/v1/models/songs/aliases/champion", {"version": 1, "reason": "first"})

    said = card(caller, whole).json

    assert (said["reference"], said["kind"], said["intended_use"]) == (
        "songs@2", "classification", "sorting a radio's archive",
    )  # fmt: skip
    assert (said["licence"], said["description"]) == ("CC0-1.0", None)
    assert (said["data"]["rows"], said["data"]["group"], said["data"]["split"]["validation"]) == (4, "band", 20)
    assert said["architecture"] == {"parameters": 42, "layers": [{"units": 8}]}
    assert said["calibration"]["temperature"] == 1.3
    assert said["leakage"]["suspected"] and said["leakage"]["report"]["checks"] == ["equal rows"]
    assert said["importance"] == [{"column": "tempo", "drop": 0.2}]
    assert said["cost"]["compute_s"] == 3.5
    assert said["reproduce"]["machine"] == {"cpu": "A processor", "threads": 2}
    assert said["reproduce"]["job"]["action"] == "train" and said["reproduce"]["seed"] == 0
    assert said["champion"]["reference"] == "songs@1" and not said["champion"]["on_same_rows"]
    assert [each["value"] for each in said["champion"]["metrics"][0]["values"]] == [0.8, 0.7]
    assert said["moves"]["champion"][0]["reason"] == "first"
    assert said["not_measured"] == ["random_split", "membership"]
    assert said["base_weights"] == []


def test_a_version_that_a_search_has_made_says_what_it_was_chosen_among(
    caller: Caller, database: Database, tenant: str
) -> None:
    trials = [
        {"number": number, "value": value, "axes": {"seed": number}} for number, value in enumerate((0.7, None, 0.9))
    ]
    search = {
        "job": "job_1", "metric": "accuracy", "better": "higher", "sampler": "tpe", "seed": 0, "trials_run": 3,
        "winner": 2, "stopped": None, "compute_s": 9.5, "space": {"seed": {"type": "int"}}, "trials": trials,
    }  # fmt: skip
    with database.transaction() as sql:
        number = make_version(sql, tenant, lineage={**lineage(epochs=7), "search": search})

    card = caller.call("GET", f"/v1/models/songs/versions/{number}/card").json
    page = caller.call("GET", f"/v1/models/songs/versions/{number}/card?format=markdown").text

    assert [trial["number"] for trial in card["search"]["best"]] == [2, 0]
    assert card["reproduce"]["job"]["params"]["epochs"] == 7
    assert "chosen by them" in page and "tpe" in page


@pytest.mark.parametrize("form", FORMS)
def test_an_old_version_says_what_was_not_measured(caller: Caller, database: Database, tenant: str, form: str) -> None:
    with database.transaction() as sql:
        make_version(sql, tenant, metrics={}, baselines={}, lineage={}, parameters=0)

    answer = card(caller, form=form)

    assert answer.status_code == 200 and answer.content_type.startswith(FORMS[form])
    if form == "json":
        assert answer.json["not_measured"] == [
            "calibration", "importance", "test", "random_split", "leakage_report", "membership", "machine",
        ]  # fmt: skip
    else:
        assert answer.text.count("not measured") >= 3 and "not stated by its owner" in answer.text


def test_a_version_of_null_everywhere_is_shown(caller: Caller, database: Database, tenant: str) -> None:
    broken = {
        "validation": {
            "accuracy": {"value": None, "interval": None},
            "roc_auc": {"value": 0.5, "interval": [None, None]},
        }
    }
    with database.of(tenant).transaction() as sql:
        make_version(sql, tenant, metrics=broken)
        sql.execute(update(versions).values(lineage={"dataset": {}, "params": {}, "split": None, "code": None}))

    assert [card(caller, form=form).status_code for form in FORMS] == [200, 200, 200]


@pytest.mark.parametrize(
    ("accept", "sort"),
    [
        ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
        ("text/markdown", "text/markdown"),
        ("application/json", "application/json"),
        ("*/*", "application/json"),
        ("image/png", "application/json"),
        ("text/markdown;q=0.1, text/html", "text/html"),
    ],
)
def test_the_form_is_what_is_accepted_unless_it_is_named(caller: Caller, whole: int, accept: str, sort: str) -> None:
    path = f"/v1/models/songs/versions/{whole}/card"

    answer = caller.call("GET", path, Accept=accept)
    named = caller.call("GET", f"{path}?format=markdown", Accept=accept)

    assert answer.content_type.partition(";")[0] == sort
    assert named.content_type == "text/markdown; charset=utf-8"


def test_a_form_that_there_is_not_is_refused(caller: Caller, whole: int) -> None:
    assert card(caller, whole, form="pdf").status_code == 422


class Page(HTMLParser):
    """What a browser would make of a page: its elements, their attributes, and the text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_data(self, data: str) -> None:
        self.text += data


KNOWN_TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "section", "p", "dl", "dt", "dd", "div",
    "table", "caption", "thead", "tbody", "tr", "th", "td", "pre", "svg", "line", "circle",
}  # fmt: skip


def test_hostile_names_are_text_on_the_page(caller: Caller, whole: int) -> None:
    for field in ("description", "intended_use", "limits", "licence"):
        assert caller.call("PATCH", "/v1/models/songs", {field: HOSTILE}).status_code == 200
    caller.call("PUT", "/v1/models/songs/aliases/champion", {"version": 1, "reason": HOSTILE})

    page = Page(card(caller, whole, form="html").text)

    assert page.tags <= KNOWN_TAGS
    assert not any(name.startswith("on") or name in ("href", "src") for name in page.attributes)
    assert page.text.count('<script>alert("1")</script>') >= 6
    assert not re.search("[\u202e\x1b]", page.text)


def test_hostile_names_are_text_in_markdown(caller: Caller, whole: int) -> None:
    for field in ("description", "intended_use", "limits", "licence"):
        caller.call("PATCH", "/v1/models/songs", {field: HOSTILE})
    caller.call("PUT", "/v1/models/songs/aliases/champion", {"version": 1, "reason": HOSTILE})

    lines = card(caller, whole, form="markdown").text.splitlines()

    prose = [line for line in lines if "script" in line]
    assert len(prose) >= 6
    for line in prose:
        bare = re.sub(r"\\.", "", line)
        assert "<" not in bare and "`" not in bare and "](" not in bare and "://" not in bare
    tables = [line for line in lines if line.startswith("|") and "script" in line]
    # The sign that ends a cell stands only where a cell ends.
    widths = {len(re.split(r"(?<!\\)\|", line)) for line in tables if "rock" not in line}
    assert tables and widths <= {5, 9, 4}


def test_the_page_needs_nothing_from_elsewhere_and_says_what_its_pictures_show(caller: Caller, whole: int) -> None:
    page = card(caller, whole, form="html").text

    assert not re.search(r"""(?:src|href|url\()\s*=?\s*["']?\s*(?:https?:|//)""", page)
    assert '<html lang="en">' in page and "prefers-color-scheme:dark" in page and "@media print" in page
    assert 'aria-label="accuracy: 0.8 (0.7 to 0.9), from 0 to 1"' in page
    # 0.7 and 0.9 of the way from 6 to 214.
    assert '<line class="span" x1="151.6" x2="193.2"' in page


def test_the_page_draws_how_it_was_learned_and_how_sure_it_may_be(
    caller: Caller, database: Database, tenant: str
) -> None:
    reliability = [
        {"lower": 0.5, "upper": 0.75, "rows": 4, "confidence": 0.6, "accuracy": 0.5},
        {"lower": 0.75, "upper": 1.0, "rows": 4, "confidence": 0.9, "accuracy": 1.0},
    ]
    with database.of(tenant).transaction() as sql:
        make_version(sql, tenant, metrics={"validation": {"calibration": {"reliability": reliability}}})
        job = sql.execute(select(versions.c.job)).scalar_one()
        of = {"tenant": tenant, "job": job}
        told = {"epochs": 250, "best_epoch": 249, "stopped_by": None}
        sql.execute(update(jobs).where(jobs.c.id == job).values(result=told))
        rows = [{"epoch": at, "loss": 1 / at, "val_loss": 2 / at, "accuracy": 0.5} for at in range(1, 251)]
        sql.execute(insert(epochs), [{**of, "epoch": row["epoch"], "metrics": row} for row in rows])

    said, page = card(caller).json["training"], card(caller, form="html").text

    assert (said["epochs"], said["best_epoch"]) == (250, 249)
    assert len(said["curve"]) <= 100 and said["curve"][-1] == {"epoch": 250, "loss": 1 / 250, "val_loss": 2 / 250}
    assert page.count('<polyline class="line l0"') == 4 and "validation rows" in page
    # 0.6 of 250 from the left, and half of 152 up; 0.9 and all of it.
    assert 'points="210.0,88.0 285.0,12.0"' in page


def test_odd_figures_are_shown(caller: Caller, database: Database, tenant: str) -> None:
    # Classes named like the parts of a matrix, and a loss that was everywhere too large to be told.
    metrics = {"validation": {"per_class": {name: {"precision": 0.5, "rows": 2} for name in ("labels", "rows")}}}
    with database.transaction() as sql:
        make_version(sql, tenant, metrics=metrics)
        job = sql.execute(select(versions.c.job)).scalar_one()
        of = {"tenant": tenant, "job": job}
        lacking = [{"epoch": at, "val_loss": None} for at in (1, 2)]
        sql.execute(insert(epochs), [{**of, "epoch": row["epoch"], "metrics": row} for row in lacking])

    for form in ("html", "markdown", "json"):
        answer = card(caller, form=form)
        assert answer.status_code == 200
    assert "<td>labels</td>" in card(caller, form="html").text


def test_a_line_that_is_level_however_high_is_drawn() -> None:
    drawn = card_plots.draw(Plot("level", "epoch", "loss", {"rows": [(1.0, 1e18), (2.0, 1e18)]}))

    assert "nan" not in drawn and drawn.count("<polyline") == 3


def test_a_confusion_matrix_is_a_table_and_what_rounding_left_is_nothing(
    caller: Caller, database: Database, tenant: str
) -> None:
    metrics = {
        "validation": {"confusion_matrix": {"labels": ["rock", "pop"], "rows": [[7, 3], [1, 9]]}},
        "per_group": {"band": [{"value": "A", "rows": 9, "metrics": {"accuracy": metric(0.5, low=0.25, high=0.75)}}]},
        "importance": [{"column": "tempo", "drop": 4.4e-17}],
    }
    with database.transaction() as sql:
        make_version(sql, tenant, metrics=metrics)

    page = card(caller, form="markdown").text

    assert "| is \\\\ said | rock | pop |" in page and "| rock | 7 | 3 |" in page
    assert "| A | 9 | 0.5 (0.25 to 0.75) |" in page
    assert "| tempo | 0 |" in page


def test_a_model_of_the_service_has_the_card_of_its_authors(caller: Caller) -> None:
    said = card(caller, name="etude.tagger-mtt").json

    assert said["base_weights"][0]["licence"] == "ISC"
    assert said["job"] is None and said["moves"] == {} and said["champion"] is None
    for form in ("html", "markdown"):
        assert "Jordi Pons" in card(caller, name="etude.tagger-mtt", form=form).text


def test_what_learned_from_recordings_names_the_networks_that_it_hears_with(
    caller: Caller, database: Database, tenant: str
) -> None:
    of_recordings = lineage()
    of_recordings["dataset"]["format"] = "audio"
    deaf = lineage(preset="network")
    deaf["dataset"]["format"] = "audio"
    with database.transaction() as sql:
        make_version(sql, tenant, lineage=of_recordings)
        make_version(sql, tenant, lineage=deaf)

    assert [each["name"] for each in card(caller).json["base_weights"]] == ["etude.tagger-mtt", "etude.tagger-msd"]
    assert card(caller, 2).json["base_weights"] == []


def test_anothers_card_is_as_if_it_were_not_there(
    caller: Caller, client: Any, whole: int, database: Database, settings: Settings, other: str
) -> None:
    stranger = Caller(client, a_key(database, settings, other))

    theirs, nobodys = (card(stranger, whole, name=name) for name in ("songs", "nosuch"))

    assert (theirs.status_code, nobodys.status_code) == (404, 404)
    assert {**theirs.json, "request_id": ""} == {**nobodys.json, "request_id": ""}
    assert card(caller, 99).status_code == 404
    assert stranger.call("PATCH", "/v1/models/songs", {"limits": "mine"}).status_code == 404


def test_what_is_said_of_a_model_stays_until_it_is_taken_away(caller: Caller, whole: int) -> None:
    caller.call("PATCH", "/v1/models/songs", {"limits": "studio recordings", "description": "genres"})

    kept = caller.call("PATCH", "/v1/models/songs", {"description": None}).json
    gone = caller.call("PATCH", "/v1/models/songs", {"description": ""}).json

    assert (kept["limits"], kept["description"]) == ("studio recordings", "genres")
    assert (gone["limits"], gone["description"]) == ("studio recordings", None)


@pytest.mark.parametrize("wrong", [{"description": "x" * 4001}, {"purpose": "x"}, {"licence": 3}])
def test_what_does_not_fit_a_card_is_refused(caller: Caller, whole: int, wrong: Json) -> None:
    assert caller.call("PATCH", "/v1/models/songs", wrong).status_code == 422
    assert caller.call("PATCH", "/v1/models/etude.tagger-mtt", {"limits": "x"}).json["code"] == "model_builtin"
