"""Time stamps: in process beside the bare signature, over HTTP, and beside `openssl ts -reply`.

The log is off in the process that measures; over HTTP the worker is `imza serve tsa` as an
operator runs it, its log included, and wrk asks it the same question over kept connections.
"""

import contextlib
import pathlib
import re
import secrets
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding

from benchmarks import certomancer, row
from pki import algorithms, clock
from pki.keystore import file_store
from tests.support import hierarchy, tsa_zone
from tsa import authority, messages

SLICE = 1000
ROUNDS = 15
IN_PROCESS_TARGET, HTTP_TARGET = 0.75, 0.25
WRK_SECONDS = 2
HTTP_ROUNDS = 5
OPENSSL_RUNS = 15
START_LIMIT_S = 20.0

IMZA = str(pathlib.Path(sys.executable).parent / "imza")
POLICY = "1.3.6.1.4.1.99999.7"
_IMPRINT = messages.MessageImprint(
    algorithms.HashAlgorithm.SHA256, algorithms.HashAlgorithm.SHA256.digest(b"a contract")
)


def rows() -> Iterator[row.Row]:
    """Measure each and yield its row."""
    world = hierarchy.make_hierarchy(clock.SystemClock().now())
    for kind in (algorithms.KeyKind.P256, algorithms.KeyKind.RSA3072):
        yield _in_process(world, kind)
    with tempfile.TemporaryDirectory(prefix="imza-bench-") as folder:
        yield from _over_http(world, pathlib.Path(folder))


def _in_process(world: hierarchy.Hierarchy, kind: algorithms.KeyKind) -> row.Row:
    holder = world.time_stamping_unit(kind)
    handle = file_store.FileKeyHandle("unit", holder.key)
    unit = authority.TimeStampingUnit(holder.certificate, handle, holder.issuers[:-1])
    issuing = authority.TimeStampAuthority(unit, (POLICY,))
    request_der, now = _request(), clock.SystemClock().now
    sign = _bare_signature(holder)
    count = SLICE if kind is algorithms.KeyKind.P256 else SLICE // 20
    ours, bare = [], []
    for _ in range(ROUNDS):
        ours.append(_rate(lambda: authority.respond(request_der, issuing, now), count))
        bare.append(_rate(sign, count))
    ratio = statistics.median(one / other for one, other in zip(ours, bare, strict=True))
    return row.Row(
        f"time stamps in process, {kind.value}",
        "the bare signature",
        f"{statistics.median(ours):.0f}/s",
        f"{statistics.median(bare):.0f}/s",
        ratio,
        f">= {IN_PROCESS_TARGET}",
        ratio >= IN_PROCESS_TARGET,
    )


def _over_http(world: hierarchy.Hierarchy, folder: pathlib.Path) -> Iterator[row.Row]:
    holder = world.time_stamping_unit(algorithms.KeyKind.P256)
    script = folder / "ask.lua"
    octets = "".join(f"\\{one}" for one in _request())
    script.write_text(
        'wrk.method = "POST"\n'
        'wrk.headers["Content-Type"] = "application/timestamp-query"\n'
        f'wrk.body = "{octets}"\n',
        encoding="ascii",
    )
    sign = _bare_signature(holder)
    peer = _openssl(holder, folder)
    over_http, bare, processes, others_http = [], [], [], []
    with _worker(holder, folder) as url, certomancer.animated(folder / "certomancer") as other:
        address = f"{url}/tsa"
        _load(script, address)
        for _ in range(HTTP_ROUNDS):
            over_http.append(_load(script, address))
            bare.append(_rate(sign, 10 * SLICE))
            others_http.append(_load(script, other.tsa_url))
            processes.append(_rate(peer, OPENSSL_RUNS // HTTP_ROUNDS))
    for subject, others, target in (
        ("the bare signature", bare, HTTP_TARGET),
        ("certomancer", others_http, 100.0),
        ("openssl ts -reply, a process each", processes, 1.0),
    ):
        ratio = statistics.median(one / other for one, other in zip(over_http, others, strict=True))
        yield row.Row(
            "time stamps over HTTP, P-256, one worker",
            subject,
            f"{statistics.median(over_http):.0f}/s",
            f"{statistics.median(others):.0f}/s",
            ratio,
            f">= {target:g}",
            ratio >= target,
        )


def _request() -> bytes:
    request = messages.TimeStampRequest(_IMPRINT, nonce=secrets.randbits(63), cert_req=True)
    return messages.build_request(request)


def _bare_signature(holder: hierarchy.Holder) -> Callable[[], object]:
    key = holder.key
    data = secrets.token_bytes(170)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        scheme = ec.ECDSA(hashes.SHA256())
        return lambda: key.sign(data, scheme)
    return lambda: key.sign(data, padding.PKCS1v15(), hashes.SHA256())


def _rate(operation: Callable[[], object], count: int) -> float:
    start = time.perf_counter()
    for _ in range(count):
        operation()
    return count / (time.perf_counter() - start)


def _load(script: pathlib.Path, url: str) -> float:
    command = ["wrk", "-t1", "-c16", f"-d{WRK_SECONDS}s", "-s", str(script), url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    found = re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)
    if found is None or "Non-2xx" in done.stdout:
        raise RuntimeError(f"wrk failed: {done.stdout}")
    return float(found[1])


@contextlib.contextmanager
def _worker(holder: hierarchy.Holder, folder: pathlib.Path) -> Iterator[str]:
    """`imza serve tsa` with one process, its log in a file."""
    path, port = tsa_zone.write(holder, folder, POLICY)
    with (folder / "tsa.log").open("wb") as log:
        process = subprocess.Popen([IMZA, "serve", "tsa", "--config", str(path)], stderr=log)
        try:
            _await_ready(process, port)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def _await_ready(process: "subprocess.Popen[bytes]", port: int) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise RuntimeError("the time-stamping zone did not start")


def _openssl(holder: hierarchy.Holder, folder: pathlib.Path) -> Callable[[], object]:
    """Return what answers one request with OpenSSL, which needs a process for each."""
    files = {
        "unit.pem": holder.pem,
        "chain.pem": holder.issuers[0].public_bytes(serialization.Encoding.PEM),
        "query.tsq": _request(),
        "serial": b"01\n",
        "unit.key": holder.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
        "ts.cnf": (
            "[tsa]\ndefault_tsa = one\n[one]\nserial = serial\nsigner_cert = unit.pem\n"
            "certs = chain.pem\nsigner_key = unit.key\nsigner_digest = sha256\n"
            f"default_policy = {POLICY}\ndigests = sha256\naccuracy = secs:1\n"
        ).encode(),
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    command = ["openssl", "ts", "-reply", "-config", "ts.cnf", "-queryfile", "query.tsq"]

    def answer() -> None:
        subprocess.run([*command, "-out", "reply.tsr"], cwd=folder, capture_output=True, check=True)

    return answer
