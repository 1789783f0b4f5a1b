"""Every hostile file comes by the door to a real worker: its dataset is refused by name, and all else goes on."""

import json
import signal
import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from shared.jobs import ENDED
from tests.hostile.invariants import INSIDES, OCTETS, TINY, Watch
from tests.hostile.uploads import AT_THE_DOOR, GOOD, UPLOADS, Upload


def send(watch: Watch, upload: Upload, folder: Path) -> tuple[str, str]:
    path = folder / upload.file
    upload.make(path)
    return watch.attacker.commit({upload.file: path.read_bytes()}, format=upload.format)


def codes_of(job: Any) -> set[str]:
    """The codes of what is wrong with the dataset."""
    assert not INSIDES.search(json.dumps(job["error"])), job["error"]
    return {job["error"]["code"], *(fault.get("code", "") for fault in job["error"].get("errors", []))}


@pytest.mark.hostile(*UPLOADS)
@pytest.mark.parametrize("case", UPLOADS)
def test_a_dataset_of_it_is_refused_by_name_or_read_as_it_is(watch: Watch, tmp_path: Path, case: str) -> None:
    sent = [(each, *send(watch, each, tmp_path)) for each in UPLOADS[case] if each.code not in AT_THE_DOOR]

    for upload, dataset, job in sent:
        ended = watch.attacker.end_of(job)
        if upload.code == GOOD:
            assert ended["state"] == "succeeded", ended["error"]
            continue
        assert ended["state"] == "failed" and upload.code in codes_of(ended), (upload.file, ended["error"])
        assert watch.attacker.call("GET", f"/v1/datasets/{dataset}")["state"] == "rejected"
        training = {"action": "train", "kind": "classification", "dataset": dataset, "model": "m"}
        watch.attacker.refused("POST", "/v1/jobs", training, by=(409, "dataset_not_ready"))
    assert not list(tmp_path.rglob("unpickled"))


@pytest.mark.hostile(*(case for case, uploads in UPLOADS.items() if {each.code for each in uploads} & AT_THE_DOOR))
def test_nothing_at_all_is_refused_before_anybody_reads_it(watch: Watch, tmp_path: Path) -> None:
    dataset = watch.attacker.call("POST", "/v1/datasets", {"name": "songs"})["id"]

    for upload in (each for uploads in UPLOADS.values() for each in uploads if each.code in AT_THE_DOOR):
        upload.make(tmp_path / upload.file)
        path, content = f"/v1/datasets/{dataset}/files/{upload.file}", (tmp_path / upload.file).read_bytes()
        watch.attacker.refused("PUT", path, content, by=(400, upload.code), **OCTETS)
    watch.attacker.refused("POST", f"/v1/datasets/{dataset}/commit", by=(409, "dataset_empty"))


@pytest.mark.hostile("H43")
def test_a_playlist_has_nobody_fetch_anything(watch: Watch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        playlist = f"#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1:{listener.getsockname()[1]}/a.ts\n".encode()

        _, job = watch.attacker.commit({"a.mp3": playlist}, format="audio")

        assert "unsupported_format" in codes_of(watch.attacker.end_of(job))
        with pytest.raises(BlockingIOError):
            listener.accept()


@pytest.mark.hostile("H44")
@pytest.mark.parametrize(
    ("by", "code"),
    [(signal.SIGSEGV, "decoder_crashed"), (signal.SIGXCPU, "decoder_timeout"), (signal.SIGKILL, "decoder_memory")],
)
def test_a_decoder_that_ends_fails_its_job_alone(watch: Watch, by: signal.Signals, code: str) -> None:
    """By the signal of a bad address, of the limit on processor time, of a kernel without memory."""
    _, job = watch.attacker.commit({"t.csv": TINY})

    def is_ended() -> bool:
        for each in watch.worker.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                if "shared.confinement" in each.cmdline():
                    each.send_signal(by)
        return bool(watch.house.find(job).state in ENDED)

    watch.house.wait(is_ended)

    assert codes_of(watch.attacker.end_of(job)) == {code}


@pytest.mark.hostile("H58")
def test_a_stored_file_that_was_changed_or_swapped_fails_the_job_that_reads_it(watch: Watch) -> None:
    storage = watch.house.settings.home / "storage" / "t"
    theirs = max((storage / watch.witness.id).rglob("files/*"), key=lambda path: path.stat().st_mtime).read_bytes()

    for harm in (lambda own: own[:-1] + bytes([own[-1] ^ 1]), lambda own: own[: len(own) // 2], lambda own: theirs):
        dataset = watch.attacker.call("POST", "/v1/datasets", {"name": "songs"})["id"]
        watch.attacker.call("PUT", f"/v1/datasets/{dataset}/files/t.csv", TINY, **OCTETS)
        (path,) = (path for path in (storage / watch.attacker.id).rglob("*") if dataset in str(path) and path.is_file())
        path.write_bytes(harm(path.read_bytes()))
        job = watch.attacker.call("POST", f"/v1/datasets/{dataset}/commit")["id"]

        assert "integrity" in codes_of(watch.attacker.end_of(job))
        watch.attacker.call("DELETE", f"/v1/datasets/{dataset}")
