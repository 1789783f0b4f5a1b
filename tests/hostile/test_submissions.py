"""Bodies that lie, models that are no models, floods and repeats, sent to a living door by one of several tenants."""

from dataclasses import replace

import pytest

from shared.jobs import ENDED
from tests.hostile.invariants import OCTETS, TINY, Watch
from tests.web.test_strict_json import REFUSED

SONGS = "songs@1"
TRAINING = {"action": "train", "kind": "classification", "dataset": SONGS, "model": "m", "params": {"epochs": 1}}


@pytest.mark.hostile("H01", "H02", "H03", "H04", "H05", "H06", "H07", "H65")
def test_a_body_that_is_no_honest_json_is_refused_by_name(watch: Watch) -> None:
    for body, code in REFUSED.items():
        watch.attacker.refused("POST", "/v1/datasets", body or b" ", by=(400, code))


@pytest.mark.hostile("H12")
def test_a_field_that_nobody_named_is_refused_with_its_place(watch: Watch) -> None:
    for field in ["callback", "artifact_location", "__class__", "py/object", "$ref", "constructor"]:
        wrong = [{**TRAINING, field: "http://127.0.0.1"}, {**TRAINING, "params": {field: "os.system"}}]

        said = [watch.attacker.refused("POST", "/v1/jobs", body, by=(422, "invalid_request")) for body in wrong]

        # RFC 6901 writes a slash within a name otherwise.
        named = field.replace("/", "~1")
        assert [each["errors"][0]["pointer"] for each in said] == [f"/{named}", f"/params/{named}"]


@pytest.mark.hostile("H13")
def test_what_would_be_code_is_no_word_of_ours(watch: Watch) -> None:
    unsafe = "keras.config.enable_unsafe_deserialization"

    for params in (
        {"hidden": [{"type": "Lambda", "function": "os.system"}]}, {"hidden": [{"class_name": "TFSMLayer"}]},
        {"hidden": ["os.system"]}, {"hidden": [{"units": 8, "activation": unsafe}]}, {"activation": unsafe},
        {"optimizer": "keras>optimizers"}, {"loss": "__import__('os')"},
    ):  # fmt: skip
        watch.attacker.refused("POST", "/v1/jobs", {**TRAINING, "params": params}, by=(422, "invalid_request"))


@pytest.mark.hostile("H14")
def test_a_giant_is_refused_before_it_is_built(watch: Watch) -> None:
    for hidden, code in (
        ([{"units": 2**31 - 1}], "model_too_large"), ([{"units": 8}] * 10_000, "invalid_request"),
        ([{"units": 10**9}] * 2, "model_too_large"), ([{"units": 2**62}], "model_too_large"),
    ):  # fmt: skip
        body = {**TRAINING, "params": {"hidden": hidden}}
        said = watch.attacker.refused("POST", "/v1/jobs", body, by=(422, code))
        assert code == "invalid_request" or "bytes" in said["detail"]


@pytest.mark.hostile("H60")
def test_a_key_without_the_scope_changes_nothing(watch: Watch) -> None:
    made = watch.attacker.call("POST", "/v1/keys", {"name": "reader", "scope": "read"})
    reader = replace(watch.attacker, door=replace(watch.attacker.door, key=made["secret"]))

    assert reader.call("GET", "/v1/jobs")["data"] is not None
    for method, path, body in (
        ("POST", "/v1/jobs", TRAINING), ("POST", "/v1/datasets", {"name": "songs"}), ("DELETE", "/v1/datasets/x", None),
        ("POST", "/v1/keys", {"name": "more", "scope": "admin"}), ("GET", "/v1/audit-log", None),
    ):  # fmt: skip
        reader.refused(method, path, body, by=(403, "insufficient_scope"))


@pytest.mark.hostile("H50")
def test_an_upload_that_is_repeated_is_one_and_one_that_differs_is_none(watch: Watch) -> None:
    dataset = watch.attacker.call("POST", "/v1/datasets", {"name": "songs"})["id"]
    path, before = (
        f"/v1/datasets/{dataset}/files/t.csv",
        watch.attacker.call("GET", "/v1/limits")["stored_bytes"]["used"],
    )
    wrong = {**OCTETS, "Content-Digest": "sha-256=:" + "A" * 43 + "=:"}

    watch.attacker.refused("PUT", path, TINY, by=(422, "digest_mismatch"), **wrong)
    for _ in range(3):
        watch.attacker.call("PUT", path, TINY, **OCTETS)

    assert watch.attacker.call("GET", "/v1/limits")["stored_bytes"]["used"] == before + len(TINY)
    watch.attacker.call("DELETE", f"/v1/datasets/{dataset}")
    assert watch.attacker.call("GET", "/v1/limits")["stored_bytes"]["used"] == before


@pytest.mark.hostile("H51")
def test_a_flood_is_turned_away_and_the_other_tenant_is_served(watch: Watch) -> None:
    """The same house through a second door, which lets 30 jobs in at once, so that a flood is short."""
    house = watch.house
    door = house.web(ETUDE_SUBMISSION_BURST="30", ETUDE_SUBMISSION_RATE="1")
    flooding = replace(watch.attacker, door=replace(door, key=watch.attacker.door.key))
    try:
        answers = [flooding.door.call("POST", "/v1/jobs", TRAINING) for _ in range(60)]
        dataset, job = watch.neighbour.commit({"t.csv": TINY})
        assert watch.neighbour.end_of(job)["state"] == "succeeded"
        taken = [said["id"] for status, said, _ in answers if status == 202]
        left = [each for each in taken if house.find(each).state not in ENDED]
        for each in left:
            flooding.door.call("POST", f"/v1/jobs/{each}/cancel")
        house.wait_for_end(*taken)
    finally:
        house.processes.remove(door.process)
        door.stop()
    watch.neighbour.call("DELETE", f"/v1/datasets/{dataset}")

    assert {status for status, _, _ in answers} == {202, 429} and 30 <= len(taken) < 60
    refused = [(said["code"], headers["retry-after"]) for status, said, headers in answers if status == 429]
    assert {code for code, _ in refused} == {"rate_limited"} and all(int(after) >= 1 for _, after in refused)


@pytest.mark.hostile("H52")
def test_a_schedule_that_never_or_always_comes_is_refused(watch: Watch) -> None:
    crons = ("* * * * * *", "*/1 * * * * * *", "@every 1s", "61 * * * *", "0 0 30 2 *", "0 0 29 2 *" * 1000)

    for wrong in (*({"cron": cron} for cron in crons), {"start": "9999-12-31T23:59:59Z"}, {"timezone": "../etc"}):
        nightly = {"name": "nightly", "cron": "0 3 * * *", "job": TRAINING, **wrong}
        said = watch.attacker.refused("POST", "/v1/schedules", nightly, by=(422, "invalid_request"))
        assert said["errors"][0]["pointer"] == f"/{next(iter(wrong))}"


@pytest.mark.hostile("H53")
def test_a_key_of_a_repeat_is_its_tenants_own(watch: Watch) -> None:
    again = {"Idempotency-Key": "once"}

    first, repeated = (watch.attacker.call("POST", "/v1/datasets", {"name": "a"}, **again) for _ in range(2))
    watch.attacker.refused("POST", "/v1/datasets", {"name": "b"}, by=(422, "idempotency_mismatch"), **again)
    other = watch.neighbour.call("POST", "/v1/datasets", {"name": "b"}, **again)

    assert first == repeated and other["id"] != first["id"] and other["name"] == "b"


@pytest.mark.hostile("H59")
def test_a_wrong_key_opens_nothing_whatever_is_wrong_with_it(watch: Watch) -> None:
    right = watch.attacker.door.key
    for key in (right[:-1] + ("0" if right[-1] != "0" else "1"), right.upper(), "x" * 10_240, f"{right},{right}", ""):
        headers = {"Authorization": f"Bearer {key}"}
        watch.attacker.refused("GET", "/v1/jobs", by=(401, "unauthorised"), **headers)
