"""Judging a list before it is signed: by our own rules, by a strict parser, by pkilint.

pkilint would take hours for a million entries. It judges the frame with some of the entries; all
of them are read by a strict parser, and each was checked on its own when it was stored.
"""

import datetime
from collections.abc import Mapping

from cryptography import x509

from ca import authority, peer_lint
from ca.crls import entries, frame
from pki import certificates, errors

CRITICALITY: Mapping[x509.ObjectIdentifier, bool] = {
    x509.AuthorityKeyIdentifier.oid: False,
    x509.CRLNumber.oid: False,
    x509.DeltaCRLIndicator.oid: True,
    x509.IssuingDistributionPoint.oid: True,
    x509.FreshestCRL.oid: False,
}
"""RFC 5280 5.2.1, 5.2.3 to 5.2.6; pkilint lets a delta indicator pass that is not critical."""


class CRLRefusedError(errors.StateError):
    """A list would break a rule; nothing was signed."""

    code = "crl-refused"


def check(
    issuing: authority.CertificationAuthority,
    header: frame.Header,
    frame_der: bytes,
    joined: entries.JoinedEntries,
    to_be_signed: frame.ToBeSigned,
) -> None:
    """Check a list that is about to be signed.

    Raises:
        CRLRefusedError: It breaks a rule.
    """
    sample = entries.JoinedEntries(joined.samples, len(joined.samples), joined.samples)
    tail_der = authority.tail(frame_der)
    sample_der = frame.whole(frame.join(frame_der, sample), tail_der)
    found = [*frame_findings(sample_der, issuing, header), *peer_lint.crl_findings(sample_der)]
    try:
        whole = x509.load_der_x509_crl(frame.whole(to_be_signed, tail_der))
    except ValueError as error:
        raise CRLRefusedError("the list's entries are not DER: nothing was signed") from error
    if len(whole) != joined.count:
        found.append(f"expected {joined.count} entries, got {len(whole)}")
    if found:
        raise CRLRefusedError(f"the list would break RFC 5280: {', '.join(found)}")


def frame_findings(
    crl_der: bytes, issuing: authority.CertificationAuthority, header: frame.Header
) -> list[str]:
    """What of a list, apart from its entries, is not what it has to say."""
    crl = x509.load_der_x509_crl(crl_der)
    found = []
    if crl.issuer != issuing.certificate.subject:
        found.append("expected the issuer's subject name")
    if crl.last_update_utc != header.this_update or crl.next_update_utc != header.next_update:
        found.append("expected the times that were decided")
    if header.next_update - header.this_update < datetime.timedelta(seconds=1):
        found.append("expected an end after the beginning")
    if header.base_number is not None and header.base_number >= header.number:
        found.append("expected a base before the delta (RFC 5280 5.2.4)")
    if header.base_number is not None and header.delta_url is not None:
        found.append("expected no delta of a delta (RFC 5280 5.2.6)")
    expected = {one.oid: (one, critical) for one, critical in frame.extensions(issuing, header)}
    present = {one.oid: (one.value, one.critical) for one in crl.extensions}
    for oid in expected.keys() | present.keys():
        if expected.get(oid) != present.get(oid):
            found.append(f"expected another extension {oid.dotted_string}, or none")
    for kind, critical in CRITICALITY.items():
        if kind in present and present[kind][1] is not critical:
            word = "critical" if critical else "not critical"
            found.append(f"expected the extension {kind.dotted_string} to be {word}")
    hasher = crl.signature_hash_algorithm
    wanted = issuing.issuer.key_kind.hash_algorithm.hasher
    if hasher is None or hasher.name != wanted.name:
        found.append("expected the hash of the issuer's key")
    if certificates.key_sha256(issuing.issuer.key.public_key) != certificates.key_sha256(
        issuing.certificate.public_key()  # type: ignore[arg-type]  # its kind was checked at load
    ):
        found.append("expected the key of the issuer's certificate")
    return found
