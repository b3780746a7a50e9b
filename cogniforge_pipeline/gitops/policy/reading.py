"""Policies from files: Rego modules, and YAML of PolicyRules, ConstraintTemplates and Constraints.

Belongs here: files to policies, for commands and for the platform folder. Does not: what each form means.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cogniforge_pipeline.gitops.policy.documents import SUFFIXES, Manifest, read_manifests
from cogniforge_pipeline.gitops.policy.gatekeeper import (
    Template,
    is_constraint,
    is_template,
    read_constraint,
    read_template,
)
from cogniforge_pipeline.gitops.policy.model import Policy, PolicyInvalid
from cogniforge_pipeline.gitops.policy.pool import Program
from cogniforge_pipeline.gitops.policy.rules import PolicyRule
from cogniforge_pipeline.gitops.policy.tokens import RegoUnreadable, Token, tokens

MAX_REGO = 1024 * 1024


def read_policies(paths: Sequence[Path], parameters: Mapping[str, Any] | None = None) -> list[Policy]:
    """The policies of files and folders (with those below), templates and constraints brought together.

    Manifests of other kinds are passed over in folders, where samples lie beside policies, and refused as files.

    `parameters` are for templates that have no constraint, and for modules that read `input.parameters`. Raises
    PolicyInvalid or DocumentRefused.
    """
    files = [file for path in paths for file in (_inside(path) if path.is_dir() else [path])]
    modules = [file for file in files if file.suffix == ".rego"]
    found: list[tuple[Path, Manifest]] = []
    for file in files:
        if file.suffix in SUFFIXES:
            found += [(file, manifest) for manifest in read_manifests(file)]
        elif file.suffix != ".rego":
            raise PolicyInvalid(f"{file}: expected a file ending in .rego, .yaml, .yml or .json")
    policies = read_modules(modules, parameters)
    templates: dict[str, Template] = {}
    for _, manifest in found:
        if is_template(manifest):
            template = read_template(manifest)
            templates[template.kind] = template
    used = set()
    for file, manifest in found:
        if is_template(manifest) or manifest.get("kind") == "Suite":
            continue
        if is_constraint(manifest):
            kind = str(manifest.get("kind"))
            if kind not in templates:
                raise PolicyInvalid(f"{file}: there is no ConstraintTemplate of the kind {kind} beside this constraint")
            policies.append(read_constraint(manifest, templates[kind]))
            used.add(kind)
        elif "apiVersion" in manifest:
            if file in paths:
                raise PolicyInvalid(f"{file}: a {manifest.get('kind')} is no policy")
        else:
            policies.append(_rule(file, manifest))
    return policies + [alone(each, parameters) for kind, each in templates.items() if kind not in used]


def read_modules(files: Iterable[Path], parameters: Mapping[str, Any] | None = None) -> list[Policy]:
    """A policy of each Rego file; those whose package is `lib` or below are there for all of them. Raises PolicyInvalid."""
    texts = {file: _text(file) for file in files}
    packages = {file: package(text, file.name) for file, text in texts.items()}
    libraries = tuple((file.name, texts[file]) for file, name in packages.items() if name.split(".")[0] == "lib")
    own = {file: text for file, text in texts.items() if packages[file].split(".")[0] != "lib"}
    if texts and not own:
        own, libraries = texts, ()
    return [module_policy(file.stem, ((file.name, text), *libraries), parameters) for file, text in own.items()]


def module_policy(
    policy_id: str, modules: tuple[tuple[str, str], ...], parameters: Mapping[str, Any] | None = None
) -> Policy:
    """The policy of a plain module, the first of `modules`.

    A module that reads `input.review` sees what Gatekeeper would show it, any other the resource itself as `input`, with
    `parameters` in it where it reads `input.parameters`.
    """
    words = tokens(modules[0][1])
    reviewed, asked = _reads(words, "review"), _reads(words, "parameters")
    text = json.dumps(parameters or {})
    before, after = (f'{{"parameters":{text},"review":', "}") if reviewed else ("", "")
    program = Program(modules, before=before, after=after, merged=text if asked and not reviewed else None)
    inventory = any("inventory" in source for _, source in modules)
    return Policy(policy_id, policy_id, program, reviewed=reviewed, inventory=inventory)


def alone(template: Template, parameters: Mapping[str, Any] | None) -> Policy:
    """The policy of a template without a constraint: about every resource."""
    manifest = {"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": template.kind, "metadata": {"name": "alone"}}
    policy = read_constraint({**manifest, "spec": {"parameters": dict(parameters or {})}}, template)
    return replace(policy, policy_id=template.kind)


def package(text: str, name: str) -> str:
    """The name of a module's package. Raises PolicyInvalid."""
    try:
        words = tokens(text)
    except RegoUnreadable as error:
        raise PolicyInvalid(f"{name}: {error}") from None
    if not words or words[0].text != "package":
        raise PolicyInvalid(f"{name}: expected a Rego module that begins with `package`")
    match = re.match(r"\s*([\w.]+)", text[words[0].end :])
    if match is None:
        raise PolicyInvalid(f"{name}: its package has no name")
    return match.group(1)


def _reads(words: Sequence[Token], field: str) -> bool:
    return any(
        words[at].text == "input" and words[at + 1].text in ".[" and words[at + 2].text.strip('"') == field
        for at in range(len(words) - 2)
    )


def _rule(file: Path, manifest: Manifest) -> Policy:
    try:
        return PolicyRule.model_validate(manifest).to_policy()
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise PolicyInvalid(
            f"{file}: {place + ': ' if place else ''}{first['msg']}",
            "a policy is a PolicyRule, a ConstraintTemplate with its Constraints, or a Rego module",
        ) from None


def _inside(folder: Path) -> list[Path]:
    return [file for file in sorted(folder.rglob("*")) if file.is_file() and file.suffix in (*SUFFIXES, ".rego")]


def _text(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_REGO + 1)
    except OSError as error:
        raise PolicyInvalid(f"{file}: cannot be read: {error.strerror}") from None
    if len(content) > MAX_REGO:
        raise PolicyInvalid(f"{file}: larger than {MAX_REGO} bytes")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise PolicyInvalid(f"{file}: not UTF-8 text") from None
