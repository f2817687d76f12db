import os
from datetime import timedelta
from typing import Any, Callable, Dict, List, Optional, TypeVar, Union

from ._operations import AsyncOperations, Operations

Function = TypeVar("Function", bound=Callable[..., Any])
Path = Union[str, "os.PathLike[str]"]

def connect(url: str, token: Optional[str] = ...) -> Operations: ...
def connect_async(url: str, token: Optional[str] = ...) -> AsyncOperations: ...

class Engine(Operations):
    def __init__(self, target: Path, *, start: bool = ...) -> None: ...
    @classmethod
    def open(cls, target: Path, *, start: bool = ...) -> "Engine": ...
    def action(
        self,
        name: str,
        *,
        summary: Optional[str] = ...,
        input: Optional[Dict[str, Any]] = ...,
        output: Optional[Dict[str, Any]] = ...,
        idempotent: bool = ...,
    ) -> Callable[[Function], Function]: ...
    def workflow(
        self,
        name: Optional[str] = ...,
        *,
        revision: Optional[str] = ...,
        description: Optional[str] = ...,
        inputs: Optional[Dict[str, Any]] = ...,
        on: Optional[List[Any]] = ...,
        timeout: Union[float, timedelta, None] = ...,
        environment: Optional[str] = ...,
        deploy: bool = ...,
    ) -> Callable[[Function], Function]: ...
    def start(self) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> "Engine": ...
    def __exit__(self, *_: Any) -> None: ...

class AsyncEngine(AsyncOperations):
    def __init__(self, target: Path, *, start: bool = ...) -> None: ...
    @classmethod
    def open(cls, target: Path, *, start: bool = ...) -> "AsyncEngine": ...
    def action(
        self,
        name: str,
        *,
        summary: Optional[str] = ...,
        input: Optional[Dict[str, Any]] = ...,
        output: Optional[Dict[str, Any]] = ...,
        idempotent: bool = ...,
    ) -> Callable[[Function], Function]: ...
    def workflow(
        self,
        name: Optional[str] = ...,
        *,
        revision: Optional[str] = ...,
        description: Optional[str] = ...,
        inputs: Optional[Dict[str, Any]] = ...,
        on: Optional[List[Any]] = ...,
        timeout: Union[float, timedelta, None] = ...,
        environment: Optional[str] = ...,
        deploy: bool = ...,
    ) -> Callable[[Function], Function]: ...
    async def start(self) -> None: ...
    async def close(self) -> None: ...
    async def __aenter__(self) -> "AsyncEngine": ...
    async def __aexit__(self, *_: Any) -> None: ...
