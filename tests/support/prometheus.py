"""A real Prometheus on 127.0.0.1 that scrapes a real exporter every second.

Belongs here: both processes' lives, for tests. Does not: what tests ask of them.
"""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

BINARY = shutil.which("prometheus")


class Exporter:
    """Serves one text of metrics; a counter in it counts the scrapes."""

    def __init__(self) -> None:
        self.scrapes = 0
        exporter = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                exporter.scrapes += 1
                body = exporter.text().encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: Any) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def text(self) -> str:
        n = self.scrapes
        return (
            "# TYPE shop_requests_total counter\n"
            f'shop_requests_total{{route="/pay"}} {10 * n}\n'
            f'shop_requests_total{{route="/list"}} {20 * n}\n'
            "# TYPE shop_queue_length gauge\n"
            "shop_queue_length 7\n"
            "# TYPE shop_nothing gauge\n"
            "shop_nothing NaN\n"
            "# TYPE shop_endless gauge\n"
            "shop_endless +Inf\n"
            "# TYPE shop_duration_seconds histogram\n"
            f'shop_duration_seconds_bucket{{le="0.1"}} {n}\n'
            f'shop_duration_seconds_bucket{{le="+Inf"}} {2 * n}\n'
            f"shop_duration_seconds_sum {0.5 * n}\n"
            f"shop_duration_seconds_count {2 * n}\n"
        )

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Prometheus:
    """A running server; `url` is its address."""

    def __init__(self, url: str) -> None:
        self.url = url

    def instant(self, expression: str) -> list[dict[str, Any]]:
        """What the server answers to an instant query."""
        query = urllib.parse.urlencode({"query": expression})
        with urllib.request.urlopen(f"{self.url}/api/v1/query?{query}", timeout=10) as answer:
            return list(json.load(answer)["data"]["result"])

    def wait_for(self, expression: str, seconds: float = 30) -> None:
        """Until the expression gives something. Raises TimeoutError."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if self.instant(expression):
                    return
            except (urllib.error.URLError, ConnectionError):
                pass
            time.sleep(0.2)
        raise TimeoutError(f"{expression} gave nothing in {seconds} seconds")


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running_prometheus(folder: Path) -> Iterator[Prometheus]:
    """Prometheus with its data in `folder`, ready, scraping an exporter as job `shop`; ended afterwards."""
    assert BINARY, "Prometheus is not installed"
    exporter = Exporter()
    port = free_port()
    config = folder / "prometheus.yml"
    config.write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        "scrape_configs:\n"
        f"  - {{job_name: shop, static_configs: [{{targets: ['127.0.0.1:{exporter.port}']}}]}}\n"
    )
    command = [
        BINARY,
        f"--config.file={config}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--log.level=error",
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        server = Prometheus(f"http://127.0.0.1:{port}")
        server.wait_for("count_over_time(shop_requests_total[1m]) >= 5")
        yield server
    finally:
        process.terminate()
        process.wait(timeout=20)
        exporter.close()
