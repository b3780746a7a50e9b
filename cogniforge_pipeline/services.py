"""What the Python APIs of all domains share: each works on one home, and a process has one of each for a home.

Belongs here: opening them. Does not: any method of a domain.
"""

from __future__ import annotations

import os
import threading
from typing import Any, ClassVar, TypeVar, cast

from cogniforge_pipeline.declarations import Kind
from cogniforge_pipeline.home import Home
from cogniforge_pipeline.settings import Settings, load_settings

_opening = threading.Lock()


class Service:
    """Works on one home, made when it is absent; `kinds` are the kinds of declarations that it reads or writes.

    Threads and processes may share a home. Raises LakeError where the lake cannot be read or written.
    """

    kinds: ClassVar[tuple[Kind[Any], ...]] = ()
    domain: ClassVar[str] = ""
    """The domain that runs decide for from now on, where they would not without a file that declares something of it."""

    def __init__(self, settings: Settings) -> None:
        settings.platform.mkdir(parents=True, exist_ok=True)
        if self.domain:
            settings.domain_marks.mkdir(parents=True, exist_ok=True)
            (settings.domain_marks / self.domain).touch()
        self.home = Home(settings, self.kinds)
        _ = self.home.lake, self.home.events  # opened here, where no other thread does


S = TypeVar("S", bound=Service)
_open: dict[tuple[type[Service], Settings, int], Service] = {}


def shared(service: type[S], settings: Settings | None) -> S:
    """This process's service for these settings, by default for the home that COGNIFORGE_HOME names."""
    key = (service, settings or load_settings(), os.getpid())
    with _opening:
        if key not in _open:
            _open[key] = service(key[1])
        return cast(S, _open[key])
