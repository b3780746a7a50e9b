"""The README holds: its commands run, its query gives the output it shows, its sources are valid."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cogniforge_pipeline.declarations import load_platform
from cogniforge_pipeline.sources.declared import SOURCE_KIND
from cogniforge_pipeline.sre.openslo import OPENSLO_KIND

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    return [line[2:] for block in blocks("console") for line in block.splitlines() if line.startswith("$ ")]


def run(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if not key.startswith(("COGNIFORGE_", "DAGSTER_"))}
    return subprocess.run(
        arguments, cwd=cwd, env={**env, "COLUMNS": "160"}, capture_output=True, text=True, timeout=600, check=False
    )


def cogniforge(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "cogniforge_pipeline.cli", *arguments]


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("shop")
    generate = [sys.executable, str(ROOT / "examples" / "shop" / "generate.py"), str(folder)]
    assert run(generate, ROOT).returncode == 0
    done = run(cogniforge("run", "--home", str(folder)), folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Services as of" in done.stdout
    assert "Products that break a policy" in done.stdout
    yield folder


def test_every_make_target_it_names_exists() -> None:
    targets = [command.split()[1] for command in commands() if command.startswith("make ")]
    assert targets == ["run", "test"]
    for target in targets:
        assert run(["make", "--dry-run", target], ROOT).returncode == 0


def test_its_commands_run_one_after_another(tmp_path: Path) -> None:
    wanted = [shlex.split(command) for command in commands() if command.startswith("cogniforge ")]
    assert len(wanted) >= 6
    for command in wanted:
        done = run(cogniforge(*command[1:]), tmp_path)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"


@pytest.mark.parametrize("query, shown", [*zip(blocks("sql"), blocks("text"), strict=True)])
def test_its_queries_give_the_output_it_shows(shop: Path, query: str, shown: str) -> None:
    done = run(cogniforge("sql", "--home", str(shop), query), shop)
    assert done.returncode == 0, done.stderr
    assert [line.rstrip() for line in done.stdout.splitlines()] == [line.rstrip() for line in shown.splitlines()]


def test_its_sources_are_valid(tmp_path: Path) -> None:
    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "readme.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    platform = load_platform(tmp_path, [SOURCE_KIND]).check()
    assert [declaration.name for declaration in platform.of(SOURCE_KIND)] == [
        "exports",
        "collector",
        "prometheus",
        "host",
    ]


def test_its_objectives_are_valid(tmp_path: Path) -> None:
    (tmp_path / "slos").mkdir()
    (tmp_path / "slos" / "readme.yaml").write_text(blocks("yaml")[1], encoding="utf-8")
    assert load_platform(tmp_path, [OPENSLO_KIND]).check().of(OPENSLO_KIND)


def test_every_file_it_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        if not target.startswith("http"):
            assert (ROOT / target).exists(), target
