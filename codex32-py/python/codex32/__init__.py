"""Codex-32: say in plain words what should be automated and get a bot.

    import codex32

    with codex32.Engine.open("data.db") as engine:
        engine.make("every 5 minutes fetch https://example.org/price.json")

``Engine`` runs the engine in this process, with no server; ``connect`` asks a
server. Both offer the same operations, and ``AsyncEngine`` and
``connect_async`` offer them to asyncio.
"""

import atexit

from . import _codex32
from ._engine import AsyncEngine, Engine, connect, connect_async
from ._errors import (
    BusyError,
    CancelledError,
    Codex32Error,
    ConflictError,
    FailedError,
    ForbiddenError,
    InternalError,
    InvalidError,
    NondeterministicError,
    NotFoundError,
    PreconditionError,
    RateLimitedError,
    TimeoutError,
    TooLargeError,
    UnauthenticatedError,
    UnavailableError,
    UnsupportedError,
)
from ._workflow import Attempt, BlockingContext, Context

__version__ = _codex32.__version__

# The engine's threads must not outlive the interpreter.
atexit.register(_codex32.shutdown)

__all__ = [
    "AsyncEngine",
    "Attempt",
    "BlockingContext",
    "BusyError",
    "CancelledError",
    "Codex32Error",
    "ConflictError",
    "Context",
    "Engine",
    "FailedError",
    "ForbiddenError",
    "InternalError",
    "InvalidError",
    "NondeterministicError",
    "NotFoundError",
    "PreconditionError",
    "RateLimitedError",
    "TimeoutError",
    "TooLargeError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnsupportedError",
    "connect",
    "connect_async",
]
