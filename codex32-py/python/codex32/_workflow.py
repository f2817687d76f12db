"""Functions as durable workflows: the Python side of what the engine drives."""

import asyncio
import concurrent.futures
import inspect
import json
import threading
import uuid
from datetime import datetime, timedelta
from typing import Any, Callable, Dict, Optional, Tuple

from . import _errors

# Turns of the event loop after which a coroutine has come to its next call: a result
# passes through a few futures on its way.
TURNS = 32


class Aside(BaseException):
    """The function is not run any more: its execution waits, or is over."""


class Attempt:
    """One attempt of a step, for a body that has a parameter ``attempt``."""

    def __init__(self, native: Any, run: int, call: int, message: Dict[str, Any]) -> None:
        self._native, self._run, self._call = native, run, call
        self.step: str = message["step"]
        self.number: int = message["number"]
        self.idempotency_key: str = message["idempotency_key"]

    def log(self, text: str) -> None:
        """Writes a line to the log of the execution."""
        self._native.log(self._run, self._call, str(text))


class _Calls:
    """What both kinds of context share."""

    def __init__(self, workflows: "Workflows", run: int, message: Dict[str, Any]) -> None:
        self._workflows, self._native, self._run = workflows, workflows.native, run
        self._now: int = message["now"]
        self._count = 0
        self._open: Dict[int, Any] = {}
        self._bodies: Dict[int, Callable[..., Any]] = {}
        self.execution: str = message["execution"]
        self.bot: str = message["bot"]

    def now(self) -> int:
        """The time in UTC milliseconds, the same whenever the function is run again."""
        return self._now

    def uuid(self) -> uuid.UUID:
        """A random id, the same whenever the function is run again."""
        return uuid.UUID(_decode(self._native.draw(self._run))["uuid"])

    def random(self) -> float:
        """A random number from 0 up to 1, the same whenever the function is run again."""
        number: float = _decode(self._native.draw(self._run))["random"]
        return number

    def log(self, text: str) -> None:
        """Writes a line to the log of the execution, once."""
        self._native.log(self._run, None, str(text))

    def step(self, name: str, body: Any, *args: Any, retry: Any = None, timeout: Any = None, **kwargs: Any) -> Any:
        """Calls ``body`` once and gives its result, also when the function is run again."""
        wants_attempt = "attempt" not in kwargs and _takes_attempt(body)

        def call(attempt: Attempt) -> Any:
            more = {"attempt": attempt} if wants_attempt else {}
            return body(*args, **kwargs, **more)

        return self._ask(name, "step", call, retry=retry, timeout_ms=_ms(timeout))

    def sleep(self, name: str, span: Any) -> Any:
        """Lets a time pass: seconds, or a ``timedelta``."""
        return self._ask(name, "sleep", ms=_ms(span))

    def sleep_until(self, name: str, time: Any) -> Any:
        """Waits for a time: UTC milliseconds, or a ``datetime`` with its zone."""
        ms = int(time.timestamp() * 1000) if isinstance(time, datetime) else int(time)
        return self._ask(name, "sleep_until", ms=ms)

    def signal(self, name: str, *, timeout: Any = None) -> Any:
        """Waits for what ``executions.signal`` sends by this name."""
        return self._ask(name, "signal", timeout_ms=_ms(timeout))

    def event(self, name: str, *, where: Optional[str] = None, timeout: Any = None) -> Any:
        """Waits for an event on the bus; ``where`` is CEL over ``event``."""
        return self._ask(name, "event", filter=where, timeout_ms=_ms(timeout))

    def child(self, bot: str, input: Any = None, *, timeout: Any = None) -> Any:
        """Runs another bot to its end and gives its output."""
        return self._ask(bot, "child", input={} if input is None else input, timeout_ms=_ms(timeout))

    def _ask(self, name: str, kind: str, body: Any = None, **options: Any) -> Any:
        self._count += 1
        call, future = self._count, self._future()
        self._open[call] = future
        if body is not None:
            self._bodies[call] = body
        ask = {"name": name, "kind": kind, **{key: value for key, value in options.items() if value is not None}}
        try:
            _decode(self._native.ask(self._run, call, json.dumps(ask)))
        except Exception as error:  # noqa: BLE001 - raised where the call is awaited
            self._open.pop(call)
            future.set_exception(error)
        return self._answer(future)

    def _told(self, message: Dict[str, Any]) -> None:
        self._now = message["now"]
        future = self._open.pop(message["call"], None)
        self._bodies.pop(message["call"], None)
        if future is None or future.done():
            return
        if "error" in message:
            future.set_exception(_errors.of(json.dumps(message["error"])))
        else:
            future.set_result(message["value"])

    def _future(self) -> Any:
        raise NotImplementedError

    def _answer(self, future: Any) -> Any:
        return future


class Context(_Calls):
    """What an ``async`` function is given. Its calls are awaited, several at a time where wanted."""

    task: "Optional[asyncio.Task[Any]]" = None
    dropped = False

    def _future(self) -> Any:
        return self._workflows.loop().create_future()

    def _begin(self, function: Callable[..., Any], input: Any, done: Callable[[bool, str], None]) -> None:
        def start() -> None:
            if not self.dropped:
                self.task = loop.create_task(function(self, input))
                self.task.add_done_callback(lambda task: _finish(task, done))

        loop = self._workflows.loop()
        loop.call_soon_threadsafe(start)

    def _tell(self, message: Dict[str, Any]) -> None:
        self._workflows.loop().call_soon_threadsafe(self._told, message)

    def _drop(self) -> None:
        def drop() -> None:
            self.dropped = True
            if self.task is not None and not self.task.done():
                self.task.cancel()

        self._workflows.loop().call_soon_threadsafe(drop)


class BlockingContext(_Calls):
    """What a plain function is given. Its calls wait for their results."""

    def _future(self) -> Any:
        return concurrent.futures.Future()

    def _answer(self, future: Any) -> Any:
        return future.result()

    def _begin(self, function: Callable[..., Any], input: Any, done: Callable[[bool, str], None]) -> None:
        _thread(lambda: function(self, input), done)

    def _tell(self, message: Dict[str, Any]) -> None:
        self._told(message)

    def _drop(self) -> None:
        while self._open:
            _, future = self._open.popitem()
            if not future.done():
                future.set_exception(Aside())


class Workflows:
    """The workflows of an engine. The native part calls :meth:`receive`."""

    def __init__(self, native: Any) -> None:
        self.native = native
        self._functions: Dict[str, Callable[..., Any]] = {}
        self._runs: Dict[int, Any] = {}
        self._attempts: "Dict[Tuple[int, int], asyncio.Task[Any]]" = {}
        self._lock = threading.Lock()
        self._loop: Optional[asyncio.AbstractEventLoop] = None
        self._own = False

    def register(self, spec: Dict[str, Any], function: Callable[..., Any]) -> None:
        key = f"{spec['name']}@{spec['revision'] or ''}"
        self._functions[key] = function
        _decode(self.native.workflow(json.dumps(spec), key, self.receive))

    def loop(self, loop: Optional[asyncio.AbstractEventLoop] = None) -> asyncio.AbstractEventLoop:
        """Where coroutines run: the loop that the engine is used in, else one of its own."""
        with self._lock:
            if self._loop is None:
                self._own = loop is None
                self._loop = loop or asyncio.new_event_loop()
                if self._own:
                    threading.Thread(target=self._loop.run_forever, name="codex32-workflows", daemon=True).start()
            return self._loop

    def close(self) -> None:
        # The native part holds this, and this held the native part.
        self.native = None
        with self._lock:
            if self._loop is not None and self._own:
                self._loop.call_soon_threadsafe(self._loop.stop)

    def receive(self, text: str, done: Callable[[bool, str], None]) -> None:
        message = json.loads(text)
        getattr(self, "_do_" + message["do"])(message, done)

    def _do_begin(self, message: Dict[str, Any], done: Callable[[bool, str], None]) -> None:
        function = self._functions[message["function"]]
        kind = Context if inspect.iscoroutinefunction(function) else BlockingContext
        run = self._runs[message["run"]] = kind(self, message["run"], message)
        run._begin(function, message["input"], done)

    def _do_tell(self, message: Dict[str, Any], done: Callable[[bool, str], None]) -> None:
        run = self._runs.get(message["run"])
        if run is not None:
            run._tell(message)

    def _do_drop(self, message: Dict[str, Any], done: Callable[[bool, str], None]) -> None:
        run = self._runs.pop(message["run"], None)
        if run is not None:
            run._drop()

    def _do_attempt(self, message: Dict[str, Any], done: Callable[[bool, str], None]) -> None:
        run = self._runs.get(message["run"])
        body = run and run._bodies.get(message["call"])
        if body is None:
            done(False, json.dumps({"code": "cancelled", "message": "the step was not wanted any more"}))
            return
        attempt = Attempt(self.native, message["run"], message["call"], message)
        _thread(lambda: body(attempt), done, lambda awaitable: self._await(message, awaitable, done))

    def _await(self, message: Dict[str, Any], awaitable: Any, done: Callable[[bool, str], None]) -> None:
        """Runs what an ``async`` body gave, on the loop."""
        place = (message["run"], message["call"])

        def ended(task: "asyncio.Task[Any]") -> None:
            self._attempts.pop(place, None)
            _finish(task, done)

        def start() -> None:
            task = self._attempts[place] = asyncio.ensure_future(awaitable, loop=loop)
            task.add_done_callback(ended)

        loop = self.loop()
        loop.call_soon_threadsafe(start)

    def _do_stop(self, message: Dict[str, Any], done: Callable[[bool, str], None]) -> None:
        def stop() -> None:
            task = self._attempts.get((message["run"], message["call"]))
            if task is not None:
                task.cancel()

        if self._loop is not None:
            self._loop.call_soon_threadsafe(stop)

    def _do_settle(self, message: Dict[str, Any], done: Callable[[bool, str], None]) -> None:
        loop = self._loop

        def turn(left: int) -> None:
            if left and loop is not None:
                loop.call_soon(turn, left - 1)
            else:
                done(True, "null")

        if loop is None:
            done(True, "null")
        else:
            loop.call_soon_threadsafe(turn, TURNS)


def _takes_attempt(body: Callable[..., Any]) -> bool:
    try:
        return "attempt" in inspect.signature(body).parameters
    except (TypeError, ValueError):
        # Some that are built in tell nothing of their parameters.
        return False


def _decode(answer: Tuple[bool, str]) -> Any:
    ok, text = answer
    if not ok:
        raise _errors.of(text)
    return json.loads(text)


def _ms(span: Any) -> Optional[int]:
    if span is None:
        return None
    seconds = span.total_seconds() if isinstance(span, timedelta) else float(span)
    return max(0, round(seconds * 1000))


def _finish(task: "asyncio.Task[Any]", done: Callable[[bool, str], None]) -> None:
    if task.cancelled():
        done(False, json.dumps({"code": "cancelled", "message": "it was cancelled"}))
    elif (error := task.exception()) is not None:
        done(False, _errors.to_json(error))
    else:
        _give(task.result(), done)


def _give(result: Any, done: Callable[[bool, str], None]) -> None:
    try:
        text = json.dumps(result)
    except (TypeError, ValueError) as error:
        done(False, json.dumps({"code": "failed", "message": f"the result cannot be written as JSON: {error}"}))
    else:
        done(True, text)


def _thread(function: Callable[[], Any], done: Callable[[bool, str], None], later: Any = None) -> None:
    """Calls a function in a thread of its own: it may block."""

    def run() -> None:
        try:
            result = function()
        except Aside:
            done(False, json.dumps({"code": "cancelled", "message": "the execution was put aside"}))
        except BaseException as error:  # noqa: BLE001 - whatever the user's code raises fails it
            done(False, _errors.to_json(error))
        else:
            if later is not None and inspect.isawaitable(result):
                later(result)
            else:
                _give(result, done)

    threading.Thread(target=run, name="codex32-workflow", daemon=True).start()
