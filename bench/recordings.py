"""Real recordings to measure with: the soundtracks of games, as Debian 12 packages them.

They are fetched with apt-get into the cache, never stored beside the code: their licences differ from file to file, and
each package names them. The digests are those of the packages, so that everybody measures with the same bytes.
"""

import hashlib
import shutil
import subprocess
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import cache
from bench.measurement import MeasurementBroken

SUFFIXES = (".ogg", ".opus")


@dataclass(frozen=True)
class Package:
    """A package, its version, and the SHA-256 of its file."""

    name: str
    version: str
    sha256: str


SOUNDTRACKS = (
    Package("drascula-music", "1.0+ds4-2", "340e0beb1bacf005cbabebc07ebdd88adf6aee363d437f8a7d73cb0c77a93e79"),
    Package("nexuiz-music", "2.5.2-12", "d1a7d6e2c0a5bbe6670dbf73354e38f742597310d425e373250fc71a636f8dda"),
    Package("planetblupi-music-ogg", "1.14.2-3", "7d89a6d00b43cdb601e35256ab1a62814d203b5922cfed6a0e73e98486e82fa6"),
    Package("singularity-music", "007-2", "139ba1e408eeb0a72f1fff3760ca46558b9f81bed97dc8c0efa108c4007f4845"),
    Package("ufoai-music", "2.5-2", "2465d55e9dce75a3a2a1ad1c8ca67da84e251c04e0965d63a8562b2d9f76f9e6"),
    Package("warzone2100-music", "4.3.3-3", "d3b2c9f90ea5438d45d4aff18339a03ec808e1affa9dac91f7dad61cb15ee64e"),
    Package("wesnoth-1.16-music", "1:1.16.9-1", "f9bc3cde92b4ab30db5d7b85f89b4bcc3d788dd92602956d0347250850bf59bb"),
)
SOUNDFONT = Package("timgm6mb-soundfont", "1.3-5", "034abdfb296d9353433513dad5dbdcab46425ee6008fc02fe7039b46e75edc54")
PACKAGES = {each.name: each for each in (*SOUNDTRACKS, SOUNDFONT)}


def fetch(package: Package) -> Path:
    """The folder of an unpacked package. Raises MeasurementBroken where it cannot be had, or is another one."""
    return cache.keep(f"{package.name}-{package.sha256[:12]}", lambda into: _unpack(package, into))


def soundtrack(name: str) -> list[Path]:
    """The tracks of one soundtrack, by name."""
    return tracks(fetch(PACKAGES[name]))


def tracks(folder: Path) -> list[Path]:
    """Recordings under a folder, each once: packages have folders that are links to one another."""
    found = {path.resolve(): path for path in sorted(folder.rglob("*")) if path.suffix in SUFFIXES and path.is_file()}
    return sorted(found)


def _unpack(package: Package, into: Path) -> None:
    download = into.parent / "download"
    download.mkdir()
    _run(["apt-get", "download", f"{package.name}={package.version}"], package, where=download)
    file = next(download.glob("*.deb"))
    check(file, package)
    _run(["dpkg", "-x", str(file), str(into)], package, where=download)
    shutil.rmtree(download)
    for archive in sorted(into.rglob("*.pk3")):
        with zipfile.ZipFile(archive) as opened:
            opened.extractall(archive.with_suffix(""))
        archive.unlink()


def check(file: Path, package: Package) -> None:
    """Raise MeasurementBroken unless the file is the package that figures were measured with."""
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").hexdigest()
    if found != package.sha256:
        said = f"expected {package.name} {package.version} with SHA-256 {package.sha256}, received {found}"
        raise MeasurementBroken(f"{said}: figures of other recordings could not be compared")


def _run(command: Sequence[str], package: Package, *, where: Path) -> None:
    if shutil.which(command[0]) is None:
        said = f"expected {command[0]} to fetch {package.name}, found none: run this benchmark on Debian 12"
        raise MeasurementBroken(f"{said}, or name a cache that holds the recordings in ETUDE_BENCH_CACHE")
    ran = subprocess.run(command, cwd=where, capture_output=True, text=True, check=False)
    if ran.returncode:
        said = f"expected {' '.join(command[:2])} to fetch {package.name} {package.version} of Debian 12"
        raise MeasurementBroken(f"{said}: {ran.stderr.strip()[-500:]}")
