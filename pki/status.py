"""Whether a certificate was revoked: the words that CA, OCSP and validation share."""

import dataclasses
import datetime
import enum

from pki import errors


class RevocationReason(enum.Enum):
    """Why a certificate was revoked, numbered and spelled as in RFC 5280 5.3.1.

    7 is not used there, and `removeFromCRL` (8) is no reason that a revocation can have.
    """

    unspecified = 0
    keyCompromise = 1
    cACompromise = 2
    affiliationChanged = 3
    superseded = 4
    cessationOfOperation = 5
    certificateHold = 6
    privilegeWithdrawn = 9
    aACompromise = 10

    @classmethod
    def from_name(cls, name: str) -> "RevocationReason":
        """Return the reason of that name, or raise `InputError`."""
        try:
            return cls[name]
        except KeyError as error:
            raise errors.InputError(
                f"expected a reason of {', '.join(one.name for one in cls)}, got another"
            ) from error


@dataclasses.dataclass(frozen=True)
class CertificateStatus:
    """The status of a certificate that was issued; good where `revoked_at` is None.

    Attributes:
        revoked_at: When the revocation took effect.
        reason: None unless revoked.
        invalidity_date: Since when the key is thought to be compromised, where that is known
            (RFC 5280 5.3.2).
    """

    revoked_at: datetime.datetime | None = None
    reason: RevocationReason | None = None
    invalidity_date: datetime.datetime | None = None

    @property
    def is_good(self) -> bool:
        """Whether the certificate is not revoked."""
        return self.revoked_at is None
