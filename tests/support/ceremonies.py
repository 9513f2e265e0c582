"""A stage for key ceremonies, and witnesses who agree to everything but what they refuse."""

import dataclasses
import datetime

from cryptography import x509
from sqlalchemy import orm

from ca import settings as ca_settings
from ca.ceremony import performance, script
from pki import clock, registry
from pki.keystore import store
from tests.support import ca_world
from tests.support.hierarchy import MemoryKeyStore


@dataclasses.dataclass
class CeremonyRoom:
    """The stage, and what was asked and told on it."""

    sessions: orm.sessionmaker[orm.Session]
    keys: store.KeyStore
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


def make_stage(
    sessions: orm.sessionmaker[orm.Session],
    at: datetime.datetime,
    keys: store.KeyStore | None = None,
) -> CeremonyRoom:
    return CeremonyRoom(sessions, keys or MemoryKeyStore(), clock.FixedClock(at))
