"""How fast things start: `imza --version`, and a whole sandbox."""

import json
import pathlib
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from benchmarks import row

VERSION_LIMIT_S = 0.15
SANDBOX_LIMIT_S = 20.0
VERSION_RUNS = 15

IMZA = str(pathlib.Path(sys.executable).parent / "imza")


def rows() -> Iterator[row.Row]:
    """Measure both and yield a row for each."""
    yield _version()
    yield _sandbox()


def _version() -> row.Row:
    times = []
    for _ in range(VERSION_RUNS):
        start = time.perf_counter()
        subprocess.run([IMZA, "--version"], check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return _against_limit("imza --version", statistics.median(times), VERSION_LIMIT_S)


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
