"""The zones behind Debian's nginx: what it keeps, for how long, and what it never keeps."""

import base64
import collections
import contextlib
import itertools
import pathlib
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp as x509_ocsp
from starlette import types as starlette_types

from ocsp import api as ocsp_api
from ocsp import cert_id, messages
from pki import clock
from tests.support import nginx, servers, status_answers, status_load, status_zones
from tests.support import world as worlds

pytestmark = [pytest.mark.peer, pytest.mark.slow]

OCSP_REQUEST = "application/ocsp-request"


class Origin:
    """A server that says how long its answers may be kept, and what it was asked."""

    def __init__(self, cache_control: str = "no-store") -> None:
        self.cache_control = cache_control
        self.asked: list[tuple[str, str, dict[str, str]]] = []

    async def __call__(
        self,
        scope: starlette_types.Scope,
        receive: starlette_types.Receive,
        send: starlette_types.Send,
    ) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((scope["method"], scope["raw_path"].decode(), headers))
        body = f"answer {len(self.asked)}".encode()
        head = [(b"cache-control", self.cache_control.encode()), (b"etag", b'"the same"')]
        known = headers.get("if-none-match") == '"the same"'
        await receive()
        await send(
            {"type": "http.response.start", "status": 304 if known else 200, "headers": head}
        )
        await send({"type": "http.response.body", "body": b"" if known else body})


@contextlib.contextmanager
def before(folder: pathlib.Path, zone: str, origin: Origin) -> Iterator[httpx.Client]:
    """A client of nginx, which stands before an origin in a zone's place."""
    with servers.serve(origin) as url:
        place = {zone: [url.removeprefix("http://")]}
        with nginx.running(folder / "nginx", place) as proxy, client(proxy.address) as opened:
            yield opened


def client(address: str) -> httpx.Client:
    return httpx.Client(base_url=address, trust_env=False)


@pytest.fixture
def origin() -> Origin:
    return Origin()


def test_an_answer_is_kept_as_long_as_it_says_and_then_fetched_anew(
    tmp_path: pathlib.Path, origin: Origin
) -> None:
    origin.cache_control = "max-age=2, public, no-transform, must-revalidate"
    with before(tmp_path, "ocsp", origin) as asking:
        first = [asking.get("/ocsp/AAAA") for _ in range(3)]
        assert [one.text for one in first] == ["answer 1"] * 3
        assert [one.headers["x-cache-status"] for one in first] == ["MISS", "HIT", "HIT"]
        # Each request has an identifier of its own, though the answer is the same.
        assert len({one.headers["x-request-id"] for one in first}) == 3
        time.sleep(3.1)
        # Asked whether it has changed, by its ETag; it has not, so its bytes are used on.
        assert asking.get("/ocsp/AAAA").headers["x-cache-status"] == "REVALIDATED"
        assert origin.asked[-1][2]["if-none-match"] == '"the same"'
        assert len(origin.asked) == 2


def test_whoever_keeps_a_kept_answer_counts_from_when_it_was_made(
    tmp_path: pathlib.Path, origin: Origin
) -> None:
    origin.cache_control = "max-age=60"
    with before(tmp_path, "ocsp", origin) as asking:
        first = asking.get("/ocsp/AAAA").headers["date"]
        time.sleep(2.1)
        again = asking.get("/ocsp/AAAA")
    assert again.headers["x-cache-status"] == "HIT"
    # RFC 9111 4.2.3: without an Age a cache takes the Date for the beginning.
    assert again.headers["date"] == first


def test_no_status_is_served_after_its_end_though_the_responder_is_away(
    tmp_path: pathlib.Path,
) -> None:
    origin = Origin("max-age=1, must-revalidate")
    with servers.serve(origin) as url:
        proxy = nginx.Nginx(tmp_path / "nginx", {"ocsp": [url.removeprefix("http://")]})
        proxy.start()
        with client(proxy.address) as asking:
            assert asking.get("/ocsp/AAAA").status_code == 200
    try:
        time.sleep(2.1)
        with client(proxy.address) as asking:
            assert asking.get("/ocsp/AAAA").status_code == 502
    finally:
        proxy.stop()


@pytest.mark.clause("RFC 5861", "4")
def test_a_list_is_served_on_while_the_ca_zone_is_away_but_not_beyond_its_end(
    tmp_path: pathlib.Path,
) -> None:
    origin = Origin("public, max-age=1, stale-if-error=4")
    with servers.serve(origin) as url:
        proxy = nginx.Nginx(tmp_path / "nginx", {"ca": [url.removeprefix("http://")]})
        proxy.start()
        with client(proxy.address) as asking:
            assert asking.get("/crl/citizen.crl").text == "answer 1"
    try:
        with client(proxy.address) as asking:
            time.sleep(2.1)
            stale = asking.get("/crl/citizen.crl")
            assert (stale.text, stale.headers["x-cache-status"]) == ("answer 1", "STALE")
            time.sleep(5)
            assert asking.get("/crl/citizen.crl").status_code == 502
    finally:
        proxy.stop()


@pytest.mark.parametrize("path", ["/ocsp/AA//BB+/CC==", "/ocsp/AA%2F%2FBB%2B%2FCC%3D%3D"])
def test_the_path_goes_on_as_it_came(tmp_path: pathlib.Path, origin: Origin, path: str) -> None:
    with before(tmp_path, "ocsp", origin) as asking:
        asking.get(path)
    assert [one[:2] for one in origin.asked] == [("GET", path)]


def test_what_a_client_says_of_its_address_is_not_passed_on(
    tmp_path: pathlib.Path, origin: Origin
) -> None:
    claimed = {"X-Forwarded-For": "192.0.2.1", "Forwarded": "for=192.0.2.1"}
    with before(tmp_path, "ocsp", origin) as asking:
        asking.get("/ocsp/AAAA", headers=claimed)
    headers = origin.asked[0][2]
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert "forwarded" not in headers


def test_what_is_for_nobody_outside_is_not_reached(tmp_path: pathlib.Path, origin: Origin) -> None:
    with before(tmp_path, "ca", origin) as asking:
        for path in ("/", "/healthz", "/readyz", "/metrics", "/ra/v1/certificates", "/ocspx"):
            assert asking.get(path).status_code == 404, path
        assert asking.delete("/crl/citizen.crl").status_code == 403
        assert asking.post("/cmp", content=bytes(300_000)).status_code == 413
        # A query makes no second copy of an answer, and none that is kept.
        origin.cache_control = "max-age=60"
        assert asking.get("/crl/citizen.crl?1").headers["x-cache-status"] == "MISS"
        assert asking.get("/crl/citizen.crl?2").headers["x-cache-status"] == "HIT"
    assert {one[1].partition("?")[0] for one in origin.asked} == {"/crl/citizen.crl"}


def test_the_offices_network_alone_reaches_the_registration_over_tls(
    tmp_path: pathlib.Path, origin: Origin
) -> None:
    path = "/ra/v1/certificates?a=1%2F2&b=//"
    with servers.serve(origin) as url:
        place = {"ca": [url.removeprefix("http://")]}
        for offices, status in (("127.0.0.0/8", 200), ("192.0.2.0/24", 403)):
            folder = tmp_path / offices.partition("/")[0]
            with nginx.running(folder, place, offices=offices) as proxy:
                trust = ssl.create_default_context(cafile=str(proxy.certificate))
                with httpx.Client(verify=trust, trust_env=False) as asking:
                    reply = asking.get(proxy.secure_address + path)
                assert reply.status_code == status
                assert "max-age" in reply.headers["strict-transport-security"]
                port = proxy.secure_address.rpartition(":")[2]
                for version, accepted in (("-tls1_1", False), ("-tls1_2", True)):
                    done = subprocess.run(
                        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", version,
                         "-cipher", "DEFAULT@SECLEVEL=0"],
                        input=b"", capture_output=True, timeout=20, check=False,
                    )  # fmt: skip
                    assert (done.returncode == 0) == accepted, done.stderr
    assert [one[1] for one in origin.asked] == [path.partition("?")[0]]


@pytest.fixture(scope="module")
def service() -> Iterator[status_zones.StatusZones]:
    """The CA zone and a responder with two workers."""
    with (
        tempfile.TemporaryDirectory(prefix="imza-") as folder,
        status_zones.running(pathlib.Path(folder)) as running,
    ):
        yield running


@pytest.fixture
def zones(service: status_zones.StatusZones) -> worlds.Zones:
    return service.zones


@pytest.fixture
def proxy(zones: worlds.Zones, tmp_path: pathlib.Path) -> Iterator[nginx.Nginx]:
    places = {one: [zones.addresses.of(one).removeprefix("http://")] for one in ("ca", "ocsp")}
    with nginx.running(tmp_path / "nginx", places) as started:
        yield started


def citizen_authority(zones: worlds.Zones) -> x509.Certificate:
    found = x509.load_pem_x509_certificates(zones.installation.authorities.read_bytes())
    return next(one for one in found if "Citizen" in one.subject.rfc4514_string())


def request(issuer: x509.Certificate, serial: int, nonce: bytes | None = None) -> bytes:
    named = cert_id.name_certificate(issuer, serial)
    return messages.build_request(messages.OCSPRequest((named,), nonce))


def encoded(request_der: bytes) -> str:
    return "/ocsp/" + urllib.parse.quote(base64.b64encode(request_der), safe="")


@pytest.mark.clause("RFC 5019", "6")
def test_repeated_requests_are_answered_from_the_cache_and_posts_and_nonces_are_not(
    zones: worlds.Zones, proxy: nginx.Nginx, capsys: pytest.CaptureFixture[str]
) -> None:
    issuer, office = citizen_authority(zones), zones.office()
    serials = [int(worlds.certify(office, f"5PN{one}5PN").serial_number, 16) for one in range(5)]
    with client(proxy.address) as asking:
        for serial in serials * 100:
            reply = asking.get(encoded(request(issuer, serial)))
            single = x509_ocsp.load_der_ocsp_response(reply.content)
            assert single.serial_number == serial
            assert single.certificate_status is x509_ocsp.OCSPCertStatus.GOOD
            assert single.next_update_utc is not None
            assert single.next_update_utc > clock.SystemClock().now()
        found = collections.Counter(proxy.cache_statuses())
        with capsys.disabled():
            sys.stdout.write(f"\n500 GETs for 5 certificates: {dict(found)}\n")
        assert found == {"MISS": 5, "HIT": 495}
        proxy.forget_log()
        for nonce in (bytes([one] * 16) for one in range(3)):
            reply = asking.get(encoded(request(issuer, serials[0], nonce)))
            found_extensions = x509_ocsp.load_der_ocsp_response(reply.content).extensions
            assert found_extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
        again = asking.get(encoded(request(issuer, serials[0], bytes(16))))
        assert again.headers["cache-control"] == "no-store"
        for _ in range(2):
            posted = asking.post(
                "/ocsp", content=request(issuer, serials[0]), headers={"Content-Type": OCSP_REQUEST}
            )
            assert x509_ocsp.load_der_ocsp_response(posted.content).serial_number == serials[0]
        # An unknown serial may be issued any moment, and an error says nothing for long.
        asking.get(encoded(request(issuer, 4711)))
        asking.get("/ocsp/AAAA")
        assert "HIT" not in proxy.cache_statuses()


def test_a_revocation_is_seen_through_the_cache_within_seconds(
    service: status_zones.StatusZones, proxy: nginx.Nginx
) -> None:
    known = service.certify(1)[0]
    algorithm, checker = hashes.SHA256(), status_answers.Checker()
    path = "/ocsp/" + status_answers.path_of(known.question.build(algorithm))
    with client(proxy.address) as asking:

        def told() -> str:
            body = asking.get(path).content
            return checker.check(body, known.question, algorithm, clock.SystemClock().now())

        # Kept just before the revocation, so that it stays for as long as it may.
        assert told() == "good"
        done = service.revoke(known)
        assert told() == "good"
        status_load.await_that(lambda: told() == "revoked", ocsp_api.SHARED_MAX_AGE_S + 2)
        sys.stdout.write(f"revoked through the cache after {time.monotonic() - done:.1f} s\n")
        found = collections.Counter(proxy.cache_statuses())
    assert set(found) <= {"MISS", "HIT", "EXPIRED", "REVALIDATED"}
    assert found["HIT"] > 10 * (found.total() - found["HIT"])


@pytest.mark.clause("RFC 6960", "A.1")
def test_every_spelling_of_a_request_reaches_the_responder_unchanged(
    zones: worlds.Zones, proxy: nginx.Nginx
) -> None:
    issuer = citizen_authority(zones)
    serial = next(
        one
        for one in itertools.count(1 << 100)
        if b"//" in (text := base64.b64encode(request(issuer, one))) and b"+" in text
    )
    plain = base64.b64encode(request(issuer, serial)).decode()
    with client(proxy.address) as asking:
        for path in (plain, urllib.parse.quote(plain, safe=""), plain.replace("+", "%2B")):
            reply = asking.get(f"/ocsp/{path}")
            assert x509_ocsp.load_der_ocsp_response(reply.content).serial_number == serial


def test_a_client_that_has_the_answer_is_told_so(zones: worlds.Zones, proxy: nginx.Nginx) -> None:
    serial = int(worlds.certify(zones.office(), "5PN85PN").serial_number, 16)
    path = encoded(request(citizen_authority(zones), serial))
    with client(proxy.address) as asking:
        tag = asking.get(path).headers["etag"]
        again = asking.get(path, headers={"If-None-Match": tag})
        assert (again.status_code, again.content) == (304, b"")
        lists = [asking.get("/crl/citizen.crl") for _ in range(2)]
        assert [one.headers["x-cache-status"] for one in lists] == ["MISS", "HIT"]
        x509.load_der_x509_crl(lists[1].content)
        x509.load_der_x509_certificate(asking.get("/ca/citizen.cer").content)
