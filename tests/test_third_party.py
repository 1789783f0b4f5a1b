"""THIRD_PARTY.md names what is used, in the version that is pinned, under the licence that it declares."""

import json
import re
import tomllib
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest

PAGE = Path("THIRD_PARTY.md").read_text()
DIRECT = PAGE.partition("## Direct")[2].partition("## Not permissive")[0]
ROWS = {row[0]: row for row in re.findall(r"(?m)^\| ([\w.-]+) \| (\d[\w., ]*) \| (.+?) \| ([\w, ]+) \| .+ \|$", DIRECT)}
COPYLEFT = re.compile(r"GPL|MPL|EPL|CDDL|EUPL|Mozilla", re.IGNORECASE)


def test_every_direct_dependency_is_named_with_its_group_and_no_other() -> None:
    groups = tomllib.loads(Path("pyproject.toml").read_text())["dependency-groups"]
    wanted: dict[str, set[str]] = {}
    for group, entries in groups.items():
        for entry in filter(lambda each: isinstance(each, str), entries):
            wanted.setdefault(re.split(r"[\[<>=; ]", entry)[0].replace("_", "-"), set()).add(group)

    assert {name: set(row[3].split(", ")) for name, row in ROWS.items()} == wanted


@pytest.mark.parametrize("name", ROWS)
def test_a_dependency_has_the_versions_that_are_pinned(name: str) -> None:
    pins = "\n".join(path.read_text() for path in Path("requirements").glob("*.txt"))

    assert set(re.findall(rf"(?m)^{name}(?:\[[\w,-]+\])?==([\w.]+)", pins)) == set(ROWS[name][1].split(", "))


# What `make fuzz` alone installs is not here: its licence was read in its wheels.
@pytest.mark.parametrize("name", [name for name, row in ROWS.items() if row[3] != "fuzz"])
def test_a_dependency_has_the_licence_that_it_declares(name: str) -> None:
    # One project under two names, of which a machine has one.
    names = ["tensorflow-cpu", "tensorflow"] if name.startswith("tensorflow") else [name]

    said = {licence(each) for each in distributions() if plain(each) in names}

    assert said == {ROWS[name][2]}


def test_every_copyleft_licence_that_comes_along_is_named() -> None:
    pins = "\n".join(path.read_text() for path in Path("requirements").glob("*.txt"))
    pinned = {name.lower() for name in re.findall(r"(?m)^([\w.-]+)(?:\[[\w,-]+\])?==", pins)}
    section = PAGE.partition("## Not permissive")[2].partition("## Vendored")[0]

    found = {plain(each) for each in distributions() if COPYLEFT.search(licence(each))} & pinned

    assert found == {name for name in found if re.search(rf"\b{name}\b", section)}
    assert ("nvidia-" in section) == any(name.startswith("nvidia-") for name in pinned)


def test_every_vendored_file_is_named() -> None:
    listed = json.loads(Path("web/static/vendor/VENDOR.json").read_text())

    for entry in listed:
        row = f"| web/static/vendor/{entry['file']} | {entry['package']} | {entry['version']} | {entry['licence']} |"
        assert row in PAGE


def licence(found: Distribution) -> str:
    """The SPDX expression that a distribution declares, or what its older fields mean by one."""
    old = {
        "Apache License 2.0": "Apache-2.0", "Apache 2.0": "Apache-2.0", "BSD 2-Clause License": "BSD-2-Clause",
        "Apache Software License": "Apache-2.0", "MIT License": "MIT", "BSD 3-Clause License": "BSD-3-Clause",
        "BSD License": "BSD-3-Clause",  # scipy, whose text is that of three clauses
    }  # fmt: skip
    kinds = [each.rpartition(" :: ")[2] for each in found.metadata.get_all("Classifier") or [] if "License ::" in each]
    free, expression = ((found.metadata.get_all(field) or [""])[0] for field in ("License", "License-Expression"))
    free = free.strip().partition("\n")[0]
    said = expression or (free if 0 < len(free) < 60 else " AND ".join(kinds)) or _text(found)
    return old.get(said, said)


def _text(found: Distribution) -> str:
    """Some declare nothing and bring the licence itself."""
    return "Apache-2.0" if "Apache License Version 2.0," in " ".join((found.read_text("LICENSE") or "").split()) else ""


def plain(found: Distribution) -> str:
    """The name as lists of requirements write it."""
    return re.sub(r"[-_.]+", "-", found.name).lower()
