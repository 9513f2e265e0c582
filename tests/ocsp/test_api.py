import base64
import concurrent.futures
import datetime
import random
import threading
import urllib.parse
from email import utils as email_utils

import httpx
import pytest

from ocsp import api, cert_id, messages, responder
from pki import status, web
from tests.ocsp.conftest import World
from tests.support import servers

MALFORMED = bytes.fromhex("30030a0101")


def _request(world: World, *, nonce: bytes | None = None, known: bool = True) -> bytes:
    serial = world.signer().certificate.serial_number if known else 4711
    asked = cert_id.name_certificate(world.hierarchy.issuing.certificate, serial)
    return messages.build_request(messages.OCSPRequest((asked,), nonce))


def _post(base_url: str, body: bytes, kind: str = "application/ocsp-request") -> httpx.Response:
    return httpx.post(
        f"{base_url}/ocsp", content=body, headers={"Content-Type": kind}, trust_env=False
    )


def _get(base_url: str, body: bytes) -> httpx.Response:
    encoded = urllib.parse.quote(base64.b64encode(body), safe="")
    return httpx.get(f"{base_url}/ocsp/{encoded}", trust_env=False)


@pytest.mark.clause("RFC 6960", "A.1")
def test_post_and_get_are_answered_alike(world: World, base_url: str) -> None:
    body = _request(world)
    for reply in (_post(base_url, body), _get(base_url, body)):
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "application/ocsp-response"
        why, basic = messages.parse_response(reply.content)
        assert why is messages.ResponseStatus.successful
        assert basic is not None
        assert basic.data.produced_at == world.clock.now()


@pytest.mark.clause("RFC 5019", "6.2")
def test_a_get_without_a_nonce_may_be_kept_until_just_before_next_update(
    world: World, base_url: str
) -> None:
    reply = _get(base_url, _request(world))
    assert reply.headers["cache-control"] == (
        "max-age=1799, public, no-transform, must-revalidate, s-maxage=10"
    )
    assert reply.headers["etag"].startswith('"')
    now = world.clock.now()
    assert email_utils.parsedate_to_datetime(reply.headers["last-modified"]) == now
    expires = email_utils.parsedate_to_datetime(reply.headers["expires"])
    assert expires == now + datetime.timedelta(minutes=30)


@pytest.mark.clause("RFC 9654", "2.1")
def test_an_answer_to_a_nonce_is_never_kept(world: World, base_url: str) -> None:
    reply = _get(base_url, _request(world, nonce=b"n" * 32))
    assert reply.headers["cache-control"] == "no-store"
    assert "etag" not in reply.headers


def test_neither_unknown_nor_posted_nor_refused_is_kept(world: World, base_url: str) -> None:
    replies = (
        _get(base_url, _request(world, known=False)),
        _post(base_url, _request(world)),
        _post(base_url, b"junk"),
    )
    for reply in replies:
        assert reply.status_code == 200
        assert reply.headers["cache-control"] == "no-store"


def test_a_path_with_slashes_and_pluses_is_read(world: World, base_url: str) -> None:
    body = _request(world, nonce=b"\xff\xfe\xfb" * 12)
    encoded = base64.b64encode(body).decode()
    assert "/" in encoded
    reply = httpx.get(f"{base_url}/ocsp/{encoded}", trust_env=False)
    assert messages.parse_response(reply.content)[0] is messages.ResponseStatus.successful


def _get_text(base_url: str, path: str, **headers: str) -> httpx.Response:
    return httpx.get(f"{base_url}/ocsp/{path}", headers=headers, trust_env=False)


def _awkward_request(world: World, wanted: str) -> tuple[bytes, str]:
    """A request and its base64, in whose serial number these letters and no other slash are."""
    issuer = world.hierarchy.issuing.certificate
    chance = random.Random(5)  # noqa: S311 - the same search every time
    while True:
        serial = chance.randrange(2**126, 2**127)
        asked = cert_id.name_certificate(issuer, serial, cert_id.CertIDHash.SHA1)
        body = messages.build_request(messages.OCSPRequest((asked,)))
        text = base64.b64encode(body).decode()
        number = text[92:]
        if wanted in number and number.count("/") == wanted.count("/"):
            world.statuses["citizen", serial] = status.CertificateStatus()
            return body, text


@pytest.mark.clause("RFC 6960", "A.1")
@pytest.mark.parametrize("wanted", ["//", "+", "/", "="])
def test_a_path_is_read_however_its_base64_was_written(
    world: World, base_url: str, wanted: str
) -> None:
    body, text = _awkward_request(world, wanted)
    quoted = urllib.parse.quote(text, safe="")
    for path in (text, quoted, f"/{text}", urllib.parse.quote(quoted, safe=""), text.rstrip("=")):
        reply = _get_text(base_url, path)
        why, basic = messages.parse_response(reply.content)
        assert why is messages.ResponseStatus.successful, path
        assert basic is not None
        assert basic.data.responses[0].cert_id == messages.parse_request(body).cert_ids[0]
        assert basic.data.responses[0].status == status.CertificateStatus()


def test_a_slash_that_a_proxy_merged_is_put_back(world: World, base_url: str) -> None:
    body, text = _awkward_request(world, "//")
    before, _, after = text.rpartition("//")
    reply = _get_text(base_url, f"{before}/{after}")
    _, basic = messages.parse_response(reply.content)
    assert basic is not None
    assert basic.data.responses[0].cert_id == messages.parse_request(body).cert_ids[0]


def test_a_merged_slash_with_two_places_is_not_guessed(world: World, base_url: str) -> None:
    issuer = world.hierarchy.issuing.certificate
    chance = random.Random(6)  # noqa: S311 - the same search every time
    text = ""
    # Two places within the serial number: either slash of the two may have been two.
    while text[92:].count("/") != 3 or text[92:].count("//") != 1:
        asked = cert_id.name_certificate(
            issuer, chance.randrange(2**126, 2**127), cert_id.CertIDHash.SHA1
        )
        body = messages.build_request(messages.OCSPRequest((asked,)))
        text = base64.b64encode(body).decode()
    before, _, after = text.rpartition("//")
    assert _get_text(base_url, f"{before}/{after}").content == MALFORMED


@pytest.mark.clause("RFC 5019", "6.2")
def test_what_the_requester_has_already_is_not_sent_again(world: World, base_url: str) -> None:
    path = urllib.parse.quote(base64.b64encode(_request(world)).decode(), safe="")
    first = _get_text(base_url, path)
    etag, since = first.headers["etag"], first.headers["last-modified"]
    for headers in (
        {"If-Modified-Since": since},
        {"If-None-Match": "*"},
        {"If-None-Match": "*", "If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"},
    ):
        reply = _get_text(base_url, path, **headers)
        assert (reply.status_code, reply.content) == (304, b""), headers
        assert reply.headers["cache-control"] == first.headers["cache-control"]
        assert reply.headers["expires"] == first.headers["expires"]
    for headers in (
        {"If-None-Match": '"another"'},
        {"If-None-Match": '"another"', "If-Modified-Since": since},
        {"If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT"},
        {"If-Modified-Since": "yesterday"},
        {"If-Match": etag},
    ):
        assert _get_text(base_url, path, **headers).status_code == 200, headers


def test_head_tells_what_get_would(world: World, base_url: str) -> None:
    path = urllib.parse.quote(base64.b64encode(_request(world)).decode(), safe="")
    reply = httpx.head(f"{base_url}/ocsp/{path}", trust_env=False)
    got = _get_text(base_url, path)
    assert (reply.status_code, reply.content) == (200, b"")
    for name in ("content-type", "cache-control", "last-modified", "expires"):
        assert reply.headers[name] == got.headers[name]


def test_max_age_ends_before_next_update_whatever_the_fraction_of_a_second(
    world: World, base_url: str
) -> None:
    path = urllib.parse.quote(base64.b64encode(_request(world)).decode(), safe="")
    for _ in range(4):
        world.clock.move(datetime.timedelta(milliseconds=333))
        reply = _get_text(base_url, path)
        lifetime = int(reply.headers["cache-control"].removeprefix("max-age=").partition(",")[0])
        expires = email_utils.parsedate_to_datetime(reply.headers["expires"])
        left = (expires - world.clock.now()).total_seconds()
        assert left - 1 <= lifetime < left


@pytest.mark.parametrize("path", ["AAAA", "%21%21", "not base64", "x" * 9000])
def test_a_path_that_is_no_request_is_malformed(base_url: str, path: str) -> None:
    reply = httpx.get(f"{base_url}/ocsp/{path}", trust_env=False)
    assert (reply.status_code, reply.content) == (200, MALFORMED)


@pytest.mark.parametrize("body", [b"", b"junk", b"\x30" * 4097, b"\x30\x80" * 20_000])
def test_bytes_that_are_no_request_are_malformed(base_url: str, body: bytes) -> None:
    reply = _post(base_url, body)
    assert (reply.status_code, reply.content) == (200, MALFORMED)


def test_another_content_type_is_415(world: World, base_url: str) -> None:
    assert _post(base_url, _request(world), "application/json").status_code == 415


def test_a_question_that_waits_for_the_registry_holds_up_nobody_else(world: World) -> None:
    going_on = threading.Event()

    def look_up(name: str, serial: int) -> status.CertificateStatus | None:
        if (name, serial) not in world.statuses:
            assert going_on.wait(30)
        return world.statuses.get((name, serial))

    answering = responder.Responder(
        world.responder.issuers,
        look_up,
        is_known=lambda name, serial: (name, serial) in world.statuses,
    )
    app = web.application("test", [], api.endpoints(answering, world.clock))
    with servers.serve(app) as url, concurrent.futures.ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(_post, url, _request(world, known=False))
        try:
            for nonce in (None, b"n"):
                _, basic = messages.parse_response(_post(url, _request(world, nonce=nonce)).content)
                assert basic is not None
            assert not waiting.done()
        finally:
            going_on.set()
        _, basic = messages.parse_response(waiting.result().content)
    assert basic is not None
    assert basic.data.responses[0].status is None
