"""Processes die as by `kill -9` at the three worst moments; nothing is lost, nothing unknown."""

import contextlib
import dataclasses
import hashlib
import pathlib
import sqlite3

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp as x509_ocsp

from pki import outbound
from tests.support import world as worlds

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("apart")]


@pytest.fixture
def registrar(zones: worlds.Zones) -> worlds.Office:
    return zones.office()


@pytest.fixture
def portal(zones: worlds.Zones) -> worlds.Api:
    return worlds.Api(zones.addresses.signing, dataclasses.asdict(zones.installation.api_client))


def registry_of(zones: worlds.Zones, *states: str) -> set[int]:
    """The serial numbers that the CA's database knows, in some states."""
    path = zones.installation.folder / "ca.sqlite"
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        rows = database.execute("SELECT serial_number, state FROM certificates").fetchall()
    return {int(serial, 16) for serial, state in rows if not states or state in states}


def fetch(url: str, body: bytes | None = None, content_type: str | None = None) -> bytes:
    with contextlib.closing(outbound.Client()) as client:
        return client.send(
            "GET" if body is None else "POST", url, body=body, content_type=content_type
        ).body


def status_by_ocsp(
    zones: worlds.Zones, issuer: str, serial_number: int
) -> x509_ocsp.OCSPCertStatus:
    """What the responder tells anybody who has no more than a serial number."""
    certificate = x509.load_der_x509_certificate(fetch(f"{zones.addresses.ca}/ca/{issuer}.cer"))
    key_hash = x509.SubjectKeyIdentifier.from_public_key(
        certificate.public_key()  # type: ignore[arg-type]
    ).digest
    # A CertID names an issuer by SHA-1 (RFC 6960 4.1.1); nothing depends on its strength.
    name_hash = hashlib.sha1(certificate.subject.public_bytes(), usedforsecurity=False).digest()
    request = (
        x509_ocsp.OCSPRequestBuilder()
        .add_certificate_by_hash(name_hash, key_hash, serial_number, hashes.SHA1())  # noqa: S303
        .build()
    )
    answer = fetch(
        f"{zones.addresses.ocsp}/ocsp",
        request.public_bytes(serialization.Encoding.DER),
        "application/ocsp-request",
    )
    return x509_ocsp.load_der_ocsp_response(answer).certificate_status


@pytest.mark.parametrize("failpoint", ["intent", "sign"])
def test_ca_killed_while_issuing_leaves_no_certificate_that_it_does_not_know(
    zones: worlds.Zones, registrar: worlds.Api, failpoint: str
) -> None:
    before = registry_of(zones)
    applicant = worlds.apply(registrar, "3CR44CR")
    with (
        zones.dying_at("ca", failpoint),
        pytest.raises(outbound.PeerUnavailableError),
    ):
        applicant.request(registrar)

    # The one that may have been signed is known, ended, and revoked for everybody who asks.
    (lost,) = registry_of(zones) - before
    assert lost in registry_of(zones, "abandoned")
    assert not registry_of(zones, "intended")
    assert status_by_ocsp(zones, "citizen", lost) is x509_ocsp.OCSPCertStatus.REVOKED
    registrar.call("POST", "/ra/v1/crls/citizen", {})
    crl = x509.load_der_x509_crl(fetch(f"{zones.addresses.ca}/crl/citizen.crl"))
    assert crl.get_revoked_certificate_by_serial_number(lost) is not None

    # The same request again goes on: another serial number, and good.
    issued = applicant.request(registrar)
    again = int(issued.serial_number, 16)
    assert again != lost
    assert registry_of(zones) - before == {lost, again}
    assert status_by_ocsp(zones, "citizen", again) is x509_ocsp.OCSPCertStatus.GOOD
    listed = registrar.call("GET", "/ra/v1/certificates?person_code=3CR44CR")["certificates"]
    serials = {int(one["serial_number"], 16) for one in listed}
    assert again in serials
    assert lost not in serials
    assert registrar.call("GET", "/ra/v1/audit")["entries"] > 0


def test_serial_number_that_nobody_issued_is_not_good(zones: worlds.Zones) -> None:
    assert status_by_ocsp(zones, "citizen", 2**100 + 1) is not x509_ocsp.OCSPCertStatus.GOOD


def test_signing_service_killed_after_embedding_finishes_the_session(
    zones: worlds.Zones,
    registrar: worlds.Api,
    portal: worlds.Api,
    contract: pathlib.Path,
    tmp_path: pathlib.Path,
) -> None:
    signer = worlds.apply(registrar, "3CR55CR").request(registrar)
    opened = portal.open_session(contract.read_bytes(), signer.parameters("B-LTA"))
    path = f"/api/v1/signing-sessions/{opened['id']}"
    value = signer.value(opened)
    # The next worker takes the session when the dead one's time is over.
    zones.change("signing", "signing", lease=2)
    with (
        zones.dying_at("signing", "document-embedded"),
        pytest.raises(outbound.PeerUnavailableError),
    ):
        portal.call("POST", f"{path}/signature-value", value)

    # The client repeats its call, as clients do; the signature was made once and is not lost.
    assert portal.call("POST", f"{path}/signature-value", value)["state"] in (
        "augmenting",
        "completed",
    )
    done = portal.wait(opened["id"], ["completed", "failed"])
    assert (done["state"], done["level_reached"]) == ("completed", "B-LTA")
    signed = portal.call("GET", f"{path}/document")
    (tmp_path / "signed.pdf").write_bytes(signed)
    report = worlds.verify(tmp_path / "signed.pdf", zones.installation.trust_anchors)
    assert [one["level"] for one in report["signatures"]] == ["PAdES-BASELINE-LTA"]
    assert report["overall"] == "TOTAL-PASSED"
