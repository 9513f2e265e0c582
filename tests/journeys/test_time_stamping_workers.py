"""`imza serve tsa` with several workers, asked over many connections, killed and started again."""

import contextlib
import datetime
import pathlib
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.openmetrics import parser

from pki import clock, outbound
from pki.algorithms import HashAlgorithm, KeyKind
from tests.support import hierarchy, tsa_zone
from tsa import client, messages

pytestmark = pytest.mark.slow

POLICY = "1.3.6.1.4.1.99999.7"
IMZA = str(pathlib.Path(sys.executable).parent / "imza")
IMPRINT = messages.MessageImprint(HashAlgorithm.SHA256, HashAlgorithm.SHA256.digest(b"a contract"))
WORKERS, REQUESTS = 3, 60


@contextlib.contextmanager
def _served(path: pathlib.Path) -> Iterator["subprocess.Popen[bytes]"]:
    process = subprocess.Popen(
        [IMZA, "serve", "tsa", "--config", str(path)], stderr=subprocess.PIPE
    )
    try:
        assert process.stderr is not None
        for line in process.stderr:
            if b"serves at" in line:
                break
        else:
            pytest.fail("the zone did not start")
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def _stamp(url: str, count: int) -> set[int]:
    numbers = set()
    for _ in range(count):
        # A connection for each request, so that every worker gets some.
        with contextlib.closing(outbound.Client(timeout_s=20)) as http:
            at = clock.SystemClock().now()
            token = client.request_time_stamp(http, f"{url}/tsa", IMPRINT, at)
        numbers.add(token.info.serial_number)
    return numbers


def _granted(url: str) -> float:
    text = httpx.get(f"{url}/metrics", trust_env=False, timeout=20).text
    families = {one.name: one for one in parser.text_string_to_metric_families(text)}
    assert families["imza_tsa_clock_trusted"].samples[0].value == 1
    expiry = families["imza_tsa_unit_expiry_timestamp_seconds"].samples[0]
    assert expiry.labels == {"unit": "tsu-1"}
    assert expiry.value > clock.SystemClock().now().timestamp()
    return next(
        sample.value
        for sample in families["imza_tsa_requests"].samples
        if sample.labels["outcome"] == "granted"
    )


@pytest.mark.clause("RFC 3161", "2.4.2")
def test_workers_never_repeat_a_serial_number_and_their_figures_are_those_of_all(
    tmp_path: pathlib.Path,
) -> None:
    at = clock.whole_seconds(clock.SystemClock().now()) - datetime.timedelta(minutes=1)
    unit = hierarchy.make_hierarchy(at).time_stamping_unit(KeyKind.P256)
    path, port = tsa_zone.write(unit, tmp_path, POLICY, workers=WORKERS)
    url = f"http://127.0.0.1:{port}"
    numbers: set[int] = set()
    for start in range(2):
        with _served(path) as process:
            numbers |= _stamp(url, REQUESTS)
            # Whichever worker is asked, it tells of all.
            assert {_granted(url) for _ in range(8)} == {REQUESTS}
            if start == 0:
                _replace_workers(process)
                numbers |= _stamp(url, REQUESTS)
                assert {_granted(url) for _ in range(8)} == {2 * REQUESTS}
    assert len(numbers) == 3 * REQUESTS


def _replace_workers(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGHUP)
    assert process.stderr is not None
    replaced = 0
    deadline = time.monotonic() + 60
    while replaced < WORKERS + 1 and time.monotonic() < deadline:
        replaced += b"worker_replaced" in process.stderr.readline()
    assert replaced == WORKERS + 1
