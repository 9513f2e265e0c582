import dataclasses
import datetime
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ca import throwaway
from ca.crls import entries, frame, lint

AT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
DAY = datetime.timedelta(days=1)
URL = "http://pki.example.com/crl/citizen.crl"
FULL = frame.Header(7, None, AT, AT + DAY, URL, "http://pki.example.com/crl/citizen/delta.crl")
DELTA = frame.Header(8, 7, AT, AT + DAY, URL, None)

Extensions = list[tuple[x509.ExtensionType, bool]]


def _signed(issuing, header: frame.Header, change: Callable[[Extensions], Extensions]) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuing.issuer.subject)
        .last_update(header.this_update)
        .next_update(header.next_update)
    )
    for extension, critical in change(list(frame.extensions(issuing, header))):
        builder = builder.add_extension(extension, critical)
    kind = issuing.issuer.key_kind
    signed = builder.sign(throwaway.key_like(kind), kind.hash_algorithm.hasher)
    return signed.public_bytes(serialization.Encoding.DER)


def _flip(kind: type[x509.ExtensionType]) -> Callable[[Extensions], Extensions]:
    return lambda found: [
        (one, not critical if isinstance(one, kind) else critical) for one, critical in found
    ]


def _drop(kind: type[x509.ExtensionType]) -> Callable[[Extensions], Extensions]:
    return lambda found: [one for one in found if not isinstance(one[0], kind)]


@pytest.mark.parametrize("header", [FULL, DELTA], ids=["full", "delta"])
def test_a_good_frame_has_no_finding(issuing, header: frame.Header) -> None:
    assert lint.frame_findings(frame.build(issuing, header), issuing, header) == []


@pytest.mark.parametrize(
    ("header", "change"),
    [
        (DELTA, _flip(x509.DeltaCRLIndicator)),
        (DELTA, _drop(x509.DeltaCRLIndicator)),
        (DELTA, _flip(x509.IssuingDistributionPoint)),
        (FULL, _drop(x509.IssuingDistributionPoint)),
        (FULL, _drop(x509.CRLNumber)),
        (FULL, _drop(x509.AuthorityKeyIdentifier)),
        (FULL, _flip(x509.FreshestCRL)),
        (FULL, _drop(x509.UnrecognizedExtension)),
        (FULL, lambda found: [*found, (x509.DeltaCRLIndicator(1), True)]),
    ],
)
def test_a_frame_with_a_defect_is_found(issuing, header: frame.Header, change) -> None:
    assert lint.frame_findings(_signed(issuing, header, change), issuing, header)


@pytest.mark.parametrize(
    "header",
    [
        dataclasses.replace(DELTA, base_number=8),
        dataclasses.replace(DELTA, delta_url=URL),
        dataclasses.replace(FULL, next_update=AT),
    ],
    ids=["base not before", "delta of a delta", "no time"],
)
def test_a_header_that_breaks_a_rule_is_found(issuing, header: frame.Header) -> None:
    later = dataclasses.replace(header, next_update=AT + DAY)
    assert lint.frame_findings(frame.build(issuing, later), issuing, header)


def test_times_and_issuer_that_were_not_decided_are_found(issuing) -> None:
    crl_der = frame.build(issuing, FULL)
    future = dataclasses.replace(FULL, this_update=AT + DAY / 2)
    assert lint.frame_findings(crl_der, issuing, future)
    other = dataclasses.replace(issuing, certificate=issuing.above[0])
    assert lint.frame_findings(crl_der, other, FULL)


@pytest.mark.parametrize(
    ("piece", "count"),
    [
        (b"\x30\x03\x02\x01", 1),
        (entries.encode(1, AT, 1), 2),
        (entries.encode(1, AT, 1)[:-1] + b"", 1),
    ],
    ids=["cut", "miscounted", "shortened"],
)
def test_entries_that_are_not_entries_are_refused_before_signing(
    issuing, piece: bytes, count: int
) -> None:
    joined = entries.JoinedEntries((piece,), count, ())
    crl_der = frame.build(issuing, FULL)
    with pytest.raises(lint.CRLRefusedError):
        lint.check(issuing, FULL, crl_der, joined, frame.join(crl_der, joined))
