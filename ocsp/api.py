"""Status requests over HTTP, by POST and GET (RFC 6960 appendix A, RFC 5019 6)."""

import datetime
import functools
import hashlib
import math
import time
from collections.abc import Mapping, Sequence
from email import utils as email_utils

import anyio.to_thread
from starlette import types as starlette_types

from ocsp import answers, get_path, messages, responder
from pki import clock, der_http, metrics

REQUEST_TYPE = "application/ocsp-request"
RESPONSE_TYPE = "application/ocsp-response"

SHARED_MAX_AGE_S = 10
"""How long caches between us and others may keep a response (RFC 9111 5.2.2.10): a revocation is
seen through them within seconds, and of what many ask for they still spare us nearly all."""

_TYPE = (b"content-type", RESPONSE_TYPE.encode())

_SECOND = datetime.timedelta(seconds=1)

_NOT_KEPT = (_TYPE, (b"cache-control", b"no-store"))
"""RFC 5019 6.2 and RFC 9654: an error, or what answers a nonce, is for nobody else."""


def endpoints(
    answering: responder.Responder,
    present: clock.Clock,
    *,
    figures: metrics.Metrics | None = None,
) -> Mapping[str, starlette_types.ASGIApp]:
    """Return the endpoint of a responder, `/ocsp`.

    Every answer to a status request is HTTP 200 with an OCSP response; what is wrong stands in
    its status. Only another content type is 415, and what the requester has already is 304.

    Args:
        answering: The responder.
        present: Tells the time.
        figures: Where requests and their durations are counted.
    """
    figures = figures or metrics.Metrics()
    requests = figures.counter(
        "imza_ocsp_requests",
        "Status requests by the status of their response.",
        "outcome",
        [one.name for one in messages.ResponseStatus],
    )
    ready = figures.counter(
        "imza_ocsp_answers_ready",
        "Answers that were there before the second in which they were asked for.",
    )
    kept = figures.counter(
        "imza_ocsp_answers_kept",
        "Conditional requests whose sender had the response already (304).",
    )
    durations = figures.histogram(
        "imza_ocsp_duration_seconds", "From the whole request to the answer."
    )

    async def answer(request: der_http.Request) -> der_http.Reply:
        by_post = request.method == "POST"
        body = request.body if by_post else get_path.decode(request.path, answering.knows)
        if body is None:
            requests.add(messages.ResponseStatus.malformedRequest.name)
            return der_http.Reply(_MALFORMED, _NOT_KEPT)
        begin = time.perf_counter()
        at = present.now()
        if not answering.answers_at_once(body):
            # A module or the registry may take long: it must not hold up those who only connect.
            answer = await anyio.to_thread.run_sync(responder.respond, body, answering, at)
        else:
            answer = responder.respond(body, answering, at)
        requests.add(answer.response_status.name)
        if answer.produced_at is not None and at - answer.produced_at >= _SECOND:
            ready.add()
        if by_post or answer.next_update is None:
            reply = der_http.Reply(answer.response_der, _NOT_KEPT)
        else:
            reply = _cacheable(answer, request.headers, at)
            if reply.status == 304:
                kept.add()
        durations.observe(time.perf_counter() - begin)
        return reply

    endpoint = der_http.endpoint(
        answer,
        request_type=REQUEST_TYPE,
        limit=messages.MAX_REQUEST_BYTES,
        methods=frozenset({"GET", "HEAD", "POST"}),
    )
    return {"/ocsp": endpoint}


_KEPT = b"max-age=%d, public, no-transform, must-revalidate, s-maxage=%d"
_MALFORMED = messages.build_error(messages.ResponseStatus.malformedRequest)


def _cacheable(
    answer: answers.Answer, asked: Sequence[der_http.Header], at: datetime.datetime
) -> der_http.Reply:
    """The reply to a GET that anybody may keep (RFC 5019 6.2)."""
    assert answer.next_update is not None and answer.produced_at is not None  # noqa: S101, PT018
    etag = _entity_tag(answer.response_der)
    # max-age ends before nextUpdate does.
    lifetime = max(math.ceil((answer.next_update - at).total_seconds()) - 1, 0)
    headers = (
        _TYPE,
        (b"cache-control", _KEPT % (lifetime, min(lifetime, SHARED_MAX_AGE_S))),
        (b"etag", etag),
        (b"last-modified", _http_date(answer.produced_at)),
        (b"expires", _http_date(answer.next_update)),
    )
    if _has_already(asked, etag, answer.produced_at):
        # RFC 9110 15.4.5: the headers that would have been sent, and no content.
        return der_http.Reply(b"", headers[1:], 304)
    return der_http.Reply(answer.response_der, headers)


def _has_already(
    asked: Sequence[der_http.Header], etag: bytes, produced_at: datetime.datetime
) -> bool:
    """Whether a conditional GET names the response that would be sent (RFC 9110 13.2.2)."""
    conditions = {name: value for name, value in asked if name.startswith(b"if-")}
    if not conditions:
        return False
    if (known := conditions.get(b"if-none-match")) is not None:
        named = [one.strip().removeprefix(b"W/") for one in known.split(b",")]
        return etag in named or b"*" in named
    since = conditions.get(b"if-modified-since", b"")
    try:
        return produced_at <= email_utils.parsedate_to_datetime(since.decode("latin-1"))
    except (ValueError, TypeError):
        # No date, or one without a zone: RFC 9110 13.1.3 ignores what is not valid.
        return False


@functools.lru_cache(maxsize=1024)
def _entity_tag(response_der: bytes) -> bytes:
    return b'"%s"' % hashlib.sha256(response_der).hexdigest().encode()


@functools.lru_cache(maxsize=1024)
def _http_date(at: datetime.datetime) -> bytes:
    return email_utils.format_datetime(at, usegmt=True).encode("ascii")
