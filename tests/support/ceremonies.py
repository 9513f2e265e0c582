"""A stage for key ceremonies, and witnesses who agree to everything but what they refuse."""

import dataclasses
import datetime

from cryptography import x509
from sqlalchemy import orm

from ca import authority, drafts, hierarchy, subjects
from ca import settings as ca_settings
from ca.ceremony import detached_signature, performance, script, transcript_key
from pki import certificates, clock, profiles, registry
from tests.support import ca_world
from tests.support.hierarchy import MemoryKeyStore


@dataclasses.dataclass
class CeremonyRoom:
    """The stage, and what was asked and told on it."""

    sessions: orm.sessionmaker[orm.Session]
    keys: MemoryKeyStore
    present: clock.FixedClock
    settings: ca_settings.Settings = ca_world.SETTINGS
    files: dict[str, bytes] = dataclasses.field(default_factory=dict)
    refuses_at: str = "\0"
    asked: list[tuple[str, str]] = dataclasses.field(default_factory=list)
    told: list[str] = dataclasses.field(default_factory=list)

    @property
    def stage(self) -> performance.Stage:
        return performance.Stage(
            self.sessions,
            self.keys,
            self.settings,
            self.present,
            self._confirm,
            self.told.append,
            self.files.__getitem__,
        )

    def root(self) -> x509.Certificate:
        with self.sessions() as session:
            return next(
                one.certificate for one in registry.issuers(session) if one.name == one.issuer_name
            )

    def _confirm(self, witness: script.Witness, sentence: str) -> None:
        self.present.move(datetime.timedelta(seconds=5))
        self.asked.append((witness.id, sentence))
        if self.refuses_at in sentence:
            raise performance.NotConfirmedError(f"{witness.id} does not agree")


def script_of(*steps: str, date: str = "today") -> bytes:
    """A short script with two witnesses; each step is the inside of a YAML flow mapping."""
    lines = [
        "title: TEST",
        "place: TEST",
        f"date: {date}",
        "witnesses:",
        "  - {id: first, name: TEST First, role: Administrator}",
        "  - {id: second, name: TEST Second, role: Auditor}",
        "steps:",
        *(f"  - {{{one}}}" for one in steps),
    ]
    return "\n".join(lines).encode()


def without(keys: MemoryKeyStore, label: str) -> MemoryKeyStore:
    """The same store with one key taken away."""
    left = MemoryKeyStore()
    left._keys = {name: key for name, key in keys._keys.items() if name != label}
    return left


def make_room(sessions: orm.sessionmaker[orm.Session], at: datetime.datetime) -> CeremonyRoom:
    return CeremonyRoom(sessions, MemoryKeyStore(), clock.FixedClock(at))


def sign_as_the_root_would(
    room: CeremonyRoom,
    content: bytes,
    profile: profiles.CertificateProfile = profiles.CEREMONY_TRANSCRIPT,
    at: datetime.datetime | None = None,
) -> bytes:
    """The signature that somebody with the root's key could make over any transcript."""
    root = hierarchy.load_present(room.sessions, room.keys, room.settings).named("root")
    key = transcript_key.TranscriptKey()
    draft = drafts.draft_certificate(
        profile,
        root.issuer,
        subjects.service_name("Ceremony", room.settings),
        key.public_key,
        room.settings,
        at or room.present.now(),
    )
    made = authority.sign_like(drafts.build_twin(draft), root.issuer.key)
    return detached_signature.sign(content, certificates.parse(made), key)
