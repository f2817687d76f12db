"""Checked by mypy, not run: the package's types say what a reader of the docs expects."""

import asyncio
from typing import List

import codex32


def names(path: str) -> List[str]:
    with codex32.Engine.open(path) as engine:
        made = engine.make("every hour check https://example.org and tell me on telegram if it is down")
        number: int = made["version"]["number"]
        assert number == 1
        for item in engine.executions.watch("00000000-0000-0000-0000-000000000000", after=3):
            kind: str = item["kind"]
            assert kind
        return [row["name"] for row in engine.bots.list(limit=5)["items"]]


async def later(url: str) -> None:
    client = codex32.connect_async(url, token="c32_x")
    page = await client.bots.list()
    assert page["items"]


asyncio.run(later("http://127.0.0.1:7832"))
