"""The example of every textbook, as a job: its history is bare Keras's, and so are its answers."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import accuracy_score, recall_score
from sqlalchemy import select

from shared.database import Database
from shared.settings import Settings
from shared.storage import Storage
from shared.tables import epochs
from tests.worker import training_cases, working
from worker import artifacts, forward, runner, training

SEED, ROWS, HELD_OUT, EPOCHS, BATCH = 7, 100, 20, 10, 32
JOB = {
    "preprocess": "none",
    "hidden": [{"units": 10, "activation": "relu"}, {"units": 8, "activation": "relu"}],
    "optimizer": "adam",
    "learning_rate": 0.001,
    "loss": "binary_crossentropy",
    "epochs": EPOCHS,
    "batch_size": BATCH,
    "validation_split": 0.2,
    "seed": SEED,
}


@pytest.fixture(scope="module")
def bare() -> tuple[Any, training_cases.History]:
    """The textbook's own lines, but that each epoch's rows come in our order, for nobody can ask Keras for its own."""
    table = training_cases.binary(ROWS)
    x, y = table.x[:-HELD_OUT], table.y[:-HELD_OUT]
    keras.utils.set_random_seed(SEED)
    model = keras.Sequential(
        [
            keras.Input((10,)),
            keras.layers.Dense(10, activation="relu"),
            keras.layers.Dense(8, activation="relu"),
            keras.layers.Dense(1, activation="sigmoid"),
        ]
    )
    model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
    history: training_cases.History = {}
    for epoch in range(EPOCHS):
        order = training.order(SEED, epoch, len(x))
        held_out = (table.x[-HELD_OUT:], table.y[-HELD_OUT:])
        ran = model.fit(x[order], y[order], batch_size=BATCH, shuffle=False, validation_data=held_out, verbose=0)
        for name, values in ran.history.items():
            history.setdefault(name, []).extend(values)
    return model, history


def test_the_textbook_job_is_bare_keras_epoch_by_epoch(
    settings: Settings,
    database: Database,
    storage: Storage,
    tenant: str,
    tmp_path: Path,
    bare: tuple[Any, training_cases.History],
) -> None:
    model, theirs = bare
    table = training_cases.binary(ROWS)
    columns: dict[str, Any] = {f"feature_{place}": table.x[:, place] for place in range(10)}
    genre = ["rock" if label else "pop" for label in table.y[:, 0]]
    post = working.make_post(settings, database, storage)
    dataset = working.store_table(post, tenant, tmp_path, {**columns, "genre": genre}, target=["genre"])
    job = working.submit(post, tenant, dataset, params=JOB)

    runner.run(post, "train", only_tenant=None)

    row = working.find(post, job)
    assert row.state == "succeeded", row.error
    with post.database.reading() as sql:
        ours = sql.execute(select(epochs.c.metrics).where(epochs.c.job == job).order_by(epochs.c.epoch)).scalars().all()
    assert len(ours) == EPOCHS
    for name in ("loss", "accuracy", "val_loss", "val_accuracy"):
        np.testing.assert_allclose([epoch[name] for epoch in ours], theirs[name], atol=1e-5, rtol=0, err_msg=name)

    said = (model.predict(table.x[-HELD_OUT:], verbose=0)[:, 0] > 0.5).astype(int)
    truth = table.y[-HELD_OUT:, 0].astype(int)
    metrics = row.result["metrics"]["validation"]
    assert metrics["accuracy"]["value"] == pytest.approx(accuracy_score(truth, said))
    assert metrics["recall"]["value"] == pytest.approx(recall_score(truth, said, zero_division=0))
    # What was stored answers as Keras's own model does.
    files = {file["name"]: storage.get(file["key"]) for file in working.made(post, job)[0].files}
    stored = artifacts.unpack(files)
    outputs = forward.compile(stored.network, stored.weights)(table.x)
    np.testing.assert_allclose(outputs, model.predict(table.x, verbose=0), atol=1e-5)
