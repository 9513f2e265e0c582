import hashlib
import time

import pytest
from asn1crypto import cms
from cryptography import x509
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pki import algorithms, der, errors, signature
from signing_service.creation import cms_files
from signing_service.validation.cms import cms_signature, time_stamp_tokens
from tests.support import broken_chains, forged_pdfs, signed_pdfs, time_stamps

IMPRINT = signature.DataToBeSignedRepresentation(algorithms.HashAlgorithm.SHA256, b"1" * 32)


def token_whose_length_ends_in(octet: int, maker, at) -> bytes:
    """A token with a header like 30 82 06 80."""
    for number in range(5000):
        made = time_stamps.time_stamp_token(maker.unit, IMPRINT, at, serial=1 << 8 * (number % 200))
        if made[1] == 0x82 and made[3] == octet:
            return made
    raise AssertionError("no such length was met")


def test_token_whose_length_ends_in_80_hex_is_read_as_it_is_and_at_once(maker, at):
    """The library reads such a header as one of indefinite length (facts on speed)."""
    token = token_whose_length_ends_in(0x80, maker, at)
    nested = cms_signature.Message(_with_token(maker, token))
    began = time.process_time()
    assert nested.time_stamp_tokens() == (token,)
    assert time.process_time() - began < 0.05


def _with_token(maker, token: bytes) -> bytes:
    message = forged_pdfs.read_cms(maker.sign(signed_pdfs.make_pdf()))
    # Encoded by hand: asn1crypto would take its time for the token here, too.
    kind = der.encode_oid("1.2.840.113549.1.9.16.2.14")
    attribute = der.encode(der.SEQUENCE, kind, der.encode(der.SET, token))
    unsigned = cms.CMSAttributes.load(der.encode(der.SET, attribute))
    message["content"]["signer_infos"][0]["unsigned_attrs"] = unsigned
    return bytes(message.dump())


@pytest.mark.parametrize("place", ["attributes", "certificate"])
def test_what_is_verified_is_what_was_sent(maker, place):
    """Certificates and signed attributes are taken byte for byte."""
    sent = forged_pdfs.read_cms(maker.sign(signed_pdfs.make_pdf())).dump()
    message = cms_signature.Message(sent)
    if place == "certificate":
        assert maker.signer.der in message.certificates_der
        assert all(one in sent for one in message.certificates_der)
    else:
        assert cms_signature._encoded(message._signer["signed_attrs"]) in sent


@pytest.mark.clause("RFC 5652", "5.3")
def test_certificate_without_a_key_identifier_hides_no_other(maker, at):
    sent = forged_pdfs.read_cms(maker.sign(signed_pdfs.make_pdf()))
    named = broken_chains.make_certificate("signer", None, at)
    identifier = x509.SubjectKeyIdentifier.from_public_key(named.certificate.public_key()).digest
    carrying = broken_chains.make_certificate(
        "signer", None, at, extensions=((x509.SubjectKeyIdentifier(identifier), False),)
    )
    signer = sent["content"]["signer_infos"][0]
    signer["sid"] = cms.SignerIdentifier("subject_key_identifier", identifier)
    message = cms_signature.Message(sent.dump(force=True))
    found = message.certificate_among([maker.signer.certificate, named.certificate])
    assert found is None
    others = [named.certificate, carrying.certificate]
    assert message.certificate_among(others) is carrying.certificate


@pytest.mark.clause("RFC 5652", "10.2.1")
def test_statuses_that_a_token_carries_are_read(tmp_path, hierarchy, maker, at):
    token, more = tmp_path / "token", tmp_path / "more"
    token.write_bytes(time_stamps.time_stamp_token(maker.unit, IMPRINT, at))
    crl, response = hierarchy.crl(hierarchy.root, at=at), b"\x30\x03\x0a\x01\x06"
    entry = der.encode(0xA1, der.encode_oid("1.3.6.1.5.5.7.16.2"), response)
    cms_files.read(token).with_validation_data([], [crl, entry]).write(more)
    message = cms_signature.Message(more.read_bytes())
    assert (message.crls, message.ocsp_responses) == ((crl,), (response,))


def test_padding_is_told_from_other_bytes(maker):
    sent = forged_pdfs.read_cms(maker.sign(signed_pdfs.make_pdf())).dump()
    assert not cms_signature.has_other_bytes_behind(sent)
    assert not cms_signature.has_other_bytes_behind(sent + bytes(100))
    assert cms_signature.has_other_bytes_behind(sent + bytes(100) + b"x")
    assert not cms_signature.has_other_bytes_behind(b"")


@settings(
    max_examples=80,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_mutated_token_raises_input_error_and_nothing_else(maker, at, data):
    if not hasattr(maker, "token"):
        maker.token = time_stamps.time_stamp_token(maker.unit, IMPRINT, at)
    content = bytearray(maker.token)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        token = time_stamp_tokens.read_token(bytes(content))
        token.check(lambda name: hashlib.new(name, b"", usedforsecurity=False).digest())
    except errors.InputError:
        return
    raise AssertionError("a token over something else was taken")
