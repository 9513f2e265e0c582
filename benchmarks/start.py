"""How fast things start: `imza --version`, a responder, time-stamping, and a whole sandbox."""

import json
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from benchmarks import row
from imza import installation
from pki import algorithms, clock
from tests.support import hierarchy, tsa_zone

VERSION_LIMIT_S = 0.15
RESPONDER_LIMIT_S = 0.3
RESPONDER_RUNS = 9
SANDBOX_LIMIT_S = 20.0
POLICY = "1.3.6.1.4.1.99999.7"
VERSION_RUNS = 15

IMZA = str(pathlib.Path(sys.executable).parent / "imza")


def rows() -> Iterator[row.Row]:
    """Measure each and yield a row for it."""
    yield _version()
    yield _responder()
    yield _time_stamping()
    yield _sandbox()


def _version() -> row.Row:
    times = []
    for _ in range(VERSION_RUNS):
        start = time.perf_counter()
        subprocess.run([IMZA, "--version"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return _against_limit("imza --version", statistics.median(times), VERSION_LIMIT_S)


def _responder() -> row.Row:
    """From the command line to the open port, imports, keys and registry included."""
    with tempfile.TemporaryDirectory(prefix="imza-bench-") as folder:
        world = installation.Installation(pathlib.Path(folder) / "w")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        world.lay_out(installation.Addresses.together(f"http://127.0.0.1:{port}"))
        path = world.config_path("ca")
        init = [IMZA, "ca", "init", "--config", str(path), "--out", str(world.folder)]
        subprocess.run(init, check=True, capture_output=True)
        serve = [IMZA, "serve", "ocsp", "--config", str(world.config_path("ocsp"))]
        times = [_until_served(serve) for _ in range(RESPONDER_RUNS)]
    return _against_limit("imza serve ocsp ready", statistics.median(times), RESPONDER_LIMIT_S)


def _until_served(command: list[str]) -> float:
    start = time.perf_counter()
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        told = any("serves at" in line for line in process.stderr)
        elapsed = time.perf_counter() - start
        process.terminate()
        process.stderr.read()
    if not told:
        raise RuntimeError("the responder stopped before it was ready")
    return elapsed


def _time_stamping() -> row.Row:
    """From the command line to the open port; the key's file needs few rounds of its function."""
    times = []
    made = hierarchy.make_hierarchy(clock.SystemClock().now())
    unit = made.time_stamping_unit(algorithms.KeyKind.P256)
    with tempfile.TemporaryDirectory(prefix="imza-bench-") as folder:
        path, _ = tsa_zone.write(unit, pathlib.Path(folder), POLICY)
        for _ in range(RESPONDER_RUNS):
            start = time.perf_counter()
            process = subprocess.Popen(
                [IMZA, "serve", "tsa", "--config", str(path)], stderr=subprocess.PIPE
            )
            try:
                assert process.stderr is not None
                if not any(b"serves at" in line for line in process.stderr):
                    raise RuntimeError("the time-stamping zone did not start")
                times.append(time.perf_counter() - start)
            finally:
                process.send_signal(signal.SIGTERM)
                process.communicate(timeout=30)
    return _against_limit("time-stamping zone ready", statistics.median(times), RESPONDER_LIMIT_S)


def _sandbox() -> row.Row:
    with tempfile.TemporaryDirectory(prefix="imza-bench-") as folder:
        world = pathlib.Path(folder) / "w"
        start = time.perf_counter()
        process = subprocess.Popen(
            [IMZA, "sandbox", "--dir", str(world), "--port", "0", "--tls-port", "0"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            while not (world / "sandbox.json").exists():
                if process.poll() is not None:
                    raise RuntimeError("the sandbox stopped before it was ready")
                time.sleep(0.02)
            elapsed = time.perf_counter() - start
            json.loads((world / "sandbox.json").read_text())
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)
    return _against_limit("sandbox ready (new world)", elapsed, SANDBOX_LIMIT_S)


def _against_limit(subject: str, seconds: float, limit: float) -> row.Row:
    return row.Row(
        subject,
        "limit",
        f"{seconds:.3f} s",
        f"{limit} s",
        seconds / limit,
        "<= 1",
        seconds <= limit,
    )
