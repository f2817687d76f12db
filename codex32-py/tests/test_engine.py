"""The engine in this process, as a Python program uses it."""

import asyncio
import json
import pathlib
import subprocess
import sys

import pytest

import codex32


def test_a_bot_is_made_run_and_read_back(engine, hello):
    saved = engine.bots.create(hello)
    assert saved["version"]["number"] == 1
    engine.deployments.create("hello")
    done = engine.run("hello", input={"name": "Ada"}, wait=True)
    assert done["status"] == "succeeded"
    assert done["output"] == "hello Ada"
    assert [step["path"] for step in done["steps"]] == ["greeting"]
    assert [bot["name"] for bot in engine.bots.list()["items"]] == ["hello"]


def test_a_sentence_becomes_a_bot_with_no_server(engine):
    made = engine.make("every hour check http://127.0.0.1:9/ and tell me on telegram if it is down")
    assert made["version"]["number"] == 1
    assert "hour" in made["explanation"].lower()
    assert made["deployment"]["status"] == "active"


def test_a_python_function_is_an_action(engine):
    seen = []

    @engine.action("crm.add_lead", idempotent=True)
    def add_lead(email, context):
        """Adds a lead."""
        seen.append((email, context["idempotency_key"]))
        return {"stored": email}

    @engine.action("slow_double")
    async def slow_double(input):
        await asyncio.sleep(0)
        return input["n"] * 2

    engine.bots.create(
        """
codex32: v1
name: leads
steps:
  - id: lead
    use: crm.add_lead
    with: {email: "{{ input.email }}"}
  - id: double
    use: native.slow_double
    with: {n: 21}
"""
    )
    engine.deployments.create("leads")
    done = engine.run("leads", input={"email": "ada@example.org"}, wait=True)
    assert done["status"] == "succeeded", done
    assert {step["path"]: step["output"] for step in done["steps"]} == {
        "lead": {"stored": "ada@example.org"},
        "double": 42,
    }
    assert seen == [("ada@example.org", f"{done['id']}:lead")]


def test_an_exception_fails_the_step_with_its_own_words(engine):
    @engine.action("burn")
    def burn():
        raise ValueError("the toast is black")

    engine.bots.create("codex32: v1\nname: toast\nsteps:\n  - use: native.burn\n    with: {}\n")
    engine.deployments.create("toast")
    done = engine.run("toast", wait=True)
    assert done["status"] == "failed"
    assert "ValueError: the toast is black" in done["error"]["message"]


def test_errors_are_exceptions_with_code_hint_and_faults(engine):
    with pytest.raises(codex32.NotFoundError) as caught:
        engine.bots.get("nobody")
    assert caught.value.code == "not_found"
    with pytest.raises(codex32.InvalidError) as caught:
        engine.bots.list(limit=100_000)
    assert caught.value.faults[0]["pointer"] == "/limit"
    with pytest.raises(codex32.InvalidError) as caught:
        engine.bots.create("codex32: v1\nname: x\nsteps:\n  - uze: http.get\n")
    assert "uze" in str(caught.value)
    assert engine.bots.list()["items"] == []


def test_a_stream_gives_items_until_the_execution_ends(engine, hello):
    engine.bots.create(hello)
    engine.deployments.create("hello")
    started = engine.run("hello", input={"name": "Grace"})
    kinds = [item["kind"] for item in engine.executions.watch(started["id"])]
    assert kinds[0] == "started"
    assert kinds[-1] == "finished"
    assert "step_succeeded" in kinds


def test_the_same_for_asyncio(tmp_path, hello):
    async def main():
        async with codex32.AsyncEngine.open(tmp_path / "data.db") as engine:
            await engine.bots.create(hello)
            await engine.deployments.create("hello")
            runs = [engine.run("hello", input={"name": str(n)}, wait=True) for n in range(8)]
            outputs = [done["output"] for done in await asyncio.gather(*runs)]
            assert sorted(outputs) == [f"hello {n}" for n in range(8)]
            started = await engine.run("hello", input={"name": "x"})
            kinds = [item["kind"] async for item in engine.executions.watch(started["id"])]
            assert kinds[-1] == "finished"
            with pytest.raises(codex32.NotFoundError):
                await engine.bots.get("nobody")

    asyncio.run(main())


def test_what_was_made_is_there_after_opening_again(tmp_path, hello):
    with codex32.Engine.open(tmp_path / "data.db") as engine:
        engine.bots.create(hello)
        engine.deployments.create("hello")
        first = engine.run("hello", input={"name": "x"}, wait=True)
    with codex32.Engine.open(tmp_path / "data.db") as engine:
        assert engine.executions.get(first["id"])["output"] == "hello x"


def test_a_server_offers_the_same(server, hello):
    client = codex32.connect(server["address"], server["token"])
    client.bots.create(hello)
    client.deployments.create("hello")
    done = client.run("hello", input={"name": "far"}, wait=True)
    assert done["output"] == "hello far"
    kinds = [item["kind"] for item in client.executions.watch(done["id"])]
    assert kinds[-1] == "finished"
    with pytest.raises(codex32.UnauthenticatedError):
        codex32.connect(server["address"], "c32_wrong").bots.list()
    with pytest.raises(codex32.NotFoundError):
        client.bots.get("nobody")


def test_a_server_that_is_not_there_is_said_so():
    with pytest.raises(codex32.UnavailableError) as caught:
        codex32.connect("http://127.0.0.1:9").system.health()
    assert caught.value.hint


LEAVES_WITHOUT_CLOSING = """
import sys, codex32
engine = codex32.Engine.open(sys.argv[1])
engine.bots.create(sys.argv[2])
engine.deployments.create("hello")
for n in range(5):
    engine.run("hello", input={"name": str(n)})
"""


def test_the_interpreter_ends_cleanly_while_the_engine_works(tmp_path, hello):
    for n in range(10):
        ended = subprocess.run(
            [sys.executable, "-c", LEAVES_WITHOUT_CLOSING, str(tmp_path / f"{n}.db"), hello],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert ended.returncode == 0, ended.stderr


def test_the_package_offers_every_operation(engine):
    for row in engine.self_.operations()["items"]:
        target = engine
        for part in row["name"].split("."):
            target = getattr(target, part + "_" if part in ("self", "import") else part)
        assert callable(target), row["name"]
    assert json.dumps(engine.self_.operations())


def test_the_example_says_welcome():
    example = pathlib.Path(__file__).parents[2] / "examples" / "leads_python" / "main.py"
    done = subprocess.run([sys.executable, example, "ada@example.org", "grace@example.org"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["Welcome, lead 1: ada@example.org", "Welcome, lead 2: grace@example.org"]
