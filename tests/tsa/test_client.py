import dataclasses
import datetime
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import click.testing
import httpx
import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from pki import certificates, errors, outbound
from pki.algorithms import HashAlgorithm, KeyKind
from tests.support import hierarchy as hierarchy_support
from tests.support import servers
from tests.tsa.conftest import IMPRINT, POLICY, World
from tsa import authority, client, commands, messages, signed_token


@pytest.fixture
def http() -> Iterator[outbound.Client]:
    opened = outbound.Client(timeout_s=5)
    yield opened
    opened.close()


def test_a_time_stamp_is_fetched_and_checked(
    world: World, base_url: str, http: outbound.Client
) -> None:
    token = client.request_time_stamp(
        http, f"{base_url}/tsa", IMPRINT, world.clock.now(), policy=POLICY
    )
    assert token.info.imprint == IMPRINT
    assert token.info.gen_time == world.clock.now()
    assert signed_token.find_signer_certificate(token) == world.unit.certificate
    assert signed_token.parse_token(token.token_der) == token


def test_an_authority_that_is_down_is_a_peer_that_is_down(
    world: World, http: outbound.Client
) -> None:
    with pytest.raises(outbound.PeerUnavailableError):
        client.request_time_stamp(
            http, f"http://127.0.0.1:{servers.free_port()}/tsa", IMPRINT, world.clock.now()
        )


def test_a_policy_that_is_not_offered_is_refused(
    world: World, base_url: str, http: outbound.Client
) -> None:
    with pytest.raises(client.TimeStampRefusedError, match="unacceptedPolicy") as caught:
        client.request_time_stamp(
            http, f"{base_url}/tsa", IMPRINT, world.clock.now(), policy="1.2.3"
        )
    assert not caught.value.retriable


def test_a_clock_that_went_back_may_be_better_later(
    world: World, base_url: str, http: outbound.Client
) -> None:
    world.authority.take_time(world.clock.now() + datetime.timedelta(hours=1))
    with pytest.raises(client.TimeStampRefusedError, match="timeNotAvailable") as caught:
        client.request_time_stamp(http, f"{base_url}/tsa", IMPRINT, world.clock.now())
    assert caught.value.retriable


@dataclasses.dataclass
class Forgery:
    """An answer whose every part can be made wrong."""

    world: World
    unit: hierarchy_support.Holder
    sent: tuple[x509.Certificate, ...]
    info: messages.TSTInfo
    named: x509.Certificate

    def change(self, **parts: object) -> None:
        self.info = dataclasses.replace(self.info, **parts)  # type: ignore[arg-type]

    def sign_with(self, unit: hierarchy_support.Holder) -> None:
        self.unit, self.named, self.sent = unit, unit.certificate, (unit.certificate,)

    def check(self) -> signed_token.TimeStampToken:
        token_der = signed_token.build_token(self.info, self.named, self.unit.handle, self.sent)
        request = messages.TimeStampRequest(IMPRINT, POLICY, nonce=7, cert_req=True)
        return client.check_response(
            messages.build_granted(token_der), request, self.world.clock.now()
        )


@pytest.fixture
def forgery(world: World) -> Forgery:
    info = messages.TSTInfo(POLICY, IMPRINT, 5, world.clock.now(), nonce=7)
    certificate = world.unit.certificate
    return Forgery(world, world.unit, (certificate,), info, certificate)


def _unit_with(
    world: World, *extensions: tuple[x509.ExtensionType, bool]
) -> hierarchy_support.Holder:
    """A certificate of the infrastructure CA with these extensions besides its key usage."""
    return world.hierarchy._leaf(
        world.hierarchy.infrastructure,
        [(x509.NameOID.COMMON_NAME, "TEST unit")],
        KeyKind.P256,
        [(hierarchy_support._usage(digital_signature=True), True), *extensions],
        ocsp=False,
    )


def test_the_forgery_is_right_until_something_is_changed(forgery: Forgery) -> None:
    assert forgery.check().info == forgery.info


@pytest.mark.clause("RFC 3161", "2.2")
@pytest.mark.parametrize(
    "change",
    [
        pytest.param(
            lambda f: f.change(
                imprint=messages.MessageImprint(
                    HashAlgorithm.SHA256, HashAlgorithm.SHA256.digest(b"another contract")
                )
            ),
            id="another imprint",
        ),
        pytest.param(lambda f: f.change(nonce=8), id="another nonce"),
        pytest.param(lambda f: f.change(nonce=None), id="no nonce"),
        pytest.param(lambda f: f.change(policy="1.2.3"), id="another policy"),
        pytest.param(
            lambda f: f.change(gen_time=f.info.gen_time + datetime.timedelta(hours=1)),
            id="another time",
        ),
        pytest.param(lambda f: setattr(f, "sent", ()), id="no certificate"),
        pytest.param(
            lambda f: setattr(f, "unit", f.world.hierarchy.time_stamping_unit()), id="another key"
        ),
        pytest.param(
            lambda f: f.sign_with(f.world.hierarchy.signer()), id="a person's certificate"
        ),
        pytest.param(
            lambda f: f.sign_with(f.world.hierarchy.ocsp_responder()),
            id="a responder's certificate",
        ),
    ],
)
def test_a_token_with_one_thing_wrong_is_refused(
    forgery: Forgery, change: Callable[[Forgery], None]
) -> None:
    change(forgery)
    with pytest.raises(client.TokenRefusedError):
        forgery.check()


@pytest.mark.clause("RFC 3161", "2.3")
@pytest.mark.parametrize(
    ("usages", "critical", "accepted"),
    [
        ((ExtendedKeyUsageOID.TIME_STAMPING,), True, True),
        ((ExtendedKeyUsageOID.TIME_STAMPING,), False, False),
        ((ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CLIENT_AUTH), True, False),
        ((ExtendedKeyUsageOID.CLIENT_AUTH,), True, False),
        ((), False, False),
    ],
)
def test_the_unit_must_be_for_time_stamping_alone_and_say_so_critically(
    forgery: Forgery,
    usages: tuple[x509.ObjectIdentifier, ...],
    critical: bool,
    accepted: bool,
) -> None:
    extensions = [(x509.ExtendedKeyUsage(usages), critical)] if usages else []
    forgery.sign_with(_unit_with(forgery.world, *extensions))
    if accepted:
        assert forgery.check().info == forgery.info
    else:
        with pytest.raises(client.TokenRefusedError):
            forgery.check()


@pytest.mark.clause("RFC 5816", "2.2.1")
def test_a_token_bound_to_another_certificate_of_the_same_key_is_refused(world: World) -> None:
    """A second certificate with the same name, number and key, as a substitution would use."""
    first = world.unit
    token_der = authority.issue_time_stamp(
        messages.TimeStampRequest(IMPRINT, cert_req=True), world.authority, world.clock.now()
    )
    token = signed_token.parse_token(token_der)
    renewed = x509.CertificateBuilder(
        first.certificate.issuer,
        first.certificate.subject,
        first.certificate.public_key(),
        first.certificate.serial_number,
        first.certificate.not_valid_before_utc,
        first.certificate.not_valid_after_utc - datetime.timedelta(days=1),
        list(first.certificate.extensions),
    ).sign(world.hierarchy.infrastructure.key, HashAlgorithm.SHA384.hasher)
    swapped = dataclasses.replace(token, certificates=(renewed,))
    with pytest.raises(signed_token.TokenSignatureError, match="another certificate"):
        client.check_token(swapped, IMPRINT)
    client.check_token(token, IMPRINT)


@pytest.mark.parametrize("content", [b"", b"junk", b"\x30\x80" * 1000, b"\x30\x03\x02\x01\x00"])
def test_an_answer_that_is_none_is_refused(world: World, content: bytes) -> None:
    with pytest.raises(client.TokenRefusedError):
        client.check_response(content, messages.TimeStampRequest(IMPRINT), world.clock.now())


def _post(url: str, body: bytes, kind: str = "application/timestamp-query") -> httpx.Response:
    return httpx.post(f"{url}/tsa", content=body, headers={"Content-Type": kind}, trust_env=False)


@pytest.mark.clause("RFC 3161", "3.4")
def test_a_rejection_is_http_200_with_a_time_stamp_reply(base_url: str) -> None:
    for body in (b"", b"junk", b"\x30" * 5000, b"\x30\x80" * 50_000):
        reply = _post(base_url, body)
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "application/timestamp-reply"
        response = messages.parse_response(reply.content)
        assert response.failures == {messages.PKIFailureInfo.badDataFormat}


def test_another_content_type_is_415(base_url: str) -> None:
    request = messages.build_request(messages.TimeStampRequest(IMPRINT))
    assert _post(base_url, request, "application/octet-stream").status_code == 415


def _query(file: Path, url: str, *options: str) -> click.testing.Result:
    return click.testing.CliRunner().invoke(
        commands.group, ["query", str(file), "--url", url, *options]
    )


def test_the_command_stamps_a_file(base_url: str, tmp_path: Path) -> None:
    (tmp_path / "contract.txt").write_bytes(b"a contract")
    done = _query(
        tmp_path / "contract.txt", f"{base_url}/tsa", "--json", "--save", f"{tmp_path}/contract.tst"
    )
    assert done.exit_code == 0, done.output
    shown = json.loads(done.output)
    assert shown["hash"] == IMPRINT.hash.hex()
    assert shown["accuracy_ms"] == 1000
    token = signed_token.parse_token((tmp_path / "contract.tst").read_bytes())
    assert certificates.serial_text(token.info.serial_number) == shown["serial_number"]


def test_the_command_raises_what_the_client_raises(tmp_path: Path) -> None:
    (tmp_path / "contract.txt").write_bytes(b"a contract")
    done = _query(tmp_path / "contract.txt", f"http://127.0.0.1:{servers.free_port()}/tsa")
    assert isinstance(done.exception, errors.PeerError)
