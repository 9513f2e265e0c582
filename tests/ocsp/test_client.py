import dataclasses
import datetime
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import click.testing
import fastapi
import pytest
from cryptography import x509
from hypothesis import given, settings
from hypothesis import strategies as st

from ocsp import cert_id, client, commands, messages
from pki import certificates, errors, outbound, signature, status, web
from pki.algorithms import HashAlgorithm, KeyKind
from tests.ocsp.conftest import World
from tests.support import hierarchy as hierarchy_support
from tests.support import servers

GOOD = status.CertificateStatus()


@pytest.fixture
def http() -> Iterator[outbound.Client]:
    opened = outbound.Client(timeout_s=5)
    yield opened
    opened.close()


def _fetch(
    world: World, http: outbound.Client, url: str, holder: hierarchy_support.Holder
) -> client.CheckedStatus:
    return client.fetch_status(
        http,
        holder.certificate,
        world.hierarchy.issuing.certificate,
        world.clock.now(),
        urls=[f"{url}/ocsp"],
    )


def test_a_good_certificate_is_found_good(
    world: World, base_url: str, http: outbound.Client
) -> None:
    checked = _fetch(world, http, base_url, world.signer())
    assert checked.status == GOOD
    assert checked.this_update == world.clock.now()
    assert checked.responder == world.responder.issuers[0].keys[0].certificate
    assert messages.parse_response(checked.response_der)[0] is messages.ResponseStatus.successful


def test_a_revoked_certificate_is_found_revoked(
    world: World, base_url: str, http: outbound.Client
) -> None:
    when = world.clock.now() - datetime.timedelta(hours=1)
    known = status.CertificateStatus(when, status.RevocationReason.keyCompromise, when)
    assert _fetch(world, http, base_url, world.signer(known)).status == known


def test_a_certificate_never_issued_is_unknown(
    world: World, base_url: str, http: outbound.Client
) -> None:
    with pytest.raises(client.StatusUnknownError):
        _fetch(world, http, base_url, world.signer(None))


def test_the_address_in_the_certificate_is_used(
    world: World, base_url: str, http: outbound.Client
) -> None:
    world.hierarchy.ocsp_url = f"{base_url}/ocsp"
    holder = world.signer()
    checked = client.fetch_status(
        http, holder.certificate, world.hierarchy.issuing.certificate, world.clock.now()
    )
    assert checked.status == GOOD


def test_a_certificate_without_an_address_needs_one(world: World, http: outbound.Client) -> None:
    with pytest.raises(client.NoResponderAddressError):
        client.fetch_status(
            http,
            world.signer().certificate,
            world.hierarchy.issuing.certificate,
            world.clock.now(),
        )


def test_a_wrong_issuer_is_refused_before_anything_is_sent(
    world: World, http: outbound.Client
) -> None:
    with pytest.raises(certificates.CertificateSignatureError):
        client.fetch_status(
            http,
            world.signer().certificate,
            world.hierarchy.infrastructure.certificate,
            world.clock.now(),
            urls=["http://127.0.0.1:9/ocsp"],
        )


def test_a_responder_that_is_down_is_a_peer_that_is_down(
    world: World, http: outbound.Client
) -> None:
    with pytest.raises(outbound.PeerUnavailableError):
        _fetch(world, http, f"http://127.0.0.1:{servers.free_port()}", world.signer())


@pytest.mark.parametrize(
    ("why", "retriable"),
    [
        (messages.ResponseStatus.tryLater, True),
        (messages.ResponseStatus.internalError, True),
        (messages.ResponseStatus.unauthorized, False),
        (messages.ResponseStatus.malformedRequest, False),
    ],
)
def test_an_error_status_is_told(
    world: World, why: messages.ResponseStatus, retriable: bool
) -> None:
    with pytest.raises(client.ResponderRefusedError, match=why.name) as caught:
        client.check_response(
            messages.build_error(why),
            world.signer().certificate,
            world.hierarchy.issuing.certificate,
            world.clock.now(),
        )
    assert caught.value.retriable is retriable


@dataclasses.dataclass
class Forgery:
    """A response whose every part can be made wrong."""

    world: World
    holder: hierarchy_support.Holder
    signer: hierarchy_support.Holder
    sent: tuple[bytes, ...]
    data: messages.ResponseData

    def change(self, **parts: object) -> None:
        self.data = dataclasses.replace(self.data, **parts)  # type: ignore[arg-type]

    def change_single(self, **parts: object) -> None:
        (single,) = self.data.responses
        self.change(responses=(dataclasses.replace(single, **parts),))  # type: ignore[arg-type]

    def sign_with(self, signer: hierarchy_support.Holder) -> None:
        self.signer, self.sent = signer, (signer.der,)
        self.change(responder=cert_id.key_hash(signer.certificate, cert_id.CertIDHash.SHA1))

    def check(self, **asked: object) -> client.CheckedStatus:
        signed = messages.build_response_data(self.data)
        value = self.signer.handle.sign(signature.represent(signed, HashAlgorithm.SHA256))
        return client.check_response(
            messages.build_response(signed, value, self.sent),
            self.holder.certificate,
            self.world.hierarchy.issuing.certificate,
            self.world.clock.now(),
            **{"nonce": b"n" * 32, **asked},  # type: ignore[arg-type]
        )


@pytest.fixture
def forgery(world: World) -> Forgery:
    holder = world.signer()
    signer = world.hierarchy.ocsp_responder()
    issuer = world.hierarchy.issuing.certificate
    now = world.clock.now()
    single = messages.SingleResponse(
        cert_id.name_certificate(issuer, holder.certificate.serial_number),
        GOOD,
        now,
        now + datetime.timedelta(minutes=30),
    )
    data = messages.ResponseData(b"", now, (single,), b"n" * 32)
    forged = Forgery(world, holder, signer, (), data)
    forged.sign_with(signer)
    return forged


def test_the_forgery_is_right_until_something_is_changed(forgery: Forgery) -> None:
    assert forgery.check().status == GOOD


def test_a_response_signed_by_the_issuer_itself_is_taken(forgery: Forgery) -> None:
    forgery.sign_with(forgery.world.hierarchy.issuing)
    forgery.sent = ()
    assert forgery.check().responder == forgery.world.hierarchy.issuing.certificate


def test_a_responder_named_by_its_name_is_taken(forgery: Forgery) -> None:
    forgery.change(by_key=False, responder=forgery.signer.certificate.subject.public_bytes())
    assert forgery.check().status == GOOD


@pytest.mark.clause("RFC 6960", "3.2")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(lambda f: f.change(nonce=b"m" * 32), id="another nonce"),
        pytest.param(lambda f: f.change(nonce=None), id="no nonce"),
        pytest.param(lambda f: f.change(responder=b"k" * 20), id="another responder named"),
        pytest.param(lambda f: setattr(f, "sent", ()), id="no certificate"),
        pytest.param(lambda f: setattr(f, "sent", (b"\x30\x00",)), id="no real certificate"),
        pytest.param(lambda f: f.change(responses=()), id="about nothing"),
        pytest.param(
            lambda f: f.change_single(
                cert_id=cert_id.name_certificate(f.world.hierarchy.issuing.certificate, 5)
            ),
            id="another serial",
        ),
        pytest.param(
            lambda f: f.change_single(
                cert_id=cert_id.name_certificate(
                    f.world.hierarchy.infrastructure.certificate,
                    f.holder.certificate.serial_number,
                )
            ),
            id="another issuer",
        ),
        pytest.param(
            lambda f: setattr(f, "signer", f.world.hierarchy.ocsp_responder()), id="another key"
        ),
        pytest.param(
            lambda f: f.sign_with(
                f.world.hierarchy.ocsp_responder(f.world.hierarchy.infrastructure)
            ),
            id="a responder of another CA",
        ),
        pytest.param(
            lambda f: f.sign_with(f.world.hierarchy.signer(authentication=True)),
            id="a certificate without OCSPSigning",
        ),
        pytest.param(
            lambda f: f.world.clock.move(datetime.timedelta(days=31)), id="an expired responder"
        ),
        pytest.param(
            lambda f: f.change_single(this_update=f.data.produced_at + datetime.timedelta(hours=1)),
            id="from the future",
        ),
        pytest.param(
            lambda f: f.change_single(next_update=f.data.produced_at - datetime.timedelta(hours=1)),
            id="overdue",
        ),
        pytest.param(
            lambda f: f.change(produced_at=f.data.produced_at - datetime.timedelta(hours=1)),
            id="produced before the request",
        ),
        pytest.param(
            lambda f: f.change_single(
                this_update=f.data.produced_at - datetime.timedelta(days=2), next_update=None
            ),
            id="old and without nextUpdate",
        ),
    ],
)
def test_a_response_with_one_thing_wrong_is_refused(
    forgery: Forgery, change: Callable[[Forgery], None]
) -> None:
    change(forgery)
    with pytest.raises(client.ResponseRefusedError):
        forgery.check()


def test_a_status_from_before_the_time_stamp_is_stale(forgery: Forgery) -> None:
    now = forgery.world.clock.now()
    # The time stamp's genTime is cut to whole seconds: within the same second is late enough.
    assert forgery.check(not_before=now + datetime.timedelta(microseconds=900_000)).status == GOOD
    with pytest.raises(client.StaleResponseError) as caught:
        forgery.check(not_before=now + datetime.timedelta(seconds=1))
    assert caught.value.retriable


def test_a_peer_that_answers_with_a_page_is_not_believed(
    world: World, http: outbound.Client
) -> None:
    router = fastapi.APIRouter()

    @router.post("/ocsp")
    def page() -> fastapi.Response:
        return fastapi.Response("<html>", media_type="text/html")

    with (
        servers.serve(web.application("test", [router])) as url,
        pytest.raises(outbound.PeerAnswerError),
    ):
        _fetch(world, http, url, world.signer())


def test_a_peer_that_answers_with_junk_is_not_believed(world: World, http: outbound.Client) -> None:
    router = fastapi.APIRouter()

    @router.post("/ocsp")
    def junk() -> fastapi.Response:
        return fastapi.Response(b"\x30\x80" * 1000, media_type="application/ocsp-response")

    with (
        servers.serve(web.application("test", [router])) as url,
        pytest.raises(client.ResponseRefusedError),
    ):
        _fetch(world, http, url, world.signer())


def _query(*arguments: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(commands.group, ["query", *arguments])


def test_the_command_tells_the_status(world: World, base_url: str, tmp_path: Path) -> None:
    holder = world.signer()
    (tmp_path / "signer.pem").write_bytes(holder.pem)
    (tmp_path / "issuer.cer").write_bytes(world.hierarchy.issuing.der)
    done = _query(
        str(tmp_path / "signer.pem"),
        "--issuer",
        str(tmp_path / "issuer.cer"),
        "--url",
        f"{base_url}/ocsp",
        "--save",
        str(tmp_path / "response.ors"),
        "--json",
    )
    assert done.exit_code == 0, done.output
    shown = json.loads(done.output)
    assert shown["status"] == "good"
    assert int(shown["serial_number"], 16) == holder.certificate.serial_number
    assert messages.parse_response((tmp_path / "response.ors").read_bytes())[1] is not None


def test_the_command_fetches_the_issuer_where_the_certificate_says(
    world: World, base_url: str, tmp_path: Path
) -> None:
    router = fastapi.APIRouter()

    @router.get("/ca/citizen.cer")
    def issuer() -> fastapi.Response:
        return fastapi.Response(world.hierarchy.issuing.der, media_type="application/pkix-cert")

    with servers.serve(web.application("test", [router])) as ca_url:
        addresses = x509.AuthorityInformationAccess(
            [
                x509.AccessDescription(
                    x509.AuthorityInformationAccessOID.CA_ISSUERS,
                    x509.UniformResourceIdentifier(f"{ca_url}/ca/citizen.cer"),
                ),
                x509.AccessDescription(
                    x509.AuthorityInformationAccessOID.OCSP,
                    x509.UniformResourceIdentifier(f"{base_url}/ocsp"),
                ),
            ]
        )
        holder = world.hierarchy._leaf(
            world.hierarchy.issuing,
            [(x509.NameOID.COMMON_NAME, "TEST")],
            KeyKind.P256,
            [(addresses, False)],
        )
        known = status.CertificateStatus(
            world.clock.now(), status.RevocationReason.superseded, world.clock.now()
        )
        world.statuses["citizen", holder.certificate.serial_number] = known
        (tmp_path / "signer.cer").write_bytes(holder.der)
        done = _query(str(tmp_path / "signer.cer"))
    assert done.exit_code == 0, done.output
    assert "status: revoked" in done.output
    assert "reason: superseded" in done.output


def test_a_certificate_without_its_issuers_address_needs_the_option(
    world: World, tmp_path: Path
) -> None:
    (tmp_path / "signer.cer").write_bytes(world.signer().der)
    done = _query(str(tmp_path / "signer.cer"))
    assert isinstance(done.exception, errors.InputError)
    assert "--issuer" in str(done.exception)


def test_the_command_raises_for_what_it_cannot_read(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"-----BEGIN NOTHING-----")
    done = _query(str(tmp_path / "junk"))
    assert isinstance(done.exception, errors.InputError)


AT = datetime.datetime(2026, 11, 21, 12, 0, 0, tzinfo=datetime.UTC)
HIERARCHY = hierarchy_support.make_hierarchy(AT)
SIGNER = HIERARCHY.signer()


def _make_response() -> bytes:
    holder = HIERARCHY.ocsp_responder()
    issuer = HIERARCHY.issuing.certificate
    name = cert_id.name_certificate(issuer, SIGNER.certificate.serial_number)
    single = messages.SingleResponse(name, GOOD, AT, AT + datetime.timedelta(minutes=30))
    key = cert_id.key_hash(holder.certificate, cert_id.CertIDHash.SHA1)
    signed = messages.build_response_data(messages.ResponseData(key, AT, (single,), b"n" * 32))
    value = holder.handle.sign(signature.represent(signed, HashAlgorithm.SHA256))
    return messages.build_response(signed, value, (holder.der,))


RESPONSE = _make_response()


# A mutated certificate may be one that the library only warns of; we refuse it ourselves.
@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
@given(st.integers(0, len(RESPONSE) - 1), st.integers(1, 255))
@settings(deadline=None, max_examples=400)
def test_no_changed_byte_changes_a_status_that_is_taken(position: int, difference: int) -> None:
    changed = bytearray(RESPONSE)
    changed[position] ^= difference
    try:
        checked = client.check_response(
            bytes(changed),
            SIGNER.certificate,
            HIERARCHY.issuing.certificate,
            AT,
            nonce=b"n" * 32,
        )
    except errors.PeerError:
        return
    assert (checked.status, checked.this_update) == (GOOD, AT)
