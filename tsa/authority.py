"""Issue time stamps (RFC 3161 2.4, RFC 5816; EN 319 421, EN 319 422)."""

import dataclasses
import datetime
import functools
import logging
import secrets
import threading
from collections.abc import Callable, Sequence

from cryptography import x509

from pki import certificates, clock, errors
from pki.keystore import store
from tsa import clock_accuracy, messages, signed_token, unit_certificate

log = logging.getLogger(__name__)

ACCURACY = datetime.timedelta(seconds=1)
"""Declared in every token; genTime is cut to whole seconds, which uses it up (EN 319 422 5.2.2)."""

RANDOM_SERIAL_BITS = 88
"""Random bits below the time in a serial number; both together stay under 160 bits."""

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class UnitKeyError(errors.StateError):
    """The unit's key, certificate and chain do not belong together."""

    code = "time-stamping-unit-key"


class UnitNotValidError(errors.StateError):
    """The unit's certificate or its private key's period is over, or has not begun."""

    code = "time-stamping-unit-not-valid"


@dataclasses.dataclass(frozen=True)
class TimeStampingUnit:
    """A unit's certificate, its key, and the CAs above it.

    Attributes:
        certificate: The unit's.
        handle: Its key; EN 319 421 allows one active key a unit.
        issuers: The nearest first, up to but not including the root.
    """

    certificate: x509.Certificate
    handle: store.KeyHandle
    issuers: tuple[x509.Certificate, ...]

    def __post_init__(self) -> None:
        """Refuse what verifiers would refuse.

        Raises:
            UnitKeyError: Another key, a chain with a gap, or one that goes up to the root.
            UnitCertificateError: A certificate that is not for time-stamping alone.
        """
        unit_certificate.check_purpose(self.certificate)
        if self.handle.public_key != self.certificate.public_key():
            raise UnitKeyError(
                f"the key {self.handle.label!r} is not that of the unit's certificate"
            )
        below = self.certificate
        for issuer in self.issuers:
            try:
                certificates.check_issued_by(below, issuer)
            except certificates.CertificateSignatureError as error:
                raise UnitKeyError(f"the unit's chain has a gap: {error}") from error
            if issuer.subject == issuer.issuer:
                raise UnitKeyError("the unit's chain must end below the root")
            below = issuer

    @functools.cached_property
    def with_certificates(self) -> signed_token.TokenTemplate:
        """What tokens are made from that carry the unit's certificate and its chain."""
        along = (self.certificate, *self.issuers)
        return signed_token.TokenTemplate(self.certificate, self.handle, along)

    @functools.cached_property
    def without_certificates(self) -> signed_token.TokenTemplate:
        """What tokens are made from that carry no certificate."""
        return signed_token.TokenTemplate(self.certificate, self.handle, ())

    @functools.cached_property
    def period(self) -> tuple[datetime.datetime, datetime.datetime]:
        """When the unit may sign: the certificate's and the private key's periods together."""
        begin, end = self.certificate.not_valid_before_utc, self.certificate.not_valid_after_utc
        try:
            period = self.certificate.extensions.get_extension_for_class(
                x509.PrivateKeyUsagePeriod
            ).value
        except x509.ExtensionNotFound:
            return begin, end
        begin = max(begin, _utc(period.not_before) or begin)
        return begin, min(end, _utc(period.not_after) or end)

    def check_valid_at(self, at: datetime.datetime) -> None:
        """Check the periods of the certificate and of the private key (RFC 3280 4.2.1.4).

        Raises:
            UnitNotValidError: `at` lies outside.
        """
        begin, end = self.period
        if not begin <= at <= end:
            raise UnitNotValidError(
                f"the time-stamping unit may sign from {begin:%Y-%m-%d} to {end:%Y-%m-%d}"
            )


class TimeStampAuthority:
    """A unit, its policies, and the last time it vouched for."""

    def __init__(
        self,
        unit: TimeStampingUnit,
        policies: tuple[str, ...],
        *,
        qualified: bool = False,
        successors: Sequence[tuple[datetime.datetime, TimeStampingUnit]] = (),
    ) -> None:
        """Keep what issuing needs.

        Args:
            unit: Signs, until a successor does.
            policies: The first is used where a request names none; others are refused.
            qualified: Claim in each token that it is EU-qualified (EN 319 422 9.1).
            successors: Units that take over, each with its time, in their order.
        """
        if not policies:
            raise errors.InputError("expected at least one time-stamp policy")
        times = [begins for begins, _ in successors]
        if times != sorted(set(times)):
            raise errors.InputError("expected successors in the order in which they take over")
        self._successors = tuple(successors)
        self.unit = unit
        self.policies = policies
        self.qualified = qualified
        self._lock = threading.Lock()
        self._latest = _EPOCH

    def unit_at(self, gen_time: datetime.datetime) -> TimeStampingUnit:
        """Return the one unit that signs at a time (EN 319 421 allows one active key).

        Once a successor was asked for, no earlier unit signs again in this process, even if the
        clock goes back within its accuracy.
        """
        with self._lock:
            while self._successors and self._successors[0][0] <= gen_time:
                (_, self.unit), *rest = self._successors
                self._successors = tuple(rest)
                log.info("time_stamping_unit_took_over label=%s", self.unit.handle.label)
            return self.unit

    def take_time(self, at: datetime.datetime) -> datetime.datetime:
        """Return the genTime for `at`: whole seconds, never before one that was given.

        Raises:
            TimeNotAvailableError: The clock went backwards by more than the accuracy.
        """
        gen_time = clock.whole_seconds(at)
        with self._lock:
            if gen_time < self._latest - ACCURACY:
                raise clock_accuracy.TimeNotAvailableError(
                    "the clock went backwards beyond the declared accuracy"
                )
            self._latest = max(self._latest, gen_time)
        return gen_time


def respond(
    request_der: bytes, authority: TimeStampAuthority, now: Callable[[], datetime.datetime]
) -> bytes:
    """Answer any bytes with a TimeStampResp: a token, or the failure that fits.

    Args:
        request_der: What came, whatever it is.
        authority: Issues the token.
        now: Tells the time, or raises `TimeNotAvailableError` where it cannot vouch for it.
    """
    try:
        request = messages.parse_request(request_der)
        return messages.build_granted(issue_time_stamp(request, authority, now()))
    except messages.RequestRefusedError as error:
        return _reject(error, error.failure, error.message)
    except clock_accuracy.TimeNotAvailableError as error:
        return _reject(error, messages.PKIFailureInfo.timeNotAvailable, "no trusted time now")
    except errors.ImzaError as error:
        return _reject(error, messages.PKIFailureInfo.systemFailure, "the service failed")


def issue_time_stamp(
    request: messages.TimeStampRequest, authority: TimeStampAuthority, at: datetime.datetime
) -> bytes:
    """Return a token for a request, in DER.

    Args:
        request: Its imprint is of an allowed hash.
        authority: The unit and the policies.
        at: Becomes genTime, cut to whole seconds: revocation data that is fetched after it can
            never seem older than the time stamp within the same second.

    Raises:
        RequestRefusedError: A policy that is not offered.
        TimeNotAvailableError: The clock is not to be trusted now.
        UnitNotValidError: The unit may not sign now.
        DeviceError: The key did not sign.
    """
    policy = request.policy or authority.policies[0]
    if policy not in authority.policies:
        raise messages.RequestRefusedError(
            "the policy asked for is not offered", messages.PKIFailureInfo.unacceptedPolicy
        )
    gen_time = authority.take_time(at)
    unit = authority.unit_at(gen_time)
    unit.check_valid_at(at)
    info = messages.TSTInfo(
        policy=policy,
        imprint=request.imprint,
        serial_number=new_serial_number(at),
        gen_time=gen_time,
        accuracy=ACCURACY,
        nonce=request.nonce,
        qualified=authority.qualified,
    )
    # RFC 3161 2.4.1: certificates only where they were asked for.
    template = unit.with_certificates if request.cert_req else unit.without_certificates
    token_der = template.sign(info.to_der())
    log.info("time_stamp_issued serial=%x", info.serial_number)
    return token_der


def pause_before(at: datetime.datetime, error_bound: datetime.timedelta) -> datetime.timedelta:
    """Return how long to wait before a token may name the second that `at` lies in.

    The second cut off and the clock's own error must not exceed the declared accuracy together,
    so nothing is stamped in the last `error_bound` of a second.
    """
    left = clock.whole_seconds(at) + ACCURACY - at
    return left if left < error_bound else datetime.timedelta(0)


def new_serial_number(at: datetime.datetime) -> int:
    """Return a token's serial number: microseconds since 1970, then 88 random bits.

    It is unique across restarts, nodes and restored backups without a table (RFC 3161 2.4.2): a
    counter in a database would repeat itself after an older backup came back, a random number
    alone after a machine was resumed from a snapshot. For two tokens of one microsecond to agree
    the 88 bits must, and a signature takes longer than that.
    """
    microseconds = (clock.require_utc(at) - _EPOCH) // datetime.timedelta(microseconds=1)
    return microseconds << RANDOM_SERIAL_BITS | secrets.randbits(RANDOM_SERIAL_BITS)


def _utc(at: datetime.datetime | None) -> datetime.datetime | None:
    """The library gives these times without a zone; they are UTC (RFC 5280 4.1.2.5.2)."""
    return at.replace(tzinfo=datetime.UTC) if at is not None and at.tzinfo is None else at


def _reject(error: errors.ImzaError, failure: messages.PKIFailureInfo, explanation: str) -> bytes:
    log.log(
        logging.WARNING if failure.value in {14, 25} else logging.INFO,
        "time_stamp_refused failure=%s code=%s",
        failure.name,
        error.code,
    )
    return messages.build_rejection(failure, explanation)
