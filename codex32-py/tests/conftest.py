import json
import os
import subprocess

import pytest

import codex32


@pytest.fixture
def engine(tmp_path):
    with codex32.Engine.open(tmp_path / "data.db") as engine:
        yield engine


@pytest.fixture
def server(tmp_path):
    """A real server, and a client of it."""
    process = subprocess.Popen(
        [os.environ["CODEX32_BIN"], "up", "--data", str(tmp_path / "served"), "--listen", "127.0.0.1:0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        process.wait(timeout=60)


HELLO = """
codex32: v1
name: hello
steps:
  - id: greeting
    use: transform.value
    with: {value: "hello {{ input.name }}"}
"""


@pytest.fixture
def hello():
    return HELLO
