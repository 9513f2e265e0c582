"""OCSP responses signed by any algorithm, resigned octet by octet."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509 import ocsp as x509_ocsp

from pki import der
from signing_service import documents, trust
from signing_service.validation import process
from signing_service.validation.certificates import response_signatures
from signing_service.validation.diagnostics import diagnostic_data
from tests.support import odd_certificates, scheme_cms, signed_cms, statuses

KEY = rsa.generate_private_key(65537, 2048)


@pytest.fixture
def answer(hierarchy, at) -> bytes:
    return statuses.ocsp_response(
        hierarchy.signer().certificate,
        hierarchy.issuing.certificate,
        hierarchy.ocsp_responder(),
        at,
    )


def resigned(answer: bytes, algorithm: bytes, sign) -> bytes:
    """The same answer with another signature, and no certificate."""
    status, explicit = der.read(answer).children()
    kind, basic = explicit.children()[0].children()
    tbs = der.encode(0x30, der.read(basic.content).children()[0].content)
    changed = der.encode(0x30, tbs, algorithm, der.encode(der.BIT_STRING, b"\0" + sign(tbs)))
    inside = der.encode(0x30, der.encode(kind.tag, kind.content), der.encode(4, changed))
    return der.encode(0x30, der.encode(status.tag, status.content), der.encode(0xA0, inside))


def pss(hasher: hashes.HashAlgorithm, name: str) -> tuple[bytes, object]:
    hashed = scheme_cms.identifier(scheme_cms.HASHES[name][1])
    parameters = der.encode(
        0x30,
        der.encode(0xA0, hashed),
        der.encode(0xA1, scheme_cms.identifier("1.2.840.113549.1.1.8", hashed)),
        der.encode(0xA2, der.encode_integer(hasher.digest_size)),
    )
    scheme = padding.PSS(padding.MGF1(hasher), hasher.digest_size)
    return (
        scheme_cms.identifier("1.2.840.113549.1.1.10", parameters),
        lambda tbs: KEY.sign(tbs, scheme, hasher),
    )


@pytest.mark.clause("RFC 6960", "4.2.1")
@pytest.mark.parametrize(
    ("hasher", "name", "relied_on"),
    [(hashes.SHA256(), "sha256", True), (hashes.SHA512_256(), "sha512_256", False)],
)
def test_response_may_be_signed_by_rsassa_pss(hierarchy, at, answer, hasher, name, relied_on):
    signer = x509.load_der_x509_certificate(
        odd_certificates.certify(hierarchy, KEY.public_key(), at)
    )
    made = resigned(answer, *pss(hasher, name))
    response = x509_ocsp.load_der_ocsp_response(made)
    assert response_signatures.verifies(signer, response) is relied_on
    other = x509_ocsp.load_der_ocsp_response(resigned(answer, pss(hasher, name)[0], lambda _: b"x"))
    assert not response_signatures.verifies(signer, other)


def test_response_by_an_algorithm_that_nobody_knows_says_nothing(tmp_path, hierarchy, at, answer):
    """It was an unforeseen error, for any document that carries such a response."""
    unknown = resigned(answer, scheme_cms.identifier("1.3.6.1.4.1.99999.1"), lambda _: b"TEST")
    made = signed_cms.sign(b"TEST contract", hierarchy.signer(), at)
    made.crls = [signed_cms.ocsp_entry(unknown)]
    path = tmp_path / "contract.p7m"
    path.write_bytes(made.encode())
    validated = process.validate(
        documents.Document("contract.p7m", path),
        trust=trust.TrustAnchors((hierarchy.root.certificate,)),
        at=at,
        fetch=None,
        diagnose=diagnostic_data.Extent.VALUES,
    )
    (found,) = validated.signatures
    assert found.intact
    assert [one.code for one in found.errors] == ["try-later"]
