"""Version numbers tell how much changed."""

from __future__ import annotations

import pytest

from cogniforge_pipeline.data_mesh.compatibility import compare_schemas, required_bump, step_problem
from cogniforge_pipeline.data_mesh.compatibility.versions import VersionError, parse_version


@pytest.mark.parametrize(
    ("old", "new", "needed", "fits"),
    [
        ("1.2.3", "2.0.0", "major", True),
        ("1.2.3", "1.3.0", "major", False),
        ("1.2.3", "1.3.0", "minor", True),
        ("1.2.3", "1.2.4", "minor", False),
        ("1.2.3", "1.2.4", "patch", True),
        ("1.2.3", "2.0.0", "patch", True),
        ("1.2.3", "1.2.3", "patch", False),
        ("1.2.3", "1.2.2", "patch", False),
        ("0.2.3", "0.3.0", "major", True),
        ("0.2.3", "0.2.4", "major", False),
        ("0.2.3", "0.2.4", "minor", True),
        ("0.9.0", "1.0.0", "major", True),
        ("2.0.0-rc.1", "2.0.0", "major", True),
        ("2.0.0", "2.0.0-rc.1", "patch", False),
        ("2.0.0-rc.9", "2.0.0-rc.10", "major", True),
        ("1.9.0", "1.10.0", "minor", True),
    ],
)
def test_a_step_fits_the_change_or_the_problem_is_told(old: str, new: str, needed: str, fits: bool) -> None:
    assert (step_problem(old, new, needed) is None) == fits  # type: ignore[arg-type]


@pytest.mark.parametrize("text", ["1", "1.2", "v1.2.3", "1.2.3.4", "01.2.3", "", "1.2.x"])
def test_what_is_no_version_is_refused(text: str) -> None:
    with pytest.raises(VersionError, match=r"major\.minor\.patch"):
        parse_version(text)


def test_the_step_follows_from_the_differences() -> None:
    text = {"type": "string"}

    assert required_bump(compare_schemas(text, {"type": "integer"}).differences) == "major"
    assert required_bump(compare_schemas(text, {"type": ["string", "null"]}).differences) == "minor"
    assert required_bump(compare_schemas(text, {"type": "string", "title": "Name"}).differences) == "patch"
    assert required_bump(compare_schemas(text, text).differences) == "patch"
