"""The models that come with the service, as rows like a tenant's own: everybody sees them, nobody owns them."""

from dataclasses import asdict
from types import SimpleNamespace
from typing import Any

from shared.errors import Fault, InvalidRequest, NotAllowedNow
from shared.pretrained import PRETRAINED, Pretrained

# No tenant's model may be called so.
PREFIX = "etude."
# 26 November 2026: when their first version came with the service.
MADE_AT = 1_795_651_200.0

CARD = (
    "title", "package", "package_version", "files", "authors", "paper", "licence", "licence_file",
    "training_data_note", "published_source", "tags",
)  # fmt: skip

Found = Any  # what Row[Any] gives: attributes by name


def is_builtin(name: str) -> bool:
    return name.startswith(PREFIX)


def models(*, before: str | None) -> list[Found]:
    """Every one, as the list of models shows it: older than any of a tenant's, by its id."""
    found = [_model(each) for each in sorted(PRETRAINED, key=lambda each: each.name, reverse=True)]
    return [each for each in found if before is None or each.id < before]


def find(name: str) -> Found | None:
    """One by its name; None when there is none."""
    return next((_model(each) for each in PRETRAINED if each.name == name), None)


def find_version(name: str, number: int) -> Found | None:
    return next((_version(each) for each in PRETRAINED if (each.name, each.version) == (name, number)), None)


def find_by_id(version_id: str) -> Found | None:
    return next((_version(each) for each in PRETRAINED if _version_id(each) == version_id), None)


def refuse_name(name: str | None, *, pointer: str) -> None:
    """Raise InvalidRequest for a name that only a model of ours may have."""
    if name is not None and is_builtin(name):
        said = f"expected a name that does not begin with {PREFIX}, which names the models that come with the service"
        raise InvalidRequest(said, code="name_reserved", faults=[Fault(said, pointer=pointer)])


def fixed(name: str) -> NotAllowedNow:
    """What is answered to whoever would change one."""
    said = f"{name} comes with the service: it cannot be changed, moved, fetched, exported or trained again."
    return NotAllowedNow(said, code="model_builtin")


def _model_id(each: Pretrained) -> str:
    return f"mdl_0etude_{_plain(each)}"


def _version_id(each: Pretrained) -> str:
    return f"ver_0etude_{_plain(each)}_{each.version}"


def _plain(each: Pretrained) -> str:
    return each.name.removeprefix(PREFIX).replace("-", "_")


def _model(each: Pretrained) -> Found:
    return SimpleNamespace(
        id=_model_id(each), tenant=None, name=each.name, kind=each.kind, created_at=MADE_AT, newest=each.version,
        has_erased_data=False,
    )  # fmt: skip


def _published(each: Pretrained) -> dict[str, Any]:
    """The authors' own figures, in the form of ours."""
    return {name: {"value": value, "interval": None} for name, value in each.published.items()}


def _card(each: Pretrained) -> dict[str, Any]:
    """Whose it is, under which licence, from which files, and who says how good it is."""
    said = asdict(each)
    return {name: said[name] for name in CARD} | {"sha256": each.sha256}


def _version(each: Pretrained) -> Found:
    return SimpleNamespace(
        id=_version_id(each), model=_model_id(each), number=each.version, job=None, files=[],
        metrics={"published": _published(each)}, baselines={}, warnings=[], lineage={"card": _card(each)},
        parameters=each.parameters, created_at=MADE_AT, name=each.name, kind=each.kind, tenant=None,
        erased_data=None,
    )  # fmt: skip
