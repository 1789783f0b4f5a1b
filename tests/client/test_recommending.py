"""Plays on the command line and in Python, from a CSV to lists and back to nobody's."""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from etude import Client, EtudeError, JobFailed, Refused

from tests.client.conftest import Shell
from tests.worker import plays as made_plays

PLAYS = made_plays.make(120, 150)
QUICK = ("--param", "model=neighbours", "--param", 'neighbours={"neighbours":50,"shrink":0}')


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plays and what is known of the songs, as a folder of somebody who keeps them apart from other things."""
    made = tmp_path_factory.mktemp("plays") / "shop"
    made.mkdir()
    (made / "plays.csv").write_bytes(made_plays.as_csv(made_plays.events(PLAYS)))
    (made / "items.csv").write_bytes(made_plays.as_csv(PLAYS.items))
    (made / "notes.docx").write_bytes(b"PK and more")
    return made


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[Client]:
    found = json.loads((home / "client.json").read_text())
    with Client(found["url"], found["key"]) as opened:
        yield opened


@pytest.fixture(scope="module")
def model(client: Client, folder: Path) -> str:
    """A model that one call makes of two files."""
    params = {"model": "neighbours", "neighbours": {"neighbours": 50, "shrink": 0}, "weighting": "log"}
    learned = client.learn(
        folder / "plays.csv", kind="recommendation", model="taste", items=folder / "items.csv", params=params
    )  # fmt: skip
    reference: str = learned.result["reference"]
    return reference


def heard(user: str) -> set[str]:
    return {item for who, item in zip(PLAYS.user, PLAYS.item, strict=True) if who == user}


def test_a_csv_becomes_a_model_lists_and_is_forgotten_of_one(shell: Shell) -> None:
    (shell.folder / "nights.csv").write_bytes(made_plays.as_csv(made_plays.events(PLAYS)))

    trained = shell.run("train", "nights.csv", "--kind", "recommendation", *QUICK, "--watch")
    one = shell.run("recommend", "nights", "--user", "u00004", "--count", "5")
    scored = shell.run("score", "nights", "nights@1", "-k", "5", "-o", "lists.csv")
    forgotten = shell.run("forget", "nights", "u00004", "--retrain", "--yes")
    after = shell.run("recommend", "nights", "--user", "u00004", "--count", "5")

    assert trained.code == 0, trained.err
    for told in ("120 users", "neighbours (kept)", "popularity", "under 0.001", "coverage", "nights@1  neighbours"):
        assert told in trained.out, trained.out
    rows = {row["key"]: row for row in csv.DictReader((shell.folder / "lists.csv").read_text().splitlines())}
    items = [line.split()[1] for line in one.out.splitlines()[1:]]
    assert (scored.code, len(rows), len(items)) == (0, 120, 5), scored.err
    # Whose list it is, the file does not say: it knows pseudonyms alone.
    assert all(key.startswith("p-") for key in rows)
    assert items in [row["items"].split("|") for row in rows.values()], one.out + one.err
    assert forgotten.code == 0, forgotten.err
    for told in ("erased from nights@1", "and stay: nights@1", "trainings that were submitted: job_"):
        assert told in forgotten.out
    assert "nights@1 has no listener u00004" in after.out and "what most have played" in after.out


def test_the_card_has_new_items_and_the_champion_where_there_are_any(shell: Shell, client: Client, model: str) -> None:
    client.set_alias("taste", "champion", int(model.partition("@")[2]))

    trained = shell.run("train", "taste@1", "--model", "taste", *QUICK, "--watch")
    shown, listed = shell.run("models", trained.out.rpartition("etude recommend ")[2].split()[0]), shell.run("models")

    assert trained.code == 0, trained.err
    for told in ("new items, by content alone: recall@3", "the champion, version 1, comes to ndcg@100", "by artist: "):
        assert told in trained.out and told in shown.out
    assert "neighbours with neighbours 50" in shown.out and "taste" in listed.out


def test_a_folder_of_plays_with_its_table_of_items_is_read(shell: Shell, folder: Path) -> None:
    uploaded = shell.run("upload", str(folder), "--plays")
    shown = shell.run("datasets", "shop")

    assert uploaded.code == 0, uploaded.err
    assert "notes.docx" in uploaded.err and "(1 neither CSV nor Parquet)" in uploaded.err
    for told in ("of 120 users and 150 items", "plays as weight", "artist (150)", "listeners of an item", "1, played"):
        assert told in uploaded.out and told in shown.out


def test_plays_are_added_to_those_of_the_name_that_their_base_has(client: Client, folder: Path, tmp_path: Path) -> None:
    first = client.upload(folder / "plays.csv", format="interactions", name="growing-plays")
    (tmp_path / "monday.csv").write_text("user,item,plays,time\nu00001,i00099,1,2024-12-31T23:59:59\n")
    (tmp_path / "songs.csv").write_text("item,artist\nnew,folk artist 0\n")

    second = client.upload(tmp_path / "monday.csv", base=first.reference, items=tmp_path / "songs.csv")

    assert (second.reference, second.plays and second.plays["cold_items"]["unplayed"]) == ("growing-plays@2", 1)
    assert second.raw["rows"] == first.raw["rows"] + 1


def test_rows_that_are_left_out_are_named_with_their_reasons(shell: Shell) -> None:
    text = made_plays.as_csv({"who": PLAYS.user, "what": PLAYS.item}).decode()
    (shell.folder / "odd.csv").write_text(f"{text},i00001\nu00001,\n")

    ran = shell.run("upload", "odd.csv", "--plays", "--user", "who", "--item", "what", "--pseudonymise")

    assert ran.code == 0, ran.err
    assert "rows left out: 2 id_missing" in ran.out and "column who: expected the id of a user" in ran.out
    assert "(users by pseudonyms)" in ran.out and "a training divides it by user" in ran.out


def test_a_list_keeps_to_what_is_asked_of_it(shell: Shell, model: str) -> None:
    rules = ("--allow", "licence=cc0", "--allow", "licence=cc-by", "--deny", "released=2015..", "--cap", "artist=1")
    soft = ("--diversity", "0.3", "--popularity-penalty", "0.2", "--min-listeners", "3")

    ran = shell.run("recommend", model, "--user", "u00003", "-k", "6", *rules, *soft, "--json")

    assert ran.code == 0, ran.err
    places = [PLAYS.items["item"].index(each["item"]) for each in ran.json["data"]]
    column = {name: [PLAYS.items[name][place] for place in places] for name in PLAYS.items}
    assert len(places) == len(set(column["artist"])) == 6
    assert set(column["licence"]) <= {"cc0", "cc-by"} and max(column["released"]) < "2015"
    assert not heard("u00003").intersection(column["item"])
    assert {each["reason"]["because_of"] for each in ran.json["data"]} <= heard("u00003")


def test_what_is_not_known_is_said(shell: Shell, model: str) -> None:
    stranger = shell.run("recommend", model, "--user", "nobody")
    played = shell.run("recommend", model, "--played", "i00001", "--played", "i99999")
    nothing = shell.run("recommend", model, "--user", "u00001", "--allow", "licence=none such")

    assert "taste@1 has no listener nobody." in stranger.out and "what most have played" in stranger.out
    assert f"{model} does not know: i99999" in played.out and "because of" in played.out
    assert (nothing.code, "Nothing may stand in this list" in nothing.out) == (0, True)


def test_items_like_one_are_listed(shell: Shell, model: str) -> None:
    ran, unknown = shell.run("like", model, "i00003", "-k", "4"), shell.run("like", model, "i99999")

    assert ran.code == 0, ran.err
    assert [line.split()[0] for line in ran.out.splitlines()[1:]] == ["1", "2", "3", "4"]
    assert "i00003" not in ran.out and (unknown.code, "does not know the item" in unknown.err) == (3, True)


def test_a_scoring_shows_the_first_lists_and_where_all_are(shell: Shell, model: str) -> None:
    ran = shell.run("score", model, "taste@1", "--allow", "licence=cc0", "-k", "100", "--heard", "--watch")
    shown = shell.run("predictions", ran.out.rpartition("etude predictions ")[2].split()[0], "--limit", "2")

    assert ran.code == 0, ran.err
    for told in ("p-", "because of", "… and 115 more", "120 lists of 100 places", "shorter", "-o lists.parquet"):
        assert told in ran.out
    assert "p-" in shown.out and "history" in shown.out


def test_a_model_is_evaluated_on_plays(shell: Shell, folder: Path, model: str) -> None:
    ran = shell.run("evaluate", model, str(folder / "plays.csv"), "--name", "later")

    assert ran.code == 0, ran.err
    for told in ("of the evaluation", "ndcg@100", "novelty", f"{model} on 120 listeners", "warning: No event is later"):
        assert told in ran.out


def test_a_list_is_asked_for_in_python(client: Client, model: str) -> None:
    one = client.recommend(model, user="u00002", k=3, explain=False)
    much = client.recommend("taste@1", items={"i00001": 9.0, "i00002": 1.0}, filters={"deny": {"licence": ["cc0"]}})
    alike = client.similar_items(model, "i00001", k=2)

    assert (len(one["data"]), one["basis"], one["data"][0]["reason"]) == (3, "history", None)
    assert not {"i00001", "i00002"}.intersection(each["item"] for each in much["data"])
    assert len(alike["data"]) == 2


def test_nobody_is_erased_whom_the_dataset_does_not_have(client: Client, model: str) -> None:
    done = client.forget("taste", "nobody").wait()

    assert (done.result["events"], done.result["datasets"], done.result["retrained"]) == (0, [], [])


def test_who_does_not_say_yes_erases_nothing(shell: Shell, client: Client, model: str) -> None:
    ran = shell.run("forget", "taste", "u00001")

    assert ran.code == 130 and "Nothing brings them back" in ran.err
    assert client.recommend(model, user="u00001")["is_known"]


def test_too_few_plays_are_said_with_what_to_do(client: Client, tmp_path: Path) -> None:
    (tmp_path / "lone.csv").write_text("user,item\na,x\nb,x\n")

    with pytest.raises(JobFailed) as caught:
        client.learn(tmp_path / "lone.csv", kind="recommendation")

    assert caught.value.code == "too_few_plays" and "Send more plays" in str(caught.value)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("recommend", "taste"), 2, "one of both"),
        (("recommend", "taste", "--played", "x", "--dataset", "taste"), 2, "--dataset is where --user is looked up"),
        (("recommend", "none-such", "--user", "x"), 3, "There is no model none-such"),
        (("recommend", "taste", "--user", "x", "--cap", "artist"), 2, "expected column=number"),
        (("recommend", "taste", "--user", "x", "--allow", "licence"), 2, "expected column=value"),
        (("recommend", "taste", "--user", "x", "--allow", "mood=sad"), 2, "expected a column of the item table"),
        (("score", "taste", "taste@1", "--allow", "mood=sad", "--watch"), 1, "expected a column of the item table"),
        (("recommend", "etude.tagger-mtt", "--user", "x"), 2, "recommends nothing"),
        (("forget", "none-such", "x", "--yes"), 3, "There is no dataset none-such"),
        (("score", "etude.tagger-mtt", "taste@1", "--cap", "artist=2"), 2, "are for models that recommend"),
        (("evaluate", "etude.tagger-mtt", "taste@1"), 2, "was trained is evaluated"),
    ],
)
def test_what_cannot_be_is_said_in_the_words_of_the_command(
    shell: Shell, model: str, arguments: tuple[str, ...], code: int, said: str
) -> None:  # fmt: skip
    ran = shell.run(*arguments)

    assert (ran.code, said in ran.err) == (code, True), ran.err


def test_only_plays_have_listeners_to_forget(client: Client, shell: Shell, songs: Path) -> None:
    table = client.upload(songs, name="no-plays")

    with pytest.raises(Refused) as caught:
        client.forget(table, "x")
    with pytest.raises(EtudeError, match="which only plays have"):
        client.upload(songs, format="table", items=songs)

    assert (caught.value.status, caught.value.code) == (409, "not_interactions")
