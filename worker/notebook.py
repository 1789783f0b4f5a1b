"""What has been tried, written down as studies of Optuna in a database or a schema of their own, for its own tools.

Its tables have names that ours have, too (`alembic_version`). Nothing here reads them: what is true stands in our rows,
so a notebook that is away, or lost, costs a search nothing.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.exceptions import OptunaError
from optuna.storages import RDBStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from sqlalchemy import inspect, make_url, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.schema import CreateSchema

from shared.database import Database
from shared.errors import Unavailable
from shared.log import describe, logger

SCHEMA, FILE = "studies", "studies.db"
# A writer of SQLite waits so long for another.
BUSY_S = 30.0
# Of PostgreSQL, where two workers might make the tables at the same moment; of SQLite our one writer is enough.
LOCK = text("SELECT pg_advisory_xact_lock(6202188)")

log = logger("notebook")


_storages: dict[str, RDBStorage] = {}


def write(database: Database, search: str, trial: FrozenTrial, *, better: str) -> None:
    """Add a trial that has ended to the study of its search, named by the search's id.

    A write that fails is told to the operator, and to nobody else.
    """
    try:
        if database.url not in _storages:
            _storages[database.url] = _open(database)
        storage = _storages[database.url]
        direction = StudyDirection.MAXIMIZE if better == "higher" else StudyDirection.MINIMIZE
        study = optuna.create_study(storage=storage, study_name=search, direction=direction, load_if_exists=True)
        study.add_trial(trial)
        # Written to now and then: no connection is kept for that.
        storage.engine.dispose()
    except (OptunaError, SQLAlchemyError, Unavailable) as cause:
        log.warning("notebook_not_written", search=search, why=describe(cause))


def _open(database: Database) -> RDBStorage:
    """The studies beside our own tables, made when they are not there."""
    url = make_url(database.url)
    if database.is_sqlite:
        place = url.set(database=str(Path(url.database or "").with_name(FILE)))
        options: Mapping[str, Any] = {"timeout": BUSY_S}
    else:
        place, options = url, {"options": f"-c search_path={SCHEMA}"}
        with database.transaction() as sql:
            sql.execute(LOCK)
            # A role that owns nothing finds it made (migrations/roles.py), and may make none.
            if not inspect(sql).has_schema(SCHEMA):
                sql.execute(CreateSchema(SCHEMA))
    with database.transaction() as sql:
        # Held while the tables are made.
        if not database.is_sqlite:
            sql.execute(LOCK)
        return RDBStorage(
            place.render_as_string(hide_password=False),
            engine_kwargs={"connect_args": dict(options), "pool_size": 1, "pool_pre_ping": not database.is_sqlite},
        )
