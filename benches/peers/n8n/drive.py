"""From webhook to response with n8n: webhook, set, respond; imported and published by its command."""

import contextlib
import os
import subprocess
import sys
import urllib.error
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import bench  # noqa: E402

N8N = ["node", HERE / "node_modules" / "n8n" / "bin" / "n8n"]
BODY = '{"email": "ada@example.org", "name": "Ada Lovelace"}'
EXPECTED = '{"email":"ada@example.org"}'
# n8n opens its connections with this package and sets no level of its own.
LEVEL = """
const { Database } = require("sqlite3");
new Database(process.argv[1]).get("PRAGMA synchronous", (fault, row) => console.log(fault ?? row.synchronous));
"""


def run(command, environment):
    done = subprocess.run(command, env=environment, cwd=HERE, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{command[-1]}: {done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def answered(url):
    with contextlib.suppress(urllib.error.URLError, ConnectionError, TimeoutError):
        return bench.post(url, BODY.encode()) == EXPECTED


def main():
    with bench.folder() as folder:
        port, broker = bench.free_ports(2)
        environment = os.environ | {
            "N8N_USER_FOLDER": str(folder),
            "N8N_LISTEN_ADDRESS": "127.0.0.1",
            "N8N_PORT": str(port),
            "N8N_RUNNERS_BROKER_PORT": str(broker),
            "N8N_LOG_LEVEL": "error",
            "N8N_DIAGNOSTICS_ENABLED": "false",
            "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
            "N8N_TEMPLATES_ENABLED": "false",
        }
        run([*N8N, "import:workflow", f"--input={HERE / 'workflow.json'}"], environment)
        run([*N8N, "publish:workflow", "--id=codex32bench"], environment)
        levels = ["OFF", "NORMAL", "FULL", "EXTRA"]
        level = levels[int(run(["node", "--eval", LEVEL, str(folder / "level.db")], environment))]
        with bench.process([*N8N, "start"], folder / "log", environment) as server:
            url = f"http://127.0.0.1:{port}/webhook/hook"
            bench.until("n8n", lambda: answered(url), [server])
            for connections in (1, 32, 256):
                measured = bench.loaded(url, BODY, EXPECTED, connections, folder)
                version = bench.installed(HERE, "n8n")
                bench.report("n8n", version, "SQLite, WAL", f"synchronous={level}", connections, measured)


if __name__ == "__main__":
    main()
