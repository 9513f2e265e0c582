import contextlib
import datetime

import pytest
from asn1crypto import core as asn1_core
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from pki import algorithms, der, der_types, errors, signature
from pki.algorithms import HashAlgorithm, KeyKind, SignatureAlgorithm
from tests.support import hierarchy as hierarchy_support

AT = datetime.datetime(2026, 11, 21, 12, 0, 0, tzinfo=datetime.UTC)


@given(st.integers(-(2**511), 2**511 - 1))
def test_an_integer_reads_back_here_and_in_asn1crypto(value: int) -> None:
    encoded = der_types.encode_integer(value)
    assert der_types.decode_integer(der.read(encoded)) == value
    assert asn1_core.Integer.load(encoded, strict=True).native == value
    assert asn1_core.Integer(value).dump() == encoded


@pytest.mark.parametrize("content", ["", "0001", "ff80", "00" * 65])
def test_an_integer_of_another_form_is_refused(content: str) -> None:
    with pytest.raises(der.DERError):
        der_types.decode_integer(der.Element(der.INTEGER, bytes.fromhex(content)))


@pytest.mark.parametrize("content", ["", "01", "0000"])
def test_a_boolean_of_another_form_is_refused(content: str) -> None:
    with pytest.raises(der.DERError):
        der_types.decode_boolean(der.Element(der.BOOLEAN, bytes.fromhex(content)))


@given(st.datetimes(timezones=st.just(datetime.UTC)))
def test_a_time_is_cut_to_whole_seconds_and_reads_back(at: datetime.datetime) -> None:
    encoded = der_types.encode_time(at)
    assert len(encoded) == 17
    assert der_types.decode_time(der.read(encoded)) == at.replace(microsecond=0)


@pytest.mark.parametrize("kind", list(KeyKind))
@pytest.mark.parametrize("hash_algorithm", list(HashAlgorithm))
def test_a_signature_value_reads_back_as_it_was_made(
    kind: KeyKind, hash_algorithm: HashAlgorithm
) -> None:
    handle = hierarchy_support.MemoryKey("test", hierarchy_support.make_key(kind))
    value = handle.sign(signature.represent(b"x", hash_algorithm))
    algorithm = der.read(der_types.encode_signature_algorithm(value))
    assert (
        der_types.decode_signature_value(algorithm, value.encoded_for_cms(), handle.public_key)
        == value
    )


def test_a_scheme_that_is_not_allowed_is_refused() -> None:
    key = hierarchy_support.make_key(KeyKind.P256).public_key()
    sha1 = der.read(der.encode(der.SEQUENCE, der.encode_oid("1.2.840.10045.4.1")))
    with pytest.raises(algorithms.UnsupportedAlgorithmError):
        der_types.decode_signature_value(sha1, b"", key)
    with pytest.raises(algorithms.UnsupportedAlgorithmError):
        der_types.decode_hash_algorithm(
            der.read(der.encode(der.SEQUENCE, der.encode_oid("1.3.14.3.2.26")))
        )
    with pytest.raises(algorithms.UnsupportedAlgorithmError):
        der_types.encode_signature_algorithm(
            signature.SignatureValue(SignatureAlgorithm.RSA_PSS, HashAlgorithm.SHA256, b"")
        )


def test_extensions_read_back_and_none_comes_twice() -> None:
    one = der_types.Extension("1.2.3", True, b"\x05\x00")
    two = der_types.Extension("1.2.4", False, b"")
    encoded = der_types.encode_extensions((one, two))
    assert der_types.decode_extensions(der.read(encoded)) == (one, two)
    with pytest.raises(der.DERError, match="once"):
        der_types.decode_extensions(der.read(der_types.encode_extensions((one, one))))
    der_types.check_no_unknown_critical((one, two), frozenset({"1.2.3"}))
    with pytest.raises(der_types.UnknownExtensionError):
        der_types.check_no_unknown_critical((one, two), frozenset())


def test_the_parts_of_a_certificate_are_those_it_was_made_of() -> None:
    hierarchy = hierarchy_support.make_hierarchy(AT)
    certificate = hierarchy.signer(surname="ქართველი TEST").certificate
    parts = der_types.certificate_parts(certificate.tbs_certificate_bytes)
    assert parts.issuer == certificate.issuer.public_bytes()
    assert parts.subject == certificate.subject.public_bytes()
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert parts.public_key == key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


CERTIFICATE = hierarchy_support.make_hierarchy(AT).root.certificate.tbs_certificate_bytes
EXTENSIONS = der_types.encode_extensions((der_types.Extension("1.2.3", True, b"\x05\x00"),))


@given(st.integers(0, len(CERTIFICATE) - 1), st.integers(1, 255))
@settings(deadline=None, max_examples=300)
def test_mutated_input_raises_input_error_and_nothing_else(position: int, change: int) -> None:
    certificate, extensions = bytearray(CERTIFICATE), bytearray(EXTENSIONS)
    certificate[position] ^= change
    extensions[position % len(extensions)] ^= change
    with contextlib.suppress(errors.InputError):
        der_types.certificate_parts(bytes(certificate))
    with contextlib.suppress(errors.InputError):
        der_types.decode_extensions(der.read(bytes(extensions)))
    with contextlib.suppress(errors.InputError):
        der_types.decode_time(der.Element(der.GENERALIZED_TIME, bytes(extensions)))
