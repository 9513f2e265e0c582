"""OCSP responses made with `cryptography` alone, signed by a delegated responder."""

import datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp as x509_ocsp

from tests.support import hierarchy


def ocsp_response(
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    responder: hierarchy.Holder,
    at: datetime.datetime,
    *,
    revoked_at: datetime.datetime | None = None,
) -> bytes:
    """What the responder says at a time: good, or revoked since `revoked_at`."""
    revoked = revoked_at is not None
    builder = (
        x509_ocsp.OCSPResponseBuilder()
        .add_response(
            cert=certificate,
            issuer=issuer,
            algorithm=hashes.SHA1(),  # noqa: S303 - the usual CertID hash
            cert_status=x509_ocsp.OCSPCertStatus.REVOKED
            if revoked
            else x509_ocsp.OCSPCertStatus.GOOD,
            this_update=at,
            next_update=at + datetime.timedelta(hours=1),
            revocation_time=revoked_at,
            revocation_reason=x509.ReasonFlags.key_compromise if revoked else None,
        )
        .responder_id(x509_ocsp.OCSPResponderEncoding.HASH, responder.certificate)
        .certificates([responder.certificate])
    )
    # The library signs with producedAt of the machine's clock.
    return builder.sign(responder.key, hashes.SHA256()).public_bytes(  # type: ignore[arg-type]
        serialization.Encoding.DER
    )
