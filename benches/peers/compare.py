#!/usr/bin/env python3
"""Runs the measures of Codex-32 and then its peers at the same job, and prints ratios.

  benches/peers/compare.py                    # all of them
  benches/peers/compare.py dbos n8n           # some
  benches/peers/compare.py --ours FILE dbos   # FILE is what benches/run.sh printed before

CODEX32_PEER_SECONDS is how long each peer is measured at each concurrency; 4 if not set."""

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import venv
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")) / "peers"
# The measure of ours that each is beside, and the arguments of its runs.
PEERS = {
    "dbos": ("workflow", ["sqlite", "postgresql"]),
    "restate": ("workflow", [None]),
    "temporal": ("workflow", ["file", "memory"]),
    "node-red": ("webhook", []),
    "n8n": ("webhook", [None]),
}
# A driver that takes more seconds than this is stuck, and is told to end.
LONGEST = 1800
BUILT_HERE = {"n8n": "sqlite3"}
OURS = "Codex-32"
# Which of our ways to write three steps the peers are beside: each step is recorded, as theirs.
COMPARED = "three actions"


def install(name):
    """Brings what the lock file of the peer names; the Python to run its driver with."""
    place = HERE / name
    if not (place / "requirements.txt").exists():
        modules = place / "node_modules"
        if renewed(place / "package-lock.json", modules / ".wanted"):
            # Scripts fetch from elsewhere and report home; what must be built is named.
            quiet = ["--prefix", place, "--no-audit", "--no-fund", "--loglevel=error"]
            call(["npm", "ci", "--ignore-scripts", *quiet])
            if name in BUILT_HERE:
                call(["npm", "rebuild", BUILT_HERE[name], *quiet])
            done(place / "package-lock.json", modules / ".wanted")
        return sys.executable
    home = CACHE / name
    if renewed(place / "requirements.txt", home / ".wanted"):
        venv.create(home, with_pip=True, clear=True)
        call([home / "bin" / "pip", "install", "--quiet", "--no-deps", "-r", place / "requirements.txt"])
        done(place / "requirements.txt", home / ".wanted")
    return home / "bin" / "python"


def renewed(wanted, stamp):
    return not stamp.exists() or stamp.read_text() != digest(wanted)


def done(wanted, stamp):
    stamp.write_text(digest(wanted))


def digest(file):
    return hashlib.sha256(file.read_bytes()).hexdigest()


def call(command):
    """Runs it; what it says goes to standard error, so that only measures come from here."""
    subprocess.run(command, check=True, stdout=sys.stderr)


def drive(name, argument):
    """The lines of one run of a peer's driver. It is told to stop where this program is."""
    command = [install(name), HERE / name / "drive.py", *([argument] if argument else [])]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as driver:
        stuck = threading.Timer(LONGEST, driver.terminate)
        stuck.start()
        try:
            lines = []
            for line in driver.stdout:
                print(line, end="", file=sys.stderr, flush=True)
                lines.append(json.loads(line))
        except BaseException:
            driver.terminate()
            raise
        finally:
            stuck.cancel()
    if driver.returncode:
        raise OSError(f"its driver ended with {driver.returncode}")
    return lines


def ours(measures, file):
    """What our own measures printed, now or before."""
    if file:
        return file.read_text()
    said = []
    for measure in measures:
        with subprocess.Popen([ROOT / "benches" / "run.sh", measure], stdout=subprocess.PIPE, text=True) as run:
            for line in run.stdout:
                print(line, end="", file=sys.stderr, flush=True)
                said.append(line)
        if run.returncode:
            raise SystemExit(f"our own measure {measure} failed")
    return "".join(said)


def tables(text):
    """The tables in a text, each row by the names of its columns."""
    names, rows = None, []
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if not line.startswith("|"):
            names = None
        elif names is None:
            names = cells
        elif not set("".join(cells)) <= set("-: "):
            rows.append(dict(zip(names, cells, strict=False)))
    return rows


def row(peer, store, fsync, concurrency, per_second, p50_ms, p99_ms):
    """A measure of ours in the form of the drivers' lines."""
    place = {"peer": peer, "version": "", "store": store, "fsync": fsync, "concurrency": concurrency}
    return {**place, "per_second": per_second, "p50_ms": p50_ms, "p99_ms": p99_ms}


def our_workflows(rows):
    for of in rows:
        rates = [(name, value) for name, value in of.items() if name.startswith("executions/s")]
        if rates and "alone p50, ms" in of:
            store, _, fsync = of["store"].rpartition(", ")
            name = f"{OURS}, {of['job']}"
            at_once = int("".join(filter(str.isdigit, rates[0][0])))
            alone = (float(of["alone p50, ms"]), float(of["alone p99, ms"]))
            yield row(name, store, fsync, 1, None, *alone)
            yield row(name, store, fsync, at_once, float(rates[0][1]), None, None)


def our_webhooks(rows):
    for of in rows:
        if "answers/s" in of and of["p50, ms"]:
            name, _, store = of[""].partition(", ")
            figures = (float(of[column]) for column in ("answers/s", "p50, ms", "p99, ms"))
            yield row(name, store, "", int(of["connections"]), *figures)


def beside(mine, its):
    """Ratios of rate and of p50 to ours, as many times as we are better. Ours is on the same
    database, or on SQLite; at the same concurrency, or as many at once as we were measured."""
    kind = "PostgreSQL" if its["store"].startswith("PostgreSQL") else mine[0]["store"].split(",")[0] if mine else ""
    same = [one for one in mine if one["store"].startswith(kind) and one["peer"] in (OURS, f"{OURS}, {COMPARED}")]
    rates = {one["concurrency"]: one["per_second"] for one in same if one["per_second"]}
    halves = {one["concurrency"]: one["p50_ms"] for one in same if one["p50_ms"]}
    at = its["concurrency"]
    rate = rates.get(at) or (rates and at > 1 and rates[max(rates)])
    half = halves.get(at)
    return (rate / its["per_second"] if rate else None), (its["p50_ms"] / half if half else None)


def printed(title, unit, mine, its):
    print(f"\n{title}\n")
    print(f"| | store | durability | at once | {unit}/s | p50, ms | p99, ms | {OURS} / it, {unit}/s | it / {OURS}, p50 |")
    print("| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    number = lambda value, digits, after="": "" if value is None else f"{value:.{digits}f}{after}"
    for one in [*mine, *its]:
        ratios = (None, None) if one in mine else beside(mine, one)
        name, comma, way = one["peer"].partition(",")
        cells = [f"{name} {one['version']}".strip() + comma + way, one["store"], one["fsync"], str(one["concurrency"])]
        cells += [number(one["per_second"], 0 if (one["per_second"] or 0) >= 100 else 1)]
        cells += [number(one["p50_ms"], 2), number(one["p99_ms"], 2)]
        cells += [number(ratio, 0 if (ratio or 0) >= 20 else 2, "x") for ratio in ratios]
        print("| " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peers", nargs="*", metavar="PEER", help=", ".join(PEERS))
    parser.add_argument("--ours", type=Path, metavar="FILE", help="what our own measures printed before")
    asked = parser.parse_args()
    names = asked.peers or list(PEERS)
    if unknown := set(names) - set(PEERS):
        parser.error(f"no such peer: {', '.join(sorted(unknown))}")

    if not shutil.which("wrk"):
        call([ROOT / "benches" / "wrk.sh"])
    # In the order of the list, whatever was asked first.
    measures = [name for name in ("workflow", "webhook") if any(PEERS[peer][0] == name for peer in names)]
    rows = tables(ours(measures, asked.ours))
    hooks = list(our_webhooks(rows))
    mine = {"workflow": list(our_workflows(rows)), "webhook": [one for one in hooks if one["peer"] == OURS]}
    its = {"workflow": [], "webhook": [one for one in hooks if one["peer"] == "Node-RED" and "node-red" in names]}
    failed = [f"{OURS}: no figures of {measure}" for measure in measures if not mine[measure]]
    if "node-red" in names and not its["webhook"]:
        failed.append("node-red: no figures of it among ours")
    for name in names:
        measure, arguments = PEERS[name]
        for argument in arguments:
            try:
                its[measure] += drive(name, argument)
            except (OSError, ValueError, subprocess.CalledProcessError) as fault:
                failed.append(f"{' '.join(filter(None, [name, argument]))}: {fault}")
                print(failed[-1], file=sys.stderr)

    if its["workflow"]:
        title = "Three durable steps. The rate of many is beside ours on the same database, or on SQLite"
        printed(f"{title}, at the concurrency that ours was measured at; ours is that of {COMPARED}.", "workflows", mine["workflow"], its["workflow"])
    if its["webhook"]:
        printed("Webhook to response, two steps.", "answers", mine["webhook"], its["webhook"])
    if failed:
        raise SystemExit("\n".join(["", "not measured:", *failed]))


if __name__ == "__main__":
    # A driver is waited for in any case; Python waits less long after its own interrupt.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    main()
