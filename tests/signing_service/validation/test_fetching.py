import contextlib
import datetime

import fastapi
import fastapi.responses
import pytest

from pki import clock, outbound
from signing_service import documents, trust
from signing_service.validation import evidence, fetching, process, report
from signing_service.validation.certificates import paths
from tests.support import broken_chains, servers, signed_pdfs, signing_world

MINUTE = datetime.timedelta(minutes=1)


@pytest.fixture
def world(at):
    with signing_world.make_world(at) as made:
        yield made


@pytest.fixture
def stamped(world, at, tmp_path) -> documents.Document:
    maker = signed_pdfs.PdfMaker(world.authorities, world.authorities.signer(), at)
    path = tmp_path / "contract.pdf"
    path.write_bytes(maker.sign(signed_pdfs.make_pdf(), stamped=True))
    return documents.Document("contract.pdf", path)


def validate(world, document, *, roots=True) -> report.SignatureReport:
    anchors = trust.TrustAnchors((world.authorities.root.certificate,) if roots else ())
    (found,) = process.validate(
        document,
        trust=anchors,
        at=world.clock.now(),
        fetch=fetching.fetcher(world.client, world.clock),
    ).signatures
    return found


def test_status_is_fetched_from_the_responder_and_the_lists(world, stamped):
    found = validate(world, stamped)
    assert found.indication is report.Indication.TOTAL_PASSED, found.errors
    assert world.asked["ocsp"] == 1
    assert world.asked["crl"] == 2


def test_revocation_after_the_time_stamp_is_told_and_the_signature_passes(world, stamped, at):
    world.clock.move(5 * MINUTE)
    (serial,) = [int(validate(world, stamped).signing_certificate.serial_number, 16)]
    world.revoked[serial] = at + MINUTE
    found = validate(world, stamped)
    assert found.indication is report.Indication.TOTAL_PASSED, found.errors
    assert "revoked-later" in {one.code for one in found.info}


@pytest.mark.parametrize("down", [{"crl"}, {"ocsp", "crl"}])
def test_authority_that_is_down_leaves_the_verdict_open(world, stamped, down):
    world.down |= down
    found = validate(world, stamped)
    assert found.indication is report.Indication.INDETERMINATE
    assert found.sub_indication is report.SubIndication.TRY_LATER


def test_list_stands_in_for_a_responder_that_is_down(world, stamped):
    world.down.add("ocsp")
    found = validate(world, stamped)
    assert found.indication is report.Indication.TOTAL_PASSED, found.errors
    assert world.asked["crl"] == 3


def test_addresses_in_certificates_that_nobody_trusts_are_not_asked(world, stamped):
    found = validate(world, stamped, roots=False)
    assert found.sub_indication is report.SubIndication.NO_CERTIFICATE_CHAIN_FOUND
    assert not world.asked


# --- what a stranger's document may make us ask ------------------------------------------------


class Trap:
    """A server that counts who comes."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.answer = fastapi.Response(b"", media_type="application/pkix-crl")
        self.application = fastapi.FastAPI()

        @self.application.api_route("/{path:path}", methods=["GET", "POST"])
        def take(path: str) -> fastapi.Response:
            self.asked.append(path)
            return self.answer


@pytest.fixture
def trap():
    made = Trap()
    with servers.serve(made.application) as base_url:
        made.base_url = base_url
        yield made


def ask(at, *chain: broken_chains.Made, anchor: broken_chains.Made, crls=()):
    """Judge a chain, fetch what is missing over a real client, and judge again."""
    known = evidence.Evidence(certificates_der=[one.der for one in chain], crls=crls)
    anchors = trust.TrustAnchors((anchor.certificate,))

    def judge(asked_at=None):
        return paths.judge(
            chain[0].certificate,
            evidence=known,
            anchors=anchors,
            at=at,
            role=paths.Role.SIGNER,
            proven=False,
            asked_at=asked_at,
        )

    with contextlib.closing(outbound.Client(max_bytes=10**5)) as client:
        fetched = fetching.fetcher(client, clock.FixedClock(at))(judge().missing)
    known.add(ocsp_responses=fetched.ocsp_responses, crls=fetched.crls)
    return judge(at)


@pytest.mark.parametrize("kind", ["own root", "person issues", "forged issuer", "no authority"])
def test_address_of_a_certificate_that_no_anchor_stands_behind_is_never_asked(trap, at, kind):
    """Whoever makes the certificate would choose what this machine connects to."""
    root = broken_chains.make_authority("root", None, at)
    urls = {"ocsp_url": f"{trap.base_url}/ocsp", "crl_url": f"{trap.base_url}/crl"}
    if kind == "own root":
        issuer = broken_chains.make_authority("root", None, at)
        chain = [broken_chains.make_certificate("forged", issuer, at, **urls), issuer]
    elif kind == "person issues":
        person = broken_chains.make_certificate("person", root, at)
        chain = [broken_chains.make_certificate("forged", person, at, **urls), person]
    elif kind == "forged issuer":
        stranger = broken_chains.make_authority("root", None, at)
        issuer = broken_chains.make_authority("issuing", stranger, at)
        chain = [broken_chains.make_certificate("forged", issuer, at, **urls), issuer]
    else:
        issuer = broken_chains.make_certificate("issuing", root, at, authority=None, **urls)
        chain = [broken_chains.make_certificate("forged", issuer, at, **urls), issuer]
    verdict = ask(at, *chain, anchor=root)
    assert verdict.sub_indication is not None
    assert trap.asked == []


def test_honest_list_is_asked_for_and_taken(trap, at):
    root = broken_chains.make_authority("root", None, at)
    leaf = broken_chains.make_certificate("person", root, at, crl_url=f"{trap.base_url}/crl")
    trap.answer = fastapi.Response(broken_chains.make_crl(root, at))
    assert ask(at, leaf, anchor=root).sub_indication is None
    assert trap.asked == ["crl"]


@pytest.mark.clause("EN 319 102-1", "5.2.5")
def test_what_nobody_has_a_word_of_is_asked_before_what_may_be_outdated(trap, at):
    """However many signers brought statuses that are still in force."""
    root = broken_chains.make_authority("root", None, at)

    def need(name: str, *, is_doubted: bool) -> evidence.MissingStatus:
        url = f"{trap.base_url}/{name}"
        made = broken_chains.make_certificate(name, root, at, crl_url=url)
        return evidence.MissingStatus(made.der, root.der, is_doubted)

    doubted = [need(f"brought-{i}", is_doubted=True) for i in range(fetching.MAX_FETCHES)]
    unknown = need("unknown", is_doubted=False)
    again = evidence.MissingStatus(unknown.certificate_der, unknown.issuer_der, is_doubted=True)
    with contextlib.closing(outbound.Client(max_bytes=10**5)) as client:
        fetching.fetcher(client, clock.FixedClock(at))([again, *doubted, unknown])
    assert trap.asked[0] == "unknown"
    assert len(set(trap.asked)) == len(trap.asked) == fetching.MAX_FETCHES


def test_redirect_is_not_followed(trap, at):
    root = broken_chains.make_authority("root", None, at)
    leaf = broken_chains.make_certificate("person", root, at, crl_url=f"{trap.base_url}/crl")
    trap.answer = fastapi.responses.RedirectResponse(f"{trap.base_url}/inner")
    verdict = ask(at, leaf, anchor=root)
    assert verdict.sub_indication is report.SubIndication.TRY_LATER
    assert trap.asked == ["crl"]


def test_endless_answer_is_cut_off(trap, at):
    root = broken_chains.make_authority("root", None, at)
    leaf = broken_chains.make_certificate("person", root, at, crl_url=f"{trap.base_url}/crl")
    trap.answer = fastapi.responses.StreamingResponse(iter(lambda: b"\0" * 10**4, None))
    verdict = ask(at, leaf, anchor=root)
    assert verdict.sub_indication is report.SubIndication.TRY_LATER


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ldap://127.0.0.1:9/cn=x",
        "ftp://127.0.0.1:9/x",
        "gopher://127.0.0.1:9/x",
        "http://",
        "http://[::1",
        "http://127.0.0.1:99999/",
        "http://exa mple/\n",
        "",
        "http:///x",
        "data:,x",
    ],
)
def test_address_that_is_no_web_address_leaves_the_status_unknown(at, url):
    root = broken_chains.make_authority("root", None, at)
    leaf = broken_chains.make_certificate("person", root, at, ocsp_url=url or " ", crl_url=url)
    verdict = ask(at, leaf, anchor=root)
    assert verdict.sub_indication is report.SubIndication.TRY_LATER
