"""Reading PKCS#10 requests: the key, and the proof that its owner has the private half."""

import dataclasses

from cryptography import exceptions, x509
from cryptography.hazmat.primitives.asymmetric import rsa

from pki import algorithms, certificates, errors

MAX_CSR_BYTES = 16 * 2**10
"""A request with an RSA key and a few attributes has about two kilobytes."""

_HASHES = frozenset(one.short_name for one in algorithms.HashAlgorithm)


class CSRError(errors.InputError):
    """The bytes are not a PKCS#10 request that can be accepted."""

    code = "csr-malformed"


class ProofOfPossessionError(errors.InputError):
    """The request was not signed by the key it asks a certificate for."""

    code = "proof-of-possession"


@dataclasses.dataclass(frozen=True)
class CertificationRequest:
    """A request whose proof of possession was checked.

    Only its key counts: the subject of a certificate is the vetted one, never the requested.
    """

    public_key: algorithms.PublicKey
    key_kind: algorithms.KeyKind
    key_sha256: str


def parse(csr_der: bytes) -> CertificationRequest:
    """Read a request and check its proof of possession (RFC 2986 4.2).

    Raises:
        CSRError: Not a DER PKCS#10 request, too large, or signed with a weak hash.
        UnsupportedAlgorithmError: A key that is not certified here.
        ProofOfPossessionError: The signature is another key's.
    """
    if len(csr_der) > MAX_CSR_BYTES:
        raise errors.LimitError(
            f"expected a request of at most {MAX_CSR_BYTES} bytes, got {len(csr_der)}"
        )
    try:
        request = x509.load_der_x509_csr(csr_der)
        public_key = request.public_key()
        hasher = request.signature_hash_algorithm
        kind = algorithms.key_kind(public_key)
        proven = request.is_signature_valid
    except errors.InputError:
        raise
    except (
        ValueError,
        TypeError,
        exceptions.UnsupportedAlgorithm,
        x509.InvalidVersion,
    ) as error:
        raise CSRError("expected a PKCS#10 request in DER, got something else") from error
    if hasher is None or hasher.name not in _HASHES:
        raise CSRError("expected a request signed with SHA-256, SHA-384 or SHA-512")
    if not proven:
        raise ProofOfPossessionError(
            "the request is not signed by its own key: make it again with the private key"
        )
    check_exponent(public_key)
    return CertificationRequest(
        public_key,  # type: ignore[arg-type]  # key_kind let EC and RSA keys through alone
        kind,
        certificates.key_sha256(public_key),  # type: ignore[arg-type]
    )


def check_exponent(public_key: object) -> None:
    """Refuse an RSA exponent that RFC 8017 allows but that is not safe in practice.

    Raises:
        UnsupportedAlgorithmError: Even, below 65537 or very long.
    """
    # RFC 8017 allows any odd exponent; small ones make sloppy padding checks exploitable.
    if isinstance(public_key, rsa.RSAPublicKey):
        exponent = public_key.public_numbers().e
        if exponent % 2 == 0 or not 65537 <= exponent < 1 << 256:
            raise algorithms.UnsupportedAlgorithmError(
                "expected an odd RSA exponent from 65537 to 2^256"
            )
