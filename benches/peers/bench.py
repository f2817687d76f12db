"""What the drivers share: processes and folders that end with the driver, conditions that
are waited for, closed loops, and the line of JSON that a measure comes to."""

import contextlib
import json
import math
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path

PATIENCE = 120
SECONDS = float(os.environ.get("CODEX32_PEER_SECONDS", "4"))
WARM_UP = min(1.0, SECONDS)


def report(peer, version, store, fsync, concurrency, figures):
    """Prints one measure as one line."""
    per_second, p50_ms, p99_ms = (round(figure, 2) for figure in figures)
    line = {"peer": peer, "version": version, "store": store, "fsync": fsync, "concurrency": concurrency}
    print(json.dumps({**line, "per_second": per_second, "p50_ms": p50_ms, "p99_ms": p99_ms}), flush=True)


def figures(latencies, elapsed):
    """Rate each second, and milliseconds at the median and for all but one in a hundred."""
    latencies.sort()
    at = lambda share: latencies[min(len(latencies) - 1, math.floor(len(latencies) * share))] * 1e3
    return len(latencies) / elapsed, at(0.5), at(0.99)


def threads(once, concurrency, seconds):
    """So many threads that call `once(n)` one time after another; each result must be n + 3."""
    latencies, faults = [], []
    begun = time.perf_counter()

    def loop(first):
        try:
            for n in range(first, sys.maxsize, concurrency):
                at = time.perf_counter()
                if at - begun >= seconds or faults:
                    return
                right(n, once(n))
                latencies.append(time.perf_counter() - at)
        except BaseException as fault:
            faults.append(fault)

    workers = [threading.Thread(target=loop, args=(first,)) for first in range(concurrency)]
    for worker in workers:
        worker.start()
    for worker in workers:
        try:
            worker.join()
        except SystemExit as fault:  # told to end: the others see it
            faults.append(fault)
            worker.join()
    if faults:
        raise faults[0]
    return figures(latencies, time.perf_counter() - begun)


async def tasks(once, concurrency, seconds):
    """The same with tasks of asyncio."""
    import asyncio

    latencies = []
    begun = time.perf_counter()

    async def loop(first):
        for n in range(first, sys.maxsize, concurrency):
            at = time.perf_counter()
            if at - begun >= seconds:
                return
            right(n, await once(n))
            latencies.append(time.perf_counter() - at)

    loops = [asyncio.create_task(loop(first)) for first in range(concurrency)]
    try:
        await asyncio.gather(*loops)
    finally:
        for one in loops:
            one.cancel()
    return figures(latencies, time.perf_counter() - begun)


def right(n, result):
    if result != n + 3:
        raise SystemExit(f"{n} gave {result!r}, not {n + 3}")


SCRIPT = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.body = [=[{body}]=]
wrong = 0
local thread
function setup(it) thread = it end
function response(status, headers, body)
  if status ~= 200 or body ~= [=[{expected}]=] then wrong = wrong + 1 end
end
function done(summary, latency, requests)
  local e = summary.errors
  local failed = e.connect + e.read + e.write + e.timeout + thread:get("wrong")
  io.write(string.format("REPORT %d %d %d %d %d\\n", summary.requests, failed, summary.duration,
    latency:percentile(50), latency:percentile(99)))
end
"""


def loaded(url, body, expected, connections, folder):
    """Posts `body` over so many connections, after a warm-up; each answer must be `expected`.
    It takes longer where the answers are too few to tell anything."""
    seconds = WARM_UP
    while True:
        measured, answered = wrk(url, body, expected, connections, seconds, folder)
        # What wrk went away from is still being done; this one comes after it.
        if (answer := post(url, body.encode())) != expected:
            raise SystemExit(f"it answered {answer}")
        if seconds >= SECONDS and (answered >= 2 * connections or seconds > PATIENCE):
            return measured
        seconds = max(SECONDS, 2 * seconds)


def wrk(url, body, expected, connections, seconds, folder):
    script = Path(folder) / "post.lua"
    script.write_text(SCRIPT.format(body=body, expected=expected))
    command = ["wrk", "--threads", "1", "--timeout", f"{2 * PATIENCE}s", "--latency", "--connections", str(connections)]
    command += ["--duration", f"{math.ceil(seconds)}s", "--script", str(script), url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    lines = [line for line in said.splitlines() if line.startswith("REPORT ")]
    if not lines:
        raise SystemExit(f"wrk said: {said}")
    answers, failed, microseconds, p50, p99 = map(int, lines[0].split()[1:])
    if failed:
        raise SystemExit(f"{failed} of {answers} answers were wrong or did not come")
    return (answers / (microseconds / 1e6), p50 / 1e3, p99 / 1e3), answers


def post(url, body, timeout=PATIENCE):
    """The answer to one request with a body of JSON."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=timeout) as answer:
        return answer.read().decode()


def answers(url):
    """Whether the server there says that it is well."""
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return answer.status == 200
    except (urllib.error.URLError, ConnectionError, TimeoutError):
        return False


def listens(port):
    try:
        socket.create_connection(("127.0.0.1", port), PATIENCE).close()
    except OSError:
        return False
    return True


def until(what, condition, processes=()):
    """Waits until the condition holds, and no longer than these processes live."""
    begun = time.monotonic()
    while not condition():
        for process in processes:
            if process.poll() is not None:
                raise SystemExit(f"{what}: it ended with {process.returncode}\n{tail(process)}")
        if time.monotonic() - begun > PATIENCE:
            raise SystemExit(f"{what}: not within {PATIENCE} s\n{''.join(map(tail, processes))}")
        time.sleep(0.02)


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


@contextlib.contextmanager
def folder():
    with tempfile.TemporaryDirectory(prefix="codex32-peer-", ignore_cleanup_errors=True) as path:
        yield Path(path)


@contextlib.contextmanager
def process(command, log, environment=os.environ):
    """A process that ends, with all that it started, when the block does. What it says goes
    to `log`; the folder of `log` is where it works and keeps what is temporary."""
    with open(log, "wb") as said:
        streams = {"stdin": subprocess.DEVNULL, "stdout": said, "stderr": said}
        place = {"cwd": log.parent, "env": environment | {"TMPDIR": str(log.parent)}}
        one = subprocess.Popen(command, start_new_session=True, **streams, **place)
    one.log = log
    try:
        yield one
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(one.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                one.wait(10)


def tail(process):
    return "".join(Path(process.log).read_text(errors="replace").splitlines(keepends=True)[-20:])


def installed(root, package):
    """The version of a package of npm in this folder."""
    return json.loads((Path(root) / "node_modules" / package / "package.json").read_text())["version"]


ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _ended(number, _frame):
    for one in ENDS:
        signal.signal(one, signal.SIG_IGN)
    raise SystemExit(128 + number)


# What was started is stopped by the blocks that it was started in, once.
for _one in ENDS:
    signal.signal(_one, _ended)
