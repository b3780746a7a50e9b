"""The `cogniforge` command as a user meets it, in this process."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest
from rich.console import Console

from cogniforge_pipeline import cli as command
from tests.support.pipeline import lean


@dataclass(frozen=True)
class Answer:
    """What a command printed and its exit code. A traceback fails the test that asked."""

    code: int
    out: str
    err: str


Cli = Callable[..., Answer]


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Runs `cogniforge` with these arguments."""

    def run(*arguments: object) -> Answer:
        capsys.readouterr()
        monkeypatch.setenv("COGNIFORGE_DOMAINS", "aiops")  # a run of all takes three times as long
        monkeypatch.setattr("sys.argv", ["cogniforge", *map(str, arguments)])
        monkeypatch.setattr(command, "out", Console(width=300))
        monkeypatch.setattr(command, "err", Console(width=300, stderr=True))
        with lean(), pytest.raises(SystemExit) as ended:
            command.main()
            raise SystemExit(0)
        printed = capsys.readouterr()
        code = ended.value.code
        return Answer(code if isinstance(code, int) else int(code is not None), printed.out, printed.err)

    return run
