"""OCSP by GET through nginx: from its cache, beside what nginx says by itself, and without it.

nginx runs with the configuration of `deploy/nginx/` and one process; `wrk` shares the machine's
cores with it and with the responder.
"""

import pathlib
import re
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence

import httpx

from benchmarks import ocsp, row
from tests.support import nginx, servers, status_answers

ROUNDS = 5
LOAD_S = 2
CONNECTIONS = 32
CONSTANT_TARGET, RESPONDER_TARGET = 0.5, 1.0


def rows() -> Iterator[row.Row]:
    """Measure the three in turns."""
    with tempfile.TemporaryDirectory(prefix="imza-bench-") as folder, ocsp.serving() as server:
        path = "/ocsp/" + status_answers.path_of(server.request)
        responder = f"http://127.0.0.1:{server.port}"
        size = len(httpx.get(responder + path, trust_env=False).content)
        port = servers.free_port()
        constant = (
            f"server {{ listen 127.0.0.1:{port}; access_log off; keepalive_requests 10000;"
            f" location / {{ return 200 {'x' * size}; }} }}"
        )
        place = {"ocsp": [f"127.0.0.1:{server.port}"]}
        with nginx.running(pathlib.Path(folder) / "nginx", place, others=constant) as proxy:
            urls = [proxy.address + path, f"http://127.0.0.1:{port}{path}", responder + path]
            found: list[list[float]] = [[] for _ in urls]
            for _ in range(ROUNDS):
                for url, rates in zip(urls, found, strict=True):
                    rates.append(_load(url))
    kept, constants, direct = found
    subject = "OCSP by GET, from nginx's cache"
    yield _row(subject, "a constant response of nginx", kept, constants, CONSTANT_TARGET)
    yield _row(subject, "the responder without nginx", kept, direct, RESPONDER_TARGET)


def _load(url: str) -> float:
    done = subprocess.run(
        ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{LOAD_S}s", url],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "Non-2xx" not in done.stdout, done.stdout
    match = re.search(r"Requests/sec:\s+([0-9.]+)", done.stdout)
    assert match is not None, done.stdout
    return float(match[1])


def _row(
    subject: str, peer: str, ours: Sequence[float], theirs: Sequence[float], target: float
) -> row.Row:
    # Of pairs that ran one after the other: the machine's other work hits both or neither.
    ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
    return row.Row(
        subject,
        peer,
        f"{statistics.median(ours):.0f}/s",
        f"{statistics.median(theirs):.0f}/s",
        ratio,
        f">= {target}",
        ratio >= target,
    )
