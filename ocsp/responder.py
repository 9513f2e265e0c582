"""Answer status requests (RFC 6960 2 and 4.2), from facts that are handed in."""

import dataclasses
import datetime
import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from ocsp import (
    answers,
    cert_id,
    kept_responses,
    messages,
    preproduced,
    request_reader,
    responder_key,
    response_template,
    stock,
)
from pki import clock, errors, status

log = logging.getLogger(__name__)

StatusLookup: TypeAlias = Callable[[str, int], status.CertificateStatus | None]
"""From an issuer's name and a serial number to what the registry knows; None: never issued."""

DEFAULT_VALIDITY = datetime.timedelta(minutes=30)
"""How long a response may be kept. EN 319 411-1 wants a revocation to be known within 60 minutes
of its confirmation, and X-Road takes nothing older than 3600 seconds."""

MAX_STEP_BACK = datetime.timedelta(seconds=10)
"""How far the clock may fall behind a thisUpdate that was given. Until it has caught up answers
repeat that time, which lies in the future by so much: less than relying parties let pass."""

_BEHIND = "the clock is far behind an answer that was given already"

_SECOND = datetime.timedelta(seconds=1)
_LONG_AGO = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class UnknownIssuerError(errors.NotFoundError):
    """None of our CAs has the name and key hash asked for; answered `unauthorized`."""

    code = "ocsp-unknown-issuer"


class NoIssuersYetError(errors.PeerError):
    """The registry could not be read since the start: nothing is known; answered `tryLater`."""

    code = "ocsp-no-issuers-yet"


class NoResponderKeyError(errors.StateError):
    """No responder's certificate of the issuer is valid now."""

    code = "ocsp-no-valid-responder"


class ClockBehindError(errors.DeviceError):
    """The clock is far behind an answer that was given already; answered `tryLater`."""

    code = "ocsp-clock-behind"
    retriable = True


@dataclasses.dataclass(frozen=True)
class _Issuers:
    """The CAs answered for, with what is derived from them; replaced as a whole."""

    all: tuple[responder_key.StatusIssuer, ...]
    by_identity: dict[cert_id.IssuerID, responder_key.StatusIssuer]
    keys: frozenset[responder_key.ResponderKey]
    reader: request_reader.RequestReader
    sign_at_once: bool


class _Period(NamedTuple):
    """The times of an answer that a key signs."""

    key: responder_key.ResponderKey | None
    produced_at: datetime.datetime
    this_update: datetime.datetime
    next_update: datetime.datetime
    encoded: response_template.Times


@dataclasses.dataclass
class Counts:
    """How many responses were sent, for the log; several threads may lose a few."""

    kept: int = 0
    preproduced: int = 0
    signed: int = 0


class Responder:
    """The issuers, their keys, the registry, and the last time that was vouched for.

    Safe to use from several threads.
    """

    def __init__(
        self,
        issuers: Sequence[responder_key.StatusIssuer],
        lookup: StatusLookup,
        validity: datetime.timedelta = DEFAULT_VALIDITY,
        *,
        kept_bytes: int = kept_responses.DEFAULT_BYTES,
        is_known: Callable[[str, int], bool] | None = None,
    ) -> None:
        """Keep what answering needs.

        Args:
            issuers: The CAs answered for.
            lookup: Reads the registry.
            validity: From thisUpdate to nextUpdate.
            kept_bytes: How much memory responses may take that are sent again.
            is_known: Whether `lookup` finds a certificate without waiting for anybody; None: it
                never waits.
        """
        self._is_known = is_known
        self.lookup = lookup
        self.validity = validity
        self.counts = Counts()
        self._lock = threading.Lock()
        self._latest = _LONG_AGO
        self._kept = kept_responses.KeptResponses(kept_bytes)
        self._stock: stock.Stock | None = None
        self._last_period = _Period(
            None,
            _LONG_AGO,
            _LONG_AGO,
            _LONG_AGO,
            response_template.encode_times(_LONG_AGO, _LONG_AGO, _LONG_AGO),
        )
        self.issuers = tuple(issuers)

    @property
    def issuers(self) -> tuple[responder_key.StatusIssuer, ...]:
        """The CAs answered for; setting them takes effect with the next request."""
        return self._issuers.all

    @issuers.setter
    def issuers(self, issuers: tuple[responder_key.StatusIssuer, ...]) -> None:
        by_identity = {identity: one for one in issuers for identity in one.identities}
        keys = frozenset(key for one in issuers for key in one.keys)
        self._issuers = _Issuers(
            issuers,
            by_identity,
            keys,
            request_reader.RequestReader(by_identity),
            all(key.signs_at_once for key in keys),
        )

    def knows(self, request_der: bytes) -> bool:
        """Whether the bytes are a usual request about an issuer that is answered for."""
        return self._issuers.reader.read(request_der) is not None

    def answers_at_once(self, request_der: bytes) -> bool:
        """Whether answering waits neither for a module nor for news of a certificate."""
        if self._kept.find(request_der) is not None:
            return True
        issuers = self._issuers
        if not issuers.sign_at_once or self._is_known is None:
            return issuers.sign_at_once
        question = issuers.reader.read(request_der)
        if question is None:
            return False
        name = issuers.by_identity[question.issuer].name
        return all(self._is_known(name, one.serial_number) for one in question.cert_ids)

    def _find_ready(self, request_der: bytes, at: datetime.datetime) -> answers.Answer | None:
        """Return a response that was signed before, or None where one must be signed.

        It says of the certificate what is known now, less than half of its life is over, and its
        signer still answers for the issuer.
        """
        kept = self._kept.find(request_der)
        if kept is None:
            return None
        if self._latest - at > MAX_STEP_BACK:
            raise ClockBehindError(_BEHIND)
        known = self.lookup(kept.issuer_name, kept.serial_number)
        if known != kept.status or not self._is_fresh(kept, at):
            return None
        self.counts.kept += 1
        return kept.answer

    def answer(self, request_der: bytes, at: datetime.datetime) -> answers.Answer:
        """Answer a request for certificates of one issuer.

        A serial that the issuer never issued is answered `unknown`, never `good` (RFC 6960 2.2).

        Args:
            request_der: At most `MAX_CERTS_PER_REQUEST` identifiers, hashed with SHA-1 or SHA-256.
            at: Becomes producedAt and thisUpdate, cut to whole seconds. A thisUpdate never lies
                before an earlier one of the same certificate, even where the clock does.

        Raises:
            MalformedRequestError: No request.
            UnknownIssuerError: Not one issuer of ours that all identifiers name.
            NoIssuersYetError: Nothing was read from the registry yet.
            NoResponderKeyError: The issuer has no responder with a valid certificate.
            ClockBehindError: `at` is far behind an earlier answer.
            DeviceError: The key did not sign.
        """
        ready = self._find_ready(request_der, at)
        if ready is not None:
            return ready
        issuers = self._issuers
        question = issuers.reader.read(request_der)
        usual = question is not None
        if question is None:
            question = _read_in_full(request_der)
        issuer = issuers.by_identity.get(question.issuer)
        if issuer is None:
            if not issuers.all:
                raise NoIssuersYetError("no issuer is known yet: the registry was not read")
            raise UnknownIssuerError("the request names no issuer of ours")
        produced_at = self._take_time(at)
        # The time first: what is looked up after it was right at that time or came later.
        asked = [(one, self.lookup(issuer.name, one.serial_number)) for one in question.cert_ids]
        if question.canonical and self._stock is not None and (known := asked[0][1]) is not None:
            made = self._find_preproduced(issuer, request_der, asked[0][0], known, produced_at)
            if made is not None:
                return made
        self.counts.signed += 1
        if usual and question.nonce is None and len(asked) == 1 and asked[0][1] is not None:
            return self._sign_to_keep(issuer, request_der, asked[0][0], asked[0][1], produced_at)
        for one in question.cert_ids:
            # This answer is newer; an older one must not follow it.
            self._kept.forget(issuer.name, one.serial_number)
        answered, _ = self._sign(issuer, asked, question.nonce, produced_at, produced_at)
        return answered

    def use_preproduced(self, files: Mapping[str, preproduced.PreproducedFile]) -> None:
        """Answer from responses that were signed ahead of need, by the issuer's name.

        To be called before the first request too, if only with nothing.
        """
        if self._stock is None:
            self._stock = stock.Stock()
        self._stock.replace(files)
        # What was kept before may be older than what is sent from now on.
        self._kept.clear()

    def _find_preproduced(
        self,
        issuer: responder_key.StatusIssuer,
        request_der: bytes,
        asked: cert_id.CertID,
        known: status.CertificateStatus,
        at: datetime.datetime,
    ) -> answers.Answer | None:
        found = self._stock.find(issuer.name, asked, known, at) if self._stock else None
        if found is None or found[0].key not in self._issuers.keys:
            return None
        file, response_der = found
        self.counts.preproduced += 1
        made = answers.Answer(
            response_der,
            messages.ResponseStatus.successful,
            file.this_update,
            file.this_update,
            file.next_update,
        )
        self._keep(request_der, made, issuer, asked, known, file.key, file.this_update)
        return made

    def _keep(
        self,
        request_der: bytes,
        made: answers.Answer,
        issuer: responder_key.StatusIssuer,
        asked: cert_id.CertID,
        known: status.CertificateStatus,
        key: responder_key.ResponderKey,
        this_update: datetime.datetime,
    ) -> None:
        if made.next_update is None:
            return
        half = this_update + (made.next_update - this_update) / 2
        number = asked.serial_number
        self._kept.keep(
            kept_responses.Kept(
                request_der, made, issuer.name, number, known, key, this_update, half
            )
        )

    def _sign_to_keep(
        self,
        issuer: responder_key.StatusIssuer,
        request_der: bytes,
        asked: cert_id.CertID,
        known: status.CertificateStatus,
        produced_at: datetime.datetime,
    ) -> answers.Answer:
        this_update = produced_at
        for kept in self._kept.about(issuer.name, asked.serial_number):
            # Named by another hash it was answered already. What was said stays right, and both
            # answers end together: neither of the two makes the other one old.
            if kept.status == known and self._is_fresh(kept, produced_at):
                this_update = kept.this_update
                break
        else:
            self._kept.forget(issuer.name, asked.serial_number)
        answered, key = self._sign(issuer, [(asked, known)], None, produced_at, this_update)
        self._keep(request_der, answered, issuer, asked, known, key, this_update)
        return answered

    def _is_fresh(self, kept: kept_responses.Kept, at: datetime.datetime) -> bool:
        return at < kept.fresh_until and kept.key in self._issuers.keys

    def _sign(
        self,
        issuer: responder_key.StatusIssuer,
        asked: Sequence[tuple[cert_id.CertID, status.CertificateStatus | None]],
        nonce: bytes | None,
        produced_at: datetime.datetime,
        this_update: datetime.datetime,
    ) -> tuple[answers.Answer, responder_key.ResponderKey]:
        if self._stock is not None:
            numbers = [one.serial_number for one, _ in asked]
            self._stock.remember(issuer.name, numbers, this_update)
        failure: errors.ImzaError | None = None
        for key in issuer.newest_first:
            if not key.is_valid_at(produced_at):
                continue
            period = self._period(key, produced_at, this_update)
            template = issuer.templates[key]
            signed = template.response_data(asked, period.encoded, nonce)
            try:
                value = key.sign(signed)
            except errors.DeviceError as error:
                # While keys rotate an older one is there to step in.
                log.warning("responder_key_failed label=%s code=%s", key.handle.label, error.code)
                failure = error
                continue
            may_be_kept = nonce is None and all(known is not None for _, known in asked)
            answered = answers.Answer(
                template.response(signed, value),
                messages.ResponseStatus.successful,
                produced_at,
                this_update,
                period.next_update if may_be_kept else None,
            )
            return answered, key
        # With a certificate that is not valid nothing is answered: it would mislead whoever does
        # not check.
        raise failure or NoResponderKeyError(
            f"no responder's certificate of the issuer {issuer.name!r} is valid now:"
            " certify a new one"
        )

    def _take_time(self, at: datetime.datetime) -> datetime.datetime:
        """Return the time of an answer: whole seconds, never before one that was given."""
        latest = self._latest
        if latest <= at < latest + _SECOND:
            return latest
        produced_at = clock.whole_seconds(at)
        with self._lock:
            if produced_at >= self._latest:
                self._latest = produced_at
            elif self._latest - at > MAX_STEP_BACK:
                raise ClockBehindError(_BEHIND)
            return self._latest

    def _period(
        self,
        key: responder_key.ResponderKey,
        produced_at: datetime.datetime,
        this_update: datetime.datetime,
    ) -> _Period:
        """The times of an answer; those of a second are mostly the same."""
        last = self._last_period
        if last.produced_at == produced_at and last.this_update == this_update and last.key is key:
            return last
        # No response outlives its signer's certificate: nobody could verify it then.
        next_update = min(this_update + self.validity, key.period[1])
        encoded = response_template.encode_times(produced_at, this_update, next_update)
        self._last_period = _Period(key, produced_at, this_update, next_update, encoded)
        return self._last_period


def respond(request_der: bytes, responder: Responder, at: datetime.datetime) -> answers.Answer:
    """Answer any bytes; what cannot be answered gets the error status that fits (RFC 6960 4.2.1).

    Args:
        request_der: What came, whatever it is.
        responder: The issuers, their keys and the registry.
        at: The present time.
    """
    try:
        return responder.answer(request_der, at)
    except messages.MalformedRequestError as error:
        return refuse(messages.ResponseStatus.malformedRequest, error)
    except UnknownIssuerError as error:
        return refuse(messages.ResponseStatus.unauthorized, error)
    except (errors.DeviceError, errors.PeerError) as error:
        why = messages.ResponseStatus.internalError
        if error.retriable:
            why = messages.ResponseStatus.tryLater
        return refuse(why, error)
    except errors.ImzaError as error:
        return refuse(messages.ResponseStatus.internalError, error)


def refuse(why: messages.ResponseStatus, error: errors.ImzaError) -> answers.Answer:
    """Return an unsigned answer that says why there is no other, and log it."""
    log.log(
        logging.WARNING if why.value in {2, 3} else logging.INFO,
        "status_refused response=%s code=%s",
        why.name,
        error.code,
    )
    return answers.Answer(messages.build_error(why), why)


def _read_in_full(request_der: bytes) -> request_reader.Question:
    """Read a request of an unusual shape.

    Raises:
        MalformedRequestError: It is none.
        UnknownIssuerError: It names no issuer, by a hash not known here, or several: one response
            has one signer, and a delegated responder speaks for its own issuer alone.
    """
    request = messages.parse_request(request_der)
    named = {one.issuer for one in request.cert_ids}
    issuer = named.pop()
    if issuer is None or named:
        raise UnknownIssuerError("the request names no issuer, or several")
    return request_reader.Question(issuer, request.cert_ids, request.nonce)
