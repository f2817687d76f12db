"""Functions as durable workflows."""

import asyncio
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

import codex32


def ended(engine, execution):
    """The execution once it is over."""
    for _ in engine.executions.watch(execution["id"]):
        pass
    return engine.executions.get(execution["id"])


def reached(engine, execution, step):
    """Waits until a call of the execution is begun, and nothing runs."""
    for item in engine.executions.watch(execution["id"]):
        if item["step"] == step:
            break
    until(lambda: engine.executions.get(execution["id"])["status"] == "waiting")


def until(look):
    end = time.monotonic() + 60
    while not look():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def test_an_async_function_does_each_thing_once(engine):
    runs, done = [], []

    @engine.workflow("child")
    def child(ctx, input):
        return ctx.step("double", lambda: input["n"] * 2)

    @engine.workflow("order")
    async def order(ctx, input):
        """Charges and ships."""
        runs.append(ctx.execution)
        first = ctx.uuid()

        def charge(amount, attempt):
            done.append(attempt.idempotency_key)
            attempt.log("charging")
            return {"charged": amount}

        async def send(to):
            done.append(to)
            await asyncio.sleep(0)
            return to

        charged = await ctx.step("charge", charge, input["amount"], retry=3)
        ctx.log("charged")
        sent = await asyncio.gather(ctx.step("send", send, "a"), ctx.step("send", send, "b"))
        parcel = await ctx.signal("parcel")
        await ctx.sleep("rest", 0.01)
        doubled = await ctx.child("child", {"n": 4})
        assert ctx.now() > 0 and 0 <= ctx.random() < 1
        return {**charged, "sent": sent, "parcel": parcel, "doubled": doubled, "uuid": str(first)}

    started = engine.run("order", input={"amount": 5})
    reached(engine, started, "parcel")
    engine.executions.signal(started["id"], "parcel", payload="P-1")
    execution = ended(engine, started)
    assert execution["status"] == "succeeded", execution
    output = execution["output"]
    assert (output["charged"], output["sent"], output["parcel"], output["doubled"]) == (5, ["a", "b"], "P-1", 8)
    assert sorted(done) == sorted([f"{started['id']}:charge", "a", "b"])
    assert len(runs) > 1 and set(runs) == {started["id"]}
    lines = [line["text"] for line in engine.executions.logs(started["id"])["items"]]
    assert sorted(lines) == ["charged", "charging"]
    assert engine.bots.get("order")["explanation"].startswith("When started by hand: run the function order")
    assert engine.bots.get("order")["description"] == "Charges and ships."


def test_a_plain_function_waits_by_itself(engine):
    cleaned = []

    @engine.workflow("plain")
    def plain(ctx, input):
        first = ctx.step("first", lambda: 1)
        try:
            paid = ctx.signal("paid")
        except Exception:  # not how a function is put aside
            cleaned.append("an exception")
            raise
        return [first, paid, ctx.step("last", str, 7)]

    started = engine.run("plain")
    reached(engine, started, "paid")
    until(lambda: not [t for t in threading.enumerate() if t.name == "codex32-workflow"])
    engine.executions.signal(started["id"], "paid", payload=True)
    assert ended(engine, started)["output"] == [1, True, "7"]
    assert cleaned == []


def test_a_failure_is_an_exception_and_names_its_step(engine):
    @engine.workflow("burns")
    async def burns(ctx, input):
        def burn(attempt):
            raise ValueError(f"burnt {attempt.number}")

        try:
            await ctx.step("toast", burn, retry={"attempts": 2, "delay_ms": 1})
        except codex32.FailedError as error:
            caught = str(error)
        with pytest.raises(codex32.TimeoutError):
            await ctx.step("slow", asyncio.sleep, 60, timeout=0.05)
        with pytest.raises(codex32.TimeoutError):
            await ctx.signal("never", timeout=0.05)
        with pytest.raises(codex32.InvalidError):
            await ctx.signal("a/b")
        with pytest.raises(codex32.NotFoundError):
            await ctx.child("nobody")
        await ctx.step("last", lambda: [][0])
        return caught

    execution = ended(engine, engine.run("burns"))
    assert (execution["status"], execution["error"]["step"]) == ("failed", "last")
    assert execution["error"]["message"] == "IndexError: list index out of range"
    steps = {step["path"]: step for step in execution["steps"]}
    assert steps["toast"]["error"]["message"] == "ValueError: burnt 2"


def test_a_cancellation_reaches_what_runs(engine):
    told = []

    @engine.workflow("long")
    async def long(ctx, input):
        async def hang():
            try:
                await asyncio.sleep(600)
            except asyncio.CancelledError:
                told.append("the body")
                raise

        try:
            await ctx.step("hangs", hang)
        except codex32.CancelledError:
            told.append("the function")
            raise

    started = engine.run("long")
    for item in engine.executions.watch(started["id"]):
        if item["step"] == "hangs":
            break
    engine.executions.cancel(started["id"])
    assert ended(engine, started)["status"] == "cancelled"
    until(lambda: sorted(told) == ["the body", "the function"])


def test_a_function_that_strays_is_found_out(tmp_path):
    with codex32.Engine.open(tmp_path / "data.db") as engine:

        @engine.workflow("order")
        async def order(ctx, input):
            await ctx.step("charge", lambda: 1)
            return await ctx.signal("go")

        started = engine.run("order")
        reached(engine, started, "go")
    with codex32.Engine.open(tmp_path / "data.db") as engine:

        @engine.workflow("order")
        async def changed(ctx, input):
            await ctx.step("refund", lambda: 1)
            return await ctx.signal("go")

        engine.executions.signal(started["id"], "go")
        error = ended(engine, started)["error"]
        assert error["code"] == "nondeterministic"
        assert "call 1 was the step `charge`, now it is the step `refund`" in error["message"]
    with codex32.Engine.open(tmp_path / "data.db") as engine:
        with pytest.raises(codex32.InvalidError):
            engine.workflow("No name!")(changed)


def test_the_same_for_asyncio(tmp_path):
    async def main():
        async with codex32.AsyncEngine.open(tmp_path / "data.db") as engine:
            loops = []

            @engine.workflow("order")
            async def order(ctx, input):
                loops.append(asyncio.get_running_loop())
                return await ctx.step("double", lambda: input["n"] * 2)

            runs = [engine.run("order", input={"n": n}, wait=True) for n in range(4)]
            assert [done["output"] for done in await asyncio.gather(*runs)] == [0, 2, 4, 6]
            assert set(loops) == {asyncio.get_running_loop()}

    asyncio.run(main())


KILLED = """
import os, signal, sys
import codex32

engine = codex32.Engine.open(sys.argv[1])
effects, deadly = sys.argv[2], sys.argv[3] == "dies"

def does(what, attempt):
    with open(effects, "a") as file:
        file.write(f"{what} {attempt.idempotency_key}\\n")
    if deadly and what == "ship":
        os.kill(os.getpid(), signal.SIGKILL)
    return what

@engine.workflow("order")
async def order(ctx, input):
    charged = await ctx.step("charge", does, "charge")
    await ctx.sleep("rest", 0.05)
    shipped = await ctx.step("ship", does, "ship")
    return [charged, shipped, await ctx.step("mail", does, "mail")]

if deadly:
    engine.run("order", wait=True)
engine.start()
execution = engine.executions.list()["items"][0]
for _ in engine.executions.watch(execution["id"]):
    pass
print(engine.executions.get(execution["id"])["output"])
engine.close()
"""


def test_a_process_that_is_killed_goes_on_in_the_next(tmp_path):
    def run(mode):
        arguments = [sys.executable, "-c", KILLED, str(tmp_path / "data.db"), str(tmp_path / "effects"), mode]
        return subprocess.run(arguments, capture_output=True, text=True, timeout=120)

    assert run("dies").returncode == -signal.SIGKILL
    lived = run("lives")
    assert lived.returncode == 0, lived.stderr
    assert lived.stdout.strip() == "['charge', 'ship', 'mail']"
    effects = (tmp_path / "effects").read_text().splitlines()
    # What was recorded was done once; what was being done again, with the same key.
    assert [line.split()[0] for line in effects] == ["charge", "ship", "ship", "mail"]
    assert effects[1] == effects[2]


def test_the_guide_says_what_works(tmp_path, monkeypatch):
    guide = (pathlib.Path(__file__).parents[2] / "docs" / "guide" / "native.md").read_text()
    code = guide.split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(tmp_path)
    names = {}
    exec(code, names)
    with names["engine"] as engine:
        output = ended(engine, names["started"])["output"]
        assert (output["receipt"]["charged"], output["parcel"]) == (42, "P-1")


def test_the_example_ships(tmp_path):
    example = pathlib.Path(__file__).parents[2] / "examples" / "order_python" / "main.py"
    done = subprocess.run([sys.executable, example, "7"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["charged 7, shipped as P-1"]
