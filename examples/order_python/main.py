"""A function as a durable workflow: it charges once, waits without costing anything, ships.

    python examples/order_python/main.py 42

Were the program killed at any point, the next start would go on behind the last recorded
step: keep the file, register the same function, and start.
"""

import sys
import tempfile
from pathlib import Path

import codex32


def charge(amount, attempt):
    # The key is the same for every attempt, so that whoever is paid charges once.
    return {"amount": amount, "key": attempt.idempotency_key}


def main(amount):
    with tempfile.TemporaryDirectory() as folder, codex32.Engine.open(Path(folder) / "data.db") as engine:

        @engine.workflow("order")
        async def order(ctx, input):
            """Charges an order and waits for its parcel."""
            receipt = await ctx.step("charge", charge, input["amount"], retry=3)
            parcel = await ctx.signal("parcel", timeout=7 * 24 * 3600)
            return f"charged {receipt['amount']}, shipped as {parcel}"

        started = engine.run("order", input={"amount": amount})
        engine.executions.signal(started["id"], "parcel", payload="P-1")
        for _ in engine.executions.watch(started["id"]):
            pass
        print(engine.executions.get(started["id"])["output"])


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 42)
