import base64
import concurrent.futures
import contextlib
import dataclasses
import datetime
import hashlib
import io
import json
import pathlib
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import sqlalchemy
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mobile_id import client as mobile_client
from pki import access, access_settings, algorithms, clock, database, signature, web
from signing_service import settings as signing_settings
from signing_service import trust
from signing_service.reports import printed
from signing_service.service import SigningService
from signing_service.signing import phone_signing, sealing, sessions
from signing_service.validation import fetching, isolation, policy, process
from signing_service.web import api, validation_api
from tests.support import hierarchy as hierarchy_support
from tests.support import mobile_gateway, servers, signed_cms, signed_pdfs, signing_world

SESSIONS = "/api/v1/signing-sessions"
BATCHES = "/api/v1/signing-batches"


@dataclasses.dataclass
class Portal:
    """A portal's view of the service: HTTP alone, and a citizen's card."""

    http: httpx.Client
    world: signing_world.World
    holder: hierarchy_support.Holder
    gateway: mobile_gateway.Gateway
    service: SigningService
    phones: phone_signing.PhoneSigning
    seal_keys: hierarchy_support.MemoryKeyStore
    other: dict[str, str]
    sealer: dict[str, str]
    person: dict[str, str]

    @property
    def signer(self) -> dict[str, str]:
        return {"certificate": base64.b64encode(self.holder.der).decode()}

    def parameters(self, **others: Any) -> dict[str, Any]:
        return {"format": "PAdES", "level": "B-T", "signer": self.signer} | others

    def open(
        self, pdf: bytes | None = None, headers: dict[str, str] | None = None, **others: Any
    ) -> httpx.Response:
        content = signing_world.make_pdf() if pdf is None else pdf
        return self.http.post(
            SESSIONS,
            files={"document": ("müqavilə.pdf", content, "application/pdf")},
            data={"parameters": json.dumps(self.parameters(**others))},
            headers=headers or {},
        )

    def value(self, opened: dict[str, Any]) -> dict[str, str]:
        value = self.holder.handle.sign(
            signature.DataToBeSignedRepresentation(
                algorithms.HashAlgorithm(opened["representation"]["hash_algorithm"]),
                base64.b64decode(opened["representation"]["hash"]),
            )
        )
        return {
            "signature_value": base64.b64encode(value.value).decode(),
            "signature_algorithm": value.algorithm.value,
            "hash_algorithm": value.hash_algorithm.value,
        }

    def wait(self, session_id: str, state: str) -> dict[str, Any]:
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            found = self.http.get(f"{SESSIONS}/{session_id}", params={"wait": 2}).json()
            if found["state"] == state:
                return dict(found)
        raise AssertionError(f"expected {state}, the session is {found}")


@pytest.fixture(scope="module")
def at() -> datetime.datetime:
    return clock.whole_seconds(clock.SystemClock().now())


@pytest.fixture(scope="module")
def portal(at: datetime.datetime, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    folder = tmp_path_factory.mktemp("api")
    engine = database.connect(f"sqlite:///{folder}/test.sqlite")
    database.Base.metadata.create_all(engine)
    secret = access.new_secret()
    tokens = access.AccessTokens(
        access_settings.Settings(
            clients=tuple(
                access_settings.ApiClient(name, access.hash_secret(secret), scopes)
                for name, scopes in (
                    ("portal", ("sign", "validate", "seal")),
                    ("other", ("sign", "validate", "seal")),
                    ("sealer", ("seal",)),
                    ("person", ("sign",)),
                )
            )
        ),
        database.session_factory(engine),
    )
    with contextlib.ExitStack() as stack:
        world = stack.enter_context(signing_world.make_world(at))
        service = world.service(engine, folder / "store")
        holder = world.authorities.signer()
        gateway = mobile_gateway.Gateway(holder, holder)
        gateway_url = stack.enter_context(
            servers.serve(web.application("test gateway", [gateway.routes()]))
        )
        waiting = stack.enter_context(concurrent.futures.ThreadPoolExecutor(4))
        phones = phone_signing.PhoneSigning(
            service,
            mobile_client.MobileIdClient(
                world.client, f"{gateway_url}/mid-api", mobile_client.RelyingParty("uuid", "DEMO")
            ),
            waiting,
        )
        anchors = trust.TrustAnchors((world.authorities.root.certificate,))

        policies = policy.load_all([pathlib.Path("docs/examples/validation-policy.toml")])

        def validate(
            document: Any,
            detached: Any,
            when: datetime.datetime | None,
            policy_name: str | None,
            diagnose: Any,
        ) -> Any:
            rules = policy.named(policies, policy_name)
            return process.validate(
                document,
                trust=anchors,
                at=when or world.clock.now(),
                fetch=None,
                detached=detached,
                rules=rules,
                diagnose=diagnose,
            )

        def judge_certificate(
            certificate: bytes, intermediates: Any, when: datetime.datetime, policy_name: str | None
        ) -> Any:
            return workers.validate_certificate(
                certificate,
                trust=anchors,
                at=when,
                fetch=fetching.fetcher(world.client, world.clock),
                intermediates=intermediates,
                rules=policy.named(policies, policy_name),
            )

        workers = isolation.ValidationWorkers(1)
        stack.callback(workers.close)
        seal_keys = hierarchy_support.MemoryKeyStore()
        ministry = world.authorities.signer("MINISTRY")
        seal_keys.put("ministry", ministry.handle)
        (folder / "ministry.pem").write_bytes(ministry.pem)
        seals = sealing.Seals(
            [
                signing_settings.SealSettings(
                    name, folder / "ministry.pem", name, ("portal", "sealer", "person")
                )
                for name in ("ministry", "away")
            ],
            lambda: seal_keys,
        )
        routers = [
            api.routes(
                service,
                phones,
                validation_api.Judges(validate, judge_certificate, printed.set_sheet),
                tokens,
                seals,
            ),
            web.token_routes(tokens, world.clock),
        ]
        base_url = stack.enter_context(servers.serve(web.application("test", routers)))
        http = stack.enter_context(httpx.Client(base_url=base_url, trust_env=False, timeout=30))
        headers = []
        for name in ("portal", "other", "sealer", "person"):
            answer = http.post(
                "/oauth2/token",
                data={"grant_type": "client_credentials"},
                auth=(name, secret),
            )
            headers.append({"Authorization": f"Bearer {answer.json()['access_token']}"})
        http.headers.update(headers[0])
        yield Portal(http, world, holder, gateway, service, phones, seal_keys, *headers[1:])
        # Who still waits for the phone gets an answer, so that the threads end.
        gateway.result = "OK"
    engine.dispose()


@pytest.fixture(autouse=True)
def _calm(portal: Portal) -> None:
    portal.world.down.clear()
    portal.world.revoked.clear()
    portal.gateway.key = portal.holder
    portal.gateway.result = "OK"
    portal.gateway.missing = 0


def test_card_session_from_upload_to_signed_document(portal: Portal) -> None:
    answer = portal.open(level="B-LTA", place="Bakı")
    assert answer.status_code == 201
    opened = answer.json()
    assert opened["state"] == "awaiting_value"
    assert opened["expires_at"].endswith("Z")
    assert answer.headers["location"] == f"{SESSIONS}/{opened['id']}"
    attributes = base64.b64decode(opened["data_to_be_signed"])
    assert attributes[0] == 0x31

    value = portal.value(opened)
    completed = portal.http.post(f"{SESSIONS}/{opened['id']}/signature-value", json=value)
    again = portal.http.post(f"{SESSIONS}/{opened['id']}/signature-value", json=value)

    assert completed.status_code == 200
    assert completed.json()["state"] == "completed"
    assert completed.json()["level_reached"] == "B-LTA"
    assert again.json() == completed.json()
    document = portal.http.get(f"{SESSIONS}/{opened['id']}/document")
    assert document.headers["content-type"] == "application/pdf"
    assert document.headers["imza-level"] == "B-LTA"
    assert "m%C3%BCqavil%C9%99.pdf" in document.headers["content-disposition"]
    assert document.content.startswith(b"%PDF-")


def test_signed_document_is_judged_by_the_validation_call(portal: Portal) -> None:
    opened = portal.open(level="B-LTA").json()
    portal.http.post(f"{SESSIONS}/{opened['id']}/signature-value", json=portal.value(opened))
    document = portal.http.get(f"{SESSIONS}/{opened['id']}/document").content

    answer = portal.http.post("/api/v1/validations", files={"document": ("a.pdf", document)})

    assert answer.status_code == 200
    report = answer.json()
    assert report["overall"] == "TOTAL-PASSED", report
    assert report["signatures"][0]["level"] == "PAdES-BASELINE-LTA"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"format": "PDF"}, "format"),
        ({"format": "JAdES"}, "format"),
        ({"level": "B-X"}, "level"),
        ({"level": 3}, "level"),
        ({"packaging": "detached"}, "packaging"),
        ({"signer": {}}, "signer"),
        ({"signer": {"seal": 7}}, "signer.seal"),
        ({"signer": {"certificate": "%%"}}, "signer.certificate"),
        ({"signer": {"phone_number": "+99450"}}, "signer.person_code"),
        ({"commitment": "love"}, "commitment"),
        ({"place": "\u0000"}, "place"),
        ({"reason": "r", "commitment": "proof-of-origin"}, "reason"),
        ({"appearance": {"page": 0, "box": [0, 0, 100, 100]}}, "appearance.page"),
        ({"appearance": {"box": [0, 0, 1, 1]}}, "appearance.box"),
        ({"digests": [{}]}, "digests.0.name"),
        ({"digests": [{"name": "a", "algorithm": "SHA-256", "value": "AA=="}]}, "digests.0.value"),
        ({"role": "two\nlines"}, "role"),
        ({"counter_signature_of": "Signature1"}, "counter_signature_of"),
        ({"format": "CAdES", "counter_signature_of": ""}, "counter_signature_of"),
        ({"unknown": 1}, "unknown"),
    ],
)
def test_wrong_parameter_is_a_problem_that_names_the_field(
    portal: Portal, change: dict[str, Any], field: str
) -> None:
    answer = portal.open(**change)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["errors"][0]["field"] == field
    assert problem["code"] in ("invalid-parameters", "unsupported-format")


@pytest.mark.parametrize(
    ("pdf", "status", "code"),
    [
        (b"", 422, "document-empty"),
        (b"hello", 422, "document-not-pdf"),
        (b"%PDF-1.7 and no end", 422, "document-truncated"),
        (b"%PDF-1.7\n" + bytes(1_000_000), 413, "document-too-large"),
        (b"%PDF-1.7\n" + bytes(1_500_000), 413, "document-too-large"),
    ],
)
def test_document_that_cannot_be_signed_is_a_problem_with_its_own_code(
    portal: Portal, pdf: bytes, status: int, code: str
) -> None:
    answer = portal.open(pdf)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


def test_certificate_that_is_none_is_refused(portal: Portal) -> None:
    answer = portal.open(signer={"certificate": base64.b64encode(b"no certificate").decode()})
    assert (answer.status_code, answer.json()["code"]) == (422, "certificate-malformed")


def test_revoked_certificate_opens_no_session(portal: Portal) -> None:
    portal.world.revoked[portal.holder.certificate.serial_number] = portal.world.clock.now()
    answer = portal.open()
    assert (answer.status_code, answer.json()["code"]) == (403, "certificate-revoked")


def test_value_in_der_is_refused_with_a_sentence_and_the_session_stays_open(
    portal: Portal,
) -> None:
    opened = portal.open().json()
    value = portal.value(opened)
    raw = base64.b64decode(value["signature_value"])
    der = base64.b64encode(algorithms.ecdsa_raw_to_der(raw)).decode()

    answer = portal.http.post(
        f"{SESSIONS}/{opened['id']}/signature-value", json=value | {"signature_value": der}
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "signature-value-encoding")
    assert "DER" in answer.json()["detail"]
    state = portal.http.get(f"{SESSIONS}/{opened['id']}").json()["state"]
    assert state == "awaiting_value"


def test_another_clients_session_is_not_there(portal: Portal) -> None:
    opened = portal.open().json()
    for method, path in (("GET", ""), ("GET", "/document"), ("POST", "/cancel")):
        answer = portal.http.request(
            method, f"{SESSIONS}/{opened['id']}{path}", headers=portal.other
        )
        assert (answer.status_code, answer.json()["code"]) == (404, "session-not-found")
    unknown = portal.http.get(f"{SESSIONS}/../../etc/passwd")
    assert unknown.status_code == 404


def test_calls_without_a_token_are_refused(portal: Portal) -> None:
    bare = httpx.Client(base_url=portal.http.base_url, trust_env=False)
    with bare:
        assert bare.get(f"{SESSIONS}/x").status_code == 401
        assert bare.post("/api/v1/validations").status_code == 401


def test_idempotency_key_gives_the_same_session_again(portal: Portal) -> None:
    pdf = signing_world.make_pdf()
    headers = {"Idempotency-Key": "order-1"}
    first = portal.open(pdf, headers)
    again = portal.open(pdf, headers)
    other = portal.open(pdf, headers, level="B-B")
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")


def test_cancelled_session_has_ended(portal: Portal) -> None:
    opened = portal.open().json()
    answer = portal.http.post(f"{SESSIONS}/{opened['id']}/cancel")
    assert answer.json()["state"] == "refused"
    late = portal.http.post(f"{SESSIONS}/{opened['id']}/signature-value", json=portal.value(opened))
    assert (late.status_code, late.json()["code"]) == (409, "session-state")


def test_long_poll_returns_when_the_session_changes(portal: Portal) -> None:
    opened = portal.open(level="B-B").json()
    value = portal.value(opened)
    timer = threading.Timer(
        0.5,
        lambda: portal.http.post(f"{SESSIONS}/{opened['id']}/signature-value", json=value),
    )
    began = time.monotonic()
    timer.start()
    answer = portal.http.get(f"{SESSIONS}/{opened['id']}", params={"wait": 20})
    timer.join()
    assert answer.json()["state"] in ("augmenting", "completed")
    assert 0.4 < time.monotonic() - began < 5


def test_long_poll_ends_after_its_time(portal: Portal) -> None:
    opened = portal.open().json()
    answer = portal.http.get(f"{SESSIONS}/{opened['id']}", params={"wait": 0.3})
    assert answer.json()["state"] == "awaiting_value"
    assert portal.http.get(f"{SESSIONS}/{opened['id']}?wait=-1").status_code == 422
    assert portal.http.get(f"{SESSIONS}/{opened['id']}?wait=nan").status_code == 422


def phone(portal: Portal) -> dict[str, str]:
    return {
        "phone_number": portal.gateway.phone_number,
        "person_code": portal.gateway.person_code,
    }


def test_person_signs_on_the_phone_and_the_session_shows_the_control_code(
    portal: Portal,
) -> None:
    portal.gateway.result = None
    opened = portal.open(signer=phone(portal), level="B-T").json()
    assert opened["state"] == "awaiting_person"
    digest = base64.b64decode(opened["representation"]["hash"])
    assert opened["control_code"] == f"{(digest[0] >> 2) << 7 | digest[-1] & 0x7F:04d}"
    assert list(portal.gateway.asked.values())[-1] == digest

    portal.gateway.result = "OK"

    done = portal.wait(opened["id"], "completed")
    assert done["level_reached"] == "B-T"
    assert portal.http.get(f"{SESSIONS}/{opened['id']}/document").status_code == 200


@pytest.mark.parametrize(
    ("result", "state", "code"),
    [
        ("USER_CANCELLED", "refused", "phone-refused"),
        ("TIMEOUT", "expired", "phone-timeout"),
        ("PHONE_ABSENT", "failed", "phone-failed"),
        ("SIGNATURE_HASH_MISMATCH", "failed", "phone-signature-wrong"),
    ],
)
def test_phone_that_does_not_sign_ends_the_session_and_nothing_is_embedded(
    portal: Portal, result: str, state: str, code: str
) -> None:
    portal.gateway.result = result
    opened = portal.open(signer=phone(portal)).json()
    ended = portal.wait(opened["id"], state)
    assert ended["error"]["code"] == code
    assert portal.http.get(f"{SESSIONS}/{opened['id']}/document").status_code == 409


def test_phone_that_signs_with_another_key_fails_the_session(portal: Portal) -> None:
    portal.gateway.key = portal.world.authorities.signer("5AB12CE")
    opened = portal.open(signer=phone(portal)).json()
    ended = portal.wait(opened["id"], "failed")
    assert ended["error"]["code"] == "phone-signature-wrong"


def test_phone_that_a_process_had_asked_before_it_died_is_waited_for_by_another(
    portal: Portal,
) -> None:
    portal.gateway.result = None
    opened = portal.open(signer=phone(portal), level="B-B").json()
    with portal.service.database() as session:
        # The waiting thread notices and lets go, as if its process had gone.
        row = sessions.load(session, opened["id"], None)
        kept, row.phone_session = row.phone_session, None
        session.commit()
    time.sleep(0.3)
    with portal.service.database() as session:
        row = sessions.load(session, opened["id"], None)
        row.phone_session, row.next_try_at = kept, portal.world.clock.now()
        session.commit()
    portal.gateway.result = "OK"

    assert phone_signing.follow_abandoned(portal.phones, portal.world.clock.now()) == 1

    assert portal.wait(opened["id"], "completed")["level_reached"] == "B-B"


def test_client_cannot_send_a_value_for_a_phone_session(portal: Portal) -> None:
    portal.gateway.result = None
    opened = portal.open(signer=phone(portal)).json()
    answer = portal.http.post(
        f"{SESSIONS}/{opened['id']}/signature-value", json=portal.value(opened)
    )
    assert (answer.status_code, answer.json()["code"]) == (409, "session-state")
    portal.http.post(f"{SESSIONS}/{opened['id']}/cancel")
    portal.gateway.result = "OK"
    assert portal.wait(opened["id"], "refused")["error"]["code"] == "cancelled"


def test_person_without_mobile_certificate_is_told_at_once(portal: Portal) -> None:
    answer = portal.open(signer={"phone_number": "+994500000009", "person_code": "5AB12CD"})
    assert (answer.status_code, answer.json()["code"]) == (404, "not-mobile-id-client")


def test_database_and_store_hold_no_phone_number(portal: Portal) -> None:
    portal.gateway.result = "USER_CANCELLED"
    opened = portal.open(signer=phone(portal)).json()
    portal.wait(opened["id"], "refused")
    with portal.service.database() as session:
        rows = session.execute(sqlalchemy.text("SELECT * FROM signing_sessions")).all()
    assert rows
    assert portal.gateway.phone_number not in repr(rows)


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/json", 415),
        (b"", "multipart/form-data", 422),
        (b"x", "multipart/form-data; boundary=a", 422),
        (b"--a\r\n\r\n", "multipart/form-data; boundary=a", 422),
        (b"--a--\r\n", "multipart/form-data; boundary=a; charset=klingon", 422),
        (
            b'--a\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--a--\r\n',
            "multipart/form-data; boundary=a",
            422,
        ),
        (
            b'--a\r\nContent-Disposition: form-data; name="document"\r\n\r\nx\r\n--a--\r\n',
            "multipart/form-data; boundary=a; charset=klingon",
            422,
        ),
    ],
)
def test_malformed_upload_is_the_clients_fault(
    portal: Portal, body: bytes, content_type: str, status: int
) -> None:
    for path in (SESSIONS, "/api/v1/validations"):
        answer = portal.http.post(path, content=body, headers={"Content-Type": content_type})
        assert answer.status_code == status, answer.text
        assert answer.json()["code"]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
        max_leaves=8,
    ),
    name=st.sampled_from(
        [
            "format",
            "level",
            "signer",
            "appearance",
            "place",
            "reason",
            "commitment",
            "display_text",
            "digests",
            "packaging",
            "role",
            "container_signature",
        ]
    ),
)
def test_no_parameters_make_the_service_fail(portal: Portal, name: str, value: Any) -> None:
    answer = portal.open(signing_world.make_pdf(pages=1), **{name: value})
    assert answer.status_code < 500, answer.text
    raw = portal.http.post(
        SESSIONS, files={"document": ("a.pdf", b"x")}, data={"parameters": json.dumps(value)}
    )
    assert 400 <= raw.status_code < 500, raw.text


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(body=st.binary(max_size=200))
def test_no_signature_value_makes_the_service_fail(portal: Portal, body: bytes) -> None:
    answer = portal.http.post(
        f"{SESSIONS}/{'0' * 32}/signature-value",
        content=body,
        headers={"Content-Type": "application/json"},
    )
    assert 400 <= answer.status_code < 500


def test_report_in_a_form_that_does_not_exist_is_told_so(portal: Portal) -> None:
    answer = portal.http.post(
        "/api/v1/validations",
        files={"document": ("a.pdf", b"x")},
        headers={"Accept": "image/png"},
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "report-form-unknown")


def test_one_document_is_reported_in_every_form(portal: Portal) -> None:
    opened = portal.open(level="B-LTA").json()
    portal.http.post(f"{SESSIONS}/{opened['id']}/signature-value", json=portal.value(opened))
    document = portal.http.get(f"{SESSIONS}/{opened['id']}/document").content
    begins = {
        "application/json": b'{"document"',
        "application/xml": b"<?xml",
        "text/html": b"<!doctype html>",
        "application/pdf": b"%PDF-",
    }
    for media_type, begin in begins.items():
        answer = portal.http.post(
            "/api/v1/validations",
            files={"document": ("a.pdf", document)},
            headers={"Accept": media_type, "Accept-Language": "ka, en;q=0.5"},
        )
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == media_type
        assert answer.headers["imza-overall"] == "TOTAL-PASSED"
        assert answer.content.startswith(begin)
    etsi = portal.http.post(
        "/api/v1/validations",
        files={
            "document": ("a.pdf", document),
            "parameters": (None, b'{"report": "etsi"}', "application/json"),
        },
    )
    assert etsi.headers["content-type"] == "application/xml"


@pytest.mark.parametrize(
    ("name", "status", "told"),
    [
        ("example-2026", 200, "SIG_CONSTRAINTS_FAILURE"),
        ("gold", 422, "expected one of example-2026, imza-ades-1"),
    ],
)
def test_client_chooses_a_policy_by_its_name(
    portal: Portal, name: str, status: int, told: str
) -> None:
    opened = portal.open(level="B-LTA").json()
    portal.http.post(f"{SESSIONS}/{opened['id']}/signature-value", json=portal.value(opened))
    document = portal.http.get(f"{SESSIONS}/{opened['id']}/document").content
    answer = portal.http.post(
        "/api/v1/validations",
        files={
            "document": ("a.pdf", document),
            "parameters": (None, json.dumps({"policy": name}), "application/json"),
        },
    )
    assert answer.status_code == status
    assert told in answer.text


def test_etsi_report_of_a_document_without_signature_is_refused(portal: Portal) -> None:
    answer = portal.http.post(
        "/api/v1/validations",
        files={"document": ("a.pdf", signed_pdfs.make_pdf())},
        headers={"Accept": "application/xml"},
    )
    assert (answer.status_code, answer.json()["code"]) == (422, "report-without-signature")


def test_several_documents_are_signed_in_one_container(portal: Portal) -> None:
    opened = portal.http.post(
        SESSIONS,
        files=[("document", ("a.txt", b"TEST a")), ("document", ("ə.txt", b"TEST b"))],
        data={"parameters": json.dumps(portal.parameters(format="ASiC-E", place="Bakı"))},
    )
    assert opened.status_code == 201, opened.text
    session = opened.json()
    done = portal.http.post(
        f"{SESSIONS}/{session['id']}/signature-value", json=portal.value(session)
    )
    assert done.json()["state"] == "completed"
    answer = portal.http.get(f"{SESSIONS}/{session['id']}/document")
    assert answer.headers["content-type"] == "application/vnd.etsi.asic-e+zip"
    assert answer.headers["content-disposition"].endswith("a.txt.asice")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.read("ə.txt") == b"TEST b"


@pytest.mark.parametrize("format", ["XAdES", "CAdES", "ASiC-E"])
def test_seal_signs_and_card_and_phone_countersign(portal: Portal, format: str) -> None:
    def open(content: bytes, **others: Any) -> httpx.Response:
        return portal.http.post(
            SESSIONS,
            files=[("document", ("form.xml", content))],
            data={"parameters": json.dumps(portal.parameters(format=format, **others))},
        )

    def document(session: dict[str, Any]) -> bytes:
        return portal.http.get(f"{SESSIONS}/{session['id']}/document").content

    def judged(content: bytes) -> list[dict[str, Any]]:
        files = [("document", ("form.xml", content)), ("detached", ("form.xml", b"<f>TEST</f>"))]
        chosen = files if format == "CAdES" else files[:1]
        answer = portal.http.post("/api/v1/validations", files=chosen)
        return list(answer.json()["signatures"])

    sealed = document(open(b"<f>TEST</f>", signer={"seal": "ministry"}).json())
    (main,) = judged(sealed)
    assert "counter_signature_of" not in main
    opened = open(sealed, counter_signature_of=main["id"], level="B-LT").json()
    assert opened["counter_signature_of"] == main["id"]
    done = portal.http.post(
        f"{SESSIONS}/{opened['id']}/signature-value", json=portal.value(opened)
    ).json()
    assert (done["state"], done["level_reached"]) == ("completed", "B-LT")
    by_card = document(opened)
    shown = len(portal.gateway.shown)
    asked = open(
        by_card, counter_signature_of=main["id"], signer=phone(portal), display_text="Plan 7"
    ).json()
    portal.wait(asked["id"], "completed")
    assert portal.gateway.shown[shown:] == ["Counter-signature: Plan 7"]
    found = judged(document(asked))
    assert [one.get("counter_signature_of") for one in found] == [None, main["id"], main["id"]]
    assert [one["intact"] for one in found] == [True] * 3
    # In CMS all signers share one place for their statuses.
    levels = ["LT", "LT"] if format == "CAdES" else ["-T", "LT"]
    assert sorted(one["level"][-2:] for one in found[1:]) == levels
    assert any(
        kind == "session.completed" and details.get("counter_signature")
        for kind, _, details in _audited(portal)
    )


def test_identifier_that_no_signature_has_is_answered_with_those_there_are(
    portal: Portal,
) -> None:
    made = signed_cms.sign(b"TEST", portal.holder, portal.world.clock.now())
    answer = portal.open(made.encode(), format="CAdES", counter_signature_of="signer-2")
    assert (answer.status_code, answer.json()["code"]) == (422, "signature-unknown")
    assert "'signer-1'" in answer.json()["detail"]


def test_document_that_the_portal_keeps_is_signed_by_its_hash(portal: Portal) -> None:
    digest = base64.b64encode(hashlib.sha256(b"TEST").digest()).decode()
    wish = portal.parameters(
        format="CAdES",
        level="B-LT",
        digests=[{"name": "a.txt", "algorithm": "SHA-256", "value": digest}],
    )
    # A form without a file is sent as multipart all the same.
    opened = portal.http.post(SESSIONS, files={"parameters": (None, json.dumps(wish))})
    assert opened.status_code == 201, opened.text
    session = opened.json()
    done = portal.http.post(
        f"{SESSIONS}/{session['id']}/signature-value", json=portal.value(session)
    )
    assert done.json()["state"] == "completed"
    signed = portal.http.get(f"{SESSIONS}/{session['id']}/document").content
    report = portal.http.post(
        "/api/v1/validations",
        files={"document": ("a.txt.p7s", signed), "detached": ("a.txt", b"TEST")},
    ).json()
    assert report["signatures"][0]["level"] == "CAdES-BASELINE-LT"
    assert report["signatures"][0]["intact"] is True


def _audited(portal: Portal) -> list[tuple[str, str, dict[str, Any]]]:
    with portal.service.database() as session:
        rows = session.execute(
            sqlalchemy.text("SELECT event, actor, details FROM audit_entries ORDER BY number")
        )
        return [(row[0], row[1], json.loads(row[2])) for row in rows]


def test_seal_signs_in_one_call_for_clients_that_may_use_it_and_each_use_is_audited(
    portal: Portal,
) -> None:
    before = len(_audited(portal))
    for headers in ({}, portal.sealer):
        opened = portal.open(signer={"seal": "ministry"}, level="B-LT", headers=headers)
        assert opened.status_code == 201, opened.text
        assert opened.json()["state"] == "completed"
        url = f"{SESSIONS}/{opened.json()['id']}/document"
        signed = portal.http.get(url, headers=headers)
        assert signed.headers["imza-level"] == "B-LT"
    used = [one for one in _audited(portal)[before:] if one[0] == "seal.used"]
    assert [(actor, details["seal"]) for _, actor, details in used] == [
        ("portal", "ministry"),
        ("sealer", "ministry"),
    ]
    report = portal.http.post("/api/v1/validations", files={"document": signed.content}).json()
    assert "MINISTRY" in report["signatures"][0]["signing_certificate"]["subject"]


@pytest.mark.parametrize(
    ("who", "signer", "code"),
    [
        ("other", {"seal": "ministry"}, "seal-not-allowed"),
        ("sealer", {"seal": "none"}, "seal-not-allowed"),
        ("person", {"seal": "ministry"}, "insufficient-scope"),
        ("sealer", None, "insufficient-scope"),
    ],
)
def test_seal_is_refused_to_others_and_a_token_for_seals_opens_no_persons_session(
    portal: Portal, who: str, signer: dict[str, str] | None, code: str
) -> None:
    before = _audited(portal)
    for path in (SESSIONS, BATCHES):
        answer = portal.http.post(
            path,
            files={"document": ("a.txt", b"TEST")},
            data={
                "parameters": json.dumps(
                    portal.parameters(format="CAdES", signer=signer or portal.signer)
                )
            },
            headers=getattr(portal, who),
        )
        assert (answer.status_code, answer.json()["code"]) == (403, code)
    assert _audited(portal) == before


def test_seal_whose_key_is_away_is_told_as_such_and_works_once_it_is_back(portal: Portal) -> None:
    before = _audited(portal)
    for path in (SESSIONS, BATCHES):
        answer = portal.http.post(
            path,
            files={"document": ("a.txt", b"TEST")},
            data={
                "parameters": json.dumps(portal.parameters(format="CAdES", signer={"seal": "away"}))
            },
        )
        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (503, "seal-unavailable")
        assert problem["retriable"] is True
        # Where keys are is the operator's to know.
        assert "away" not in answer.text.replace("seal-unavailable", "")
    assert _audited(portal) == before
    assert portal.open().status_code == 201
    portal.seal_keys.put("away", portal.seal_keys.open_key("ministry"))
    assert portal.open(signer={"seal": "away"}).json()["state"] == "completed"


def _open_batch(portal: Portal, names: tuple[str, ...], **others: Any) -> httpx.Response:
    return portal.http.post(
        BATCHES,
        files=[("document", (name, f"TEST {name}".encode())) for name in names],
        data={"parameters": json.dumps(portal.parameters(format="CAdES", **others))},
        headers={"Idempotency-Key": hashlib.sha256("".join(names).encode()).hexdigest()},
    )


def test_batch_takes_all_values_or_none_and_audits_one_confirmation(portal: Portal) -> None:
    names = ("a.txt", "ə.txt", "c.txt")
    opened = _open_batch(portal, names, level="B-LT")
    assert opened.status_code == 201, opened.text
    batch = opened.json()
    assert [one["document"] for one in batch["sessions"]] == [f"{name}.p7s" for name in names]
    assert _open_batch(portal, names, level="B-LT").json() == batch
    hashes = [base64.b64decode(one["representation"]["hash"]) for one in batch["sessions"]]
    assert len(set(hashes)) == 3
    confirmation = hashlib.sha256(b"".join(hashes)).digest()
    assert base64.b64decode(batch["confirmation"]) == confirmation

    values = [{"session": one["id"], **portal.value(one)} for one in batch["sessions"]]
    url = f"{BATCHES}/{batch['id']}"
    swapped = [
        {**one, "session": other["session"]}
        for one, other in zip(values, values[::-1], strict=True)
    ]
    before = _audited(portal)
    for wrong, code in (
        (values[:2], "batch-values"),
        (swapped, "signature-value-invalid"),
        ([*values, values[0]], "invalid-parameters"),
    ):
        answer = portal.http.post(f"{url}/signature-values", json={"values": wrong})
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    alone = portal.http.post(
        f"{SESSIONS}/{batch['sessions'][0]['id']}/signature-value",
        json=portal.value(batch["sessions"][0]),
    )
    assert (alone.status_code, alone.json()["code"]) == (409, "session-state")
    assert portal.http.get(url).json()["state"] == "awaiting_value"
    assert _audited(portal) == before
    assert portal.http.get(url, headers=portal.other).status_code == 404

    done = portal.http.post(f"{url}/signature-values", json={"values": values})
    assert done.json()["state"] == "completed", done.text
    again = portal.http.post(f"{url}/signature-values", json={"values": values})
    assert again.json() == done.json()
    events = [one for one in _audited(portal)[len(before) :]]
    assert [one[0] for one in events].count("session.confirmed") == 3
    (confirmed,) = [one for one in events if one[0] == "batch.confirmed"]
    assert confirmed[2]["confirmation"] == confirmation.hex()
    for one, name in zip(done.json()["sessions"], names, strict=True):
        signed = portal.http.get(f"{SESSIONS}/{one['id']}/document").content
        report = portal.http.post(
            "/api/v1/validations",
            files={"document": ("s.p7s", signed), "detached": (name, f"TEST {name}".encode())},
        ).json()
        assert report["signatures"][0]["intact"] is True


def test_batch_of_a_seal_is_signed_at_once(portal: Portal) -> None:
    batch = _open_batch(portal, ("x.txt", "y.txt"), signer={"seal": "ministry"})
    assert batch.json()["state"] == "completed", batch.text


PHONE = {"phone_number": "+994500000001", "person_code": "5AB12CD"}


def _wait_for_batch(portal: Portal, batch_id: str, state: str) -> dict[str, Any]:
    deadline = time.monotonic() + 10
    while True:
        found = portal.http.get(f"{BATCHES}/{batch_id}", params={"wait": 2}).json()
        if found["state"] == state:
            return dict(found)
        assert time.monotonic() < deadline, found


def test_batch_of_a_phone_is_confirmed_once_over_the_whole_list(portal: Portal) -> None:
    portal.gateway.result = None
    names = ("p.txt", f"{'q' * 60}.txt", "r.txt")
    before = len(_audited(portal))
    opened = _open_batch(portal, names, signer=PHONE, level="B-LT", display_text="Müqavilələr")
    batch = opened.json()
    assert (opened.status_code, batch["state"]) == (201, "awaiting_person"), opened.text
    asked = list(portal.gateway.lists.values())[-1]
    hashes = [base64.b64decode(one["representation"]["hash"]) for one in batch["sessions"]]
    assert [one.hash for one in asked.representations] == hashes
    shown = [one.name for one in asked.documents]
    assert shown == ["p.txt", f"{'q' * 25}…{'q' * 20}.txt", "r.txt"]
    assert batch["control_code"] == asked.control_code
    assert (
        _open_batch(portal, names, signer=PHONE, level="B-LT", display_text="Müqavilələr").json()
        == batch
    )
    # Nobody else brings values for it, neither for all nor for one.
    values = [{"session": one["id"], **portal.value(one)} for one in batch["sessions"]]
    refused = portal.http.post(f"{BATCHES}/{batch['id']}/signature-values", json={"values": values})
    assert (refused.status_code, refused.json()["code"]) == (409, "session-state")

    portal.gateway.result = "OK"
    done = _wait_for_batch(portal, batch["id"], "completed")
    events = _audited(portal)[before:]
    assert [one[0] for one in events].count("session.confirmed") == 3
    (confirmed,) = [one for one in events if one[0] == "batch.confirmed"]
    assert confirmed[1] == "portal"
    assert confirmed[2]["sessions"] == 3
    for one, name in zip(done["sessions"], names, strict=True):
        signed = portal.http.get(f"{SESSIONS}/{one['id']}/document").content
        report = portal.http.post(
            "/api/v1/validations",
            files={"document": ("s.p7s", signed), "detached": (name, f"TEST {name}".encode())},
        ).json()
        assert report["signatures"][0]["intact"] is True


@pytest.mark.parametrize(
    ("result", "state", "code"),
    [
        ("USER_CANCELLED", "refused", "phone-refused"),
        ("TIMEOUT", "expired", "phone-timeout"),
        ("SIM_ERROR", "failed", "phone-failed"),
        ("one value by another key", "failed", "phone-signature-wrong"),
        ("one value missing", "failed", "mobile-id-answer"),
    ],
)
def test_batch_that_the_phone_does_not_sign_in_full_ends_without_any_signature(
    portal: Portal, result: str, state: str, code: str
) -> None:
    if result == "one value by another key":
        portal.gateway.key = portal.world.authorities.signer("5ZZ99ZZ")
    elif result == "one value missing":
        portal.gateway.missing = 1
    else:
        portal.gateway.result = result
    before = len(_audited(portal))
    names = (f"{code}-1.txt", f"{code}-2.txt", f"{code}-3.txt")
    batch = _open_batch(portal, names, signer=PHONE).json()
    ended = _wait_for_batch(portal, batch["id"], state)
    for one in ended["sessions"]:
        assert (one["state"], one["error"]["code"]) == (state, code)
        assert one["level_reached"] is None
        document = portal.http.get(f"{SESSIONS}/{one['id']}/document")
        assert document.status_code == 409
    assert len(_audited(portal)) == before


def test_batch_of_a_phone_is_cancelled_as_a_whole(portal: Portal) -> None:
    portal.gateway.result = None
    batch = _open_batch(portal, ("s.txt", "t.txt"), signer=PHONE).json()
    second = batch["sessions"][1]["id"]
    assert portal.http.post(f"{SESSIONS}/{second}/cancel").json()["state"] == "refused"
    assert portal.http.get(f"{BATCHES}/{batch['id']}").json()["state"] == "refused"
    portal.gateway.result = "OK"
    again = portal.http.post(f"{BATCHES}/{batch['id']}/cancel").json()
    assert [one["error"]["code"] for one in again["sessions"]] == ["cancelled", "cancelled"]


def test_batch_of_a_phone_that_another_process_asked_is_followed_once(portal: Portal) -> None:
    portal.gateway.result = None
    batch = _open_batch(portal, ("u.txt", "v.txt"), signer=PHONE).json()
    ids = [one["id"] for one in batch["sessions"]]
    later = portal.world.clock.now() + datetime.timedelta(hours=1)
    with portal.service.database() as session:
        found = sessions.abandoned_phones(session, later, 100)
    portal.gateway.result = "OK"
    _wait_for_batch(portal, batch["id"], "completed")
    assert [one for one in found if one in ids] == ids[:1]


def test_batch_with_a_document_that_cannot_be_signed_opens_no_session(portal: Portal) -> None:
    answer = portal.http.post(
        BATCHES,
        files=[
            ("document", ("a.pdf", signing_world.make_pdf())),
            ("document", ("b.pdf", b"hello")),
        ],
        data={"parameters": json.dumps(portal.parameters())},
    )
    assert answer.json()["code"] == "document-not-pdf"


def test_signed_document_is_raised_to_another_level(portal: Portal) -> None:
    session = portal.open(level="B-B").json()
    portal.http.post(f"{SESSIONS}/{session['id']}/signature-value", json=portal.value(session))
    signed = portal.http.get(f"{SESSIONS}/{session['id']}/document").content

    def augment(content: bytes, level: str) -> httpx.Response:
        return portal.http.post(
            "/api/v1/augmentations",
            files={"document": ("s.pdf", content)},
            data={"parameters": json.dumps({"level": level})},
        )

    answer = augment(signed, "B-LTA")
    assert (answer.status_code, answer.headers["imza-level"]) == (200, "B-LTA"), answer.text
    assert answer.headers["content-type"] == "application/pdf"
    report = portal.http.post(
        "/api/v1/validations", files={"document": ("s.pdf", answer.content)}
    ).json()
    assert report["signatures"][0]["level"] == "PAdES-BASELINE-LTA"
    assert augment(answer.content, "B-T").json()["code"] == "nothing-to-augment"
    assert augment(signing_world.make_pdf(), "B-T").json()["code"] == "signature-not-intact"
    assert augment(signed, "B-X").json()["errors"][0]["field"] == "level"
    assert augment(b"TEST", "B-T").status_code == 422


def test_counter_signature_under_an_archive_time_stamp_is_told_in_a_header(portal: Portal) -> None:
    def signed(content: bytes, **chosen: object) -> bytes:
        wanted = {"format": "XAdES", "packaging": "enveloped", "level": "B-B", **chosen}
        session = portal.open(content, **wanted).json()
        portal.http.post(f"{SESSIONS}/{session['id']}/signature-value", json=portal.value(session))
        return portal.http.get(f"{SESSIONS}/{session['id']}/document").content

    def judged(content: bytes) -> list[dict[str, Any]]:
        answer = portal.http.post("/api/v1/validations", files={"document": ("s.xml", content)})
        return list(answer.json()["signatures"])

    def archived(content: bytes) -> httpx.Response:
        return portal.http.post(
            "/api/v1/augmentations",
            files={"document": ("s.xml", content)},
            data={"parameters": json.dumps({"level": "B-LTA"})},
        )

    once = signed(b"<f>TEST</f>")
    both = signed(once, counter_signature_of=judged(once)[0]["id"])
    first = archived(both)
    assert first.status_code == 200, first.text
    assert "imza-counter-signatures-left" not in first.headers
    assert [one["level"] for one in judged(first.content)] == ["XAdES-BASELINE-LTA"] * 2
    again = archived(first.content)
    assert again.headers["imza-counter-signatures-left"] == "counter-signature-archived"


def test_uploads_leave_nothing_behind(portal: Portal) -> None:
    before = set(pathlib.Path(tempfile.gettempdir()).glob("imza-upload-*"))
    portal.open(b"hello")
    assert set(pathlib.Path(tempfile.gettempdir()).glob("imza-upload-*")) <= before


def test_detached_document_is_validated_beside_its_signature(portal: Portal) -> None:
    made = signed_cms.sign(b"TEST contract", portal.holder, portal.world.clock.now())
    made.attached = False
    document = ("document", ("contract.p7s", made.encode()))
    beside = ("detached", ("contract.txt", b"TEST contract"))
    answer = portal.http.post("/api/v1/validations", files=[document, beside])
    assert answer.status_code == 200
    (found,) = answer.json()["signatures"]
    assert found["intact"] is True
    assert found["scope"]["names"] == ["contract.txt"]
    alone = portal.http.post("/api/v1/validations", files=[document]).json()
    assert alone["signatures"][0]["sub_indication"] == "SIGNED_DATA_NOT_FOUND"


def test_hash_of_a_detached_document_is_validated_in_its_place(portal: Portal) -> None:
    made = signed_cms.sign(b"TEST contract", portal.holder, portal.world.clock.now())
    made.attached = False
    document = ("document", ("contract.p7s", made.encode()))
    value = base64.b64encode(hashlib.sha256(b"TEST contract").digest()).decode()

    def ask(algorithm: str) -> Any:
        kept = {"name": "contract.txt", "algorithm": algorithm, "value": value}
        chosen = ("parameters", (None, json.dumps({"digests": [kept]}), "application/json"))
        return portal.http.post("/api/v1/validations", files=[document, chosen])

    (found,) = ask("SHA-256").json()["signatures"]
    assert (found["intact"], found["scope"]["kind"]) == (True, "full")
    refused = ask("SHA-512")
    assert refused.status_code == 422
    assert "digests.0" in refused.json()["detail"]


def _png() -> bytes:
    written = io.BytesIO()
    Image.new("RGBA", (60, 30), (0, 0, 200, 128)).save(written, "PNG")
    return written.getvalue()


def _open_pictured(portal: Portal, picture: bytes, **others: Any) -> httpx.Response:
    return portal.http.post(
        SESSIONS,
        files={
            "document": ("a.pdf", signing_world.make_pdf(), "application/pdf"),
            "appearance_image": ("logo.png", picture, "image/png"),
        },
        data={"parameters": json.dumps(portal.parameters(**others))},
    )


def test_certified_pdf_with_a_picture_is_made_and_closed_for_others(portal: Portal) -> None:
    opened = _open_pictured(
        portal, _png(), appearance={"page": 1, "box": [60, 60, 300, 130]},
        certification="no-changes",
    )  # fmt: skip
    assert opened.status_code == 201, opened.text
    session = opened.json()
    done = portal.http.post(
        f"{SESSIONS}/{session['id']}/signature-value", json=portal.value(session)
    )
    assert done.json()["state"] == "completed"
    signed = portal.http.get(f"{SESSIONS}/{session['id']}/document").content
    assert b"/SMask" in signed
    assert b"/DocMDP" in signed
    again = portal.open(pdf=signed)
    assert (again.status_code, again.json()["code"]) == (422, "document-certified")


@pytest.mark.parametrize(
    ("picture", "others", "code"),
    [
        (b"GIF89a", {"appearance": {}}, "appearance-image"),
        (_png()[:-40], {"appearance": {}}, "appearance-image"),
        (_png() + bytes(5 * 2**20), {"appearance": {}}, "document-too-large"),
        (_png(), {}, "invalid-parameters"),
        (_png(), {"appearance": {"field": "Buyer"}}, "appearance-field"),
        (_png(), {"appearance": {}, "lock": {"action": "all", "fields": ["a"]}},
         "invalid-parameters"),
        (_png(), {"appearance": {}, "lock": {"action": "include", "fields": ["a"]}},
         "lock-field-unknown"),
        (_png(), {"appearance": {}, "certification": "anything"}, "invalid-parameters"),
        (_png(), {"appearance": {"field": "Buyer", "page": 2}}, "invalid-parameters"),
    ],
)  # fmt: skip
def test_picture_lock_or_certification_that_cannot_be_is_refused_with_its_code(
    portal: Portal, picture: bytes, others: dict[str, Any], code: str
) -> None:
    answer = _open_pictured(portal, picture, **others)
    assert answer.status_code in (413, 422)
    assert answer.json()["code"] == code


def test_appearance_with_neither_text_nor_picture_is_refused(portal: Portal) -> None:
    answer = portal.open(appearance={"text": False})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "appearance.text"


def test_another_picture_under_the_same_key_is_another_request(portal: Portal) -> None:
    document = signing_world.make_pdf()
    answers = [
        portal.http.post(
            SESSIONS,
            files={"document": ("a.pdf", document), "appearance_image": ("logo.png", picture)},
            data={"parameters": json.dumps(portal.parameters(appearance={}))},
            headers={"Idempotency-Key": "with a picture"},
        )
        for picture in (_png(), _png(), _png() + b" ")
    ]
    assert [one.status_code for one in answers] == [201, 201, 422]
    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert answers[2].json()["code"] == "idempotency-key-reused"


def test_picture_is_described_to_portals(portal: Portal) -> None:
    paths = portal.http.get("/openapi.json").json()["paths"]
    form = paths[SESSIONS]["post"]["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert "PNG or JPEG" in form["properties"]["appearance_image"]["description"]
    fields = form["properties"]["parameters"]["contentSchema"]["properties"]
    assert "certification" in fields["certification"]["description"]
