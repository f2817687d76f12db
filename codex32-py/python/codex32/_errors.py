"""The engine's errors as exceptions: one class for each stable code."""

import json
from typing import Any, Dict, List, Optional, Type


class Codex32Error(Exception):
    """Something the engine refused or failed at.

    ``code`` is stable; ``hint`` says what to do; ``faults`` names the places of
    the input; ``retry_after_ms`` says when a retry is worth it.
    """

    code = "internal"

    def __init__(
        self,
        message: str,
        *,
        hint: Optional[str] = None,
        faults: Optional[List[Dict[str, str]]] = None,
        retry_after_ms: Optional[int] = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.faults = faults or []
        self.retry_after_ms = retry_after_ms

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message


class InvalidError(Codex32Error):
    """The input does not satisfy its contract. Nothing was changed."""

    code = "invalid"


class UnauthenticatedError(Codex32Error):
    """No valid credentials were given."""

    code = "unauthenticated"


class ForbiddenError(Codex32Error):
    """The caller may not do this."""

    code = "forbidden"


class NotFoundError(Codex32Error):
    """The thing named does not exist in this workspace."""

    code = "not_found"


class ConflictError(Codex32Error):
    """The thing exists already, or changed in between."""

    code = "conflict"


class PreconditionError(Codex32Error):
    """The state of the thing does not allow this now."""

    code = "precondition"


class TooLargeError(Codex32Error):
    """The input exceeds a limit."""

    code = "too_large"


class RateLimitedError(Codex32Error):
    """The caller asks too often."""

    code = "rate_limited"


class BusyError(Codex32Error):
    """The engine is at capacity."""

    code = "busy"


class TimeoutError(Codex32Error):
    """Something did not answer in its time limit."""

    code = "timeout"


class CancelledError(Codex32Error):
    """The work was cancelled before it was done."""

    code = "cancelled"


class UnavailableError(Codex32Error):
    """A system outside the engine could not be reached or refused."""

    code = "unavailable"


class FailedError(Codex32Error):
    """A bot, step or script ran and failed."""

    code = "failed"


class NondeterministicError(Codex32Error):
    """A native function did not do what it did before with the same results."""

    code = "nondeterministic"


class UnsupportedError(Codex32Error):
    """The engine cannot do this here."""

    code = "unsupported"


class InternalError(Codex32Error):
    """A fault of the engine itself."""

    code = "internal"


CLASSES: Dict[str, Type[Codex32Error]] = {cls.code: cls for cls in Codex32Error.__subclasses__()}


def of(text: str) -> Codex32Error:
    """The exception that the native part's error stands for."""
    data: Dict[str, Any] = json.loads(text)
    cls = CLASSES.get(data.get("code", ""), InternalError)
    return cls(
        data.get("message", ""),
        hint=data.get("hint"),
        faults=data.get("faults"),
        retry_after_ms=data.get("retry_after_ms"),
    )


def to_json(error: BaseException) -> str:
    """An exception of the user's code as the engine records it."""
    if isinstance(error, Codex32Error):
        data: Dict[str, Any] = {"code": error.code, "message": error.message}
        if error.hint:
            data["hint"] = error.hint
        return json.dumps(data)
    return json.dumps({"code": "failed", "message": f"{type(error).__name__}: {error}"})
