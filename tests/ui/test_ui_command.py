"""`cogniforge ui` as a process: what it says, where it listens, and that nothing of it stays."""

from __future__ import annotations

import signal
import socket
import subprocess

import psutil

from tests.support.webserver import HOST, Ui, command, environment


def test_it_says_where_it_listens_listens_there_only_and_leaves_nothing_behind_at_sigterm(tmp_path):
    (tmp_path / "home").mkdir()
    with Ui(tmp_path / "home") as ui:
        assert ui.url in ui.log()
        listening = {
            connection.laddr.ip
            for process in ui.processes()
            for connection in process.net_connections(kind="tcp")
            if connection.status == psutil.CONN_LISTEN
        }
        assert listening == {HOST}
        family = ui.processes()
        assert len(family) >= 3
        assert ui.stop(signal.SIGTERM) == []
        assert ui.process.returncode == 0
    assert "Traceback" not in ui.log(), ui.log()


def test_a_port_that_is_taken_is_an_error_before_anything_starts(tmp_path):
    (tmp_path / "home").mkdir()
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            command("ui", "--home", tmp_path / "home", "--port", str(port)),
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert f"port {port}" in done.stderr and "--port" in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "home" / "state").exists()
