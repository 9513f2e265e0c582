"""The rules signatures are judged by (EN 319 102-1 5.1.4, TS 119 312): built in, or from a file."""

import dataclasses
import datetime
import pathlib
from collections.abc import Mapping, Sequence

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pki import errors, settings
from signing_service import trust
from signing_service.validation import evidence

DIGEST_NAMES = {
    "SHA-1": "sha1",
    "SHA-224": "sha224",
    "SHA-256": "sha256",
    "SHA-384": "sha384",
    "SHA-512": "sha512",
    "SHA3-256": "sha3_256",
    "SHA3-384": "sha3_384",
    "SHA3-512": "sha3_512",
}
"""What a policy may name, and hashlib's names. MD5 is not among them: whatever it is said of."""

QUALIFIED = ("AdESig-QC", "AdESeal-QC", "QESig", "QESeal")
"""What a policy may demand, least first of each kind; a qualified signature is also advanced."""


class PolicyFileError(errors.InputError):
    """A policy's file cannot be read, or says what no policy can."""

    code = "validation-policy"


class UnknownPolicyError(errors.InputError):
    """No policy of that name is known here."""

    code = "validation-policy-unknown"


@dataclasses.dataclass(frozen=True)
class DigestRule:
    """A hash function, and the last day on which it may be relied on (None: not known yet)."""

    name: str
    until: datetime.date | None = None


@dataclasses.dataclass(frozen=True)
class KeyRule:
    """Keys of at least so many bits, and the last day on which they may be relied on."""

    bits: int
    until: datetime.date | None = None


@dataclasses.dataclass(frozen=True)
class ValidationPolicy:
    """What is demanded of a signature beyond being intact; the fields are those of a policy file.

    Algorithms are judged for the time at which the signature is proven to have existed.

    Attributes:
        name: Stands in the report.
        digests: Those that may be relied on.
        rsa: RSA keys that may be relied on. Shorter ones than we issue: TS 119 312 lets keys of
            2048 bits verify longer than it lets them sign.
        ecdsa: The same for elliptic curves.
        clock_skew: How far another machine's clock may be ahead of ours.
        claimed_time_skew: How far the signer's claimed time may lie behind a proven one.
        require_time_stamp: A signature whose time nothing proves does not pass.
        require_qualified: What it must be by the trusted lists, such as `AdESig-QC`, where several
            will do the least of them; empty: anything.
    """

    name: str = "imza-ades-1"
    digests: tuple[DigestRule, ...] = tuple(
        DigestRule(one) for one in DIGEST_NAMES if one not in {"SHA-1", "SHA-224"}
    )
    rsa: tuple[KeyRule, ...] = (KeyRule(2048),)
    ecdsa: tuple[KeyRule, ...] = (KeyRule(256),)
    clock_skew: datetime.timedelta = datetime.timedelta(minutes=5)
    claimed_time_skew: datetime.timedelta = datetime.timedelta(minutes=5)
    require_time_stamp: bool = False
    require_qualified: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that nothing has.

        Raises:
            PolicyFileError: A hash function or a kind of signature is not known.
        """
        for digest in self.digests:
            if digest.name not in DIGEST_NAMES:
                raise PolicyFileError(
                    f"digests: expected one of {', '.join(DIGEST_NAMES)}, got {digest.name[:40]!r}"
                )
        for kind in self.require_qualified:
            if kind not in QUALIFIED:
                raise PolicyFileError(
                    f"require_qualified: expected some of {', '.join(QUALIFIED)}, got {kind[:40]!r}"
                )

    def weakness(
        self, public_key: object, digest_algorithms: frozenset[str], at: datetime.datetime
    ) -> str | None:
        """Say what is too weak to be relied on at a time, or None.

        Args:
            public_key: As `cryptography` has it; None for one that it does not know.
            digest_algorithms: By hashlib's names.
            at: When what they protect is known to have existed.
        """
        reliable = {DIGEST_NAMES[one.name] for one in self.digests if _holds(one.until, at)}
        weak = sorted(digest_algorithms - reliable)
        if weak:
            return f"the hash algorithm {weak[0]} may no longer be relied on"
        if isinstance(public_key, rsa.RSAPublicKey):
            if not _suffices(public_key.key_size, self.rsa, at):
                return f"an RSA key of {public_key.key_size} bits may no longer be relied on"
            return None
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            if not _suffices(public_key.curve.key_size, self.ecdsa, at):
                return f"a key on {public_key.curve.name} may no longer be relied on"
            return None
        return "the kind of the signer's key is not one that may be relied on"


def _suffices(bits: int, rules: tuple[KeyRule, ...], at: datetime.datetime) -> bool:
    return any(one.bits <= bits and _holds(one.until, at) for one in rules)


def _holds(until: datetime.date | None, at: datetime.datetime) -> bool:
    return until is None or at.date() <= until


DEFAULT = ValidationPolicy()


def load(path: pathlib.Path) -> ValidationPolicy:
    """Read a policy from a TOML file; what it leaves out is as in the built-in one.

    Raises:
        SettingsError: Not TOML, or an entry is unknown or of another type.
        PolicyFileError: It names something that does not exist, or is not called anything new.
    """
    found = settings.read_section(ValidationPolicy, settings.read_file(path), name=path.name)
    if found.name == DEFAULT.name:
        raise PolicyFileError(f"{path.name}: expected a name of its own, got {found.name!r}")
    return found


def load_all(paths: Sequence[pathlib.Path]) -> Mapping[str, ValidationPolicy]:
    """Read several policies, by their names; the built-in one is always among them.

    Raises:
        SettingsError: As `load`.
        PolicyFileError: As `load`, or two have the same name.
    """
    found = {DEFAULT.name: DEFAULT}
    for path in paths:
        one = load(path)
        if one.name in found:
            raise PolicyFileError(f"{path.name}: there is another policy called {one.name!r}")
        found[one.name] = one
    return found


def named(policies: Mapping[str, ValidationPolicy], name: str | None) -> ValidationPolicy:
    """Return the policy of a name; None is the built-in one.

    Raises:
        UnknownPolicyError: There is none.
    """
    found = policies.get(DEFAULT.name if name is None else name)
    if found is None:
        raise UnknownPolicyError(f"policy: expected one of {', '.join(sorted(policies))}")
    return found


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
