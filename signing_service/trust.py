"""Where path building stops: certificates that are trusted because somebody decided so."""

import dataclasses
import pathlib
from collections.abc import Iterable

from cryptography import x509

from pki import certificates, errors
from signing_service.lists import listed_services

MAX_PEM_BYTES = 16 * 2**20
"""A file of trust anchors holds some thousand certificates at most."""


class TrustFileError(errors.InputError):
    """A file of trust anchors cannot be read."""

    code = "trust-file"


@dataclasses.dataclass(frozen=True)
class TrustAnchors:
    """The anchors of one validation; none means that no signature can pass.

    Attributes:
        services: Those of the trusted lists in use, good or not: they say what is qualified.
    """

    certificates: tuple[x509.Certificate, ...] = ()
    services: tuple[listed_services.ListedService, ...] = ()

    def __contains__(self, certificate: object) -> bool:
        """Whether a certificate is an anchor, by its bytes."""
        return certificate in self.certificates


def load(paths: Iterable[pathlib.Path]) -> TrustAnchors:
    """Read trust anchors from PEM files.

    Raises:
        TrustFileError: A file is missing, too large, or holds no certificate.
    """
    found: dict[bytes, x509.Certificate] = {}
    for path in paths:
        try:
            if path.stat().st_size > MAX_PEM_BYTES:
                raise TrustFileError(f"expected a PEM file, {path.name} is far too large for one")
            anchors = x509.load_pem_x509_certificates(path.read_bytes())
        except OSError as error:
            raise TrustFileError(f"cannot read the trust anchors in {path}") from error
        except ValueError as error:
            raise TrustFileError(f"expected PEM certificates in {path.name}") from error
        for anchor in anchors:
            found[certificates.to_der(anchor)] = anchor
    return TrustAnchors(tuple(found.values()))
