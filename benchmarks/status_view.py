"""The responder's view of the registry with 10,000, 100,000 and 1,000,000 certificates.

How soon a worker is ready, what memory it has to itself, and what a look-up takes. Each worker is a
process of its own that has the wiring imported, as one that `imza serve` has forked.
"""

import json
import pathlib
import random
import sqlite3
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from benchmarks import row
from ocsp.statuses import registry_source
from pki import clock, database, status_file

SIZES = (10_000, 100_000, 1_000_000)
RUNS = 5
READY_LIMIT_S = 0.3
MEMORY_LIMIT_MB = 32
LOOKUP_LIMIT_US = 20
"""Less than a P-256 signature takes, which each answer without a cache costs."""

REVOKED_IN = 20
"""One in so many is revoked."""

WORKER = """
import json, pathlib, random, sys, time
import imza.wiring.ocsp_zone
from ocsp.statuses import registry_source, view
from pki import clock, registry_reader

def unshared():
    text = pathlib.Path("/proc/self/smaps_rollup").read_text()
    fields = dict(line.split(":") for line in text.splitlines()[1:])
    return int(fields["Private_Dirty"].split()[0])

url, file, sample = sys.argv[1], sys.argv[2], [int(one, 16) for one in sys.argv[3].split(",")]
before = unshared()
cpu, start = time.process_time(), time.perf_counter()
path = pathlib.Path(file) if file else None
looking = view.StatusView(registry_source.RegistrySource(url, path), clock.SystemClock())
looking.update()
assert looking.look_up("citizen", sample[0]) is not None
ready, used = time.perf_counter() - start, time.process_time() - cpu
after = unshared()
start = time.process_time()
for _ in range(20):
    for one in sample:
        looking.look_up("citizen", one)
each = (time.process_time() - start) / 20 / len(sample)
print(json.dumps({"ready": ready, "cpu": used, "each": each,
    "private": after - before}))
"""


def rows() -> Iterator[row.Row]:
    """Measure each size; the file's own time is set beside the time to read the table."""
    for size in SIZES:
        with tempfile.TemporaryDirectory(prefix="imza-bench-") as folder:
            yield from _measure(pathlib.Path(folder), size)


def _measure(folder: pathlib.Path, size: int) -> Iterator[row.Row]:
    url, sample = _registry(folder, size)
    file = folder / "statuses"
    source = registry_source.RegistrySource(url)
    contents = source.update(None, clock.SystemClock().now())
    source.close()
    status_file.write(file, contents.merged())
    mapped, alone = [], []
    for turn in range(RUNS):
        mapped.append(_worker(url, str(file), sample))
        if turn == 0:
            alone.append(_worker(url, "", sample))
    ready = statistics.median(one["ready"] for one in mapped)
    private = statistics.median(one["private"] for one in mapped) / 1024
    each = statistics.median(one["each"] for one in mapped) * 1e6
    yield row.Row(
        f"statuses of {size:,}: a worker is ready",
        "limit",
        f"{ready:.3f} s (without the file {alone[0]['ready']:.2f} s)",
        f"{READY_LIMIT_S} s",
        ready / READY_LIMIT_S,
        "<= 1",
        ready <= READY_LIMIT_S,
    )
    shared = file.stat().st_size / 2**20
    yield row.Row(
        f"statuses of {size:,}: memory of one worker",
        "limit",
        f"{private:.1f} MiB of its own, {shared:.1f} MiB shared",
        f"{MEMORY_LIMIT_MB} MiB",
        (private + shared) / MEMORY_LIMIT_MB,
        "<= 1",
        private + shared <= MEMORY_LIMIT_MB,
    )
    yield row.Row(
        f"statuses of {size:,}: one look-up",
        "limit",
        f"{each:.1f} us",
        f"{LOOKUP_LIMIT_US} us",
        each / LOOKUP_LIMIT_US,
        "<= 1",
        each <= LOOKUP_LIMIT_US,
    )


def _worker(url: str, file: str, sample: list[str]) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-c", WORKER, url, file, ",".join(sample)],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found


def _registry(folder: pathlib.Path, size: int) -> tuple[str, list[str]]:
    """A registry with so many rows, small ones: responders read the index alone."""
    url = f"sqlite:///{folder}/ca.sqlite"
    engine = database.connect(url)
    from imza import schema

    schema.upgrade(engine)
    engine.dispose()
    chance = random.Random(size)  # noqa: S311 - the same numbers in each run
    now = "2026-01-31 12:00:00.000000"
    sample: list[str] = []

    def make() -> Iterator[tuple[object, ...]]:
        for number in range(1, size + 1):
            serial = f"{chance.getrandbits(127) | 1 << 126:040x}"
            if number % (size // 499) == 0:
                sample.append(serial)
            bad = number % REVOKED_IN == 0
            yield (
                *("citizen", serial, "issued", "sign", f"r{number}", "0" * 64, "CN=TEST"),
                *(now, now, b"", now, now if bad else None, "keyCompromise" if bad else None),
                number,
            )

    with sqlite3.connect(folder / "ca.sqlite") as connection:
        connection.execute("PRAGMA synchronous=OFF")
        connection.executemany(
            "INSERT INTO certificates (issuer_name, serial_number, state, profile, request_key,"
            " key_sha256, subject, not_before, not_after, to_be_signed_der, recorded_at,"
            " revoked_at, reason, changed) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
            make(),
        )
        connection.execute("INSERT INTO issuers VALUES ('citizen', x'3000', 'root', 'ca-citizen')")
        connection.execute("INSERT INTO audit_head VALUES (1, ?, ?)", (size, "0" * 64))
        connection.execute(
            "INSERT INTO audit_entries VALUES (?, ?, 'e', 'a', '{}', ?, ?)",
            (size, now, "0" * 64, "0" * 64),
        )
    connection.close()
    return url, sample
