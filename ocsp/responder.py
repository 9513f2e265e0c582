"""Answer status requests (RFC 6960 2 and 4.2), from facts that are handed in."""

import dataclasses
import datetime
import logging
import threading
from collections.abc import Callable, Sequence
from typing import TypeAlias

from ocsp import cert_id, messages, request_reader, responder_key, response_template
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

_LONG_AGO = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


class UnknownIssuerError(errors.NotFoundError):
    """None of our CAs has the name and key hash asked for; answered `unauthorized`."""

    code = "ocsp-unknown-issuer"


class NoIssuersYetError(errors.PeerError):
    """The registry could not be read since the start: nothing is known; answered `tryLater`."""

    code = "ocsp-no-issuers-yet"


class ClockBehindError(errors.DeviceError):
    """The clock is far behind an answer that was given already; answered `tryLater`."""

    code = "ocsp-clock-behind"
    retriable = True


@dataclasses.dataclass(frozen=True)
class Answer:
    """A response ready to be sent.

    Attributes:
        response_der: The bytes.
        response_status: What became of the request.
        produced_at: None unless successful.
        next_update: Until when anybody may keep it; None where nobody may: it answers one
            requester's nonce, or says `unknown` of a certificate that may be issued any moment.
    """

    response_der: bytes = dataclasses.field(repr=False)
    response_status: messages.ResponseStatus
    produced_at: datetime.datetime | None = None
    next_update: datetime.datetime | None = None


@dataclasses.dataclass(frozen=True)
class _Issuers:
    """The CAs answered for, with what is derived from them; replaced as a whole."""

    all: tuple[responder_key.StatusIssuer, ...]
    by_identity: dict[cert_id.IssuerID, responder_key.StatusIssuer]
    reader: request_reader.RequestReader


@dataclasses.dataclass(frozen=True)
class _Period:
    """The times of the answers of one second by one key."""

    produced_at: datetime.datetime
    next_update: datetime.datetime
    encoded: response_template.Times


class Responder:
    """The issuers, their keys, the registry, and the last time that was vouched for.

    Safe to use from several threads.
    """

    def __init__(
        self,
        issuers: Sequence[responder_key.StatusIssuer],
        lookup: StatusLookup,
        validity: datetime.timedelta = DEFAULT_VALIDITY,
    ) -> None:
        """Keep what answering needs.

        Args:
            issuers: The CAs answered for.
            lookup: Reads the registry.
            validity: From thisUpdate to nextUpdate.
        """
        self.lookup = lookup
        self.validity = validity
        self._lock = threading.Lock()
        self._latest = _LONG_AGO
        self._periods: dict[responder_key.ResponderKey, _Period] = {}
        self.issuers = tuple(issuers)

    @property
    def issuers(self) -> tuple[responder_key.StatusIssuer, ...]:
        """The CAs answered for; setting them takes effect with the next request."""
        return self._issuers.all

    @issuers.setter
    def issuers(self, issuers: tuple[responder_key.StatusIssuer, ...]) -> None:
        by_identity = {identity: one for one in issuers for identity in one.identities}
        self._issuers = _Issuers(issuers, by_identity, request_reader.RequestReader(by_identity))
        self._periods = {}

    @property
    def signs_at_once(self) -> bool:
        """Whether all keys are in memory; one in a module may take long, or hang."""
        return all(key.signs_at_once for issuer in self.issuers for key in issuer.keys)

    def answer(self, request_der: bytes, at: datetime.datetime) -> Answer:
        """Answer a request for certificates of one issuer and sign the response.

        A serial that the issuer never issued is answered `unknown`, never `good` (RFC 6960 2.2).

        Args:
            request_der: At most `MAX_CERTS_PER_REQUEST` identifiers, hashed with SHA-1 or SHA-256.
            at: Becomes producedAt and thisUpdate, cut to whole seconds. They never lie before
                those of an earlier answer, even where the clock does.

        Raises:
            MalformedRequestError: No request.
            UnknownIssuerError: Not one issuer of ours that all identifiers name.
            NoIssuersYetError: Nothing was read from the registry yet.
            NoResponderKeyError: The issuer has no responder with a valid certificate.
            ClockBehindError: `at` is far behind an earlier answer.
            DeviceError: The key did not sign.
        """
        issuers = self._issuers
        question = issuers.reader.read(request_der)
        if question is None:
            question = _read_in_full(request_der)
        issuer = issuers.by_identity.get(question.issuer)
        if issuer is None:
            if not issuers.all:
                raise NoIssuersYetError("no issuer is known yet: the registry was not read")
            raise UnknownIssuerError("the request names no issuer of ours")
        return self._sign(issuer, question, at)

    def knows(self, request_der: bytes) -> bool:
        """Whether the bytes are a usual request about an issuer that is answered for."""
        return self._issuers.reader.read(request_der) is not None

    def _sign(
        self,
        issuer: responder_key.StatusIssuer,
        question: request_reader.Question,
        at: datetime.datetime,
    ) -> Answer:
        this_update = self._take_time(at)
        key = issuer.key_at(this_update)
        # The time first: what is looked up after it was right at that time or came later.
        asked = [(one, self.lookup(issuer.name, one.serial_number)) for one in question.cert_ids]
        period = self._periods.get(key)
        if period is None or period.produced_at != this_update:
            period = self._periods[key] = self._period(key, this_update)
        template = issuer.templates[key]
        signed = template.response_data(asked, period.encoded, question.nonce)
        response_der = template.response(signed, key.sign(signed))
        may_be_kept = question.nonce is None and all(known is not None for _, known in asked)
        return Answer(
            response_der,
            messages.ResponseStatus.successful,
            this_update,
            period.next_update if may_be_kept else None,
        )

    def _take_time(self, at: datetime.datetime) -> datetime.datetime:
        """Return the thisUpdate for `at`: whole seconds, never before one that was given."""
        this_update = clock.whole_seconds(at)
        with self._lock:
            if this_update >= self._latest:
                self._latest = this_update
            elif self._latest - at > MAX_STEP_BACK:
                raise ClockBehindError("the clock is far behind an answer that was given already")
            return self._latest

    def _period(self, key: responder_key.ResponderKey, this_update: datetime.datetime) -> _Period:
        # No response outlives its signer's certificate: nobody could verify it then.
        next_update = min(this_update + self.validity, key.period[1])
        return _Period(
            this_update, next_update, response_template.encode_times(this_update, next_update)
        )


def respond(request_der: bytes, responder: Responder, at: datetime.datetime) -> Answer:
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


def refuse(why: messages.ResponseStatus, error: errors.ImzaError) -> Answer:
    """Return an unsigned answer that says why there is no other, and log it."""
    log.log(
        logging.WARNING if why.value in {2, 3} else logging.INFO,
        "status_refused response=%s code=%s",
        why.name,
        error.code,
    )
    return Answer(messages.build_error(why), why)


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
