"""Scores on the command line and in Python, from a folder to new pieces."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from etude import Client, EtudeError, watch
from etude import composing as asking

from tests.client.conftest import Shell
from tests.worker import chorales

SMALL = {
    "network": {"type": "gru", "units": [32], "embedding": 8, "head": 32},
    "epochs": 3,
    "trial": {"pieces": 2, "bars": 2},
}
QUICK = tuple(f"--param={name}={json.dumps(value)}" for name, value in SMALL.items())
EVERY = ("json", "mid", "musicxml", "png")


@pytest.fixture(scope="module")
def scores(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as people have them: eight small chorales, one that is broken, and a text."""
    folder = tmp_path_factory.mktemp("scores") / "hymns"
    (folder / "old").mkdir(parents=True)
    for seed in range(8):
        (folder / "old" / f"{seed}.mid").write_bytes(chorales.midi(seed))
    (folder / "broken.mid").write_bytes(b"MThd and no more")
    (folder / "about.txt").write_text("Hymns.")
    return folder


@pytest.fixture(scope="module")
def client(home: Path) -> Iterator[Client]:
    found = json.loads((home / "client.json").read_text())
    with Client(found["url"], found["key"]) as opened:
        yield opened


@pytest.fixture(scope="module")
def model(client: Client, scores: Path) -> str:
    """A model that two calls lead from."""
    reference: str = client.learn(scores, model="hymns", params=SMALL).result["reference"]
    return reference


def test_two_calls_turn_a_folder_of_midi_into_new_midi(client: Client, scores: Path, tmp_path: Path) -> None:
    client.learn(scores, model="psalms", params=SMALL)
    made = client.compose("psalms", pieces=2, bars=2, seed=1, save=tmp_path / "new")

    names = sorted(path.name for path in (tmp_path / "new").glob("*.mid"))
    assert [name.partition("-")[2] for name in names] == ["piece-001.mid", "piece-002.mid"]
    assert all((tmp_path / "new" / name).read_bytes()[:4] == b"MThd" for name in names)
    assert [(piece["key"], piece["bars"]) for piece in made.pieces] == [("piece-001", 2), ("piece-002", 2)]
    assert made.refused == []


def test_a_folder_of_scores_is_learned_and_its_card_is_shown(shell: Shell, scores: Path) -> None:
    trained = shell.run("train", str(scores), "--model", "sung", *QUICK, "--watch")
    listed = shell.run("models", "sung")
    version = shell.run("models", "sung@1")

    assert trained.code == 0, trained.err
    assert "hymns@1  9 pieces, 8 of them usable" in trained.out and "pieces of 4 voices (8)" in trained.out
    assert "broken.mid: " in trained.out and "about.txt" in trained.err and "(1 no score)" in trained.err
    assert "etude compose sung@1" in trained.out
    for told in ("loss a token", "token frequencies", "parallel fifths", "distance from training", "longest passage"):
        assert told in trained.out and told in listed.out and told in version.out


def test_pieces_are_composed_into_a_folder_of_the_models_name_and_never_over_another(
    shell: Shell, model: str
) -> None:  # fmt: skip
    asked = ("-n", "2", "--bars", "2", "--key", "G minor", "--meter", "3/4", "--tempo", "90", "--seed", "4")

    first = shell.run("compose", "hymns", *asked)
    again = shell.run("compose", model, *asked, "--formats", "midi")

    assert (first.code, again.code) == (0, 0), first.err + again.err
    for told in ("piece-001", "000001-piece-002.mid", "longest copy", "rules relaxed", f"2 pieces by {model}"):
        assert told in first.out
    files = sorted(path.name for path in (shell.folder / "hymns").iterdir())
    assert files == [f"00000{at}-piece-00{at + 1}.{ending}" for at in (0, 1) for ending in EVERY]
    for path in (shell.folder / "hymns-2").iterdir():
        assert path.read_bytes() == (shell.folder / "hymns" / path.name).read_bytes()


def test_a_melody_is_harmonised_on_the_command_line(shell: Shell, scores: Path, model: str) -> None:
    melody = scores / "old" / "3.mid"
    ranges = ("--range", "1=60-80", "--range", "3=36-60")

    asked = ("--harmonise", str(melody), "--voices", "0", "--no-parallels", *ranges, "--formats", "json")
    ran = shell.run("compose", model, *asked, "--out", "sung", "--json")

    assert ran.code == 0, ran.err
    assert ran.json["params"]["ranges"] == [[0, 127], [60, 80], [0, 127], [36, 60]]
    (path,) = (shell.folder / "sung").iterdir()
    notes = json.loads(path.read_text())["piece"]["notes"]
    given = chorales.chorale(3).notes
    assert [note[2] for note in notes if note[4] == 0] == given["pitch"][given["voice"] == 0].tolist()


def test_bars_are_written_anew_and_a_beginning_is_gone_on_from(client: Client, scores: Path, model: str) -> None:
    given = scores / "old" / "2.mid"

    filled = client.compose(model, fill=given, bars_anew=[(2, 3)], formats=["json"])
    gone_on = client.compose(model, continue_from=given, keep_bars=1, bars=3, formats=["json"])

    assert [each["bars"] for each in (*filled.pieces, *gone_on.pieces)] == [4, 3]


def test_a_piece_that_copies_is_not_handed_out_and_the_reason_is_said(shell: Shell, scores: Path, model: str) -> None:
    given = ("--continue", str(scores / "old" / "2.mid"), "--bars", "5", "--copies-at-most", "4")

    ran = shell.run("compose", model, *given)

    assert ran.code == 0, ran.err
    assert "piece-001 is not handed out: " in ran.out and "4 were allowed" in ran.out
    assert not (shell.folder / "hymns").exists()


def test_pieces_that_were_all_refused_leave_no_folder(
    client: Client, scores: Path, model: str, tmp_path: Path
) -> None:  # fmt: skip
    given = scores / "old" / "2.mid"

    made = client.compose(model, continue_from=given, bars=5, copies_at_most=4, save=tmp_path / "new")

    assert (made.pieces, [each["code"] for each in made.refused]) == ([], ["copied_too_much"])
    assert not (tmp_path / "new").exists()


def test_a_model_is_evaluated_on_other_scores(shell: Shell, scores: Path, model: str) -> None:
    ran = shell.run("evaluate", model, str(scores / "old"), "--name", "others", "--param", 'trial={"pieces":0}')

    assert ran.code == 0, ran.err
    assert "on the evaluation pieces" in ran.out and f"{model} on 8 pieces" in ran.out


def test_what_is_in_a_dataset_of_scores_is_shown(shell: Shell, model: str) -> None:
    ran = shell.run("datasets", "hymns")

    assert ran.code == 0, ran.err
    for told in ("9 pieces, 8 of them usable", "in 4/4 (8)", "pitches Soprano", "broken.mid"):
        assert told in ran.out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("compose", "nope"), 3, "etude models"),
        (("compose", "etude.tagger-mtt"), 2, "only one that learned from scores"),
        (("compose", "hymns", "--key", "H dur"), 2, "--key: expected a key such as"),
        (("compose", "hymns", "--range", "0=60"), 2, "0=60-81"),
        (("compose", "hymns", "--bars-anew", "x"), 2, "5-8"),
        (("compose", "hymns", "--voices", "soprano"), 2, "the highest is 0"),
        (("compose", "hymns", "--formats", "pdf"), 2, "midi,musicxml"),
        (("compose", "hymns", "--fill", "2.mid"), 2, "written anew"),
        (("compose", "hymns", "--harmonise", "2.mid", "--bars", "3"), 2, "leave bars out"),
        (("compose", "hymns", "--fill", "2.mid", "--bars-anew", "7"), 1, "--bars-anew: expected bars from 1 to 4"),
        (("compose", "hymns", "--harmonise", "text.mid"), 1, "cannot be read"),
        (("train", "2.mid", "--target", "x"), 2, "scores have no columns"),
        (("upload", "pieces.zip"), 2, "--scores"),
    ],
)
def test_what_cannot_be_composed_is_said(
    shell: Shell, model: str, arguments: tuple[str, ...], code: int, told: str
) -> None:
    (shell.folder / "2.mid").write_bytes(chorales.midi(2))
    (shell.folder / "text.mid").write_text("no music at all")
    (shell.folder / "pieces.zip").write_bytes(b"PK")

    ran = shell.run(*arguments)

    assert (ran.code, ran.out) == (code, ""), ran
    assert told in ran.err


def test_a_bar_tells_the_loss_a_token(client: Client, model: str) -> None:
    job = next(client.jobs(action="train", model=model.partition("@")[0]))
    job.raw["progress"] = {"metrics": {"loss": 0.61234, "val_loss": 0.7, "val_accuracy": 0.8}}

    assert watch.figures(job) == "loss a token 0.6123 on pieces held out 0.7000"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"harmonise": "a.mid", "fill": "b.mid"}, "not several"),
        ({"voices": [0]}, "name one to harmonise"),
        ({"keep_bars": 2}, "is continued"),
        ({"bars_anew": [(1, 2)]}, "named together"),
        ({"harmonise": "nowhere.mid"}, "cannot be read"),
    ],
)
def test_what_does_not_fit_together_is_said_before_anything_is_sent(asked: asking.Asked, told: str) -> None:
    with pytest.raises(EtudeError, match=told):
        asking.params(asked)


def test_what_is_not_asked_for_is_not_sent(tmp_path: Path) -> None:
    (tmp_path / "a.mid").write_bytes(b"x" * 10)

    assert asking.params({}) == {}
    assert asking.params({"strict": True, "copies_at_most": 20, "wav": True, "bars": None}) == {
        "constraints": {"if_impossible": "refuse"}, "copies": {"notes": 20},
        "formats": ["midi", "musicxml", "json", "png", "wav"],
    }  # fmt: skip
    assert asking.params({"ranges": {1: (60, 72)}}) == {"ranges": [[0, 127], [60, 72]]}
    said = asking.params({"harmonise": tmp_path / "a.mid", "voices": [0], "params": {"top_p": 0.9}})
    assert said == {"melody": {"content": "eHh4eHh4eHh4eA==", "name": "a.mid", "voices": [0]}, "top_p": 0.9}


def test_a_schedule_that_composes_is_shown_although_it_has_no_dataset(client: Client, shell: Shell, model: str) -> None:
    job = {"action": "generate", "model": model, "params": {"bars": 2}}
    client.create_schedule("a-hymn-a-night", cron="0 3 * * *", job=job)

    shown, listed = shell.run("schedule", "show", "a-hymn-a-night"), shell.run("schedule", "list")

    assert (shown.code, listed.code) == (0, 0), shown.err + listed.err
    assert f"generate {model}" in shown.out
