"""One listener who was erased, as an auditor follows them: from the request to the receipt, by the log alone."""

import json
from itertools import pairwise
from typing import Any

from etude import Client

from tests.client.conftest import Shell
from tests.worker import plays as made_plays

LISTENER = "canary-of-the-listeners"
QUICK = ("--param", "model=neighbours", "--param", 'neighbours={"neighbours":50,"shrink":0}')


def _plays() -> bytes:
    """Plays of which some are the canary's."""
    plays = made_plays.make(60, 80)
    text = made_plays.as_csv(made_plays.events(plays))
    return text.replace(b"u00004", LISTENER.encode())


def test_an_auditor_follows_an_erased_listener_through_the_log(shell: Shell) -> None:
    (shell.folder / "followed.csv").write_bytes(_plays())
    trained = shell.run("train", "followed.csv", "--kind", "recommendation", *QUICK, "--watch")
    assert trained.code == 0, trained.err
    scored = shell.run("score", "followed", "followed@1", "-k", "5", "--watch", "--json")
    answer = shell.run("erase", "followed", "--listener", LISTENER, "--models", "keep", "--yes", "--json").json
    receipt, pseudonym = answer["receipt"], answer["receipt"]["subject"]["pseudonym"]

    asked = ("audit-log", "--object", pseudonym)
    told, rows, whole = shell.run(*asked), shell.run(*asked, "--json").json, shell.run("audit-log", "--json")

    steps: list[tuple[Any, Any]] = [(row["action"], row["made"]) for row in reversed(rows)]
    dataset = receipt["datasets"][0]["id"]
    assert steps == [
        ("erasures.decide", receipt["erasure"]),
        ("erasures.rewrite", dataset),
        ("erasures.delete_outputs", scored.json["id"]),
        ("erasures.mark_model", receipt["models"][0]["id"]),
        ("erasures.done", receipt["erasure"]),
    ]
    assert all(newer["seq"] > older["seq"] and newer["at"] >= older["at"] for newer, older in pairwise(rows))
    assert receipt["audit_log"] == {"seq": rows[0]["seq"], "hash": rows[0]["hash"]}
    assert {row["object"] for row in rows} == {pseudonym}
    # As a person reads it, the newest first.
    places = [told.out.index(action) for action, _ in reversed(steps)]
    assert places == sorted(places)
    said = json.loads((shell.home / "client.json").read_text())
    with Client(said["url"], said["key"]) as client:
        assert list(client.audit_log(object=pseudonym)) == rows
        assert list(client.audit_log(object=LISTENER)) == []
    assert LISTENER not in told.out + whole.out + json.dumps(answer)
