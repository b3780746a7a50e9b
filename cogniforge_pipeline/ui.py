"""The Dagster UI of one home: webserver and daemon as child processes.

Belongs here: starting and stopping them. Does not: what they show (`definitions.py`).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from rich.console import Console
from rich.markup import escape

from cogniforge_pipeline.runner import instance_of
from cogniforge_pipeline.settings import Settings

HOST = "127.0.0.1"


def serve(settings: Settings, port: int, console: Console) -> int:
    """Runs the webserver on HOST and the daemon until either ends or the user interrupts; returns the exit code."""
    with instance_of(settings):
        pass
    environment = {**os.environ, **settings.environment()}
    module = ["-m", "cogniforge_pipeline.definitions"]
    commands = [
        [sys.executable, "-m", "dagster_webserver", *module, "-h", HOST, "-p", str(port)],
        [sys.executable, "-m", "dagster._daemon", "run", *module],
    ]
    console.print(f"Dagster UI of {escape(str(settings.home))} at [bold]http://{HOST}:{port}[/] (Ctrl-C stops it)")
    children = [subprocess.Popen(command, env=environment) for command in commands]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        while all(child.poll() is None for child in children):
            try:
                children[0].wait(timeout=1)
            except subprocess.TimeoutExpired:
                continue
        return max(child.poll() or 0 for child in children)
    except KeyboardInterrupt:
        return 0
    finally:
        for child in children:
            child.terminate()
        for child in children:
            child.wait(timeout=30)
