"""Contracts: one ODCS v3 file per table, and what follows from it.

Belongs here: the public names. `odcs` reads files, `ddl` makes tables, `audit` and `split` check rows,
`frames` checks frames. Does not: Dagster, the storage of figures, comparing versions of a contract.
"""

from cogniforge_pipeline.contracts.audit import Audit, RuleResult, audit
from cogniforge_pipeline.contracts.ddl import alter_table, create_table, quarantine_table
from cogniforge_pipeline.contracts.frames import pandera_schema
from cogniforge_pipeline.contracts.model import Bounds, Column, Contract, Rule
from cogniforge_pipeline.contracts.odcs import load_contract, load_contracts
from cogniforge_pipeline.contracts.split import bad_rows, good_rows
from cogniforge_pipeline.contracts.yaml_text import ContractError

__all__ = [
    "Audit",
    "Bounds",
    "Column",
    "Contract",
    "ContractError",
    "Rule",
    "RuleResult",
    "alter_table",
    "audit",
    "bad_rows",
    "create_table",
    "good_rows",
    "load_contract",
    "load_contracts",
    "pandera_schema",
    "quarantine_table",
]
