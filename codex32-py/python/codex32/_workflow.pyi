import uuid
from datetime import datetime, timedelta
from typing import Any, Awaitable, Callable, Dict, Literal, TypedDict, Union

class Retry(TypedDict, total=False):
    attempts: int
    backoff: Literal["constant", "linear", "exponential"]
    delay_ms: int
    max_ms: int
    jitter: float
    on: list[str]

Span = Union[float, timedelta]

class Attempt:
    step: str
    number: int
    idempotency_key: str
    def log(self, text: str) -> None: ...

class _Told:
    execution: str
    bot: str
    def now(self) -> int: ...
    def uuid(self) -> uuid.UUID: ...
    def random(self) -> float: ...
    def log(self, text: str) -> None: ...

class Context(_Told):
    def step(
        self,
        name: str,
        body: Callable[..., Any],
        *args: Any,
        retry: Union[int, Retry, None] = ...,
        timeout: Union[Span, None] = ...,
        **kwargs: Any,
    ) -> Awaitable[Any]: ...
    def sleep(self, name: str, span: Span) -> Awaitable[None]: ...
    def sleep_until(self, name: str, time: Union[int, datetime]) -> Awaitable[None]: ...
    def signal(self, name: str, *, timeout: Union[Span, None] = ...) -> Awaitable[Any]: ...
    def event(self, name: str, *, where: Union[str, None] = ..., timeout: Union[Span, None] = ...) -> Awaitable[Any]: ...
    def child(self, bot: str, input: Any = ..., *, timeout: Union[Span, None] = ...) -> Awaitable[Any]: ...

class BlockingContext(_Told):
    def step(
        self,
        name: str,
        body: Callable[..., Any],
        *args: Any,
        retry: Union[int, Retry, None] = ...,
        timeout: Union[Span, None] = ...,
        **kwargs: Any,
    ) -> Any: ...
    def sleep(self, name: str, span: Span) -> None: ...
    def sleep_until(self, name: str, time: Union[int, datetime]) -> None: ...
    def signal(self, name: str, *, timeout: Union[Span, None] = ...) -> Any: ...
    def event(self, name: str, *, where: Union[str, None] = ..., timeout: Union[Span, None] = ...) -> Any: ...
    def child(self, bot: str, input: Any = ..., *, timeout: Union[Span, None] = ...) -> Any: ...

def _ms(span: Union[Span, None]) -> Union[int, None]: ...
