"""Our responder, asked and judged by openssl ocsp, curl and openssl verify."""

import base64
import concurrent.futures
import datetime
import itertools
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ocsp import api, cert_id, client, messages, responder, responder_key
from pki import certificates, clock, outbound, status, web
from tests.support import hierarchy as hierarchy_support
from tests.support import servers

pytestmark = pytest.mark.peer

KNOWN = {
    "good": status.CertificateStatus(),
    "revoked": status.CertificateStatus(
        datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        status.RevocationReason.keyCompromise,
        datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    ),
    "hold": status.CertificateStatus(
        datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        status.RevocationReason.certificateHold,
    ),
}


@pytest.fixture
def base_url(hierarchy: hierarchy_support.Hierarchy, tmp_path: Path) -> Iterator[str]:
    """A responder for the certificates in good.pem, revoked.pem and hold.pem, not unknown.pem."""
    statuses: dict[int, status.CertificateStatus] = {}
    for name in (*KNOWN, "unknown"):
        holder = hierarchy.signer()
        (tmp_path / f"{name}.pem").write_bytes(holder.pem)
        if name in KNOWN:
            statuses[holder.certificate.serial_number] = KNOWN[name]
    (tmp_path / "issuer.pem").write_bytes(hierarchy.issuing.pem)
    (tmp_path / "other-issuer.pem").write_bytes(hierarchy.infrastructure.pem)
    (tmp_path / "root.pem").write_bytes(hierarchy.root.pem)
    holder = hierarchy.ocsp_responder()
    issuer = responder_key.StatusIssuer(
        "citizen",
        hierarchy.issuing.certificate,
        (responder_key.ResponderKey(holder.certificate, holder.handle),),
    )
    answering = responder.Responder((issuer,), lambda _, serial: statuses.get(serial))
    app = web.application("test", [], api.endpoints(answering, clock.SystemClock()))
    with servers.serve(app) as url:
        yield url


def _run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def _ask(folder: Path, base_url: str, *options: str, issuer: str = "issuer.pem") -> str:
    return _run(
        folder,
        *("openssl", "ocsp", "-url", f"{base_url}/ocsp", "-issuer", issuer),
        *("-CAfile", "root.pem", "-verify_other", "issuer.pem", *options),
    )


@pytest.mark.parametrize("digest", ["-sha1", "-sha256"])
@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("good", ("good.pem: good",)),
        (
            "revoked",
            (
                "revoked.pem: revoked",
                "Reason: keyCompromise",
                "Revocation Time: Jan  2 03:04:05 2026 GMT",
            ),
        ),
        ("hold", ("hold.pem: revoked", "Reason: certificateHold")),
        ("unknown", ("unknown.pem: unknown",)),
    ],
)
def test_openssl_takes_every_status(
    tmp_path: Path, base_url: str, digest: str, name: str, lines: tuple[str, ...]
) -> None:
    shown = _ask(tmp_path, base_url, digest, "-cert", f"{name}.pem")
    assert "Response verify OK" in shown
    assert "WARNING" not in shown, "the nonce did not come back"
    for line in lines:
        assert line in shown


def test_openssl_takes_several_certificates_in_one_answer(tmp_path: Path, base_url: str) -> None:
    named = [part for name in ("hold", "good", "unknown") for part in ("-cert", f"{name}.pem")]
    shown = _ask(tmp_path, base_url, *named)
    assert "Response verify OK" in shown
    for line in ("hold.pem: revoked", "good.pem: good", "unknown.pem: unknown"):
        assert line in shown


def test_openssl_sees_the_extensions_of_a_single_response(tmp_path: Path, base_url: str) -> None:
    shown = _ask(tmp_path, base_url, "-cert", "revoked.pem", "-resp_text")
    assert "Invalidity Date" in shown
    assert "Jan  1 00:00:00 2026 GMT" in shown
    assert "OCSP Archive Cutoff" in shown


def test_openssl_is_told_that_an_issuer_is_not_ours(tmp_path: Path, base_url: str) -> None:
    done = subprocess.run(
        [
            *("openssl", "ocsp", "-url", f"{base_url}/ocsp", "-issuer", "other-issuer.pem"),
            *("-serial", "0x1234", "-CAfile", "root.pem"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert "Responder Error: unauthorized (6)" in done.stdout + done.stderr


@pytest.mark.clause("RFC 5019", "5")
def test_an_answer_to_a_get_by_curl_is_verified_by_openssl(tmp_path: Path, base_url: str) -> None:
    _run(
        tmp_path,
        *("openssl", "ocsp", "-issuer", "issuer.pem", "-cert", "good.pem", "-no_nonce"),
        *("-reqout", "request.der"),
    )
    encoded = base64.b64encode((tmp_path / "request.der").read_bytes()).decode()
    url = f"{base_url}/ocsp/{urllib.parse.quote(encoded, safe='')}"
    headers = _run(tmp_path, "curl", "-sS", "--noproxy", "*", "-D", "-", "-o", "answer.der", url)
    assert "HTTP/1.1 200" in headers
    assert "max-age=1799" in headers
    shown = _run(
        tmp_path,
        *("openssl", "ocsp", "-respin", "answer.der", "-issuer", "issuer.pem"),
        *("-cert", "good.pem", "-CAfile", "root.pem", "-verify_other", "issuer.pem", "-no_nonce"),
    )
    assert "Response verify OK" in shown
    assert "good.pem: good" in shown


def _verify(folder: Path, name: str) -> None:
    shown = _run(
        folder,
        *("openssl", "ocsp", "-respin", name, "-issuer", "issuer.pem", "-cert", "good.pem"),
        *("-CAfile", "root.pem", "-verify_other", "issuer.pem", "-no_nonce"),
    )
    assert "Response verify OK" in shown
    assert "good.pem: good" in shown


def _await_more(answers: list[bytes]) -> None:
    wanted, deadline = len(answers) + 10, time.monotonic() + 30
    while len(answers) < wanted:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_invariant_15_openssl_takes_every_answer_while_keys_rotate(
    hierarchy: hierarchy_support.Hierarchy, tmp_path: Path
) -> None:
    """Five responders take over from each other while clients ask over HTTP."""
    holder = hierarchy.signer()
    for name, one in (
        ("good", holder),
        ("issuer", hierarchy.issuing),
        ("root", hierarchy.root),
    ):
        (tmp_path / f"{name}.pem").write_bytes(one.pem)
    made = [hierarchy.ocsp_responder() for _ in range(5)]
    keys = [responder_key.ResponderKey(one.certificate, one.handle) for one in made]

    def issuer(*certified: responder_key.ResponderKey) -> responder_key.StatusIssuer:
        return responder_key.StatusIssuer("citizen", hierarchy.issuing.certificate, certified)

    answering = responder.Responder((issuer(keys[0]),), lambda *_: status.CertificateStatus())
    asked = cert_id.name_certificate(
        hierarchy.issuing.certificate, holder.certificate.serial_number, cert_id.CertIDHash.SHA1
    )
    answers: list[bytes] = []
    stopping = threading.Event()

    def ask(url: str, nonce: bytes | None) -> None:
        body = messages.build_request(messages.OCSPRequest((asked,), nonce))
        with httpx.Client(trust_env=False) as http:
            while not stopping.is_set():
                reply = http.post(url, content=body, headers={"Content-Type": api.REQUEST_TYPE})
                answers.append(reply.content)

    app = web.application("test", [], api.endpoints(answering, clock.SystemClock()))
    with servers.serve(app) as url, concurrent.futures.ThreadPoolExecutor(2) as pool:
        asking = [pool.submit(ask, f"{url}/ocsp", nonce) for nonce in (None, b"n")]
        try:
            _await_more(answers)
            for older, newer in itertools.pairwise(keys):
                answering.issuers = (issuer(older, newer),)
                _await_more(answers)
                answering.issuers = (issuer(newer),)
                _await_more(answers)
        finally:
            stopping.set()
        for one in asking:
            one.result()
    signers: dict[bytes, list[bytes]] = {}
    for response_der in answers:
        checked = client.check_response(
            response_der,
            holder.certificate,
            hierarchy.issuing.certificate,
            clock.SystemClock().now(),
        )
        signers.setdefault(certificates.to_der(checked.responder), []).append(response_der)
    assert len(signers) == 5
    for sent in signers.values():
        for response_der in (sent[0], sent[-1]):
            (tmp_path / "answer.der").write_bytes(response_der)
            _verify(tmp_path, "answer.der")


@pytest.mark.skipif(
    not os.environ.get("CI") and not shutil.which("ocsptool"), reason="needs GnuTLS's ocsptool"
)
@pytest.mark.parametrize("name", ["good", "revoked", "hold"])
def test_gnutls_takes_an_answer(tmp_path: Path, base_url: str, name: str) -> None:
    _run(
        tmp_path,
        *("openssl", "ocsp", "-issuer", "issuer.pem", "-cert", f"{name}.pem", "-no_nonce"),
        *("-reqout", "request.der"),
    )
    reply = httpx.post(
        f"{base_url}/ocsp",
        content=(tmp_path / "request.der").read_bytes(),
        headers={"Content-Type": api.REQUEST_TYPE},
        trust_env=False,
    )
    (tmp_path / "answer.der").write_bytes(reply.content)
    shown = _run(
        tmp_path,
        *("ocsptool", "--verify-response", "--load-response", "answer.der", "--inder"),
        *("--load-trust", "issuer.pem"),
    )
    assert "Success" in shown
    shown = _run(
        tmp_path, *("ocsptool", "--response-info", "--load-response", "answer.der", "--inder")
    )
    assert f"Certificate Status: {'good' if name == 'good' else 'revoked'}" in shown


@pytest.mark.parametrize("name", ["good", "revoked", "hold", "unknown"])
def test_pkilint_finds_nothing_in_an_answer(tmp_path: Path, base_url: str, name: str) -> None:
    lint = Path(sys.executable).parent / "lint_ocsp_response"
    if not lint.exists():
        if os.environ.get("CI"):
            pytest.fail("pkilint is not installed")
        pytest.skip("pkilint is not installed")
    _ask(tmp_path, base_url, "-cert", f"{name}.pem", "-respout", "answer.der")
    shown = _run(tmp_path, str(lint), "lint", "-s", "WARNING", "answer.der")
    assert shown.strip() == ""


def test_our_client_takes_what_openssls_responder_answers(
    hierarchy: hierarchy_support.Hierarchy, tmp_path: Path, at: datetime.datetime
) -> None:
    from cryptography.hazmat.primitives import serialization

    signer, holder = hierarchy.signer(), hierarchy.ocsp_responder()
    serial = f"{signer.certificate.serial_number:X}"
    serial = serial.zfill(len(serial) + len(serial) % 2)
    revoked = f"{at - datetime.timedelta(hours=1):%y%m%d%H%M%SZ}"
    (tmp_path / "index.txt").write_text(
        f"R\t291231235959Z\t{revoked},keyCompromise\t{serial}\tunknown\t/CN=TEST\n"
    )
    (tmp_path / "issuer.pem").write_bytes(hierarchy.issuing.pem)
    (tmp_path / "responder.pem").write_bytes(holder.pem)
    (tmp_path / "responder.key").write_bytes(
        holder.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    port = servers.free_port()
    peer = subprocess.Popen(
        [
            *("openssl", "ocsp", "-port", str(port), "-index", "index.txt", "-CA", "issuer.pem"),
            *("-rsigner", "responder.pem", "-rkey", "responder.key", "-nrequest", "1"),
        ],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    http = outbound.Client(timeout_s=5)
    try:
        assert peer.stdout is not None
        # It says so when it listens; a connection before that would use up its one request.
        while "waiting for OCSP client" not in peer.stdout.readline():
            assert peer.poll() is None
        checked = client.fetch_status(
            http,
            signer.certificate,
            hierarchy.issuing.certificate,
            at,
            urls=[f"http://127.0.0.1:{port}/"],
        )
    finally:
        http.close()
        peer.kill()
        peer.communicate()
    assert checked.status.reason is status.RevocationReason.keyCompromise
    assert checked.status.revoked_at == at - datetime.timedelta(hours=1)
