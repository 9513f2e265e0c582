"""Attacks on time and trust: a revoked signer who wants to look earlier, keys used for another end.

The thief has the key of a certificate that was revoked two minutes ago, and can get time stamps
and write what he likes into documents. Nobody else has a key that he does not name.
"""

import datetime
from collections.abc import Callable

from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pki import der
from signing_service.validation.cades import attributes
from tests.support import broken_chains, hierarchy, signed_cms, statuses
from tests.support.attacks.attacker import CONTENT, Attack, Attacker
from tests.support.signed_cms import attribute

MINUTE = datetime.timedelta(minutes=1)
_STAMPING = ExtendedKeyUsageOID.TIME_STAMPING


class Thief(Attacker):
    """Has a key whose certificate was revoked, and a unit's that was found to be compromised."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.revoked_at = self.at - 2 * MINUTE
        self.before = self.at - 4 * MINUTE
        self.thief = self.world.signer("7TH13FX")
        self.broken_unit = self.world.time_stamping_unit()

    def lists(self) -> tuple[bytes, ...]:
        """What the authorities say today."""
        gone = {
            holder.certificate.serial_number: self.revoked_at
            for holder in (self.thief, self.broken_unit)
        }
        world = self.world
        return tuple(
            world.crl(one, gone, at=self.at)
            for one in (world.issuing, world.infrastructure, world.root)
        )

    def stolen(self) -> signed_cms.Cms:
        """Signed with the key, at a time before the revocation, as the signer says."""
        return signed_cms.sign(CONTENT, self.thief, self.before)

    def under(self, issuer: hierarchy.Holder, **wanted: object) -> hierarchy.Holder:
        """Somebody's certificate under an authority, with anything in it."""
        made = broken_chains.make_certificate(
            "somebody",
            broken_chains.Made(issuer.certificate, issuer.key),
            self.at,
            **wanted,
        )
        return hierarchy.Holder(made.certificate, made.key, issuer.chain)


def _stamped(
    unit: Callable[[Thief], hierarchy.Holder],
    *,
    kind: str = signed_cms.SIGNATURE_TIME_STAMP,
    over: Callable[[signed_cms.Cms], bytes] = lambda made: made.signers[0].value,
    when: Callable[[Thief], datetime.datetime] = lambda who: who.before,
) -> Callable[[Thief], bytes]:
    def make(who: Thief) -> bytes:
        made = who.stolen()
        token = signed_cms.stamp(unit(who), over(made), when(who))
        made.signers[0].unsigned.append(attribute(kind, token))
        return made.encode()

    return make


def _signed_by(holder: Callable[[Thief], hierarchy.Holder]) -> Callable[[Thief], bytes]:
    return lambda who: signed_cms.sign(CONTENT, holder(who), who.at).encode()


def claimed_time(who: Thief) -> bytes:
    return who.stolen().encode()


def list_from_before(who: Thief) -> bytes:
    made = who.stolen()
    world = who.world
    made.crls = (
        world.crl(world.issuing, at=who.before),
        world.crl(world.root, at=who.before),
    )
    return made.encode()


def answer_of_himself(who: Thief) -> bytes:
    made = who.stolen()
    good = statuses.ocsp_response(
        who.thief.certificate, who.world.issuing.certificate, who.thief, who.at
    )
    made.crls = (signed_cms.ocsp_entry(good),)
    return made.encode()


def answer_of_another_authority(who: Thief) -> bytes:
    made = who.stolen()
    sibling = who.world.ocsp_responder(who.world.infrastructure)
    good = statuses.ocsp_response(
        who.thief.certificate, who.world.issuing.certificate, sibling, who.at
    )
    made.crls = (signed_cms.ocsp_entry(good),)
    return made.encode()


def stamp_among_signed(who: Thief) -> bytes:
    """A content time stamp from before: what is signed is older than the signature."""
    signer = signed_cms.Signer(who.thief, CONTENT, who.before)
    token = signed_cms.stamp(who.unit, CONTENT, who.before)
    signer.signed = sorted([*signer.signed, attribute(attributes.CONTENT_TIME_STAMP, token)])
    hashed = signed_cms.signature.represent(
        der.encode(der.SET, *signer.signed), signed_cms.algorithms.HashAlgorithm.SHA256
    )
    signer.value = signer.holder.handle.sign(hashed).encoded_for_cms()
    return signed_cms.Cms(CONTENT, [signer]).encode()


def broken_archive(who: Thief) -> bytes:
    """An archive time stamp from before, over another signature with the same attributes."""
    earlier = who.stolen()
    earlier.add_archive_time_stamp(who.unit, who.before)
    made = who.stolen()
    made.signers[0].unsigned += earlier.signers[0].unsigned
    return made.encode()


def own_unit(who: Thief) -> hierarchy.Holder:
    own = broken_chains.make_authority("own", None, who.at)
    return who.under(hierarchy.Holder(own.certificate, own.key), purposes=(_STAMPING,))


def namesake(who: Thief) -> bytes:
    """An authority of his own with the trusted one's name."""
    name = who.world.root.certificate.subject
    own = broken_chains.make_authority("root", None, who.at)
    made = (
        x509.CertificateBuilder(name, name, own.key.public_key(), 7)
        .not_valid_before(who.at - MINUTE)
        .not_valid_after(who.at + MINUTE)
        .add_extension(x509.BasicConstraints(True, None), True)
        .sign(own.key, broken_chains.hashes.SHA256())
    )
    false = hierarchy.Holder(made, own.key)
    return signed_cms.sign(CONTENT, who.under(false), who.at).encode()


_LATE = "REVOKED_NO_POE"

GALLERY = (
    Attack(claimed_time, "a signing time before the revocation", _LATE),
    Attack(list_from_before, "the last good list, still in force", _LATE),
    Attack(answer_of_himself, "his own word that he is good", _LATE),
    Attack(answer_of_another_authority, "the word of another authority's responder", _LATE),
    Attack(_stamped(lambda who: who.unit, when=lambda who: who.at), "a late time stamp", _LATE),
    Attack(_stamped(lambda who: who.thief), "one of his own", f"{_LATE} time-stamp-certificate"),
    Attack(
        _stamped(lambda who: who.under(who.world.infrastructure, purposes=(
            _STAMPING, ExtendedKeyUsageOID.CLIENT_AUTH), usage="digital_signature")),
        "one by a key that is not for that alone", f"{_LATE} time-stamp-certificate",
    ),
    Attack(
        _stamped(own_unit),
        "one by a unit of his own", f"{_LATE} time-stamp-path",
    ),
    Attack(
        _stamped(lambda who: who.broken_unit),
        "one by a unit whose key was compromised", f"{_LATE} time-stamp-path",
    ),
    Attack(
        _stamped(lambda who: who.unit, over=lambda made: b"TEST another value"),
        "one of another signature", f"{_LATE} content-digest",
    ),
    Attack(
        _stamped(lambda who: who.unit, kind=attributes.REFERENCES_TIME_STAMP,
                 over=lambda made: b""),
        "one over references alone", f"{_LATE} time-stamp-references",
    ),
    Attack(
        _stamped(lambda who: who.unit, when=lambda who: who.at + 60 * MINUTE),
        "one from the future", f"{_LATE} time-stamp-future",
    ),
    Attack(stamp_among_signed, "a time stamp over what he signs", _LATE),
    Attack(broken_archive, "the archive time stamp of another signature", _LATE),
    Attack(namesake, "an authority with the trusted one's name", "NO_CERTIFICATE_CHAIN_FOUND"),
    Attack(
        _signed_by(lambda who: who.under(who.victim)),
        "a certificate that a person issued", "CHAIN_CONSTRAINTS_FAILURE",
    ),
    Attack(
        _signed_by(lambda who: who.unit),
        "a time-stamping unit that signs documents", "CHAIN_CONSTRAINTS_FAILURE key-usage",
    ),
    Attack(
        _signed_by(lambda who: who.world.ocsp_responder()),
        "a responder that signs documents", "CHAIN_CONSTRAINTS_FAILURE key-usage",
    ),
    Attack(
        _signed_by(lambda who: who.world.signer("5AB12CD", authentication=True)),
        "the key that logs a person in", "CHAIN_CONSTRAINTS_FAILURE key-usage",
    ),
    Attack(
        _signed_by(lambda who: who.under(who.world.issuing, extensions=(
            (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.32473.7"), b"\x05\0"),
             True),))),
        "a certificate with a rule that is not known", "CHAIN_CONSTRAINTS_FAILURE",
    ),
)  # fmt: skip
