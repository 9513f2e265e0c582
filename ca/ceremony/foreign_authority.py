"""Another country's authority, as it hands itself over: a request, or its certificate."""

import dataclasses
import datetime
import hashlib
import pathlib

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from ca import csr
from pki import algorithms, certificates, errors

MAX_FILE_BYTES = 64 * 2**10


class ForeignAuthorityError(errors.InputError):
    """The file is not what was agreed, or not an authority's."""

    code = "foreign-authority"


@dataclasses.dataclass(frozen=True)
class ForeignAuthority:
    """Whom a cross-certificate names.

    Attributes:
        subject: Its name, to the letter.
        public_key: Its key.
        not_after: The end of its own certificate; None for a request.
    """

    subject: x509.Name
    public_key: algorithms.PublicKey
    not_after: datetime.datetime | None


def load(path: pathlib.Path) -> bytes:
    """Read a file, no more of it than one of these can have.

    Raises:
        ForeignAuthorityError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise ForeignAuthorityError(f"{path} cannot be read: {error.strerror}") from error


def read(content: bytes, sha256: str) -> ForeignAuthority:
    """Read a PKCS#10 request or a certificate, in DER or PEM.

    Args:
        content: The file.
        sha256: Its hash, in hex, as its owner told it by another way.

    Raises:
        ForeignAuthorityError: Another file, no authority, or no proof that it has the key.
        CSRError: The request is malformed or does not prove possession of its key.
    """
    if len(content) > MAX_FILE_BYTES:
        raise ForeignAuthorityError(f"expected a file of at most {MAX_FILE_BYTES} bytes")
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise ForeignAuthorityError(f"expected the file of SHA-256 {sha256}, got {found}")
    try:
        if b"-----BEGIN CERTIFICATE-----" in content:
            return _of_certificate(certificates.to_der(x509.load_pem_x509_certificate(content)))
        if content.lstrip().startswith(b"-----BEGIN"):
            request = x509.load_pem_x509_csr(content)
            return _of_request(request.public_bytes(serialization.Encoding.DER))
    except ValueError as error:
        raise ForeignAuthorityError("expected PEM of a request or a certificate") from error
    try:
        certificates.parse(content)
    except certificates.CertificateError:
        return _of_request(content)
    return _of_certificate(content)


def _of_request(csr_der: bytes) -> ForeignAuthority:
    key = csr.parse(csr_der).public_key
    return ForeignAuthority(x509.load_der_x509_csr(csr_der).subject, key, None)


def _of_certificate(certificate_der: bytes) -> ForeignAuthority:
    certificate = certificates.parse(certificate_der)
    facts = certificates.read(certificate)
    if not facts.is_authority or certificates.KeyUsage.keyCertSign not in facts.key_usage:
        raise ForeignAuthorityError("expected the certificate of an authority")
    key = certificates.public_key(certificate)
    computed = x509.SubjectKeyIdentifier.from_public_key(key).digest
    if facts.subject_key_identifier != computed:
        # What it issues points at its own identifier; ours would be another one
        # (RFC 5280 4.2.1.2), and paths would not be found.
        raise ForeignAuthorityError("expected a key identifier that is the SHA-1 of the key")
    if certificate.subject == certificate.issuer:
        certificates.check_issued_by(certificate, certificate)
    return ForeignAuthority(certificate.subject, key, certificate.not_valid_after_utc)
