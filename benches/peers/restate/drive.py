"""Three durable steps with a Restate server and a service of its SDK in a Node process,
called through the server's ingress."""

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent))
import bench  # noqa: E402


def binary():
    """The server that came for this platform."""
    ask = "const {platform, arch} = process; console.log(`@restatedev/restate-server-${platform}-${arch}`)"
    package = subprocess.run(["node", "--eval", ask], capture_output=True, text=True, check=True).stdout.strip()
    return HERE / "node_modules" / package / "bin" / "restate-server"


def durability(command, environment):
    """Where the log is kept and whether it is synced, as the server reads its settings."""
    dump = subprocess.run([*command, "--dump-config"], env=environment, capture_output=True, text=True, check=True).stdout
    config = tomllib.loads(dump)
    provider = config["bifrost"]["default-provider"]
    log = config["log-server"] if provider == "replicated" else config["bifrost"]["local"]
    state = "off" if log.get("rocksdb-disable-wal") or log["rocksdb-disable-wal-fsync"] else "on"
    return f"RocksDB, {provider} log of one node", f"WAL fsync {state}"


def main():
    with bench.folder() as folder:
        node, ingress, admin, steps = bench.free_ports(4)
        address = "127.0.0.1:{}".format
        environment = os.environ | {
            "RESTATE_BIND_ADDRESS": address(node),
            "RESTATE_INGRESS__BIND_ADDRESS": address(ingress),
            "RESTATE_ADMIN__BIND_ADDRESS": address(admin),
            "RESTATE_DISABLE_TELEMETRY": "true",
            "RESTATE_LOG_FILTER": "error",
        }
        command = [binary(), "--base-dir", folder / "data", "--listen-mode", "tcp", "--node-name", "bench", "--no-logo"]
        store, fsync = durability(command, environment)
        with (
            bench.process(["node", HERE / "service.mjs", str(steps)], folder / "service") as service,
            bench.process(command, folder / "server", environment) as server,
        ):
            bench.until("the service", lambda: bench.listens(steps), [service])
            base = f"http://{address(ingress)}"
            bench.until("the admin port", lambda: bench.answers(f"http://{address(admin)}/health"), [server])
            bench.until("the ingress", lambda: bench.answers(f"{base}/restate/health"), [server])
            bench.post(f"http://{address(admin)}/deployments", {"uri": f"http://{address(steps)}"})
            url = f"{base}/three/run"
            for n in range(3):
                bench.right(n, json.loads(bench.post(url, n)))
            for concurrency in (1, 64, 256):
                measured = bench.loaded(url, "39", "42", concurrency, folder)
                version = bench.installed(HERE, "@restatedev/restate-server")
                bench.report("Restate", version, store, fsync, concurrency, measured)


if __name__ == "__main__":
    main()
