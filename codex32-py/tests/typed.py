"""Checked by mypy, not run: the package's types say what a reader of the docs expects."""

import asyncio
from datetime import timedelta
from typing import Any, Dict, List

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


def workflows(engine: codex32.Engine) -> None:
    @engine.workflow("order", revision="2", timeout=60.0)
    async def order(ctx: codex32.Context, input: Dict[str, Any]) -> str:
        await ctx.step("charge", len, "abc", retry={"attempts": 3, "delay_ms": 5}, timeout=1)
        await ctx.sleep("rest", timedelta(hours=1))
        now: int = ctx.now()
        return f"{now} {await ctx.signal('go', timeout=5)}"

    @engine.workflow()
    def plain(ctx: codex32.BlockingContext, input: Dict[str, Any]) -> str:
        def body(attempt: codex32.Attempt) -> str:
            return attempt.idempotency_key

        ctx.sleep("rest", 1.5)
        return str(ctx.step("key", body))


async def later(url: str) -> None:
    client = codex32.connect_async(url, token="c32_x")
    page = await client.bots.list()
    assert page["items"]


asyncio.run(later("http://127.0.0.1:7832"))
