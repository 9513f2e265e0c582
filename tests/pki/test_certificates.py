import datetime

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pki import algorithms, certificates, clock, errors, oids
from tests.support import hierarchy as hierarchy_support

AT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
WORLD = hierarchy_support.make_hierarchy(
    AT, ocsp_url="http://ocsp.example.com/", crl_url="http://crl.example.com/"
)
SIGNER = WORLD.signer(surname="Şıxəliyeva TEST", given_name="Günay")


def test_a_persons_certificate_is_read_in_full() -> None:
    facts = certificates.read(SIGNER.certificate)
    assert facts.name == "Günay Şıxəliyeva TEST"
    assert (facts.person_country, facts.person_code) == ("AZ", "5AB12CD")
    assert facts.identifier == "PNOAZ-5AB12CD"
    assert facts.key_kind is algorithms.KeyKind.P256
    assert facts.key_usage == {certificates.KeyUsage.nonRepudiation}
    assert facts.is_for_signing
    assert facts.ocsp_urls == ("http://ocsp.example.com/",)
    assert facts.crl_urls == ("http://crl.example.com/issuing.crl",)
    assert facts.sha256 == SIGNER.certificate.fingerprint(hashes.SHA256()).hex()
    assert "Şıxəliyeva" in facts.subject
    assert not facts.is_authority
    assert facts.qualified == certificates.qc_statements.QcStatements()
    assert certificates.read(WORLD.root.certificate).is_authority


def test_conversions_keep_every_byte() -> None:
    converted = certificates.to_asn1(SIGNER.certificate)
    assert isinstance(converted, asn1_x509.Certificate)
    assert certificates.to_der(certificates.from_asn1(converted)) == SIGNER.der


def test_an_issuer_is_recognised_by_name_and_key() -> None:
    certificates.check_issued_by(SIGNER.certificate, WORLD.issuing.certificate)
    certificates.check_issued_by(WORLD.root.certificate, WORLD.root.certificate)
    with pytest.raises(certificates.CertificateSignatureError):
        certificates.check_issued_by(SIGNER.certificate, WORLD.infrastructure.certificate)
    namesake = hierarchy_support.make_hierarchy(AT).issuing
    assert namesake.certificate.subject == WORLD.issuing.certificate.subject
    with pytest.raises(certificates.CertificateSignatureError):
        certificates.check_issued_by(SIGNER.certificate, namesake.certificate)


def test_a_name_with_two_numbers_is_refused() -> None:
    key = hierarchy_support.make_key(algorithms.KeyKind.P256)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.SERIAL_NUMBER, "PNOAZ-5AB12CD"),
            x509.NameAttribute(NameOID.SERIAL_NUMBER, "PNOAZ-7XY99ZZ"),
        ]
    )
    with pytest.raises(certificates.CertificateError):
        certificates.read(_self_signed(name, key))


def test_a_malformed_statement_states_nothing() -> None:
    key = hierarchy_support.make_key(algorithms.KeyKind.P256)
    broken = x509.UnrecognizedExtension(x509.ObjectIdentifier(oids.QC_STATEMENTS), b"\x30\x80")
    facts = certificates.read(_self_signed(x509.Name([]), key, broken))
    assert not facts.qualified.readable
    assert not facts.qualified.compliance


def test_a_key_of_an_unknown_kind_has_no_kind() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "x")])
    builder = _builder(name).public_key(key.public_key())
    facts = certificates.read(builder.sign(key, None))
    assert facts.key_kind is None


@pytest.mark.parametrize("number", [1, 0x7F, 0x80, 0xABC, 1 << 128])
def test_serials_are_written_in_whole_octets(number: int) -> None:
    text = certificates.serial_text(number)
    assert len(text) % 2 == 0
    assert int(text, 16) == number


def test_a_huge_certificate_is_refused() -> None:
    with pytest.raises(certificates.CertificateError):
        certificates.parse(SIGNER.der + bytes(certificates.MAX_CERTIFICATE_BYTES))


# The library tells of a serial number below zero before we refuse it.
@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@given(st.integers(0, len(SIGNER.der) - 1), st.integers(0, 255), st.integers(0, len(SIGNER.der)))
@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mutated_input_raises_input_error_and_nothing_else(
    place: int, value: int, length: int
) -> None:
    mutated = bytearray(SIGNER.der)
    mutated[place] = value
    for data in (bytes(mutated), bytes(mutated)[:length]):
        try:
            parsed = certificates.parse(data)
            certificates.check_issued_by(parsed, WORLD.issuing.certificate)
        except errors.InputError:
            continue
        assert data == SIGNER.der


def _builder(name: x509.Name) -> x509.CertificateBuilder:
    at = clock.whole_seconds(AT)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "issuer")]))
        .serial_number(5)
        .not_valid_before(at)
        .not_valid_after(at + datetime.timedelta(days=1))
    )


def _self_signed(
    name: x509.Name, key: algorithms.PrivateKey, extension: x509.ExtensionType | None = None
) -> x509.Certificate:
    builder = _builder(name).public_key(key.public_key())
    if extension is not None:
        builder = builder.add_extension(extension, False)
    made = builder.sign(key, hashes.SHA256())
    return x509.load_der_x509_certificate(made.public_bytes(serialization.Encoding.DER))
