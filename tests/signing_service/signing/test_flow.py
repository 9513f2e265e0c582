import concurrent.futures
import dataclasses
import datetime
import multiprocessing
import pathlib
import signal
from collections.abc import Iterator

import pytest
import sqlalchemy

from pki import algorithms, audit, database, errors, failpoints, months, signature, usage
from signing_service import augment, certification_paths, documents, parameters, revocation_data
from signing_service import service as service_module
from signing_service.creation import pades
from signing_service.creation.pdf import pdf_structure
from signing_service.signing import flow, levels, sessions, signers, upkeep
from tests.support import hierarchy as hierarchy_support
from tests.support import signing_world

B_B, B_T, B_LT, B_LTA = documents.SignatureLevel
PORTAL = "portal"


@pytest.fixture
def world(at: datetime.datetime) -> Iterator[signing_world.World]:
    with signing_world.make_world(at) as made:
        yield made


@dataclasses.dataclass
class Desk:
    """One citizen, one document, and the service they meet."""

    world: signing_world.World
    service: service_module.SigningService
    holder: hierarchy_support.Holder
    document: documents.Document

    @property
    def at(self) -> datetime.datetime:
        return self.world.clock.now()

    def open(
        self, level: documents.SignatureLevel = B_T, key: str | None = None, digest: bytes = b""
    ) -> sessions.SigningSession:
        opening = flow.Opening(PORTAL, self.document, signing_world.pades(level), key, digest)
        return flow.open_session(self.service, opening, self.holder.certificate, self.at)

    def value(self, row: sessions.SigningSession) -> signature.SignatureValue:
        return self.holder.handle.sign(row.representation)

    def complete(self, row: sessions.SigningSession) -> sessions.SigningSession:
        return flow.complete_session(self.service, row.id, PORTAL, self.value(row), self.at)

    def read(self, row: sessions.SigningSession) -> sessions.SigningSession:
        return flow.read_session(self.service, row.id, PORTAL, self.at)

    def counted(self) -> list[tuple[str, str, str, int]]:
        """What the statistics of this month know."""
        month = months.Month.of(self.at)
        with self.service.database() as session:
            found = usage.read(session, "signing", months.Range(month, month))
        return [
            (one.channel.value, one.operation.value, one.relying_party, one.count) for one in found
        ]

    def result(self, row: sessions.SigningSession) -> bytes:
        signed = flow.signed_document(self.service, row.id, PORTAL, self.at)
        return signed.document.path.read_bytes()


@pytest.fixture
def desk(world: signing_world.World, engine: sqlalchemy.Engine, tmp_path: pathlib.Path) -> Desk:
    path = tmp_path / "contract.pdf"
    path.write_bytes(signing_world.make_pdf())
    return Desk(
        world,
        world.service(engine, tmp_path / "store"),
        world.authorities.signer(),
        documents.Document("müqavilə.pdf", path),
    )


@pytest.mark.parametrize("level", list(documents.SignatureLevel))
def test_session_reaches_the_level_that_was_asked_for(
    desk: Desk, level: documents.SignatureLevel
) -> None:
    row = desk.open(level)
    assert row.state is sessions.SessionState.AWAITING_VALUE

    done = desk.complete(row)

    assert (done.state, done.reached) == (sessions.SessionState.COMPLETED, level)
    assert desk.result(row).startswith(desk.document.path.read_bytes())
    assert [one.name for one in (desk.service.store.place(row.id, "x").parent).iterdir()] == [
        levels.file_name(level)
    ]


@pytest.mark.clause("EN 319 102-1", "5.2.5")
def test_time_stamp_comes_first_and_then_fresh_status_is_asked_for(desk: Desk) -> None:
    row = desk.open(B_LT)
    asked_before = desk.world.asked["ocsp"]
    desk.world.down.add("tsa")

    desk.complete(row)

    assert desk.world.asked["ocsp"] == asked_before
    desk.world.down.clear()
    desk.world.clock.move(datetime.timedelta(minutes=1))
    levels.raise_pending(desk.service, desk.at)
    assert desk.world.asked["ocsp"] == asked_before + 1


def test_completing_twice_returns_the_same_document(desk: Desk) -> None:
    row = desk.open()
    value = desk.value(row)
    first = flow.complete_session(desk.service, row.id, PORTAL, value, desk.at)
    content = desk.result(row)

    second = flow.complete_session(desk.service, row.id, PORTAL, value, desk.at)

    assert second.state is first.state is sessions.SessionState.COMPLETED
    assert desk.result(row) == content
    assert desk.counted() == [("card", "signature", PORTAL, 1)]


def test_another_value_for_a_signed_session_is_refused(desk: Desk) -> None:
    row = desk.open(B_B)
    desk.complete(row)
    with pytest.raises(flow.AlreadySignedError):
        desk.complete(row)  # ECDSA gives another value each time.


def test_wrong_key_is_refused_before_embedding_and_the_session_stays_open(desk: Desk) -> None:
    row = desk.open()
    stranger = desk.world.authorities.signer("5AB12CE").handle.sign(row.representation)

    with pytest.raises(signature.SignatureValueError):
        flow.complete_session(desk.service, row.id, PORTAL, stranger, desk.at)

    assert desk.read(row).state is sessions.SessionState.AWAITING_VALUE
    assert desk.complete(row).state is sessions.SessionState.COMPLETED


def test_ecdsa_in_der_is_refused_and_the_sentence_says_so(desk: Desk) -> None:
    row = desk.open()
    value = desk.value(row)
    der = dataclasses.replace(value, value=value.encoded_for_cms())

    with pytest.raises(algorithms.SignatureEncodingError, match="DER"):
        flow.complete_session(desk.service, row.id, PORTAL, der, desk.at)

    assert desk.read(row).state is sessions.SessionState.AWAITING_VALUE


@pytest.mark.parametrize(("peer", "reached"), [("tsa", B_B), ("crl", B_T), ("ocsp", B_T)])
def test_peer_that_is_down_leaves_the_level_reached_and_a_worker_raises_it_later(
    desk: Desk, peer: str, reached: documents.SignatureLevel
) -> None:
    row = desk.open(B_LTA)
    desk.world.down.add(peer)

    stuck = desk.complete(row)

    assert (stuck.state, stuck.reached) == (sessions.SessionState.AUGMENTING, reached)
    assert stuck.error_code == "peer-answer"
    assert desk.result(row)
    desk.world.down.clear()
    assert levels.raise_pending(desk.service, desk.at) == 0  # Not every instant.
    desk.world.clock.move(datetime.timedelta(minutes=1))
    assert levels.raise_pending(desk.service, desk.at) == 1
    done = desk.read(row)
    assert (done.state, done.reached) == (sessions.SessionState.COMPLETED, B_LTA)
    assert done.error_code is None


def test_level_is_given_up_after_a_day_and_the_document_stays(desk: Desk) -> None:
    row = desk.open(B_T)
    desk.world.down.add("tsa")
    desk.complete(row)

    desk.world.clock.move(datetime.timedelta(hours=25))
    levels.raise_pending(desk.service, desk.at)

    failed = desk.read(row)
    assert (failed.state, failed.reached) == (sessions.SessionState.FAILED, B_B)
    assert desk.result(row)


def test_revoked_certificate_is_refused_before_a_person_is_asked(desk: Desk) -> None:
    desk.world.revoked[desk.holder.certificate.serial_number] = desk.at
    with pytest.raises(revocation_data.CertificateRevokedError) as caught:
        desk.open()
    assert caught.value.code == "certificate-revoked"


def test_certificate_revoked_while_signing_ends_the_session_at_the_level_reached(
    desk: Desk,
) -> None:
    row = desk.open(B_LTA)
    desk.world.revoked[desk.holder.certificate.serial_number] = desk.at

    ended = desk.complete(row)

    assert (ended.state, ended.reached) == (sessions.SessionState.FAILED, B_T)
    assert ended.error_code == "certificate-revoked"


def test_responder_that_is_down_stops_a_session_before_it_is_opened(desk: Desk) -> None:
    desk.world.down.add("ocsp")
    with pytest.raises(errors.PeerError):
        desk.open()


def test_authentication_certificate_cannot_sign(desk: Desk) -> None:
    desk.holder = desk.world.authorities.signer(authentication=True)
    with pytest.raises(signers.CertificateUnusableError):
        desk.open()


def test_expired_certificate_cannot_sign(desk: Desk) -> None:
    desk.holder = desk.world.authorities.signer(not_after=desk.at - datetime.timedelta(minutes=1))
    with pytest.raises(signers.CertificateExpiredError):
        desk.open()


def test_certificate_of_strangers_cannot_sign(desk: Desk) -> None:
    desk.holder = hierarchy_support.make_hierarchy(desk.at).signer()
    with pytest.raises(certification_paths.UntrustedCertificateError):
        desk.open()


def test_document_over_the_limit_is_refused(desk: Desk) -> None:
    with desk.document.path.open("ab") as file:
        file.truncate(10**6 + 1)
    with pytest.raises(flow.DocumentTooLargeError):
        desk.open()


def test_document_that_cannot_be_signed_is_refused_before_its_certificate_is_looked_up(
    desk: Desk,
) -> None:
    desk.document.path.write_bytes(b"")
    with pytest.raises(pdf_structure.PdfEmptyError):
        desk.open()
    assert desk.world.asked["ocsp"] == 0


ARCHIVED_DETACHED = parameters.SignatureParameters(
    documents.SignatureFormat.XADES, B_LTA, parameters.Packaging.DETACHED
)


@pytest.mark.clause("EN 319 132-1", "5.5.2")
def test_level_that_would_cover_documents_which_are_not_there_is_refused_by_name(
    desk: Desk,
) -> None:
    sha256 = algorithms.HashAlgorithm.SHA256
    known = documents.DocumentDigest("b.txt", sha256, sha256.digest(b"TEST"))
    for document in (None, desk.document):
        opening = flow.Opening(PORTAL, document, ARCHIVED_DETACHED, digests=(known,))
        with pytest.raises(
            parameters.UnsupportedFormatError, match="documents themselves"
        ) as caught:
            flow.open_session(desk.service, opening, desk.holder.certificate, desk.at)
        assert caught.value.field == "level"


@pytest.fixture
def detached(desk: Desk, tmp_path: pathlib.Path) -> flow.Opening:
    """Two documents, of which one is called as a file of the session's own folder is."""
    second = tmp_path / "original-0"
    second.write_bytes(b"TEST")
    return flow.Opening(
        PORTAL, desk.document, ARCHIVED_DETACHED,
        further=(documents.Document("original-0", second),),
    )  # fmt: skip


def test_documents_beside_a_signature_are_kept_until_its_archive_time_stamp_covers_them(
    desk: Desk, detached: flow.Opening
) -> None:
    row = flow.open_session(desk.service, detached, desk.holder.certificate, desk.at)
    folder = desk.service.store.place(row.id, "x").parent
    # Whoever sent them takes them away, and a peer fails in between.
    for one in detached.signed.files:
        one.path.unlink()
    desk.world.down.add("ocsp")
    stuck = desk.complete(row)
    assert (stuck.state, stuck.reached) == (sessions.SessionState.AUGMENTING, B_T)
    assert len(list(folder.iterdir())) == 3
    desk.world.down.clear()
    desk.world.clock.move(datetime.timedelta(minutes=1))
    assert levels.raise_pending(desk.service, desk.at) == 1
    assert desk.read(row).reached is B_LTA
    assert [one.name for one in folder.iterdir()] == [levels.file_name(B_LTA)]


def test_documents_beside_a_signature_go_when_nobody_will_sign_them(
    desk: Desk, detached: flow.Opening
) -> None:
    row = flow.open_session(desk.service, detached, desk.holder.certificate, desk.at)
    flow.cancel_session(desk.service, row.id, PORTAL, desk.at)
    folder = desk.service.store.place(row.id, "x").parent
    assert list(folder.iterdir()) == []
    # The same where the level cannot be reached any more.
    row = flow.open_session(desk.service, detached, desk.holder.certificate, desk.at)
    desk.world.revoked[desk.holder.certificate.serial_number] = desk.at
    assert desk.complete(row).state is sessions.SessionState.FAILED
    folder = desk.service.store.place(row.id, "x").parent
    assert [one.name for one in folder.iterdir()] == [levels.file_name(B_T)]


def test_kept_document_that_was_changed_is_not_archived(desk: Desk, detached: flow.Opening) -> None:
    row = flow.open_session(desk.service, detached, desk.holder.certificate, desk.at)
    desk.service.store.place(row.id, "original-1").write_bytes(b"TEST2")
    ended = desk.complete(row)
    assert (ended.state, ended.reached) == (sessions.SessionState.FAILED, B_LT)
    assert ended.error_code == "xml-reference-digest"


def test_session_belongs_to_the_client_that_opened_it(desk: Desk) -> None:
    row = desk.open()
    for call in (
        lambda: flow.read_session(desk.service, row.id, "other", desk.at),
        lambda: flow.cancel_session(desk.service, row.id, "other", desk.at),
        lambda: flow.signed_document(desk.service, row.id, "other", desk.at),
        lambda: flow.complete_session(desk.service, row.id, "other", desk.value(row), desk.at),
    ):
        with pytest.raises(sessions.SessionNotFoundError):
            call()


def test_session_expires_and_takes_no_value_afterwards(desk: Desk) -> None:
    row = desk.open()
    value = desk.value(row)
    desk.world.clock.move(datetime.timedelta(minutes=16))

    assert upkeep.expire_overdue(desk.service, desk.at) == 1

    assert desk.read(row).state is sessions.SessionState.EXPIRED
    with pytest.raises(flow.SessionExpiredError):
        flow.complete_session(desk.service, row.id, PORTAL, value, desk.at)
    assert not desk.service.store.holds(row.id, levels.PREPARED)


def test_cancelled_session_takes_no_value_and_cancelling_again_changes_nothing(
    desk: Desk,
) -> None:
    row = desk.open()
    flow.cancel_session(desk.service, row.id, PORTAL, desk.at)

    again = flow.cancel_session(desk.service, row.id, PORTAL, desk.at)

    assert (again.state, again.error_code) == (sessions.SessionState.REFUSED, "cancelled")
    with pytest.raises(sessions.SessionStateError):
        desk.complete(row)


def test_signature_that_was_made_cannot_be_cancelled(desk: Desk) -> None:
    row = desk.open(B_B)
    desk.complete(row)
    with pytest.raises(sessions.SessionStateError):
        flow.cancel_session(desk.service, row.id, PORTAL, desk.at)


def test_same_idempotency_key_opens_one_session_and_another_request_is_refused(
    desk: Desk,
) -> None:
    first = desk.open(key="k", digest=b"1")
    again = desk.open(key="k", digest=b"1")
    assert again.id == first.id
    with pytest.raises(sessions.IdempotencyKeyReusedError):
        desk.open(key="k", digest=b"2")


def test_same_request_at_the_same_time_opens_one_session(desk: Desk) -> None:
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        rows = list(
            pool.map(
                lambda _: desk.open(key="k", digest=b"1"),
                range(4),
            )
        )
    assert len({row.id for row in rows}) == 1
    assert len(list((desk.service.store.place(rows[0].id, "x")).parent.parent.iterdir())) == 1


def test_old_sessions_are_removed_with_their_documents(desk: Desk) -> None:
    row = desk.open(B_B)
    desk.complete(row)
    desk.world.clock.move(datetime.timedelta(days=8))

    assert upkeep.discard_ended(desk.service, desk.at) == 1

    with pytest.raises(sessions.SessionNotFoundError):
        desk.read(row)
    assert not desk.service.store.place(row.id, "x").parent.exists()


def test_folder_without_a_session_is_removed_after_a_day(desk: Desk) -> None:
    orphan = sessions.new_id()
    for session_id in (orphan, kept := desk.open().id):
        with desk.service.store.writing(session_id, levels.PREPARED) as path:
            path.write_bytes(b"x")

    upkeep.discard_ended(desk.service, desk.at)
    assert desk.service.store.holds(orphan, levels.PREPARED)
    upkeep.discard_ended(desk.service, desk.at + datetime.timedelta(days=2))
    assert not desk.service.store.holds(orphan, levels.PREPARED)
    assert desk.service.store.holds(kept, levels.PREPARED)


def test_confirmed_signature_stands_in_the_audit_log_without_the_person(desk: Desk) -> None:
    row = desk.open(B_B)
    desk.complete(row)
    with desk.service.database() as session:
        entries = session.scalars(sqlalchemy.select(audit.EntryRow)).all()
    assert [one.event for one in entries] == ["session.confirmed", "session.completed"]
    assert "5AB12CD" not in "".join(one.details for one in entries)


def test_time_stamping_unit_that_changed_leaves_its_revocation_data_findable(
    desk: Desk, tmp_path: pathlib.Path
) -> None:
    row = desk.open(B_LT)
    desk.complete(row)
    signed = flow.signed_document(desk.service, row.id, PORTAL, desk.at).document.path
    with signing_world.make_world(desk.at) as other:
        known = certification_paths.Authorities(
            desk.world.known.roots + other.known.roots,
            desk.world.known.intermediates + other.known.intermediates,
        )
        service = other.service(desk.service.database.kw["bind"], tmp_path / "other")
        augment.add_archive_time_stamp(
            documents.SignatureFormat.PADES,
            signed,
            tmp_path / "archived",
            known,
            service.request_token,
            client=other.client,
            at=desk.at,
        )
    content = (tmp_path / "archived").read_bytes()
    assert other.authorities.root.der in content
    assert other.asked["crl"] == 2
    assert len(pades.time_stamp_tokens(tmp_path / "archived")) == 2


def test_process_killed_after_embedding_goes_on_after_a_restart(
    desk: Desk, engine: sqlalchemy.Engine
) -> None:
    row = desk.open(B_T)
    value = desk.value(row)
    engine.dispose()
    child = multiprocessing.get_context("fork").Process(
        target=_complete_and_die, args=(desk, row.id, value)
    )
    child.start()
    child.join(60)
    assert child.exitcode == -signal.SIGKILL

    killed = desk.read(row)
    assert (killed.state, killed.reached) == (sessions.SessionState.AUGMENTING, None)
    assert desk.counted() == []
    desk.world.clock.move(desk.service.settings.lease + datetime.timedelta(seconds=1))
    assert levels.raise_pending(desk.service, desk.at) == 1

    done = desk.read(row)
    assert (done.state, done.reached) == (sessions.SessionState.COMPLETED, B_T)
    assert desk.counted() == [("card", "signature", PORTAL, 1)]


def _complete_and_die(desk: Desk, session_id: str, value: signature.SignatureValue) -> None:
    failpoints.arm("document-embedded")
    service = dataclasses.replace(
        desk.service,
        database=database.session_factory(
            database.connect(
                desk.service.database.kw["bind"].url.render_as_string(hide_password=False)
            )
        ),
    )
    flow.complete_session(service, session_id, PORTAL, value, desk.at)


def test_missing_file_stops_the_work_instead_of_signing_something_else(desk: Desk) -> None:
    row = desk.open(B_B)
    desk.service.store.remove(row.id, levels.PREPARED)
    failed = desk.complete(row)
    assert (failed.state, failed.error_code) == (sessions.SessionState.FAILED, "document-missing")
