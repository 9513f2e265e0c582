"""The rules signatures are judged by (EN 319 102-1 5.2.4, TS 119 312)."""

import dataclasses
import datetime

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from signing_service import trust
from signing_service.validation import evidence


@dataclasses.dataclass(frozen=True)
class ValidationPolicy:
    """What is demanded of a signature beyond being intact.

    Attributes:
        name: Stands in the report.
        digest_algorithms: Those that may be relied on.
        min_rsa_bits: In a signing certificate's key. Lower than what we issue, since TS 119 312
            lets RSA keys of 2048 bits verify for some years.
        min_ec_bits: The same for elliptic curves.
        clock_skew: How far another machine's clock may be ahead of ours.
        claimed_time_skew: How far the signer's claimed time may lie behind a proven one.
    """

    name: str = "imza-ades-1"
    digest_algorithms: frozenset[str] = frozenset(
        {"sha256", "sha384", "sha512", "sha3_256", "sha3_384", "sha3_512"}
    )
    min_rsa_bits: int = 2048
    min_ec_bits: int = 256
    clock_skew: datetime.timedelta = datetime.timedelta(minutes=5)
    claimed_time_skew: datetime.timedelta = datetime.timedelta(minutes=5)

    def weakness(self, public_key: object, digest_algorithms: frozenset[str]) -> str | None:
        """Say what is too weak to be relied on, or None."""
        weak = sorted(digest_algorithms - self.digest_algorithms)
        if weak:
            return f"the hash algorithm {weak[0]} may no longer be relied on"
        if isinstance(public_key, rsa.RSAPublicKey):
            if public_key.key_size < self.min_rsa_bits:
                return f"an RSA key of {public_key.key_size} bits may no longer be relied on"
            return None
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            if public_key.curve.key_size < self.min_ec_bits:
                return f"a key on {public_key.curve.name} may no longer be relied on"
            return None
        return "the kind of the signer's key is not one that may be relied on"


DEFAULT = ValidationPolicy()


@dataclasses.dataclass(frozen=True)
class Circumstances:
    """What a judgement is made with; nothing else is consulted.

    Attributes:
        evidence: Certificates and statuses.
        anchors: Where paths may end.
        policy: The rules.
        asked_at: When the authorities were asked; None where they were not.
    """

    evidence: evidence.Evidence
    anchors: trust.TrustAnchors
    policy: ValidationPolicy
    asked_at: datetime.datetime | None = None
