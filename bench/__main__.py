"""Lists the benchmarks with the first line of their docstrings."""

from __future__ import annotations

import ast
from pathlib import Path


def main() -> None:
    """Print one line for each module of this folder that can be run."""
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if path.stem in ("__init__", "__main__", "harness"):
            continue
        text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        print(f"python -m bench.{path.stem:20} {text.splitlines()[0] if text else ''}")


if __name__ == "__main__":
    main()
