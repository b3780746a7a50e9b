"""The narrow adapter over Regorus: a policy's modules in, the values of its rules out.

Belongs here: compiling and asking. Does not: processes and limits (`worker.py`, `pool.py`): call this in a
process that may die, since hostile text can overflow the engine's stack.

An engine belongs to one thread. Builtins that Regorus lacks come from `builtins.py`. OPA lets a builtin that fails be
undefined where Regorus stops: a policy that stops is compiled again with its builtins wrapped (`softening.py`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import regorus

from cogniforge_pipeline.gitops.policy import builtins
from cogniforge_pipeline.gitops.policy.negation import lift
from cogniforge_pipeline.gitops.policy.normalising import normalise
from cogniforge_pipeline.gitops.policy.outputs import output_arguments
from cogniforge_pipeline.gitops.policy.rewriting import keyword_heads, rewrite
from cogniforge_pipeline.gitops.policy.softening import Softened, soften
from cogniforge_pipeline.gitops.policy.syntax import Module, head_of, path_of, rules, static
from cogniforge_pipeline.gitops.policy.tokens import RegoUnreadable
from cogniforge_pipeline.gitops.policy.vetting import refusals

T = TypeVar("T")
MAX_COLUMNS = 1_000_000
MAX_BYTES = 2_000_000
MAX_LINES = 100_000
MAX_VALUE = 1_000_000
PASSES = 32


class PolicyRefused(Exception):
    """A policy that cannot be compiled, or must not run."""


class EvaluationFailed(Exception):
    """A policy that stopped on an input."""


@dataclass
class Compiled:
    """A policy ready to run. `evaluate` is for one thread."""

    modules: tuple[Module, ...]
    v0: bool
    strict: bool
    now_ns: int | None
    heads: frozenset[str]
    data: str = "{}"
    _fast: Any = None
    _soft: Any = field(default=None)

    def with_data(self, data: str) -> None:
        """Gives `data` (a JSON object's text) to the rules instead of what was there."""
        if data != self.data:
            self.data, self._soft = data, None
            self._fast.clear_data()
            self._fast.add_data_json(data)

    def evaluate(self, entries: Sequence[str], document: str) -> dict[str, Any]:
        """The value of each rule that is defined, for the input with this JSON text.

        Raises EvaluationFailed with the engine's words.
        """
        return self._softly(lambda engine: _values(engine, entries, document))

    def _softly(self, ask: Callable[[Any], T]) -> T:
        """Asks as OPA does: where a builtin fails, it is asked again with those that may be undefined."""
        try:
            return ask(self._fast)
        except EvaluationFailed:
            if self.strict:
                raise
            if self._soft is None:
                texts = [soften(module) for module in self.modules]
                if not any(text.functions for text in texts):
                    raise
                self._soft = _engine(self.modules, self.v0, self.now_ns, texts)
                self._soft.add_data_json(self.data)
            return ask(self._soft)

    def query(self, query: str, document: str | None) -> list[dict[str, Any]]:
        """The bindings of each answer of a query, as OPA gives them. Raises EvaluationFailed."""
        try:
            text = rewrite(query, self.heads)
        except RegoUnreadable as error:
            raise EvaluationFailed(_words(error)) from None
        found = self._softly(lambda engine: _answers(engine, text, document))
        return [
            {key.replace("__keyword_", ""): value for key, value in answer.get("bindings", {}).items()}
            for answer in found
        ]


def compile_policy(
    modules: Mapping[str, str],
    *,
    v0: bool | None = False,
    data: str = "{}",
    strict: bool = False,
    now_ns: int | None = None,
    normalised: bool = False,
) -> Compiled:
    """Modules (name to text) as one policy; `data` is what rules find under `data`, as JSON text.

    `v0` None: Rego v1, and v0 where
    it is not that. With `strict` a builtin that fails stops the evaluation. `now_ns` is what `time.now_ns()` says
    (nanoseconds since 1970). `normalised` lets negations over `[_]` stand, with the meaning of `normalising.py`.

    Raises PolicyRefused.
    """
    if v0 is None:
        try:
            return compile_policy(modules, v0=False, data=data, strict=strict, now_ns=now_ns, normalised=normalised)
        except PolicyRefused as first:
            try:
                return compile_policy(modules, v0=True, data=data, strict=strict, now_ns=now_ns, normalised=normalised)
            except PolicyRefused as second:
                raise (second if "rego.v1" in str(first) or "keyword is required" in str(first) else first) from None
    try:
        heads = keyword_heads(modules.values())
        parsed = tuple(_parse(name, rewrite(text, heads).encode(), v0) for name, text in modules.items())
        arities = {name: arity for name, (arity, _) in builtins.functions(None).items()}
        parsed = tuple(_repeatedly(lambda module, _: output_arguments(module, arities), each, v0) for each in parsed)
        if normalised:
            parsed = tuple(_repeatedly(normalise, module, v0) for module in parsed)
        wrong = refusals(parsed)
        if wrong:
            raise PolicyRefused("; ".join(wrong))
        lifted = tuple(_repeatedly(lift, module, v0) for module in parsed)
        engine = _engine(lifted, v0, now_ns, None)
        engine.add_data_json(data)
    except (RuntimeError, RegoUnreadable, RecursionError) as error:
        raise PolicyRefused(_words(error)) from None
    compiled = Compiled(lifted, v0, strict, now_ns, heads, data)
    compiled._fast = engine
    return compiled


def packages(compiled: Compiled) -> dict[str, list[str]]:
    """The names of the rules of each package, `data.` first."""
    found: dict[str, list[str]] = {}
    for module in compiled.modules:
        name = ".".join(("data", *static(path_of(module.tree["package"]["refr"]))))
        names = {static(path_of(head_of(form, rule)))[:1] for form, rule in rules(module.tree)}
        found[name] = sorted({*found.get(name, ()), *(each[0] for each in names if each)})
    return found


def shared_engine(modules: Sequence[tuple[str, bytes]], like: Compiled, data: str) -> Any:
    """An engine with modules (name and text) that were compiled before, for `grouping.py`."""
    engine = _bare(like.v0)
    _extend(engine, builtins.functions(like.now_ns))
    for name, text in modules:
        engine.add_policy(name, text.decode())
    engine.add_data_json(data)
    return engine


def _values(engine: Any, entries: Sequence[str], document: str) -> dict[str, Any]:
    try:
        engine.set_input_json(document)
    except RuntimeError as error:
        raise EvaluationFailed(_words(error)) from None
    return values_of(engine, entries)


def values_of(engine: Any, entries: Sequence[str]) -> dict[str, Any]:
    """The values of rules for the input that an engine has. Raises EvaluationFailed."""
    try:
        found = {}
        for entry in entries:
            text = engine.eval_rule_as_json(entry)
            if len(text) > MAX_VALUE:
                raise EvaluationFailed(f"{entry} gave more than {MAX_VALUE} bytes")
            if text and text != '"<undefined>"':
                found[entry] = json.loads(text)
        return found
    except RuntimeError as error:
        raise EvaluationFailed(_words(error)) from None
    finally:
        engine.take_prints()


def _answers(engine: Any, query: str, document: str | None) -> list[dict[str, Any]]:
    try:
        if document is not None:
            engine.set_input_json(document)
        found: list[dict[str, Any]] = json.loads(engine.eval_query_as_json(query)).get("result", [])
    except RuntimeError as error:
        raise EvaluationFailed(_words(error)) from None
    return found


def _repeatedly(step: Callable[[Module, int], bytes | None], module: Module, v0: bool) -> Module:
    for number in range(PASSES):
        text = step(module, number)
        if text is None:
            return module
        module = _parse(module.name, text, v0)
    raise PolicyRefused(f"{module.name}: more than {PASSES} negations are nested, or have wildcards")


def _parse(name: str, text: bytes, v0: bool) -> Module:
    engine = _bare(v0)
    engine.add_policy(name, text.decode())
    return Module(name, text, json.loads(engine.get_ast_as_json())[0]["ast"])


def _bare(v0: bool) -> Any:
    engine = regorus.Engine()
    engine.set_rego_v0(v0)
    engine.set_gather_prints(True)
    engine.set_policy_length_config(max_col=MAX_COLUMNS, max_file_bytes=MAX_BYTES, max_lines=MAX_LINES)
    return engine


def _engine(modules: Sequence[Module], v0: bool, now_ns: int | None, soft: Sequence[Softened] | None) -> Any:
    engine = _bare(v0)
    _extend(engine, builtins.functions(now_ns))
    _extend(engine, {name: each for softened in soft or () for name, each in softened.functions.items()})
    for number, module in enumerate(modules):
        engine.add_policy(module.name, (soft[number].text if soft else module.text).decode())
    return engine


def _extend(engine: Any, functions: Mapping[str, tuple[int, Callable[..., Any]]]) -> None:
    for name, (arity, function) in functions.items():
        engine.add_extension(name, arity, function)


def _words(error: Exception) -> str:
    """The engine's message without what is of no use to a user."""
    text = str(error).partition("\n\nStack backtrace")[0].strip()
    place = text.removeprefix("--> ").partition("\n")[0]
    reason = text.rpartition("error: ")[2].strip()
    return f"{place.strip()}: {reason}" if "\n" in text and place else text or type(error).__name__
