"""What a user declares under `<home>/platform/`: files to typed models, and their history in the registry.

Belongs here: reading YAML and JSON with places for errors, validation, placeholders, the registry's history.
Does not: the models of a domain, and writing tables.
"""

from cogniforge_pipeline.declarations.environment import MissingVariable, resolve_env
from cogniforge_pipeline.declarations.load import load_platform
from cogniforge_pipeline.declarations.model import (
    Declaration,
    DeclarationModel,
    DeclarationsInvalid,
    Kind,
    Platform,
    Problem,
)
from cogniforge_pipeline.declarations.nodes import canonical_json
from cogniforge_pipeline.declarations.registry import Changes, RegistryRow, changes
from cogniforge_pipeline.declarations.validate import declare

__all__ = [
    "Changes",
    "Declaration",
    "DeclarationModel",
    "DeclarationsInvalid",
    "Kind",
    "MissingVariable",
    "Platform",
    "Problem",
    "RegistryRow",
    "canonical_json",
    "changes",
    "declare",
    "load_platform",
    "resolve_env",
]
