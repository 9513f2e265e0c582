import re

from cryptography import x509

from pki import der, oids


def test_every_identifier_is_well_formed_and_our_encoder_agrees_with_the_library() -> None:
    values = {name: value for name, value in vars(oids).items() if name.isupper()}
    assert len(values) > 40
    for value in values.values():
        assert re.fullmatch(r"[0-2](\.(0|[1-9][0-9]*))+", value)
        assert der.decode_oid(der.read(der.encode_oid(value))) == value
        policies = x509.CertificatePolicies(
            [x509.PolicyInformation(x509.ObjectIdentifier(value), None)]
        )
        assert der.encode_oid(value) in policies.public_bytes()


def test_no_identifier_has_two_names() -> None:
    values = [value for name, value in vars(oids).items() if name.isupper()]
    # The access method id-ad-ocsp is also the arc of the OCSP extensions, but one name here.
    assert len(values) == len(set(values))
