"""What the certificates of a path forbid each other, whatever the time (RFC 5280 4.2, 6.1)."""

import datetime
import itertools

from cryptography import exceptions, x509

from signing_service.validation import policy
from signing_service.validation.cms import foreign_keys

_UNDERSTOOD = frozenset(
    {
        x509.BasicConstraints.oid,
        x509.KeyUsage.oid,
        x509.ExtendedKeyUsage.oid,
        x509.CertificatePolicies.oid,
        x509.SubjectAlternativeName.oid,
    }
)
"""Critical extensions that are obeyed here; a path with any other is refused (RFC 5280 4.2)."""

_FAULTS = (
    ValueError,
    TypeError,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
    exceptions.UnsupportedAlgorithm,
)


def find_problem(path: tuple[x509.Certificate, ...]) -> str | None:
    """Say what forbids a certificate its place in the path, or None."""
    for depth, certificate in enumerate(path[:-1]):
        problem = _problem(certificate, depth)
        if problem:
            return problem
    return _anchor_problem(path[-1], len(path) - 1)


def find_weakness(
    path: tuple[x509.Certificate, ...], rules: policy.ValidationPolicy, at: datetime.datetime
) -> str | None:
    """Say which signature or key of the issuers could not be relied on at a time, or None.

    Whoever can find two certificates with one hash, or an issuer's key, makes certificates for
    everybody. An anchor's own signature says nothing and is not looked at.
    """
    for certificate, issuer in itertools.pairwise(path):
        try:
            hasher = certificate.signature_hash_algorithm
            key = foreign_keys.of_certificate(issuer)
        except _FAULTS:
            return "a certificate of the path is signed with an algorithm that is not known"
        used = frozenset() if hasher is None else frozenset({hasher.name.replace("-", "_")})
        weakness = rules.weakness(key, used, at)
        if weakness:
            return f"in a certificate of the path, {weakness}"
    return None


def _problem(certificate: x509.Certificate, depth: int) -> str | None:
    """What is wrong with a certificate below the anchor; `depth` 0 is the one judged."""
    try:
        extensions = certificate.extensions
        unknown = [one.oid for one in extensions if one.critical and one.oid not in _UNDERSTOOD]
        if unknown:
            return f"a certificate has the critical extension {unknown[0].dotted_string}"
        if any(one.oid == x509.NameConstraints.oid for one in extensions):
            # RFC 5280 4.2.1.10 wants it critical; that somebody forgot lifts no constraint.
            return "an issuer's certificate constrains names, which is not evaluated here"
        if depth == 0:
            return None
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return "an issuer's certificate does not say that it may issue"
    except _FAULTS:
        return "a certificate of the path has an extension that cannot be read"
    return _issuer_problem(constraints, usage, depth)


def _anchor_problem(anchor: x509.Certificate, depth: int) -> str | None:
    """What forbids an anchor to issue; old roots without extensions may (RFC 5280 6.1.1 (d))."""
    if depth == 0:
        # The certificate judged is trusted itself.
        return None
    try:
        extensions = {one.oid: one.value for one in anchor.extensions}
    except _FAULTS:
        return "the trust anchor has an extension that cannot be read"
    if x509.NameConstraints.oid in extensions:
        return "the trust anchor constrains names, which is not evaluated here"
    constraints = extensions.get(x509.BasicConstraints.oid)
    usage = extensions.get(x509.KeyUsage.oid)
    if constraints is None and anchor.issuer != anchor.subject:
        # A person's certificate that somebody trusts makes no authority of the person.
        return "the trust anchor does not say that it may issue"
    return _issuer_problem(
        constraints if isinstance(constraints, x509.BasicConstraints) else None,
        usage if isinstance(usage, x509.KeyUsage) else None,
        depth,
    )


def _issuer_problem(
    constraints: x509.BasicConstraints | None, usage: x509.KeyUsage | None, depth: int
) -> str | None:
    if (constraints is not None and not constraints.ca) or (
        usage is not None and not usage.key_cert_sign
    ):
        return "an issuer's certificate does not allow it to issue"
    # RFC 5280 4.2.1.9: the certificates between this issuer and the last certificate.
    length = None if constraints is None else constraints.path_length
    if length is not None and depth - 1 > length:
        return "the path is longer than an issuer's certificate allows"
    return None
