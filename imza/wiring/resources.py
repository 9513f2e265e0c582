"""What zones hold open while they are served: databases, key stores, connections."""

import contextlib
import pathlib
from typing import Protocol, TypeVar

from sqlalchemy import orm

from ca import hierarchy
from imza import config as configs
from imza import schema
from imza.wiring import key_stores
from pki import clock, database, outbound
from pki.keystore import settings as keystore_settings
from pki.keystore import store


class Closeable(Protocol):
    """Something that must be closed."""

    def close(self) -> None:
        """Let go of it."""


Held = TypeVar("Held", bound=Closeable)


class Resources:
    """Opens what zones need and closes it at the end, the last one first."""

    def __init__(self, present: clock.Clock) -> None:
        """Take the clock that every zone reads."""
        self.present = present
        self._held = contextlib.ExitStack()

    def close(self) -> None:
        """Close everything."""
        self._held.close()

    def hold(self, one: Held) -> Held:
        """Close this too at the end."""
        self._held.callback(one.close)
        return one

    def client(
        self, timeout_s: float = 10.0, trust_pem: pathlib.Path | None = None
    ) -> outbound.Client:
        """Open an HTTP client."""
        return self.hold(outbound.Client(timeout_s=timeout_s, trust_pem=trust_pem))

    def sessions(self, config: configs.Config) -> orm.sessionmaker[orm.Session]:
        """Open a zone's database, which must be of this version."""
        settings = configs.require(config.database, "database")
        engine = database.connect(settings.url)
        self._held.callback(engine.dispose)
        schema.check(engine)
        return database.session_factory(engine)

    def keys(self, settings: keystore_settings.Settings | None, name: str) -> store.KeyStore:
        """Open the key store of a section of the settings file."""
        opened = keystore_settings.open_store(configs.require(settings, name))
        self._held.callback(opened.close)
        return opened

    def authority_keys(self, config: configs.Config, *, root: bool = False) -> store.KeyStore:
        """Open what the certification authority keeps keys in; the root's in ceremonies alone."""
        own = self.keys(config.keystore, "keystore")
        elsewhere = {
            prefix: self.keys(settings, name)
            for prefix, settings, name in (
                ("ocsp-", config.keystore_ocsp, "keystore_ocsp"),
                ("tsu-", config.keystore_tsa, "keystore_tsa"),
                (hierarchy.ROOT, config.keystore_root if root else None, "keystore_root"),
            )
            if settings is not None
        }
        return key_stores.StoresByLabel(own, elsewhere) if elsewhere else own

    def upgraded_sessions(self, config: configs.Config) -> orm.sessionmaker[orm.Session]:
        """Open a zone's database and bring it to this version first."""
        settings = configs.require(config.database, "database")
        engine = database.connect(settings.url)
        self._held.callback(engine.dispose)
        schema.upgrade(engine)
        return database.session_factory(engine)
