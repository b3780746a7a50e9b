"""The errors that a user may meet. Each says what was expected, what came and what to do.

Belongs here: the base class that the command line and the services turn into a message.
Does not: errors of one topic, which derive from it beside that topic.
"""

from __future__ import annotations


class CogniforgeError(Exception):
    """Base of all errors shown to users; `hint` is the next step to take."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n  hint: {self.hint}" if self.hint else self.message
