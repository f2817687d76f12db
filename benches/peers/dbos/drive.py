"""Three durable steps with DBOS, in this process, on SQLite or on PostgreSQL.

drive.py sqlite|postgresql"""

import importlib.metadata
import os
import sys
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))
import bench  # noqa: E402

import psycopg  # noqa: E402
import sqlalchemy  # noqa: E402
from dbos import DBOS  # noqa: E402


@DBOS.step()
def step(n):
    return n + 1


@DBOS.workflow()
def three(n):
    return step(step(step(n)))


@contextmanager
def sqlite():
    with bench.folder() as folder:
        yield f"sqlite:///{folder}/dbos.db"


@contextmanager
def postgresql():
    server = os.environ.get("CODEX32_TEST_POSTGRES", "postgres://postgres@127.0.0.1/test")
    base, _, _ = server.rpartition("/")
    with psycopg.connect(server, autocommit=True) as admin:
        admin.execute("DROP DATABASE IF EXISTS codex32_bench_dbos WITH (FORCE)")
        admin.execute("CREATE DATABASE codex32_bench_dbos")
        try:
            yield f"{base}/codex32_bench_dbos".replace("postgres://", "postgresql://")
        finally:
            admin.execute("DROP DATABASE codex32_bench_dbos WITH (FORCE)")


def settings(kind):
    """The store and what it does to be durable, as a connection of DBOS's own pool has it."""
    from dbos._dbos import _get_dbos_instance

    with _get_dbos_instance()._sys_db.engine.connect() as connection:
        ask = lambda query: connection.execute(sqlalchemy.text(query)).scalar()
        if kind == "sqlite":
            levels = ["OFF", "NORMAL", "FULL", "EXTRA"]
            journal = ask("PRAGMA journal_mode").upper()
            return f"SQLite, journal {journal}", f"synchronous={levels[ask('PRAGMA synchronous')]}"
        return "PostgreSQL", f"fsync={ask('SHOW fsync')}, synchronous_commit={ask('SHOW synchronous_commit')}"


def main(kind):
    with {"sqlite": sqlite, "postgresql": postgresql}[kind]() as url:
        DBOS(config={"name": "bench", "system_database_url": url, "log_level": "ERROR"})
        DBOS.launch()
        try:
            store, fsync = settings(kind)
            for concurrency in (1, 64, 256):
                bench.threads(three, concurrency, bench.WARM_UP)
                measured = bench.threads(three, concurrency, bench.SECONDS)
                bench.report("DBOS", importlib.metadata.version("dbos"), store, fsync, concurrency, measured)
        finally:
            DBOS.destroy()


if __name__ == "__main__":
    main(sys.argv[1])
