"""What trees have learnt of how to correct and bound a forecast, as arrays that are kept without pickle.

Belongs here: the two sets of trees, and their form in a file or a cell. Does not: learning (`model.py`), a series' own past.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from zipfile import BadZipFile

import numpy as np
import numpy.typing as npt

from cogniforge_pipeline.aiops.forecasting.boosting import Trees
from cogniforge_pipeline.errors import CogniforgeError

Arrays = dict[str, npt.NDArray[Any]]
Constants = dict[str, float | None]
VERSION = 1
LEVELS = (0.8, 0.95)
NAMES = ("residual", *(f"width{level}" for level in LEVELS))


@dataclass(frozen=True)
class Learnt:
    """`residual` corrects the base forecast (None: too little to learn from); `widths` are trees or constants by level."""

    residual: Trees | None = None
    widths: dict[float, Trees | float] = field(default_factory=lambda: {level: 1.0 + (level > 0.9) for level in LEVELS})

    @property
    def has_trees(self) -> bool:
        """Whether anything was learnt."""
        return self.residual is not None or any(isinstance(width, Trees) for width in self.widths.values())

    def arrays(self) -> tuple[Arrays, Constants]:
        """All trees as arrays, named `residual.edges` and so on, and what stands in the place of those that are none."""
        parts: dict[str, Trees | float | None] = {"residual": self.residual}
        parts |= {f"width{level}": self.widths[level] for level in LEVELS}
        arrays: Arrays = {}
        constants: Constants = {}
        for name, value in parts.items():
            if isinstance(value, Trees):
                arrays |= {f"{name}.{part}": array for part, array in value.arrays().items()}
            else:
                constants[name] = value
        return arrays, constants

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]], constants: Constants) -> Learnt:
        """What `arrays` gave. Raises KeyError for trees that are not there."""
        found: dict[str, Any] = dict(constants)
        for name in NAMES:
            if name not in constants:
                own = {
                    key.removeprefix(f"{name}."): array for key, array in arrays.items() if key.startswith(f"{name}.")
                }
                found[name] = Trees.from_arrays(own)
        return cls(found["residual"], {level: found[f"width{level}"] for level in LEVELS})

    def to_bytes(self) -> bytes:
        """A NumPy archive; the same trees always give the same bytes."""
        arrays, constants = self.arrays()
        about = np.array(json.dumps({"version": VERSION, "constants": constants}))
        file = io.BytesIO()
        np.savez_compressed(file, about=about, **arrays)  # type: ignore[arg-type]
        return file.getvalue()

    @classmethod
    def from_bytes(cls, data: bytes) -> Learnt:
        """What `to_bytes` gave; it forecasts the same bits. Raises CogniforgeError for anything else."""
        try:
            with np.load(io.BytesIO(data), allow_pickle=False) as archive:
                arrays = dict(archive)
            about = json.loads(str(arrays.pop("about")))
            if about["version"] != VERSION:
                raise CogniforgeError(f"a stored forecaster is of version {about['version']}", "train it again")
            return cls.from_arrays(arrays, about["constants"])
        except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
            raise CogniforgeError(f"a stored forecaster cannot be read: {error}", "train it again") from error
