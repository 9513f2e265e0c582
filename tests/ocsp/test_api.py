import base64
import datetime
import urllib.parse
from email import utils as email_utils

import httpx
import pytest

from ocsp import cert_id, messages
from tests.ocsp.conftest import World

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
    assert reply.headers["cache-control"] == ("max-age=1799, public, no-transform, must-revalidate")
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
