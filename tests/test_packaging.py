"""The images and the compose file, as far as can be known without Docker: read here, and run as plain processes."""

import dataclasses
import json
import re
import shlex
import subprocess
import sys
import tomllib
import urllib.request
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import grimp
import pytest
from etude import Client
from redis import Redis
from redis.exceptions import AuthenticationError
from sqlalchemy import create_engine, make_url

from shared import ids
from shared.settings import Settings
from tests import compose, postgres_server
from tests.compose import ROOT, Deployment, Unset

SECRETS = {
    "ETUDE_PEPPER": "p" * 40,
    "ETUDE_ROOT_KEY": "4e" * 32,
    "POSTGRES_PASSWORD": "sql7secret",
    # As the tests' own, for they share the role.
    "POSTGRES_APP_PASSWORD": postgres_server.APP,
    "REDIS_PASSWORD": "bell7secret",
}
OURS = ["migrate", "first-key", "web", "scheduler", "answers", "deliveries", "light-worker", "worker", "gpu-worker"]
STAY = OURS[2:]
TRAINERS = ["worker", "gpu-worker"]
# The way in which a worker starts its children beside a GPU, which a machine without one can try, too.
BESIDE_A_GPU = "from worker import app; app.start_method = lambda: 'spawn'; app.main()"
LISTS = {"web": "web", "worker": "worker-cpu", "worker-gpu": "worker-gpu"}


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    return compose.services(SECRETS)


@pytest.mark.parametrize("secret", SECRETS)
def test_a_missing_secret_stops_the_start_with_a_sentence(secret: str) -> None:
    with pytest.raises(Unset, match=f"set {secret} to "):
        compose.services({name: value for name, value in SECRETS.items() if name != secret})


def test_no_secret_has_a_value_in_the_file() -> None:
    text = (ROOT / "docker-compose.yml").read_text() + (ROOT / "Dockerfile").read_text()

    for name in SECRETS:
        used = re.findall(rf"\$+\{{{name}\W.", text)
        assert used and all(found.endswith(":?") or found.startswith("$$") for found in used)
    assert not re.search(r"(?i)(pepper|password):? *= *['\"]?\w", text)


def test_every_setting_that_is_named_exists(services: dict[str, Any]) -> None:
    known = {f"ETUDE_{setting.name.upper()}" for setting in dataclasses.fields(Settings)}

    named = {name for service in services.values() for name in service["environment"] if name.startswith("ETUDE_")}
    named |= {name for target in LISTS for name in compose.image_environment(target) if name.startswith("ETUDE_")}

    assert (
        {"ETUDE_PEPPER", "ETUDE_ROOT_KEY", "ETUDE_DATABASE_URL", "ETUDE_REDIS_URL", "ETUDE_STORAGE_URL"}
        <= named
        <= known
    )


def test_every_service_waits_for_what_exists_and_for_no_circle(services: dict[str, Any]) -> None:
    order = compose.start_order(services)

    assert set(order) == set(services) == {"postgres", "redis", *OURS}
    for name in STAY:
        assert order.index("migrate") < order.index(name)
        needs = services[name]["depends_on"]
        assert needs["redis"]["condition"] == "service_healthy"
        done = {needed for needed, wish in needs.items() if wish["condition"] == "service_completed_successfully"}
        assert done <= {"migrate", "first-key"} and done


def test_only_the_web_process_is_reached_and_only_from_this_host(services: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}

    assert published == {"web": ["127.0.0.1:8000:8000"]}
    assert compose.whole()["networks"]["inside"] == {"internal": True}
    assert {name for name, service in services.items() if service["networks"] != ["inside"]} == {"web", "deliveries"}


def test_only_the_migration_connects_as_the_superuser(services: dict[str, Any]) -> None:
    superuser = services["postgres"]["environment"]["POSTGRES_USER"]

    connects = {name: make_url(services[name]["environment"]["ETUDE_DATABASE_URL"]).username for name in OURS}
    told = {name for name in services if SECRETS["POSTGRES_PASSWORD"] in str(services[name])}

    assert connects == {**dict.fromkeys(OURS, postgres_server.APP), "migrate": superuser}
    assert told == {"postgres", "migrate"}
    admitted = services["migrate"]["environment"]["ETUDE_APP_DATABASE_URL"]
    assert {services[name]["environment"]["ETUDE_DATABASE_URL"] for name in STAY} == {admitted}


@pytest.mark.parametrize("name", [*OURS, "redis"])
def test_a_process_of_ours_has_no_root_no_capability_and_nowhere_to_write_but_its_volumes(
    services: dict[str, Any], name: str
) -> None:
    service = services[name]

    assert service["user"] == "10001:10001"
    assert service["read_only"] and service["init"]
    assert service["cap_drop"] == ["ALL"] and service["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("name", ["postgres", "redis", *STAY])
def test_whatever_stays_is_checked_limited_and_started_again(services: dict[str, Any], name: str) -> None:
    service = services[name]

    assert service["healthcheck"]["test"]
    assert {"cpus", "memory"} <= set(service["deploy"]["resources"]["limits"])
    assert service["restart"] == "unless-stopped"
    assert "hostname" not in service and "container_name" not in service  # two of one name would end each other's work


def test_a_worker_has_longer_to_leave_than_celery_gives_its_child(services: dict[str, Any]) -> None:
    given = compose.ROOT.joinpath("shared/queue.py").read_text()
    drain_s = float(re.findall(r"worker_soft_shutdown_timeout=([\d.]+)", given)[0])

    for name in TRAINERS:
        assert float(services[name]["stop_grace_period"].removesuffix("s")) > drain_s


def test_the_gpu_worker_starts_only_when_asked_for(services: dict[str, Any]) -> None:
    assert [name for name, service in services.items() if "profiles" in service] == ["gpu-worker"]
    device = services["gpu-worker"]["deploy"]["resources"]["reservations"]["devices"]
    assert device == [{"driver": "nvidia", "count": 1, "capabilities": ["gpu"]}]


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_a_module_of_its_image(services: dict[str, Any], name: str) -> None:
    service = services[name]
    copied = _copied(service["build"]["target"])
    asked = [service["command"], service["healthcheck"].get("test", ["CMD", "python", "-m", "shared.pulse"])[1:]]

    for _, flag, module, *_ in asked:
        assert flag == "-m"
        assert module.partition(".")[0] in copied
        assert (ROOT / f"{module.replace('.', '/')}.py").exists()


@pytest.mark.parametrize("module", ["worker.app", "shared.pulse"])
def test_a_command_with_arguments_explains_them(module: str) -> None:
    said = subprocess.run([sys.executable, "-m", module, "--help"], capture_output=True, text=True, check=True).stdout

    assert "--queue" in said and "--slot" in said


@pytest.mark.parametrize("target", LISTS)
def test_an_image_copies_what_is_there_runs_as_nobody_and_has_a_check(target: str) -> None:
    done = compose.instructions(target)

    assert [rest for word, rest in done if word == "USER"] == ["10001:10001"]
    assert [json.loads(rest)[:2] for word, rest in done if word == "CMD"] == [["python", "-m"]]
    assert ["shared.pulse" in rest for word, rest in done if word == "HEALTHCHECK"] == [True]
    assert all((ROOT / path).exists() for path in _copied(target))
    assert sum(word == "RUN" and "compileall" in rest for word, rest in done) == 1
    installed = " ".join(rest for _, rest in compose.instructions(f"build-{target}"))
    assert f"requirements/{LISTS[target]}.txt" in installed
    assert ("requirements/accounting.txt" in installed) == (target != "web")
    assert "--require-hashes" in installed and "--only-binary :all:" in installed and "--without-pip" in installed


def test_the_builder_gets_what_is_copied_and_nothing_else() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    wanted = {path for target in LISTS for path in _copied(target)} | {"requirements"}

    assert ignored[0] == "*"
    assert {line.strip("!/") for line in ignored if line.startswith("!")} == wanted
    assert ignored[-1] == "**/__pycache__"


@pytest.mark.parametrize("target", LISTS)
def test_an_image_installs_every_library_that_its_code_imports(target: str) -> None:
    ours = [path for path in _copied(target) if (ROOT / path).is_dir()]
    graph = grimp.build_graph(*ours, include_external_packages=True)
    imported = {found for module in graph.modules for found in graph.find_modules_directly_imported_by(module)}
    foreign = {name.partition(".")[0] for name in imported} - set(ours) - set(sys.stdlib_module_names)
    names = packages_distributions()

    needed = {_plain(names[name][0]) for name in foreign if name != "tensorflow"}

    beside = set() if target == "web" else _listed("accounting")
    # Loaded where a collector is named alone, and refused at the start where it is not there.
    extra = {"opentelemetry-exporter-otlp-proto-http", "opentelemetry-sdk", "opentelemetry-api"}
    assert needed - extra <= _listed(LISTS[target]) | beside
    assert ("tensorflow" in foreign) == (target != "web")


def test_the_web_image_has_no_tensorflow_numpy_or_arrow() -> None:
    heavy = {"tensorflow", "tensorflow-cpu", "keras", "numpy", "pyarrow", "scikit-learn", "psutil", "safetensors"}

    assert not heavy & _listed("web")
    assert heavy - {"tensorflow"} <= _listed("worker-cpu")


def test_every_list_names_the_version_and_the_hashes_of_each_distribution() -> None:
    for path in (ROOT / "requirements").glob("*.txt"):
        entries = re.split(r"\n(?=\S)", path.read_text().strip())
        assert all("==" in entry and "--hash=sha256:" in entry for entry in entries), path.name


def test_the_python_of_the_images_is_one_that_the_project_allows() -> None:
    image = re.findall(r"ARG PYTHON_IMAGE=python:(\d+)\.(\d+)-slim", (ROOT / "Dockerfile").read_text())
    allowed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]

    assert allowed == ">=3.11,<3.14"
    assert [(3, 11) <= (int(major), int(minor)) < (3, 14) for major, minor in image] == [True]


@pytest.fixture(scope="module", params=TRAINERS)
def deployment(
    request: pytest.FixtureRequest,
    postgres: postgres_server.Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Deployment]:
    """The services of the file with either training worker, but for PostgreSQL's image, as processes."""
    other = next(name for name in TRAINERS if name != request.param)
    started = {name: service for name, service in compose.services(SECRETS).items() if name not in ("postgres", other)}
    for service in started.values():
        service.get("depends_on", {}).pop("postgres", None)
    if request.param == "gpu-worker":
        started["gpu-worker"]["command"] = ["python", "-c", BESIDE_A_GPU, "--queue", "train"]
    database = ids.new("ds")
    postgres.create_database(database)
    made = Deployment(started, folder=tmp_path_factory.mktemp("deployment"), database_url=postgres.url(database))
    try:
        made.start()
        for name in set(STAY) & set(started):
            made.wait_healthy(name)
        yield made
    finally:
        made.kill()


def test_the_services_of_the_file_train_a_model_and_answer(deployment: Deployment, tmp_path: Path) -> None:
    table = tmp_path / "songs.csv"
    table.write_text("id,tempo,genre\n" + "".join(f"s{i},{i % 50},{'ab'[i % 50 > 24]}\n" for i in range(200)))
    given = json.loads((Path(deployment.environment("first-key")["ETUDE_HOME"]) / "client.json").read_text())

    with Client(given["url"], given["key"]) as client:
        dataset = client.upload(table, name="songs", target="genre", id="id")
        trained = client.train(dataset, kind="classification", params={"epochs": 3, "seed": 1}).wait()
        scored = client.score("songs@1", dataset).wait()

    assert trained.result["epochs"] == 3
    assert scored.result["rows"] == 200
    assert given["url"] == f"http://127.0.0.1:{deployment.port}"
    assert [deployment.check(name) for name in STAY if name in deployment.services] == [None] * 6


def test_row_level_security_holds_for_every_process(deployment: Deployment) -> None:
    logs = {name: deployment.log(name) for name in STAY if name in deployment.services}
    engine = create_engine(deployment.environment("web")["ETUDE_DATABASE_URL"])
    with engine.connect() as sql:
        seen = sql.exec_driver_sql("SELECT count(*) FROM jobs").scalar_one()
        owns = sql.exec_driver_sql("SELECT count(*) FROM pg_tables WHERE tableowner = current_user").scalar_one()
    engine.dispose()

    ready = json.loads(urllib.request.urlopen(f"http://127.0.0.1:{deployment.port}/readyz", timeout=10).read())
    assert ready == {"status": "ok"}
    assert [name for name, said in logs.items() if "row_security_bypassed" in said] == []
    assert (seen, owns) == (0, 0)


def test_redis_answers_nobody_without_the_password(deployment: Deployment) -> None:
    host, port = deployment.redis_address

    with Redis(host, port) as stranger, pytest.raises(AuthenticationError):
        stranger.ping()
    with Redis(host, port, password=SECRETS["REDIS_PASSWORD"]) as friend:
        assert friend.ping()
        assert friend.config_get("appendonly")["appendonly"] == "no"


def test_all_leave_in_good_order_within_their_grace(deployment: Deployment) -> None:
    ended = deployment.stop()

    assert ended == dict.fromkeys(ended, 0)


def _copied(target: str) -> list[str]:
    """What a target takes from the build's context."""
    copies = [shlex.split(rest) for word, rest in compose.instructions(target) if word == "COPY"]
    return [words[0] for words in copies if not words[0].startswith("--from")]


def _listed(name: str) -> set[str]:
    """The distributions of a hash-pinned list."""
    return {_plain(found) for found in re.findall(r"(?m)^([\w.-]+)==", (ROOT / f"requirements/{name}.txt").read_text())}


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
