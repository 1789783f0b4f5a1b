"""Fault 33: the main process of a training worker runs an operation of TensorFlow (docs/decisions/0002).

That importing the pipeline runs none is held by tests/worker/test_process.py; here it is the whole main process of the
real worker, from its start over a training to its end. Spawned children beside a GPU: tests/test_packaging.py.
"""

from pathlib import Path

import pytest

from tests import factories
from tests.faults.house import House
from tests.worker import working
from worker.runner import Post


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("broken", "operations"), [({}, "none"), ({"FAULT_OPERATION": "yes"}, "some")], ids=["forked", "broken, spawned"]
)
def test_33_the_main_process_runs_no_operation_and_if_it_did_a_spawned_child_would_train(
    house: House, tmp_path: Path, broken: dict[str, str], operations: str
) -> None:
    dataset = working.store_dataset(
        Post(house.settings, house.database, house.storage, "nobody"), house.tenant, tmp_path
    )
    with house.database.transaction() as sql:
        job = factories.make_job(sql, house.tenant, datasets=[dataset], params=working.SHORT)

    house.scheduler()
    worker = house.start("tests.faults.trainer", **broken)
    (row,) = house.wait_for_end(job, limit_s=120.0)
    worker.terminate()
    house.wait(lambda: worker.poll() is not None)

    assert (row.state, row.error) == ("succeeded", None)
    house.check()
    assert (house.settings.home / "operations").read_text() == operations
