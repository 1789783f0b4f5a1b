"""What we say of the models that come with the service is what their packages say."""

import ast
import re
from email.parser import HeaderParser
from importlib import metadata
from pathlib import Path

import pytest

from shared.pretrained import MSD_TAGS, MTT_TAGS, PRETRAINED, TAG_ALIASES, Pretrained

TAGGERS = [model for model in PRETRAINED if model.tags]


def file(package: str, path: str) -> Path:
    return Path(str(metadata.distribution(package).locate_file(path)))


def test_five_models_come_with_the_service_under_names_of_their_own() -> None:
    assert [model.name for model in PRETRAINED] == [
        "etude.tagger-mtt", "etude.tagger-msd", "etude.tagger-mtt-vgg", "etude.tagger-msd-vgg", "etude.transcriber",
    ]  # fmt: skip
    assert len({model.sha256 for model in PRETRAINED}) == 5


@pytest.mark.parametrize("model", TAGGERS, ids=lambda model: model.name)
def test_published_figures_are_those_of_the_authors_own_result_file(model: Pretrained) -> None:
    path = re.search(r"musicnn/\S+", model.published_source)
    assert path is not None
    said = re.findall(r"AUC: (\S+)", file(model.package, path.group()).read_text())

    assert [float(figure) for figure in said] == [model.published["roc_auc"], model.published["pr_auc"]]
    assert {Path(weights).parent.name for weights in model.files} == {Path(path.group()).parent.name}


def test_tags_stand_in_the_authors_order() -> None:
    source = ast.parse(file("musicnn", "musicnn/configuration.py").read_text())
    said = {
        node.targets[0].id: tuple(ast.literal_eval(node.value))
        for node in source.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and node.targets[0].id.endswith("LABELS")
    }

    assert said == {"MTT_LABELS": MTT_TAGS, "MSD_LABELS": MSD_TAGS}


@pytest.mark.parametrize("model", PRETRAINED, ids=lambda model: model.name)
def test_version_and_licence_are_those_of_the_installed_package(model: Pretrained) -> None:
    about = HeaderParser().parsestr(metadata.distribution(model.package).read_text("METADATA") or "")

    licence = " ".join(file(model.package, model.licence_file).read_text().split())

    assert about["Version"] == model.package_version
    assert {
        "ISC": "Permission to use, copy, modify, and/or distribute this software for any purpose",
        "Apache-2.0": "Apache License Version 2.0",
    }[model.licence] in licence
    assert "separate question" in model.training_data_note


def test_an_alias_and_what_it_stands_for_are_tags_of_the_same_model() -> None:
    for alias, meaning in TAG_ALIASES.items():
        assert any({alias, meaning} <= set(tags) for tags in (MTT_TAGS, MSD_TAGS)), alias
        assert meaning not in TAG_ALIASES, "an alias leads to a name that is no alias"
