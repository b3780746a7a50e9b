"""Contracts in and out: ODCS v3 and JSON Schema, as files and as versions that are kept.

Belongs here: the public names. `rows` makes the JSON Schema of a table's rows, `tables` the contract of a table from a
JSON Schema, `files` reads and writes the platform folder and the registry. Does not: comparing versions (`compatibility`).

A row as JSON: a missing property is NULL, as null is. Texts are strings, moments and dates are written in ISO 8601, bytes
in base64; NaN and Infinity have no JSON. Whatever one of the formats cannot say is one of the `notes` of the answer.
"""

from cogniforge_pipeline.data_mesh.interchange.files import (
    Exported,
    Format,
    Imported,
    export_contract,
    export_named,
    import_contract,
)
from cogniforge_pipeline.data_mesh.interchange.rows import row_json_schema
from cogniforge_pipeline.data_mesh.interchange.tables import table_contract

__all__ = [
    "Exported",
    "Format",
    "Imported",
    "export_contract",
    "export_named",
    "import_contract",
    "row_json_schema",
    "table_contract",
]
