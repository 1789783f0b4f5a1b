"""From the body of POST /v1/jobs to a checked job: references frozen, params of their kind, the network's size."""

from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel, TypeAdapter, ValidationError
from sqlalchemy import Connection, Row

from shared import (
    builtin,
    calibration,
    carried_rights,
    columns,
    comparing,
    composing,
    datasets,
    estimation,
    explanation,
    exporting,
    job_list,
    jobs,
    limits,
    machines,
    models,
    networks,
    private_listening,
    private_training,
    refusals,
    reproducing,
    reuse,
    tuning,
)
from shared.audit_params import AUDIT, Auditing
from shared.calibration import Calibrated
from shared.code import CODE_VERSION
from shared.errors import Fault, InvalidRequest, NotAllowedNow, NotFound
from shared.export_params import EXPORT
from shared.kinds import KINDS
from shared.kinds.recommendation import TrainParams as RecommenderTraining
from shared.queue import TRAIN
from shared.settings import Settings
from shared.table_params import TableTraining
from shared.training_params import REPRODUCE
from shared.tuning_params import TUNE, Tuning
from shared.wanted import OF_A_VERSION, Name, NewJob

Json = dict[str, Any]
# The actions in which a network learns from rows.
LEARN = ("train", TUNE, AUDIT, REPRODUCE)
USE_A_VERSION = ("score", "generate", "evaluate", *OF_A_VERSION)


@dataclass(frozen=True)
class _Looked:
    """What a body comes to: `asked` is what it says, `params` those of the training or scoring that is done."""

    rows: list[Row[Any]]
    version: Row[Any] | None
    kind: str | None
    asked: Any  # Any: the kind's own
    params: Any
    need: estimation.Need
    told: Calibrated


def check(sql: Connection, tenant: str, wanted: NewJob, settings: Settings) -> jobs.NewJob:
    """The job as it will be queued. Raises InvalidRequest with every fault, NotAllowedNow for an unready dataset."""
    looked = _look(sql, tenant, wanted, settings)
    rows, version, kind, asked, need = looked.rows, looked.version, looked.kind, looked.asked, looked.need
    if looked.params is asked:
        asked = comparing.freeze(sql, tenant, asked, version)
    _check_resume(sql, tenant, asked, [row.id for row in rows], version)
    if need.size is not None:
        networks.refuse_giant(need.size, memory_limit_bytes=settings.training_memory_bytes, pointer=need.pointer)
    if isinstance(looked.params, TableTraining):
        limits.check_target(rows, kind)
    if isinstance(asked, Tuning):
        tuning.check(asked, KINDS[kind or ""], lambda train: limits.refuse_giant(train, rows, settings))
    new = jobs.NewJob(
        tenant=tenant,
        action=wanted.action,
        kind=kind,
        queue=TRAIN,
        datasets=[row.id for row in rows],
        model=_model_name(wanted, rows, version),
        version=None if version is None else version.id,
        params=asked.model_dump(mode="json", exclude_unset=True),
        labels=wanted.labels,
        budget=wanted.budget.model_dump(exclude_none=True),
        promote=None if wanted.promote is None else wanted.promote.model_dump(exclude_defaults=True),
        priority=wanted.priority,
        deadline_s=wanted.deadline_s,
        expected_s=min(looked.told.seconds, wanted.budget.compute_seconds or looked.told.seconds),
        # Of a search the trials are what costs, and they are jobs of their own.
        estimate=None
        if isinstance(asked, Tuning)
        else {**looked.told.as_json(), **calibration.frozen(looked.need.expected)},
        code=CODE_VERSION,
    )
    contents = [row.sha256 for row in rows]
    said = asked.model_dump(mode="json")
    return replace(new, fingerprint=reuse.fingerprint(sql, new, params=said, contents=contents))


def estimate(sql: Connection, tenant: str, wanted: NewJob, settings: Settings) -> Json:
    """What the same body would need as a job: parameters, memory, seconds with their range, energy, money."""
    looked = _look(sql, tenant, wanted, settings)
    asked, told = looked.asked, looked.told
    if isinstance(asked, Tuning):
        told = told.times(tuning.times(asked, looked.rows[0]))
    return estimation.as_json(looked.need, told, settings)


def _look(sql: Connection, tenant: str, wanted: NewJob, settings: Settings) -> _Looked:
    """Look at all that an estimate needs as much as a job does."""
    version = _version(sql, tenant, wanted)
    rows = _datasets(sql, tenant, wanted, version)
    kind = version.kind if version is not None else wanted.kind
    asked = _params(wanted, kind)
    params = _done(wanted, asked, version)
    limits.check_promotion(wanted, kind)
    limits.check_budget(wanted, settings)
    limits.check_formats(rows, kind, version, wanted.action)
    composing.check(params, rows, settings)
    if version is not None:
        columns.refuse_unlike(rows, version, getattr(params, "columns", ()))
    limits.check_hearing(params, rows)
    if isinstance(params, TableTraining):
        under = "/params/train" if isinstance(asked, Tuning) else "/params"
        group_at = f"{under}/group" if isinstance(asked, Auditing) else f"{under}/validation/group"
        columns.refuse_unnamed(rows, params, under=under, group_at=group_at)
        private_training.refuse(asked, params, rows, kind)
    if isinstance(params, RecommenderTraining):
        private_listening.refuse(asked, params)
    explanation.refuse_unfit(params, rows, version)
    if wanted.action in LEARN:
        carried_rights.refuse_withheld(sql, [row.id for row in rows])
    if wanted.promote is not None:
        _refuse_promotion(sql, wanted.promote.alias, rows, params, settings)
    need = estimation.need(params, rows, version, machines.usual(sql))
    if isinstance(asked, Auditing):
        need = replace(need, expected=need.expected.times(asked.folds))
    told = calibration.calibrate(need.expected, calibration.recent(sql, tenant, _like(wanted), kind))
    return _Looked(rows, version, kind, asked, params, need, told)


def _refuse_promotion(sql: Connection, alias: str, rows: list[Row[Any]], params: Any, settings: Settings) -> None:
    """Refuse a training for an alias that its version could not have; nothing is trained in vain."""
    lineage = {
        "params": {"preset": getattr(params, "preset", None)},
        "dataset": {"format": rows[0].format},
        "beside": [{"format": row.format} for row in rows[1:]],
    }
    carried = carried_rights.of_training(sql, [row.id for row in rows], lineage, {})
    carried_rights.demand_commercial(carried, alias, settings.unknown_rights)


def _model_name(wanted: NewJob, rows: list[Row[Any]], version: Row[Any] | None) -> str | None:
    """The model that a job is about; an audit is about none."""
    if wanted.action == AUDIT:
        return None
    return (wanted.model or rows[0].name) if version is None else version.name


def _like(wanted: NewJob) -> str:
    """The action whose jobs tell how long this one takes: a search and a reproduction are made of trainings."""
    return "train" if wanted.action in (TUNE, REPRODUCE) else wanted.action


def _done(wanted: NewJob, asked: BaseModel, version: Row[Any] | None) -> BaseModel:
    """The params of what is done: of a search a training in its space, of an audit the one that each fold is, of a
    reproduction the one that was."""
    if wanted.action == REPRODUCE and version is not None:
        return reproducing.training(version)
    return asked.train if isinstance(asked, Tuning | Auditing) else asked


def _check_resume(sql: Connection, tenant: str, params: BaseModel, rows: list[str], version: Row[Any] | None) -> None:
    """Refuse to go on from a job that did not do the same, or has done all of it."""
    earlier = getattr(params, "resume_of", None)
    if earlier is None or version is None:
        return
    try:
        job = job_list.find(sql, tenant, earlier)
    except NotFound as cause:
        said = f"expected a scoring of yours that was cancelled or failed, received {earlier!r}, which names no job"
        raise _fault("/params/resume_of", said, code="unknown_reference") from cause
    asked = params.model_dump(mode="json", exclude_unset=True, exclude={"resume_of"})
    before = {name: value for name, value in job.params.items() if name != "resume_of"}
    if (job.action, job.version, job.datasets, before) != ("score", version.id, rows, asked):
        said = "expected the datasets, the model version and the params of the job that is gone on from"
        raise _fault("/params/resume_of", said, code="resume_mismatch")
    if job.state not in (jobs.CANCELLED, jobs.FAILED):
        said = f"The job {earlier} is {job.state}: only one that was cancelled or failed is gone on from."
        raise NotAllowedNow(said, code=f"job_{job.state}")


def _datasets(sql: Connection, tenant: str, wanted: NewJob, version: Row[Any] | None) -> list[Row[Any]]:
    if wanted.action == REPRODUCE and version is not None:
        return reproducing.learned_from(sql, tenant, version)
    if wanted.dataset is None:
        return []
    if isinstance(wanted.dataset, str):
        return [datasets.resolve(sql, tenant, wanted.dataset, pointer="/dataset")]
    return [
        datasets.resolve(sql, tenant, reference, pointer=f"/dataset/{place}")
        for place, reference in enumerate(wanted.dataset)
    ]


def _version(sql: Connection, tenant: str, wanted: NewJob) -> Row[Any] | None:
    """The model version that a scoring uses, frozen now; None for a training, which makes one."""
    if wanted.action in USE_A_VERSION:
        default = getattr(KINDS.get(wanted.kind or ""), "DEFAULT_MODEL", None)
        if wanted.model is None and default is not None:
            return models.resolve(sql, tenant, default, pointer="/model")
        if wanted.model is None:
            said = f"expected the model to {wanted.action} with (name@3 or name@champion), received none"
            raise _fault("/model", said)
        version = models.resolve(sql, tenant, wanted.model, pointer="/model")
        if wanted.kind not in (None, version.kind):
            raise _fault("/kind", f"expected {version.kind}, which the model is, received {wanted.kind}")
        if wanted.action in OF_A_VERSION and builtin.is_builtin(version.name):
            raise builtin.fixed(version.name)
        if wanted.action == EXPORT:
            exporting.refuse_unfit(version)
        return version
    if wanted.action == AUDIT and wanted.model is not None:
        raise _fault("/model", f"expected no model: an audit makes none, received {wanted.model!r}")
    builtin.refuse_name(wanted.model, pointer="/model")
    if wanted.model is not None and "@" in wanted.model:
        raise _fault("/model", f"expected a name for the model, received {wanted.model!r}: its version is made by us")
    if wanted.model is not None:
        _check_name(wanted.model)
    if wanted.kind is None:
        raise _fault("/kind", f"expected one of {', '.join(KINDS)}, received none")
    return None


_NAME: TypeAdapter[str] = TypeAdapter(Name)


def _check_name(model: str) -> None:
    try:
        _NAME.validate_python(model)
    except ValidationError as cause:
        said = f"expected a name for the model, at most 100 signs without / \\ @ and not . or .., received {model!r}"
        raise _fault("/model", said) from cause


def _params(wanted: NewJob, kind: str | None) -> BaseModel:
    if kind not in KINDS:
        raise _fault("/kind", f"expected one of {', '.join(KINDS)}, received {kind!r}", code="unknown_kind")
    schema: type[BaseModel] | None = KINDS[kind].ACTIONS.get(wanted.action)
    if schema is None:
        said = f"expected one of {', '.join(KINDS[kind].ACTIONS)} for {kind}, received {wanted.action}"
        raise _fault("/action", said)
    try:
        return schema.model_validate(wanted.params)
    except ValidationError as cause:
        raise refusals.of(cause, under="/params", document=wanted.params) from cause


def _fault(pointer: str, message: str, *, code: str | None = None) -> InvalidRequest:
    return InvalidRequest(message, code=code, faults=[Fault(message, pointer=pointer)])
