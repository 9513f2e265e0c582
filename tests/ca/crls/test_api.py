import datetime
import hashlib
from collections.abc import Iterator

import httpx
import pytest
import sqlalchemy
from cryptography import x509

from ca.crls import api, tables
from pki import clock, web
from tests.support import servers


@pytest.fixture
def served(office) -> Iterator[httpx.Client]:
    """The public routes over an authority whose lists name deltas."""
    office.issue(*range(1, 30))
    office.revoke(1)
    office.publish_full()
    present = clock.FixedClock(office.at)
    application = web.application("test", [api.public_routes(office.sessions, present)])
    with servers.serve(application) as base_url, httpx.Client(base_url=base_url) as client:
        yield client


@pytest.mark.clause("RFC 2585", "4.2")
def test_a_list_is_served_whole_with_its_digest_and_its_length(office, served) -> None:
    answer = served.get("/crl/citizen.crl")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/pkix-crl"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
    assert {one.serial_number for one in x509.load_der_x509_crl(answer.content)} == {1}
    delta = served.get("/crl/citizen/delta.crl")
    parsed = x509.load_der_x509_crl(delta.content)
    assert parsed.extensions.get_extension_for_class(x509.DeltaCRLIndicator)


def test_a_head_request_tells_the_same_and_sends_nothing(served) -> None:
    got, asked = served.get("/crl/citizen.crl"), served.head("/crl/citizen.crl")
    assert asked.content == b""
    for name in ("etag", "content-length", "content-type", "cache-control", "last-modified"):
        assert asked.headers[name] == got.headers[name]


@pytest.mark.clause("RFC 9110", "13.1.2")
def test_who_has_the_list_is_told_so(office, served) -> None:
    got = served.get("/crl/citizen.crl")
    tag = got.headers["etag"]
    for value in (tag, f'"other", W/{tag}', "*"):
        answer = served.get("/crl/citizen.crl", headers={"If-None-Match": value})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == tag
    office.at += datetime.timedelta(minutes=5)
    office.revoke(2)
    office.publish_full()
    answer = served.get("/crl/citizen.crl", headers={"If-None-Match": tag})
    assert answer.status_code == 200
    # If-None-Match counts alone, whatever the date says.
    later = {"If-None-Match": tag, "If-Modified-Since": answer.headers["last-modified"]}
    assert served.get("/crl/citizen.crl", headers=later).status_code == 200


@pytest.mark.clause("RFC 9110", "13.1.3")
def test_a_date_tells_lists_apart_only_where_it_can(office, served) -> None:
    got = served.get("/crl/citizen.crl")
    since = {"If-Modified-Since": got.headers["last-modified"]}
    assert served.get("/crl/citizen.crl", headers=since).status_code == 304
    assert served.get("/crl/citizen.crl", headers={"If-Modified-Since": "x"}).status_code == 200
    # Another list in the same second: its date would hide it.
    office.revoke(2)
    office.publish_full()
    answer = served.get("/crl/citizen.crl", headers=since)
    assert answer.status_code == 200
    assert "last-modified" not in answer.headers
    assert answer.headers["etag"] != got.headers["etag"]


def test_a_cache_keeps_a_list_for_a_minute_and_to_its_end_if_we_are_away(served) -> None:
    directives = served.get("/crl/citizen.crl").headers["cache-control"]
    left = 48 * 3600 - 60
    assert directives == f"public, max-age=60, stale-if-error={left}"


@pytest.mark.parametrize(
    "path",
    [
        "nobody.crl",
        "citizen/1.crl",
        "citizen/0.crl",
        "citizen/1-delta.crl",
        "citizen/delta-1.crl",
        "citizen/..crl",
        f"citizen/{'9' * 200}.crl",
        "citizen.crl/",
        "%00.crl",
        "%00/1.crl",
    ],
)
def test_a_list_that_is_not_there_is_not_found(served, path: str) -> None:
    assert served.get(f"/crl/{path}", follow_redirects=False).status_code in (307, 404)


def test_a_list_whose_bytes_are_damaged_is_not_sent_as_whole(office, served) -> None:
    with office.sessions() as session:
        session.execute(
            sqlalchemy.delete(tables.CRLChunkRow).where(tables.CRLChunkRow.position == 1)
        )
        session.commit()
    with pytest.raises(httpx.RemoteProtocolError):
        served.get("/crl/citizen.crl")
