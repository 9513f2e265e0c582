"""Random lives of certificates: registry, OCSP and CRL say the same of each, and for ever."""

import dataclasses
import datetime
import pathlib
import shutil

import hypothesis
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp as x509_ocsp
from hypothesis import strategies as st

from ca import holds, revocation, service_keys
from ca.renewal import rules
from ocsp import messages, responder, responder_key
from pki import audit, database, profiles, registry, status
from tests.support import ca_world, crls, renewal

DAY = datetime.timedelta(days=1)
AUTHORITY_WORKS = 6 * 365 * DAY
HOLD_LIMIT = 60 * DAY
REASONS = ("keyCompromise", "superseded", "unspecified", "affiliationChanged")


@dataclasses.dataclass
class Life:
    """A certificate as the test believes it to be."""

    owner: renewal.Owner
    reason: str | None = None
    since: datetime.datetime | None = None

    @property
    def serial(self) -> int:
        return self.owner.serial


@dataclasses.dataclass
class World:
    """A CA, its certificates by the test's own book-keeping, and a clock."""

    ca: ca_world.World
    now: datetime.datetime
    lives: list[Life] = dataclasses.field(default_factory=list)

    def issue(self) -> None:
        """A new application and its certificate."""
        made = renewal.make_owner(self.ca, at=self.now)
        self.lives.append(Life(made))

    def hold(self, life: Life) -> None:
        """Allowed unless it is revoked for good; once more changes nothing."""
        self._change(
            life,
            allowed=life.reason in (None, "certificateHold"),
            reason="certificateHold",
            call=lambda session: revocation.hold(session, life.serial, self.now, actor="test"),
        )

    def release(self, life: Life) -> None:
        """Allowed for what is on hold."""
        self._change(
            life,
            allowed=life.reason == "certificateHold",
            reason=None,
            call=lambda session: revocation.release(session, life.serial, self.now, actor="test"),
        )

    def revoke(self, life: Life, reason: str) -> None:
        """Allowed unless it is revoked for another reason."""
        self._change(
            life,
            allowed=life.reason in (None, "certificateHold", reason),
            reason=reason,
            call=lambda session: revocation.revoke(
                session,
                life.serial,
                status.RevocationReason.from_name(reason),
                self.now,
                actor="test",
            ),
        )

    def renew(self, life: Life) -> None:
        """Allowed for a good one in its last days; the old one stays as it is."""
        ends = life.owner.issued.record.not_after
        due = ends - renewal.SETTINGS.window <= self.now <= ends
        fresh = self.now - self.ca.at <= renewal.SETTINGS.identity_validity
        key = renewal.new_key()
        try:
            made = life.owner.renew(renewal.csr_for(key=key), at=self.now)
        except (rules.ExpiredError, rules.NotRenewableError, rules.TooEarlyError):
            assert not (due and life.reason is None)
        except rules.IdentityOutdatedError:
            assert not fresh
        else:
            assert due
            assert life.reason is None
            self.lives.append(Life(renewal.Owner(self.ca, key, made.issued)))

    def wait(self, days: int) -> None:
        """Time passes, and the worker ends holds that are overdue."""
        if self.now + days * DAY > self.ca.at + AUTHORITY_WORKS:
            # Later the authority, which lasts ten years, has no three years left to give.
            return
        self.now += days * DAY
        holds.end_overdue(self.ca.sessions, self.ca.hierarchy, HOLD_LIMIT, self.now)
        for one in self.lives:
            if one.reason == "certificateHold" and self.now - (one.since or self.now) >= HOLD_LIMIT:
                one.reason = "unspecified"

    def check(self) -> None:
        """Invariants 6 and 7: every serial has an answer, and all answers are the same."""
        listed = x509.load_der_x509_crl(crls.publish_der(self.ca, self.now))
        for one in self.lives:
            with self.ca.sessions() as session:
                found = registry.find(session, one.serial).status
            assert (found.reason.name if found.reason else None, found.revoked_at) == (
                one.reason,
                one.since,
            )
            entry = listed.get_revoked_certificate_by_serial_number(one.serial)
            assert _of_crl(entry) == (one.reason, one.since)
            assert self._of_ocsp(one) == (one.reason, one.since)
        assert len(listed) == sum(one.reason is not None for one in self.lives)
        with self.ca.sessions() as session:
            audit.verify(session)

    def _change(self, life: Life, *, allowed: bool, reason: str | None, call: object) -> None:
        with self.ca.sessions() as session:
            try:
                call(session)  # type: ignore[operator]
            except revocation.RevocationStateError:
                assert not allowed
                return
            session.commit()
        assert allowed
        life.since = None if reason is None else life.since or self.now
        life.reason = reason

    def _of_ocsp(self, life: Life) -> tuple[str | None, datetime.datetime | None]:
        issuer = self.ca.hierarchy.named("citizen").certificate
        service_keys.renew_responders(
            self.ca.sessions, self.ca.keys, self.ca.hierarchy, self.now, actor="test"
        )
        with self.ca.sessions() as session:
            record = registry.current_certificate(
                session, profiles.OCSP_RESPONDER.name, self.now, issuer_name="citizen"
            )
            assert record is not None
            assert record.key_label is not None
        key = responder_key.ResponderKey(
            record.certificate, self.ca.keys.open_key(record.key_label)
        )

        def look_up(name: str, serial: int) -> status.CertificateStatus | None:
            with self.ca.sessions() as session:
                return registry.status_of(session, name, serial)

        answering = responder.Responder(
            [responder_key.StatusIssuer("citizen", issuer, (key,))], look_up
        )
        request = (
            x509_ocsp.OCSPRequestBuilder()
            .add_certificate(life.owner.certificate, issuer, hashes.SHA256())
            .build()
            .public_bytes(serialization.Encoding.DER)
        )
        answer = responder.respond(request, answering, self.now)
        assert answer.response_status is messages.ResponseStatus.successful
        response = x509_ocsp.load_der_ocsp_response(answer.response_der)
        # Kept since the CA began, whatever has ended since (RFC 6960 4.4.4).
        assert b"\x2b\x06\x01\x05\x05\x07\x30\x01\x06" in answer.response_der
        if response.certificate_status is x509_ocsp.OCSPCertStatus.GOOD:
            return None, None
        assert response.certificate_status is x509_ocsp.OCSPCertStatus.REVOKED
        reason = response.revocation_reason
        return reason.value if reason else "unspecified", response.revocation_time_utc


def _of_crl(
    entry: x509.RevokedCertificate | None,
) -> tuple[str | None, datetime.datetime | None]:
    if entry is None:
        return None, None
    try:
        reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    except x509.ExtensionNotFound:
        reason = "unspecified"
    return reason, entry.revocation_date_utc


@pytest.fixture(scope="module")
def founded(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[pathlib.Path, ca_world.World]:
    """A CA that has just begun, in a file that each history copies."""
    file = tmp_path_factory.mktemp("ca") / "founded.sqlite"
    engine = database.connect(f"sqlite:///{file}")
    database.Base.metadata.create_all(engine)
    at = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
    made = ca_world.make_world(database.session_factory(engine), at)
    engine.dispose()
    return file, made


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("issue")),
        st.tuples(st.sampled_from(["hold", "release", "renew"]), st.integers(0, 5)),
        st.tuples(st.just("revoke"), st.integers(0, 5), st.sampled_from(REASONS)),
        st.tuples(st.just("wait"), st.sampled_from([1, 61, 1070, 40])),
    ),
    min_size=3,
    max_size=10,
)


@pytest.mark.clause("EN 319 411-1", "6.2.4")
@hypothesis.settings(
    max_examples=12,
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
@hypothesis.given(steps=STEPS)
@hypothesis.example(
    steps=[
        ("hold", 0), ("release", 0), ("wait", 1070), ("renew", 0), ("wait", 40),
        ("renew", 0), ("revoke", 1, "keyCompromise"), ("release", 1), ("hold", 0),
    ]
)  # fmt: skip
@hypothesis.example(
    steps=[("hold", 0), ("wait", 61), ("release", 0), ("revoke", 0, "superseded"), ("wait", 1070)]
)
@hypothesis.example(steps=[("wait", 1070), ("issue",)] * 5)
def test_registry_ocsp_and_crl_agree_through_any_life(
    founded: tuple[pathlib.Path, ca_world.World],
    tmp_path: pathlib.Path,
    steps: list[tuple[object, ...]],
) -> None:
    """Invariant 7: OCSP and CRL agree, and revocation is monotonic except for a hold."""
    file, made = founded
    copy = shutil.copy(file, tmp_path / "history.sqlite")
    for rest in ("-wal", "-shm"):
        pathlib.Path(f"{copy}{rest}").unlink(missing_ok=True)
    engine = database.connect(f"sqlite:///{copy}")
    world = World(dataclasses.replace(made, sessions=database.session_factory(engine)), made.at)
    try:
        world.issue()
        for name, *arguments in steps:
            if arguments and name != "wait":
                arguments[0] = world.lives[int(str(arguments[0])) % len(world.lives)]
            getattr(world, str(name))(*arguments)
        world.check()
    finally:
        engine.dispose()


def test_an_expired_certificate_keeps_its_status_for_ever(
    founded: tuple[pathlib.Path, ca_world.World], tmp_path: pathlib.Path
) -> None:
    file, made = founded
    engine = database.connect(f"sqlite:///{shutil.copy(file, tmp_path / 'expired.sqlite')}")
    world = World(dataclasses.replace(made, sessions=database.session_factory(engine)), made.at)
    world.issue()
    world.issue()
    good, revoked = world.lives
    world.revoke(revoked, "keyCompromise")
    world.wait(3 * 365 + 100)
    assert good.owner.issued.record.not_after < world.now
    with pytest.raises(rules.ExpiredError, match="apply for a new one"):
        good.owner.renew(renewal.csr_for(), at=world.now)
    # The responder, the CRL and the registry still know both.
    world.check()
    engine.dispose()
