"""How operations are asked: blocking, or for asyncio."""

import asyncio
import concurrent.futures
import json
from typing import Any, AsyncIterator, Dict, Iterator

from . import _codex32, _errors


def encode(input: Dict[str, Any]) -> str:
    """The input as JSON; what was not given is left out."""
    return json.dumps({name: value for name, value in input.items() if value is not None})


def decode(answer: Any) -> Any:
    """The output of a call, or its exception."""
    ok, text = answer
    if not ok:
        raise _errors.of(text)
    return json.loads(text)


class Base:
    """What both ways share: the native door and the late start of an embedded engine."""

    def __init__(self, native: Any, start: bool) -> None:
        self.native = native
        self._pending = start

    def ready(self) -> None:
        # Started at the first call, so that actions registered before it are known
        # when interrupted executions go on.
        if self._pending:
            self._pending = False
            decode(self.native.start())

    def open(self, name: str, input: Dict[str, Any]) -> Any:
        self.ready()
        items, error = self.native.open_stream(name, encode(input))
        if items is None:
            raise _errors.of(error)
        return items


class Blocking(Base):
    """Calls that wait; the GIL is released meanwhile."""

    def call(self, name: str, input: Dict[str, Any]) -> Any:
        self.ready()
        return decode(self.native.call(name, encode(input)))

    def stream(self, name: str, input: Dict[str, Any]) -> Iterator[Any]:
        items = self.open(name, input)
        while (answer := items.next()) is not None:
            yield decode(answer)


class Awaiting(Base):
    """Calls for asyncio."""

    async def call(self, name: str, input: Dict[str, Any]) -> Any:
        if self._pending:
            await asyncio.to_thread(self.ready)
        return decode(await promise(lambda callback: self.native.submit(name, encode(input), callback)))

    async def stream(self, name: str, input: Dict[str, Any]) -> AsyncIterator[Any]:
        items = await asyncio.to_thread(self.open, name, input)
        while True:
            ok, text = await promise(items.submit)
            if ok and not text:
                return
            yield decode((ok, text))


async def promise(submit: Any) -> Any:
    """Waits for the native part to call back from its own thread."""
    future: "concurrent.futures.Future[Any]" = concurrent.futures.Future()

    def callback(ok: bool, text: str) -> None:
        # A future that was cancelled in between takes no result.
        if future.set_running_or_notify_cancel():
            future.set_result((ok, text))

    submit(callback)
    return await asyncio.wrap_future(future)


def connect(url: str, token: Any) -> Any:
    native, error = _codex32.connect(url, token)
    if native is None:
        raise _errors.of(error)
    return native


def open_native(target: str) -> Any:
    native, error = _codex32.open(target)
    if native is None:
        raise _errors.of(error)
    return native
