"""What a careful relying party checks of an OCSP answer, with `cryptography` alone."""

import base64
import dataclasses
import datetime
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp as x509_ocsp

SKEW = datetime.timedelta(seconds=5)
"""Both clocks are this machine's; whole seconds and a busy machine make the rest."""

Hash = hashes.SHA1 | hashes.SHA256

STATUSES = {
    x509_ocsp.OCSPCertStatus.GOOD: "good",
    x509_ocsp.OCSPCertStatus.REVOKED: "revoked",
    x509_ocsp.OCSPCertStatus.UNKNOWN: "unknown",
}


class WrongAnswerError(AssertionError):
    """An answer that must not be, whatever happened to the service."""


@dataclasses.dataclass(frozen=True)
class Question:
    """A certificate by its number, and its issuer."""

    issuer: x509.Certificate
    serial_number: int

    def build(self, algorithm: Hash, nonce: bytes | None = None) -> bytes:
        """The request's DER."""
        name_hash, key_hash = self.identity(algorithm)
        builder = x509_ocsp.OCSPRequestBuilder().add_certificate_by_hash(
            name_hash, key_hash, self.serial_number, algorithm
        )
        if nonce is not None:
            builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
        return builder.build().public_bytes(serialization.Encoding.DER)

    def identity(self, algorithm: Hash) -> tuple[bytes, bytes]:
        """The hashes of the issuer's name and key (RFC 6960 4.1.1)."""
        return _identity(self.issuer, algorithm)


def _identity(issuer: x509.Certificate, algorithm: Hash) -> tuple[bytes, bytes]:
    name = hashes.Hash(algorithm)
    name.update(issuer.subject.public_bytes())
    if isinstance(algorithm, hashes.SHA1):
        key = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest
    else:
        digest = hashes.Hash(algorithm)
        digest.update(
            issuer.public_key().public_bytes(
                serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
            )
        )
        key = digest.finalize()
    return name.finalize(), key


def path_of(request_der: bytes) -> str:
    """The path of a GET, below the responder's address (RFC 6960 A.1)."""
    return urllib.parse.quote(base64.b64encode(request_der), safe="")


class Checker:
    """Checks answers; bytes whose signature was verified once are not verified again.

    Attributes:
        signers: The serial numbers of the certificates whose keys signed.
    """

    def __init__(self) -> None:
        self.signers: set[int] = set()
        self._verified: set[bytes] = set()

    def check(
        self,
        response_der: bytes,
        question: Question,
        algorithm: Hash,
        at: datetime.datetime,
        nonce: bytes | None = None,
    ) -> str:
        """Return `good`, `revoked`, `unknown`, or `error: NAME` of an unsigned error.

        Raises:
            WrongAnswerError: Not about what was asked, not signed by whom the issuer lets, of
                another time, or without the nonce.
        """
        try:
            response = x509_ocsp.load_der_ocsp_response(response_der)
        except ValueError as error:
            raise WrongAnswerError(f"no OCSP response: {response_der[:64].hex()}") from error
        if response.response_status is not x509_ocsp.OCSPResponseStatus.SUCCESSFUL:
            return f"error: {response.response_status.name}"
        (single,) = response.responses
        _expect(single.serial_number == question.serial_number, "another serial number")
        _expect(
            (single.issuer_name_hash, single.issuer_key_hash) == question.identity(algorithm),
            "another issuer",
        )
        _expect(single.this_update_utc <= at + SKEW, "thisUpdate in the future")
        _expect(response.produced_at_utc <= at + SKEW, "producedAt in the future")
        status = STATUSES[single.certificate_status]
        end = single.next_update_utc
        _expect(end is not None or status == "unknown", "no nextUpdate")
        if end is not None:
            _expect(end >= at - SKEW, f"nextUpdate {end} has passed")
        if nonce is not None:
            found = response.extensions.get_extension_for_class(x509.OCSPNonce).value
            _expect(found.nonce == nonce, "another nonce")
        (signer,) = response.certificates
        # RFC 6960 4.2.2.2; invariant 15: no answer outlives its signer's certificate.
        _expect(end is None or end <= signer.not_valid_after_utc, "outlives its signer")
        _expect(signer.not_valid_before_utc <= at <= signer.not_valid_after_utc, "signer ended")
        if response_der not in self._verified:
            self._verify(response, signer, question.issuer)
            self.signers.add(signer.serial_number)
            if nonce is None:
                self._verified.add(response_der)
        return status

    @staticmethod
    def _verify(
        response: x509_ocsp.OCSPResponse, signer: x509.Certificate, issuer: x509.Certificate
    ) -> None:
        signer.verify_directly_issued_by(issuer)
        usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        _expect(x509.ExtendedKeyUsageOID.OCSP_SIGNING in usage, "signer may not answer")
        key, algorithm = signer.public_key(), response.signature_hash_algorithm
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert algorithm is not None
        key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))


def _expect(holds: bool, otherwise: str) -> None:
    if not holds:
        raise WrongAnswerError(otherwise)
