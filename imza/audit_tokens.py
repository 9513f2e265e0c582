"""Time stamps for the audit log's anchors: `ca` writes anchors, `tsa` knows time stamps."""

import datetime
import hashlib

from cryptography import x509

from ca.audit_log import anchors, proof
from pki import algorithms, certificates, errors, outbound
from tsa import client as tsa_client
from tsa import messages, signed_token

MAX_PATH = 4


class TokenPathError(errors.InputError):
    """The time-stamping unit was not certified below the given root."""

    code = "audit-token-path"


def stamper(client: outbound.Client, url: str) -> anchors.Stamp:
    """Return what asks an authority for a token over a SHA-256 hash."""

    def stamp(digest: bytes, at: datetime.datetime) -> bytes:
        imprint = messages.MessageImprint(algorithms.HashAlgorithm.SHA256, digest)
        return tsa_client.request_time_stamp(client, url, imprint, at).token_der

    return stamp


def checker(root: x509.Certificate | None) -> proof.CheckToken:
    """Return what checks a token over a statement.

    Args:
        root: Below which the unit must have been certified; None judges the token's signature
            alone, which anybody can make.
    """

    def check(token_der: bytes, statement: bytes) -> datetime.datetime:
        token = signed_token.parse_token(token_der)
        digest = hashlib.sha256(statement).digest()
        unit = tsa_client.check_token(
            token, messages.MessageImprint(algorithms.HashAlgorithm.SHA256, digest)
        )
        if root is not None:
            _check_path(unit, token.certificates, root, token.info.gen_time)
        return token.info.gen_time

    return check


def _check_path(
    unit: x509.Certificate,
    sent: tuple[x509.Certificate, ...],
    root: x509.Certificate,
    at: datetime.datetime,
) -> None:
    """Climb from the unit to the root; status is not asked, since anchors outlive certificates."""
    certificate = unit
    for _ in range(MAX_PATH):
        above = next((one for one in (root, *sent) if one.subject == certificate.issuer), None)
        if above is None:
            break
        certificates.check_issued_by(certificate, above)
        facts = certificates.read(above)
        if not facts.is_authority or certificates.KeyUsage.keyCertSign not in facts.key_usage:
            break
        if not facts.not_before <= at <= facts.not_after:
            break
        if above == root:
            return
        certificate = above
    raise TokenPathError("the time-stamping unit was not certified below the given root")
