"""A revocation list of a million entries: from stored entries, beside cryptography's builder.

Both sides end with a signed list in DER. Ours reads the entries from the database, joins them, has
them read by a strict parser, stores the to-be-signed bytes and signs; what is timed is `publish`,
commits and all. The builder makes its entries from numbers in memory and is given them in the
constructor, which is the fast way. Each side runs in a process of its own, so that
its peak of memory is its own.
"""

import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator

from benchmarks import row

ENTRIES = 1_000_000
ROUNDS = 3
TIME_TARGET = 0.15
MEMORY_LIMIT_MB = 500

_SETUP = """
import datetime, json, pathlib, resource, sys, time
AT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
count, folder = int(sys.argv[1]), pathlib.Path(sys.argv[2])
SERIAL = 0x40 << 120

def report(seconds, size):
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"seconds": seconds, "size": size, "peak_mb": peak}))
"""

_FILL = (
    _SETUP
    + """
import sqlalchemy
from ca.crls import entries, tables
from imza import schema
from pki import database
schema.import_tables()
engine = database.connect(f"sqlite:///{folder}/ca.sqlite")
database.Base.metadata.create_all(engine)
with engine.begin() as connection:
    for start in range(0, count, 50_000):
        connection.execute(sqlalchemy.insert(tables.CRLEntryRow), [
            {"certificate_id": one + 1, "issuer_name": "citizen", "partition": 0,
             "change": one + 1, "removed": False,
             "entry_der": entries.encode(SERIAL + one * 7919, AT, 1)}
            for one in range(start, min(start + 50_000, count))])
report(0, 0)
"""
)

_OURS = (
    _SETUP
    + """
from ca import peer_lint
from ca.crls import publication
from pki import database
from tests.support import ca_world, crls
engine = database.connect(f"sqlite:///{folder}/ca.sqlite")
issuing = crls.make_authority("citizen", AT)
peer_lint.load()
began = time.perf_counter()
made = publication.publish(
    database.session_factory(engine), issuing, ca_world.SETTINGS, AT, actor="benchmark")
report(time.perf_counter() - began, made.size)
assert made.entries == count
"""
)

_THEIRS = (
    _SETUP
    + """
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from tests.support import crls
issuing = crls.make_authority("citizen", AT)
key = issuing.issuer.key._key
reason = x509.CRLReason(x509.ReasonFlags.key_compromise)
began = time.perf_counter()
builder = x509.CertificateRevocationListBuilder(revoked_certificates=[
    x509.RevokedCertificateBuilder().serial_number(SERIAL + one * 7919).revocation_date(AT)
    .add_extension(reason, False).build() for one in range(count)])
builder = (builder.issuer_name(issuing.certificate.subject).last_update(AT)
    .next_update(AT + datetime.timedelta(days=2)).add_extension(x509.CRLNumber(1), False))
crl_der = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)
report(time.perf_counter() - began, len(crl_der))
"""
)


def rows() -> Iterator[row.Row]:
    """Measure time and memory and yield a row for each."""
    yield from measure(ENTRIES, ROUNDS)


def measure(count: int, rounds: int) -> Iterator[row.Row]:
    """The rows of a list of so many entries."""
    ours, theirs = [], []
    with tempfile.TemporaryDirectory(prefix="imza-bench-") as folder:
        _run(_FILL, count, folder)
        for _ in range(rounds):
            ours.append(_run(_OURS, count, folder))
            theirs.append(_run(_THEIRS, count, folder))
    seconds = min(one["seconds"] for one in ours), min(one["seconds"] for one in theirs)
    ratio = seconds[0] / seconds[1]
    size_mb = ours[0]["size"] / 2**20
    yield row.Row(
        f"CRL of {count:,} entries ({size_mb:.0f} MiB), read, checked, stored and signed",
        "cryptography's builder, entries in its constructor",
        f"{seconds[0]:.2f} s",
        f"{seconds[1]:.2f} s",
        ratio,
        f"<= {TIME_TARGET}",
        ratio <= TIME_TARGET,
    )
    peaks = max(one["peak_mb"] for one in ours), max(one["peak_mb"] for one in theirs)
    yield row.Row(
        f"memory for a CRL of {count:,} entries",
        "limit",
        f"{peaks[0]:.0f} MB (builder {peaks[1]:.0f} MB)",
        f"{MEMORY_LIMIT_MB} MB",
        peaks[0] / MEMORY_LIMIT_MB,
        "<= 1",
        peaks[0] <= MEMORY_LIMIT_MB,
    )


def _run(script: str, count: int, folder: str) -> dict[str, float]:
    root = pathlib.Path(__file__).parent.parent
    done = subprocess.run(
        [sys.executable, "-c", script, str(count), folder],
        check=True,
        capture_output=True,
        text=True,
        cwd=root,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found
