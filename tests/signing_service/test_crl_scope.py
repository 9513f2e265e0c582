import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from signing_service import crl_scope
from tests.support import hierarchy as hierarchy_support

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
BASE = "http://pki.example.com/crl/"
AUTHORITIES = hierarchy_support.make_hierarchy(NOW, crl_url=BASE)
LEAF = AUTHORITIES.signer().certificate
OWN = [x509.UniformResourceIdentifier(f"{BASE}issuing.crl")]
OTHER = [x509.UniformResourceIdentifier(f"{BASE}issuing/1.crl")]


def _crl(*extensions: tuple[x509.ExtensionType, bool]) -> x509.CertificateRevocationList:
    issuing = AUTHORITIES.issuing
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuing.certificate.subject)
        .last_update(NOW)
        .next_update(NOW + datetime.timedelta(days=7))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuing.key, hashes.SHA384())


def _point(
    names: list[x509.UniformResourceIdentifier] | None = None,
    *,
    users: bool = False,
    authorities: bool = False,
    reasons: frozenset[x509.ReasonFlags] | None = None,
    indirect: bool = False,
    attributes: bool = False,
) -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(
        names, None, users, authorities, reasons, indirect, attributes
    )


SOME = frozenset({x509.ReasonFlags.key_compromise})


@pytest.mark.clause("RFC 5280", "6.3.3")
@pytest.mark.parametrize(
    ("crl", "expected"),
    [
        (_crl(), True),
        (_crl((_point(OWN), True)), True),
        (_crl((_point(OWN), False)), False),
        (_crl((_point(OWN, reasons=SOME), True)), False),
        (_crl((_point(OWN, indirect=True), True)), False),
        (_crl((x509.DeltaCRLIndicator(1), True)), False),
        (_crl((x509.DeltaCRLIndicator(1), False)), False),
        (_crl((x509.UnrecognizedExtension(x509.ObjectIdentifier("2.999.1"), b""), True)), False),
        (_crl((x509.UnrecognizedExtension(x509.ObjectIdentifier("2.999.1"), b""), False)), True),
    ],
)
def test_only_a_list_that_leaves_nothing_out_of_its_scope_is_read(
    crl: x509.CertificateRevocationList, expected: bool
) -> None:
    assert crl_scope.is_complete_list(crl) is expected


@pytest.mark.clause("RFC 5280", "6.3.3")
@pytest.mark.parametrize(
    ("point", "leaf", "authority"),
    [
        (_point(OWN), True, False),
        (_point([*OTHER, *OWN]), True, False),
        (_point(OTHER), False, False),
        (_point(users=True), True, False),
        (_point(authorities=True), False, True),
        (_point(attributes=True), False, False),
    ],
)
def test_a_list_speaks_of_the_certificates_of_its_kind_that_name_it(
    point: x509.IssuingDistributionPoint, leaf: bool, authority: bool
) -> None:
    crl = _crl((point, True))
    assert crl_scope.speaks_of(crl, LEAF) is leaf
    assert crl_scope.speaks_of(crl, AUTHORITIES.issuing.certificate) is authority
