"""Our time-stamping authority, asked and judged by openssl ts."""

import datetime
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from pki import clock, web
from pki.algorithms import HashAlgorithm, KeyKind
from tests.support import hierarchy as hierarchy_support
from tests.support import servers
from tsa import api, authority, client, messages

pytestmark = pytest.mark.peer

POLICY = "1.3.6.1.4.1.99999.7"


@pytest.fixture(params=list(KeyKind))
def base_url(
    request: pytest.FixtureRequest, hierarchy: hierarchy_support.Hierarchy, tmp_path: Path
) -> Iterator[str]:
    holder = hierarchy.time_stamping_unit(request.param)
    unit = authority.TimeStampingUnit(holder.certificate, holder.handle, holder.issuers[:-1])
    (tmp_path / "unit.pem").write_bytes(holder.pem)
    (tmp_path / "root.pem").write_bytes(hierarchy.root.pem)
    (tmp_path / "chain.pem").write_bytes(hierarchy.infrastructure.pem + holder.pem)
    (tmp_path / "contract.txt").write_bytes(b"a contract")
    issuing = authority.TimeStampAuthority(unit, (POLICY,))
    endpoints = api.endpoints(issuing, clock.SystemClock())
    with servers.serve(web.application("test", [], endpoints)) as url:
        yield url


def _ts(folder: Path, *arguments: str, accepted: bool = True) -> str:
    done = subprocess.run(
        ["openssl", "ts", *arguments], cwd=folder, capture_output=True, text=True, timeout=30
    )
    assert (done.returncode == 0) is accepted, done.stdout + done.stderr
    return done.stdout + done.stderr


def _stamp(folder: Path, base_url: str, *options: str) -> None:
    _ts(folder, "-query", "-data", "contract.txt", "-out", "query.tsq", *options)
    reply = httpx.post(
        f"{base_url}/tsa",
        content=(folder / "query.tsq").read_bytes(),
        headers={"Content-Type": "application/timestamp-query"},
        trust_env=False,
    )
    assert reply.status_code == 200
    (folder / "reply.tsr").write_bytes(reply.content)


@pytest.mark.clause("RFC 3161", "2.4.2")
@pytest.mark.parametrize("digest", ["-sha256", "-sha384", "-sha512"])
def test_openssl_verifies_a_token_with_only_the_root_trusted(
    tmp_path: Path, base_url: str, digest: str
) -> None:
    _stamp(tmp_path, base_url, digest, "-cert")
    verify = ("-verify", "-in", "reply.tsr", "-CAfile", "root.pem", "-untrusted", "chain.pem")
    assert "Verification: OK" in _ts(tmp_path, *verify, "-queryfile", "query.tsq")
    assert "Verification: OK" in _ts(tmp_path, *verify, "-data", "contract.txt")
    text = _ts(tmp_path, "-reply", "-in", "reply.tsr", "-text")
    assert "Status: Granted." in text
    assert f"Policy OID: {POLICY}" in text
    assert "Accuracy: 0x01 seconds" in text
    assert "Ordering: no" in text
    assert "Nonce: 0x" in text


def test_openssl_verifies_a_token_without_certificates_and_nonce(
    tmp_path: Path, base_url: str
) -> None:
    _stamp(tmp_path, base_url, "-sha256", "-no_nonce")
    shown = _ts(
        tmp_path,
        *("-verify", "-in", "reply.tsr", "-queryfile", "query.tsq"),
        *("-CAfile", "root.pem", "-untrusted", "chain.pem"),
    )
    assert "Verification: OK" in shown
    assert "Nonce: unspecified" in _ts(tmp_path, "-reply", "-in", "reply.tsr", "-text")


def test_openssl_refuses_the_token_for_another_file(tmp_path: Path, base_url: str) -> None:
    _stamp(tmp_path, base_url, "-sha256", "-cert")
    (tmp_path / "other.txt").write_bytes(b"another contract")
    shown = _ts(
        tmp_path,
        *("-verify", "-in", "reply.tsr", "-data", "other.txt"),
        *("-CAfile", "root.pem", "-untrusted", "chain.pem"),
        accepted=False,
    )
    assert "message imprint mismatch" in shown


@pytest.mark.parametrize(
    ("options", "failure"),
    [
        (("-sha1",), "unrecognized or unsupported algorithm identifier"),
        (("-sha256", "-tspolicy", "1.2.3.4"), "the requested TSA policy is not supported"),
    ],
)
def test_openssl_reads_our_rejections(
    tmp_path: Path, base_url: str, options: tuple[str, ...], failure: str
) -> None:
    _stamp(tmp_path, base_url, *options)
    text = _ts(tmp_path, "-reply", "-in", "reply.tsr", "-text")
    assert "Status: Rejected." in text
    assert failure in text


def test_our_client_takes_a_token_that_openssl_made(
    hierarchy: hierarchy_support.Hierarchy, tmp_path: Path, at: datetime.datetime
) -> None:
    from cryptography.hazmat.primitives import serialization

    holder = hierarchy.time_stamping_unit()
    (tmp_path / "unit.pem").write_bytes(holder.pem)
    (tmp_path / "chain.pem").write_bytes(hierarchy.infrastructure.pem)
    (tmp_path / "unit.key").write_bytes(
        holder.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    (tmp_path / "serial").write_text("01\n")
    (tmp_path / "ts.cnf").write_text(
        "[tsa]\ndefault_tsa = one\n[one]\nserial = serial\nsigner_cert = unit.pem\n"
        "certs = chain.pem\nsigner_key = unit.key\nsigner_digest = sha384\n"
        f"default_policy = {POLICY}\ndigests = sha256\nordering = no\naccuracy = secs:1\n"
        "ess_cert_id_alg = sha256\n"
    )
    imprint = messages.MessageImprint(HashAlgorithm.SHA256, HashAlgorithm.SHA256.digest(b"x"))
    request = messages.TimeStampRequest(imprint, nonce=2**63 + 9, cert_req=True)
    (tmp_path / "query.tsq").write_bytes(messages.build_request(request))
    _ts(
        tmp_path,
        *("-reply", "-config", "ts.cnf", "-queryfile", "query.tsq", "-out", "reply.tsr"),
    )
    token = client.check_response((tmp_path / "reply.tsr").read_bytes(), request, at)
    assert token.info.imprint == imprint
    assert token.info.policy == POLICY
