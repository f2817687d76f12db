"""The engine in this process, and clients of one elsewhere."""

import asyncio
import inspect
import json
import os
from typing import Any, Callable, Dict, List, Optional, TypeVar, Union

from . import _door, _errors, _workflow
from ._operations import Operations

Function = TypeVar("Function", bound=Callable[..., Any])
Path = Union[str, "os.PathLike[str]"]


def connect(url: str, token: Optional[str] = None) -> Operations:
    """The operations of the server at ``url``."""
    return Operations(_door.Blocking(_door.connect(url, token), start=False))


def connect_async(url: str, token: Optional[str] = None) -> Operations:
    """The operations of the server at ``url``, for asyncio."""
    return Operations(_door.Awaiting(_door.connect(url, token), start=False))


class _Embedded(Operations):
    """An engine in this process."""

    _door_class: Any = _door.Blocking

    def __init__(self, target: Path, *, start: bool = True) -> None:
        super().__init__(self._door_class(_door.open_native(os.fspath(target)), start))
        self._workflows = _workflow.Workflows(self._door.native)

    @classmethod
    def open(cls, target: Path, *, start: bool = True) -> Any:
        """Opens the engine over a file (``data.db``), a folder or a ``postgres://`` URL.

        Its background work (triggers, waiting executions, the supervisor) starts at
        the first call, unless ``start`` is false; actions that are registered before
        are known by then.
        """
        return cls(target, start=start)

    def action(
        self,
        name: str,
        *,
        summary: Optional[str] = None,
        input: Optional[Dict[str, Any]] = None,
        output: Optional[Dict[str, Any]] = None,
        idempotent: bool = False,
    ) -> Callable[[Function], Function]:
        """Makes a function an action that bots use: ``use: native.NAME``, or ``FAMILY.NAME``.

        The function is given the input's fields by name, or the whole input where it
        takes one positional parameter called ``input``; a parameter ``context`` gets the execution, step
        and idempotency key. It may be ``async``. An exception fails the step.
        """

        def register(function: Function) -> Function:
            doc = inspect.getdoc(function)
            spec = {
                "name": name,
                "summary": summary or (doc.splitlines()[0] if doc else None),
                "input": input,
                "output": output,
                "idempotent": idempotent,
            }
            _door.decode(self._door.native.register(json.dumps(spec), _native(function)))
            return function

        return register

    def workflow(
        self,
        name: Optional[str] = None,
        *,
        revision: Optional[str] = None,
        description: Optional[str] = None,
        inputs: Optional[Dict[str, Any]] = None,
        on: Optional[List[Any]] = None,
        timeout: Any = None,
        environment: Optional[str] = None,
        deploy: bool = True,
    ) -> Callable[[Function], Function]:
        """Makes a function a bot whose executions are durable: it is given a context and the input.

        What it does by ``ctx.step``, ``ctx.sleep``, ``ctx.signal``, ``ctx.event`` and ``ctx.child`` is
        recorded, and answered from the journal when the function is run again after a wait or a
        crash. An ``async`` function awaits these calls; in a plain one they wait themselves.
        The ``revision`` names the state of the code; with ``deploy=False`` only executions of it
        that exist go on.
        """

        def register(function: Function) -> Function:
            doc = inspect.getdoc(function)
            spec = {
                "name": name or function.__name__.replace("_", "-"),
                "revision": revision,
                "description": description or (doc.splitlines()[0] if doc else None),
                "inputs": inputs,
                "on": on or [],
                "timeout_ms": _workflow._ms(timeout),
                "environment": environment,
                "deploy": deploy,
            }
            self._begin_loop()
            self._workflows.register(spec, function)
            return function

        return register

    def _begin_loop(self) -> None:
        """Coroutines of workflows run in a loop of their own."""

    def _close(self) -> None:
        self._door.native.close()
        self._workflows.close()


class Engine(_Embedded):
    """An engine in this process; its operations wait. Close it, or use ``with``."""

    def start(self) -> None:
        """Starts the background work now."""
        self._door._pending = True
        self._door.ready()

    def close(self) -> None:
        """Lets what runs come to a safe end."""
        self._close()

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()


class AsyncEngine(_Embedded):
    """An engine in this process; its operations are awaited. Use ``async with``."""

    _door_class = _door.Awaiting

    def _begin_loop(self) -> None:
        """Coroutines of workflows run in the loop that the engine is used in."""
        try:
            self._workflows.loop(asyncio.get_running_loop())
        except RuntimeError:
            pass

    async def start(self) -> None:
        """Starts the background work now."""
        self._door._pending = True
        await asyncio.to_thread(self._door.ready)

    async def close(self) -> None:
        """Lets what runs come to a safe end."""
        await asyncio.to_thread(self._close)

    async def __aenter__(self) -> "AsyncEngine":
        return self

    async def __aexit__(self, *_: Any) -> None:
        await self.close()


def _native(function: Callable[..., Any]) -> Callable[[str, str], Any]:
    """The function as the native part calls it: JSON texts in, ``(ok, json)`` out."""
    parameters = inspect.signature(function).parameters
    whole = "input" in parameters
    wants_context = "context" in parameters

    def call(input_text: str, context_text: str) -> Any:
        try:
            input = json.loads(input_text)
            arguments = {"input": input} if whole else dict(input)
            if wants_context:
                arguments["context"] = json.loads(context_text)
            result = function(**arguments)
            if inspect.isawaitable(result):
                result = asyncio.run(_await(result))
            return True, json.dumps(result)
        except Exception as error:  # noqa: BLE001 - whatever the user's code raises fails the step
            return False, _errors.to_json(error)

    return call


async def _await(awaitable: Any) -> Any:
    return await awaitable
