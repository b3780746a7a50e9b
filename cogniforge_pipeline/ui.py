"""The Dagster UI of one home: webserver and daemon as child processes.

Belongs here: starting and stopping them. Does not: what they show (`definitions.py`) or start (`automation.py`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from rich.console import Console
from rich.markup import escape

from cogniforge_pipeline.errors import CogniforgeError
from cogniforge_pipeline.runner import instance_of
from cogniforge_pipeline.settings import Settings

HOST = "127.0.0.1"
PATIENCE_SECONDS = 10

Child = subprocess.Popen[bytes]


def serve(settings: Settings, port: int, console: Console) -> int:
    """Runs the webserver on HOST and the daemon until one of them ends or the user interrupts; returns the exit code.

    A first interrupt (Ctrl-C or SIGTERM) lets runs come to their end, a second one stops them, too. Raises
    CogniforgeError when the port is taken or the home cannot be written.
    """
    _check_free(port)
    with instance_of(settings):
        pass
    module = ["-m", "cogniforge_pipeline.definitions"]
    commands = {
        "webserver": ["dagster_webserver", *module, "-h", HOST, "-p", str(port), "--dagster-log-level", "warning"],
        "daemon": ["dagster._daemon", "run", *module, "--log-level", "warning"],
    }
    environment = {**os.environ, **settings.environment()}
    before = signal.signal(signal.SIGTERM, _interrupt)
    children: dict[str, Child] = {}
    try:
        for name, command in commands.items():
            # a session of its own: Ctrl-C in a terminal must reach this process only, which stops them in order
            children[name] = subprocess.Popen([sys.executable, "-m", *command], env=environment, start_new_session=True)
        console.print(f"Starting the Dagster UI of {escape(str(settings.home))} …")
        announced = False
        while all(child.poll() is None for child in children.values()):
            if not announced and _answers(port):
                console.print(f"[green]✓[/] [bold]http://{HOST}:{port}[/] (Ctrl-C stops it)")
                announced = True
            time.sleep(0.25)
        for name, child in children.items():
            if child.poll() is not None:
                console.print(f"[bold red]✗[/] the {name} ended with exit code {child.returncode}, see above")
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(list(children.values()), console)
        signal.signal(signal.SIGTERM, before)


def _check_free(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except (OSError, OverflowError) as error:
            reason = error.strerror if isinstance(error, OSError) else "ports end at 65535"
            raise CogniforgeError(
                f"port {port} of {HOST} cannot be used: {reason}", "choose another one with --port"
            ) from error


def _answers(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def _stop(children: Sequence[Child], console: Console) -> None:
    try:
        for child in children:
            child.send_signal(signal.SIGINT)
        if not _ended(children):
            console.print("Waiting for runs to come to their end (Ctrl-C again stops them) …")
            for child in children:
                child.wait()
    except KeyboardInterrupt:
        _signal_groups(children, signal.SIGTERM)
        _ended(children)
    finally:
        _signal_groups(children, signal.SIGKILL)
        for child in children:
            child.wait()


def _ended(children: Sequence[Child]) -> bool:
    """Whether all end within PATIENCE_SECONDS."""
    end = time.monotonic() + PATIENCE_SECONDS
    while any(child.poll() is None for child in children) and time.monotonic() < end:
        time.sleep(0.1)
    return all(child.poll() is not None for child in children)


def _signal_groups(children: Sequence[Child], number: signal.Signals) -> None:
    """Reaches the code servers and runs that a child has started, too."""
    for child in children:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.pid, number)


def _interrupt(*_: object) -> NoReturn:
    raise KeyboardInterrupt
