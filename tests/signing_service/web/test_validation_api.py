"""Validation over HTTP, with workers, an OCSP responder and CRLs on loopback."""

import base64
import contextlib
import dataclasses
import datetime
import json
import pathlib
from collections.abc import Iterator
from typing import Any

import fastapi
import httpx
import pytest
from click.testing import CliRunner

from pki import access, access_settings, clock, database, web
from signing_service import trust
from signing_service.command_line import certificate_command
from signing_service.validation import fetching, isolation, policy
from signing_service.web import validation_api
from tests.support import hierarchy as hierarchy_support
from tests.support import servers, signed_pdfs, signing_world

CERTIFICATES = "/api/v1/certificates/validations"


@dataclasses.dataclass
class Desk:
    """A client of the service, and the world that it asks about."""

    http: httpx.Client
    world: signing_world.World
    folder: pathlib.Path

    def ask(self, holder: hierarchy_support.Holder, **others: Any) -> httpx.Response:
        body = {"certificate": base64.b64encode(holder.der).decode()} | others
        return self.http.post(CERTIFICATES, json=body)

    @property
    def intermediates(self) -> list[str]:
        return [base64.b64encode(self.world.authorities.issuing.der).decode()]


@pytest.fixture(scope="module")
def at() -> datetime.datetime:
    return clock.whole_seconds(clock.SystemClock().now())


@pytest.fixture(scope="module")
def desk(at: datetime.datetime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("validation-api")
    engine = database.connect(f"sqlite:///{folder}/test.sqlite")
    database.Base.metadata.create_all(engine)
    secret = access.new_secret()
    clients = tuple(
        access_settings.ApiClient(name, access.hash_secret(secret), scopes)
        for name, scopes in (("portal", ("validate",)), ("signer", ("sign",)))
    )
    tokens = access.AccessTokens(
        access_settings.Settings(clients=clients), database.session_factory(engine)
    )
    policies = policy.load_all([pathlib.Path("docs/examples/validation-policy.toml")])
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(signing_world.make_world(at))
        service = world.service(engine, folder / "store")
        workers = isolation.ValidationWorkers(1)
        stack.callback(workers.close)
        anchors = trust.TrustAnchors((world.authorities.root.certificate,))
        fetch = fetching.fetcher(world.client, world.clock)

        def judge_document(
            document: Any, detached: Any, when: Any, name: str | None, diagnose: Any
        ) -> Any:
            return workers.validate(
                document, trust=anchors, at=when or world.clock.now(), fetch=fetch,
                detached=detached, rules=policy.named(policies, name), diagnose=diagnose,
            )  # fmt: skip

        def judge_certificate(sent: bytes, others: Any, when: Any, name: str | None) -> Any:
            return workers.validate_certificate(
                sent, trust=anchors, at=when, fetch=fetch, intermediates=others,
                rules=policy.named(policies, name),
            )  # fmt: skip

        router = fastapi.APIRouter(prefix="/api/v1")
        validation_api.add_routes(
            router,
            service,
            validation_api.Judges(judge_document, judge_certificate, workers.print_sheet),
            web.require_scope(tokens, world.clock, "validate"),
        )
        routers = [router, web.token_routes(tokens, world.clock)]
        base_url = stack.enter_context(servers.serve(web.application("test", routers)))
        http = stack.enter_context(httpx.Client(base_url=base_url, trust_env=False, timeout=30))
        (folder / "client.json").write_text(
            json.dumps({"base_url": base_url, "client_id": "portal", "client_secret": secret}),
            encoding="utf-8",
        )
        for name in ("signer", "portal"):
            answer = http.post(
                "/oauth2/token", data={"grant_type": "client_credentials"}, auth=(name, secret)
            )
            http.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            if name == "signer":
                http.headers["X-Signer"] = http.headers["Authorization"]
        yield Desk(http, world, folder)
    engine.dispose()


@pytest.fixture(autouse=True)
def _calm(desk: Desk) -> None:
    desk.world.revoked.clear()
    desk.world.down.clear()


def test_certificate_as_json_is_judged_with_statuses_that_the_service_fetches(desk: Desk) -> None:
    signer = desk.world.authorities.signer()
    answer = desk.ask(signer, intermediates=desk.intermediates)
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert (told["indication"], told["status"]["state"]) == ("PASSED", "good")
    assert told["status"]["source"]["kind"] == "OCSP"
    assert len(told["path"]) == 3

    desk.world.revoked[signer.certificate.serial_number] = desk.world.clock.now()
    told = desk.ask(signer, intermediates=desk.intermediates).json()
    assert (told["sub_indication"], told["status"]["state"]) == ("REVOKED_NO_POE", "revoked")
    assert told["status"]["reason"] == "keyCompromise"


@pytest.mark.parametrize("as_text", [False, True])
def test_certificate_as_a_file_in_pem_is_judged_too(desk: Desk, as_text: bool) -> None:
    signer = desk.world.authorities.signer()
    name = None if as_text else "signer.pem"
    answer = desk.http.post(
        CERTIFICATES,
        files=[
            ("certificate", (name, signer.pem)),
            ("intermediate", ("issuing.cer", desk.world.authorities.issuing.der)),
            ("parameters", (None, json.dumps({"policy": "imza-ades-1"}), "application/json")),
        ],
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["indication"] == "PASSED"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "certificate"),
        ({"certificate": "§"}, "certificate"),
        ({"certificate": "AAAA", "at": "yesterday"}, "at"),
        ({"certificate": "AAAA", "at": "2026-01-31T12:00:00"}, "at"),
        ({"certificate": "AAAA", "intermediates": ["?"]}, "intermediates.0"),
        ({"certificate": "AAAA", "intermediates": ["AAAA"] * 21}, "intermediates"),
        ({"certificate": "AAAA", "report": "simple"}, "report"),
    ],
)
def test_wrong_field_is_named(desk: Desk, body: dict[str, Any], field: str) -> None:
    answer = desk.http.post(CERTIFICATES, json=body)
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-parameters")
    assert answer.json()["errors"][0]["field"] == field


def test_garbage_is_refused_as_no_certificate(desk: Desk) -> None:
    for garbage in (
        b"",
        b"x",
        b"\x30\x82\xff\xff",
        b"-----BEGIN CERTIFICATE-----\n?",
        b"\0" * 9**5,
    ):
        answer = desk.http.post(
            CERTIFICATES, files=[("certificate", ("a.cer", garbage, "application/pkix-cert"))]
        )
        assert 400 <= answer.status_code < 500, answer.text
        assert answer.json()["code"] in {"certificate-malformed", "document-too-large"}
    for other in ("text/plain", "application/pkix-cert", "multipart/form-data"):
        answer = desk.http.post(CERTIFICATES, content=b"x", headers={"Content-Type": other})
        assert answer.status_code in {415, 422}, answer.text


def test_unknown_policy_is_refused_with_the_names_there_are(desk: Desk) -> None:
    answer = desk.ask(desk.world.authorities.signer(), policy="gold")
    assert (answer.status_code, answer.json()["code"]) == (422, "validation-policy-unknown")
    assert "example-2026" in answer.json()["detail"]


def test_token_without_the_scope_is_refused(desk: Desk) -> None:
    headers = {"Authorization": desk.http.headers["X-Signer"]}
    answer = desk.http.post(CERTIFICATES, json={}, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "insufficient-scope")


def test_time_decides_what_a_certificate_was_worth(desk: Desk) -> None:
    signer = desk.world.authorities.signer()
    before = signer.certificate.not_valid_before_utc - datetime.timedelta(days=1)
    told = desk.ask(signer, intermediates=desk.intermediates, at=before.isoformat()).json()
    assert told["sub_indication"].startswith("OUT_OF_BOUNDS")
    assert "the certificate begins at" in told["errors"][0]["message"]


def _command(*arguments: str) -> Any:
    return CliRunner().invoke(
        certificate_command.verify_certificate, [*arguments], standalone_mode=False
    )


def test_command_says_here_and_at_a_service_the_same(desk: Desk) -> None:
    signer = desk.world.authorities.signer()
    files = {"signer.pem": signer.pem, "issuing.pem": desk.world.authorities.issuing.pem,
             "root.pem": desk.world.authorities.root.pem}  # fmt: skip
    for name, content in files.items():
        (desk.folder / name).write_bytes(content)
    own = [str(desk.folder / "signer.pem"), "--intermediate", str(desk.folder / "issuing.pem")]
    here = _command(*own, "--json", "--trust", str(desk.folder / "root.pem"))
    server = [
        "--server",
        str(desk.http.base_url),
        "--credentials",
        str(desk.folder / "client.json"),
    ]
    there = _command(*own, "--json", *server)
    assert (here.return_value, there.return_value) == (0, 0), there
    first, second = json.loads(here.stdout), json.loads(there.stdout)
    assert first["path"][0]["subject"] == second["path"][0]["subject"]
    assert first["indication"] == second["indication"] == "PASSED"
    text = _command(*own, *server).stdout
    for part in ("PASSED", "signature", "good, by OCSP", "not known: whether the certificate"):
        assert part in text
    offline = _command(*own, "--offline", "--trust", str(desk.folder / "root.pem"))
    assert offline.return_value == 3
    assert "TRY_LATER" in offline.stdout


def test_diagnostic_data_is_answered_as_json_whatever_is_accepted(desk: Desk) -> None:
    maker = signed_pdfs.PdfMaker(
        desk.world.authorities, desk.world.authorities.signer(), desk.world.clock.now()
    )
    document = maker.add_evidence(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    for values in (False, True):
        parameters = json.dumps({"report": "diagnostic", "values": values})
        answer = desk.http.post(
            "/api/v1/validations",
            files={
                "document": ("a.pdf", document),
                "parameters": (None, parameters, "application/json"),
            },
            headers={"Accept": "application/pdf"},
        )
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/json"
        assert answer.headers["imza-overall"] == "TOTAL-PASSED"
        told = answer.json()
        assert told["version"] == "1"
        assert all((one["der"] is not None) is values for one in told["certificates"])


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"report": "gold"}, "report"),
        ({"at": "2026-01-31"}, "at"),
        ({"at": 5}, "at"),
        ({"values": "yes"}, "values"),
        ({"policy": ["x"]}, "policy"),
    ],
)
def test_wrong_parameter_of_a_validation_is_named(
    desk: Desk, parameters: dict[str, Any], field: str
) -> None:
    answer = desk.http.post(
        "/api/v1/validations",
        files={
            "document": ("a.pdf", b"%PDF-"),
            "parameters": (None, json.dumps(parameters), "application/json"),
        },
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "invalid-parameters")
    assert answer.json()["errors"][0]["field"] == field
