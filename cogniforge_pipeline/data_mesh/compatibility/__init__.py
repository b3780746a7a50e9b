"""Compatibility of schemas: which change breaks a reader, by rule and path.

Belongs here: the public names. `compare` asks, `differ` walks, `subset` proves; `versions` judges version numbers, `odcs`
compares contracts. Does not: storing decisions, changing tables.
"""

from cogniforge_pipeline.data_mesh.compatibility.compare import compare_schemas
from cogniforge_pipeline.data_mesh.compatibility.model import Compatibility, Difference, Mode, SchemaError
from cogniforge_pipeline.data_mesh.compatibility.versions import required_bump, step_problem

__all__ = ["Compatibility", "Difference", "Mode", "SchemaError", "compare_schemas", "required_bump", "step_problem"]
