"""Issue time stamps (RFC 3161 2.4, RFC 5816; EN 319 421, EN 319 422)."""

import dataclasses
import datetime
import functools
import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cryptography import x509

from pki import certificates, clock, errors
from pki.keystore import store
from tsa import clock_accuracy, messages, request_parts, signed_token, unit_certificate

log = logging.getLogger(__name__)

ACCURACY = datetime.timedelta(seconds=1)
"""Declared in every token; genTime is cut to whole seconds, which uses it up (EN 319 422 5.2.2)."""

RANDOM_SERIAL_OCTETS = request_parts.SERIAL_OCTETS - 7
"""Random octets below the time in a serial number: 88 bits."""

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_SECOND = datetime.timedelta(seconds=1)


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


@dataclasses.dataclass(frozen=True)
class UnitLine:
    """A unit under its policies, and the units that take over from it.

    Attributes:
        unit: Signs, until a successor does.
        policies: Object identifiers; which of them a request names decides which line signs.
        successors: Units that take over, each with its time, in their order.
    """

    unit: TimeStampingUnit
    policies: tuple[str, ...]
    successors: tuple[tuple[datetime.datetime, TimeStampingUnit], ...] = ()

    def __post_init__(self) -> None:
        """Refuse a line without a policy, and successors out of order."""
        if not self.policies:
            raise errors.InputError("expected at least one time-stamp policy")
        times = [begins for begins, _ in self.successors]
        if times != sorted(set(times)):
            raise errors.InputError("expected successors in the order in which they take over")


class _Issuing(NamedTuple):
    """What tokens of one policy are made from in one second."""

    info: request_parts.InfoTemplate
    with_certificates: signed_token.TokenTemplate
    without_certificates: signed_token.TokenTemplate


class _Second(NamedTuple):
    """What was made for the tokens of one second, by the policy asked for."""

    gen_time: datetime.datetime
    end: datetime.datetime
    microseconds: int
    """Since 1970, when the second begins."""
    issuing: dict[str | None, _Issuing]


class TimeStampAuthority:
    """Units side by side, each under policies of its own, and the last time vouched for."""

    def __init__(
        self,
        unit: TimeStampingUnit,
        policies: tuple[str, ...],
        *,
        qualified: bool = False,
        successors: Sequence[tuple[datetime.datetime, TimeStampingUnit]] = (),
        beside: Sequence[UnitLine] = (),
    ) -> None:
        """Keep what issuing needs.

        Args:
            unit: Signs, until a successor does.
            policies: The first is used where a request names none.
            qualified: Claim in each token that it is EU-qualified (EN 319 422 9.1).
            successors: Units that take over, each with its time, in their order.
            beside: Other units, for requests that name their policies; any policy that no unit
                has is refused.
        """
        self._lines = [UnitLine(unit, policies, tuple(successors)), *beside]
        self._line_numbers = {
            policy: number for number, line in enumerate(self._lines) for policy in line.policies
        }
        if len(self._line_numbers) != sum(len(line.policies) for line in self._lines):
            raise errors.InputError("expected each time-stamp policy at one unit alone")
        self.qualified = qualified
        self._lock = threading.Lock()
        self._latest = _EPOCH
        self._second = _Second(_EPOCH, _EPOCH, 0, {})

    @property
    def unit(self) -> TimeStampingUnit:
        """The unit that signs now where a request names no policy."""
        return self._lines[0].unit

    @property
    def units(self) -> tuple[tuple[TimeStampingUnit, tuple[str, ...]], ...]:
        """Every unit that signs now, with its policies; the first signs unless another is asked."""
        return tuple((line.unit, line.policies) for line in self._lines)

    def unit_at(self, gen_time: datetime.datetime, policy: str | None = None) -> TimeStampingUnit:
        """Return the one unit that signs under a policy at a time (EN 319 421: one active key).

        Once a successor was asked for, no earlier unit signs again in this process, even if the
        clock goes back within its accuracy.

        Raises:
            RequestRefusedError: A policy that is not offered.
        """
        number = 0 if policy is None else self._line_numbers.get(policy)
        if number is None:
            raise messages.RequestRefusedError(
                "the policy asked for is not offered", messages.PKIFailureInfo.unacceptedPolicy
            )
        with self._lock:
            line = self._lines[number]
            while line.successors and line.successors[0][0] <= gen_time:
                (_, unit), *rest = line.successors
                line = UnitLine(unit, line.policies, tuple(rest))
                log.info("time_stamping_unit_took_over label=%s", unit.handle.label)
            self._lines[number] = line
            return line.unit

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
            # As long as the second lasts, nothing of this need be asked again.
            microseconds = (gen_time - _EPOCH) // datetime.timedelta(microseconds=1)
            self._second = _Second(gen_time, gen_time + _SECOND, microseconds, {})
        return gen_time

    def prepare(
        self, parts: request_parts.RequestParts, at: datetime.datetime
    ) -> tuple[signed_token.TokenTemplate, bytes, bytes]:
        """Return what makes the token for a request, its TSTInfo and its serial number's octets.

        Raises:
            RequestRefusedError, TimeNotAvailableError, UnitNotValidError: See `issue_time_stamp`.
        """
        second = self._second
        if not second.gen_time <= at < second.end:
            self.take_time(at)
            second = self._second
        issuing = second.issuing.get(parts.policy)
        if issuing is None:
            issuing = second.issuing[parts.policy] = self._issuing(second.gen_time, parts.policy)
        serial = _new_serial(second.microseconds + at.microsecond)
        # RFC 3161 2.4.1: certificates only where they were asked for.
        template = issuing.with_certificates if parts.cert_req else issuing.without_certificates
        return template, issuing.info.encode(parts, serial), serial

    def _issuing(self, gen_time: datetime.datetime, policy: str | None) -> _Issuing:
        unit = self.unit_at(gen_time, policy)
        unit.check_valid_at(gen_time)
        info = request_parts.InfoTemplate(
            policy or self._lines[0].policies[0], gen_time, ACCURACY, qualified=self.qualified
        )
        return _Issuing(info, unit.with_certificates, unit.without_certificates)


class Answer(NamedTuple):
    """A TimeStampResp, and why it carries no token."""

    response_der: bytes
    failure: messages.PKIFailureInfo | None = None


def respond(
    request_der: bytes, authority: TimeStampAuthority, now: Callable[[], datetime.datetime]
) -> bytes:
    """Answer any bytes with a TimeStampResp; see `answer`."""
    return answer(request_der, authority, now).response_der


def answer(
    request_der: bytes, authority: TimeStampAuthority, now: Callable[[], datetime.datetime]
) -> Answer:
    """Answer any bytes with a TimeStampResp: a token, or the failure that fits.

    Args:
        request_der: What came, whatever it is.
        authority: Issues the token.
        now: Tells the time, or raises `TimeNotAvailableError` where it cannot vouch for it.
    """
    try:
        template, info_der, serial = authority.prepare(request_parts.read(request_der), now())
        response_der = template.grant(info_der)
    except messages.RequestRefusedError as error:
        return _reject(error, error.failure, error.message)
    except clock_accuracy.TimeNotAvailableError as error:
        return _reject(error, messages.PKIFailureInfo.timeNotAvailable, "no trusted time now")
    except errors.ImzaError as error:
        return _reject(error, messages.PKIFailureInfo.systemFailure, "the service failed")
    if log.isEnabledFor(logging.INFO):
        log.info("time_stamp_issued serial=%s", serial.hex())
    return Answer(response_der)


def issue_time_stamp(
    request: messages.TimeStampRequest, authority: TimeStampAuthority, at: datetime.datetime
) -> bytes:
    """Return a token for a request, in DER.

    Args:
        request: Its imprint is of an allowed hash.
        authority: The units and their policies.
        at: Becomes genTime, cut to whole seconds: revocation data that is fetched after it can
            never seem older than the time stamp within the same second.

    Raises:
        RequestRefusedError: A policy that is not offered.
        TimeNotAvailableError: The clock is not to be trusted now.
        UnitNotValidError: The unit may not sign now.
        DeviceError: The key did not sign.
    """
    template, info_der, serial = authority.prepare(request_parts.parts_of(request), at)
    token_der = template.sign(info_der)
    log.info("time_stamp_issued serial=%s", serial.hex())
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
    return int.from_bytes(_new_serial(microseconds), "big")


def _new_serial(microseconds: int) -> bytes:
    # Seven octets hold the microseconds until the year 3111, without a zero in front since 1978.
    return microseconds.to_bytes(7, "big") + os.urandom(RANDOM_SERIAL_OCTETS)


def _utc(at: datetime.datetime | None) -> datetime.datetime | None:
    """The library gives these times without a zone; they are UTC (RFC 5280 4.1.2.5.2)."""
    return at.replace(tzinfo=datetime.UTC) if at is not None and at.tzinfo is None else at


def _reject(error: errors.ImzaError, failure: messages.PKIFailureInfo, explanation: str) -> Answer:
    log.log(
        logging.WARNING if failure.value in {14, 25} else logging.INFO,
        "time_stamp_refused failure=%s code=%s",
        failure.name,
        error.code,
    )
    return Answer(messages.build_rejection(failure, explanation), failure)
