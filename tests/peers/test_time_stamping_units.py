"""Tokens of both units, judged by openssl ts, rfc3161-client and pyHanko."""

import asyncio
import datetime
import hashlib
import subprocess
from pathlib import Path

import pytest
import rfc3161_client
from asn1crypto import cms as asn1_cms
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from pyhanko.sign.validation import generic_cms
from pyhanko_certvalidator import context

from pki import clock
from pki.algorithms import HashAlgorithm, KeyKind
from tests.support import hierarchy as hierarchy_support
from tsa import authority, messages

pytestmark = pytest.mark.peer

POLICIES = {KeyKind.P384: "1.3.6.1.4.1.99999.7", KeyKind.RSA3072: "1.3.6.1.4.1.99999.9"}
DATA = b"a contract"


@pytest.fixture
def world() -> hierarchy_support.Hierarchy:
    # OpenSSL and rfc3161-client judge by the machine's own time.
    return hierarchy_support.make_hierarchy(clock.whole_seconds(clock.SystemClock().now()))


@pytest.fixture
def issuing(world: hierarchy_support.Hierarchy) -> authority.TimeStampAuthority:
    lines = []
    for kind, policy in POLICIES.items():
        holder = world.time_stamping_unit(kind)
        unit = authority.TimeStampingUnit(holder.certificate, holder.handle, holder.issuers[:-1])
        lines.append(authority.UnitLine(unit, (policy,)))
    first, *beside = lines
    return authority.TimeStampAuthority(first.unit, first.policies, beside=beside)


def _now() -> datetime.datetime:
    return clock.SystemClock().now()


@pytest.mark.clause("RFC 3161", "2.4.1")
@pytest.mark.parametrize("kind", POLICIES)
def test_openssl_asks_for_a_policy_and_verifies_its_units_token(
    world: hierarchy_support.Hierarchy,
    issuing: authority.TimeStampAuthority,
    kind: KeyKind,
    tmp_path: Path,
) -> None:
    def ts(*arguments: str) -> str:
        done = subprocess.run(
            ["openssl", "ts", *arguments],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    (tmp_path / "contract.txt").write_bytes(DATA)
    (tmp_path / "root.pem").write_bytes(world.root.pem)
    policy = POLICIES[kind]
    ts("-query", "-data", "contract.txt", "-tspolicy", policy, "-cert", "-out", "query.tsq")
    query = (tmp_path / "query.tsq").read_bytes()
    (tmp_path / "reply.tsr").write_bytes(authority.respond(query, issuing, _now))
    verified = ts(
        *("-verify", "-in", "reply.tsr", "-queryfile", "query.tsq"),
        *("-CAfile", "root.pem"),
    )
    assert "Verification: OK" in verified
    assert f"Policy OID: {policy}" in ts("-reply", "-in", "reply.tsr", "-text")


@pytest.mark.parametrize("kind", POLICIES)
def test_rfc3161_client_verifies_the_token_of_each_unit(
    world: hierarchy_support.Hierarchy, issuing: authority.TimeStampAuthority, kind: KeyKind
) -> None:
    request = (
        rfc3161_client.TimestampRequestBuilder()
        .data(DATA)
        .hash_algorithm(rfc3161_client.HashAlgorithm.SHA512)
        .nonce(nonce=True)
        .cert_request(cert_request=True)
        .build()
    )
    # Its builder knows no policy: ours is asked for in a request with the same nonce.
    imprint = messages.MessageImprint(HashAlgorithm.SHA512, hashlib.sha512(DATA).digest())
    ours = messages.TimeStampRequest(imprint, POLICIES[kind], request.nonce, cert_req=True)
    answer = authority.respond(messages.build_request(ours), issuing, _now)
    response = rfc3161_client.decode_timestamp_response(answer)
    unit = issuing.unit_at(_now(), POLICIES[kind])
    verifier = (
        rfc3161_client.VerifierBuilder()
        .policy_id(x509.ObjectIdentifier(POLICIES[kind]))
        .tsa_certificate(unit.certificate)
        .add_root_certificate(world.root.certificate)
        .add_intermediate_certificate(world.infrastructure.certificate)
        .nonce(request.nonce)
        .build()
    )
    assert verifier.verify(response, hashlib.sha512(DATA).digest())
    with pytest.raises(rfc3161_client.errors.VerificationError):
        verifier.verify(response, hashlib.sha512(b"another contract").digest())


@pytest.mark.parametrize("kind", POLICIES)
def test_pyhanko_trusts_the_token_of_each_unit(
    world: hierarchy_support.Hierarchy, issuing: authority.TimeStampAuthority, kind: KeyKind
) -> None:
    digest = hashlib.sha256(DATA).digest()
    request = messages.TimeStampRequest(
        messages.MessageImprint(HashAlgorithm.SHA256, digest), POLICIES[kind], 7, cert_req=True
    )
    response = messages.parse_response(
        authority.respond(messages.build_request(request), issuing, _now)
    )
    assert response.token_der is not None
    token = asn1_cms.ContentInfo.load(response.token_der)["content"]
    trusted = context.ValidationContext(
        trust_roots=[asn1_x509.Certificate.load(world.root.der)],
        allow_fetching=False,
        revocation_mode="soft-fail",
    )
    facts = asyncio.run(
        generic_cms.validate_tst_signed_data(
            token, trusted, lambda name: hashlib.new(name, DATA).digest()
        )
    )
    status = generic_cms.TimestampSignatureStatus(**facts)
    assert status.valid
    assert status.intact
    assert status.trusted
