"""A PostgreSQL server of the tests' own: in a temporary folder, on a socket there, gone afterwards."""

import contextlib
import os
import pwd
import secrets
import select
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from urllib.parse import quote

import pytest

from attune_ray.cli.interrupts import descendants

__all__ = ["Postgres", "postgres", "postgres_url", "serving"]

_PORT = 5432  # names the socket alone: nothing listens on a network


class Postgres:
    """A server that runs.

    Attributes:
        folder: of its socket.
    """

    def __init__(self, bin_folder: Path, folder: Path) -> None:
        self._bin = bin_folder
        self.folder = folder

    def url(self, database: str = "postgres") -> str:
        """The address of one of its databases."""
        return f"postgresql://{_user().pw_name}@/{database}?host={quote(str(self.folder), safe='')}&port={_PORT}"

    def start(self) -> None:
        """Start it, and wait until it answers."""
        options = ["-k", str(self.folder), "-p", str(_PORT), "-c", "listen_addresses=", "-c", "fsync=off"]
        command = [str(self._bin / "pg_ctl"), "-D", str(self._data), "-w", "-t", "60", "-l", str(self.folder / "log")]
        _as_user([*command, "-o", " ".join(options), "start"])

    def stop(self) -> None:
        """Stop it at once, whatever goes on."""
        _as_user([str(self._bin / "pg_ctl"), "-D", str(self._data), "-m", "immediate", "-w", "stop"])

    def kill(self) -> None:
        """``kill -9`` for the server and all its processes; it is gone when this returns."""
        server = int((self._data / "postmaster.pid").read_text().split()[0])
        processes = {pid: os.pidfd_open(pid) for pid in [server, *descendants(server)]}
        for pid in processes:
            os.kill(pid, signal.SIGKILL)
        for waited in processes.values():
            select.select([waited], [], [])
            os.close(waited)

    def make(self) -> None:
        """Lay out its files."""
        _as_user([str(self._bin / "initdb"), "-D", str(self._data), "-A", "trust", "-E", "UTF8", "--no-sync"])

    def make_database(self, name: str) -> str:
        """A new, empty database; its address."""
        _as_user([str(self._bin / "createdb"), "-h", str(self.folder), "-p", str(_PORT), name])
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Forget a database, whoever is connected to it."""
        _as_user([str(self._bin / "dropdb"), "-f", "-h", str(self.folder), "-p", str(_PORT), name])

    @property
    def _data(self) -> Path:
        return self.folder / "data"


@contextlib.contextmanager
def serving() -> Iterator[Postgres | None]:
    """A server, as long as it is wanted; None: there is no PostgreSQL on this machine."""
    if (bin_folder := _bin_folder()) is None:
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="attune-pg-"))  # a socket's path has at most 107 characters
    try:
        os.chown(folder, _user().pw_uid, _user().pw_gid)
        server = Postgres(bin_folder, folder)
        server.make()
        server.start()
        try:
            yield server
        finally:
            server.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A server of the session's own.

    Where there is no PostgreSQL its tests are skipped; with ATTUNE_TEST_POSTGRES=required they fail.
    """
    with serving() as server:
        if server is None:
            reason = "there is no PostgreSQL: no initdb in PATH, none in /usr/lib/postgresql/*/bin"
            if os.environ.get("ATTUNE_TEST_POSTGRES") == "required":
                pytest.fail(reason)
            pytest.skip(reason)
        yield server


@pytest.fixture
def postgres_url(postgres: Postgres) -> Iterator[str]:
    """The address of an empty database."""
    name = f"attune_{secrets.token_hex(6)}"
    yield postgres.make_database(name)
    postgres.drop_database(name)


def _bin_folder() -> Path | None:
    """The newest one that is installed."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    found = installed[-1] if installed else shutil.which("initdb")
    return Path(found).resolve().parent if found else None


def _user() -> pwd.struct_passwd:
    """Whoever runs the server, which refuses to be root's."""
    if os.getuid() != 0:
        return pwd.getpwuid(os.getuid())
    names = {user.pw_name for user in pwd.getpwall()}
    return pwd.getpwnam("postgres" if "postgres" in names else "nobody")


def _as_user(command: Sequence[str]) -> None:
    user = _user()
    ids = {} if os.getuid() != 0 else {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    done = subprocess.run(
        command,
        check=False,
        capture_output=True,
        text=True,
        cwd="/",
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"},
        **ids,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
