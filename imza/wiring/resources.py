"""What zones hold open while they are served: databases, key stores, connections.

What some zones alone need is imported where it is opened: a responder's worker, which has neither
a database layer nor an HTTP client, starts in a moment.
"""

import contextlib
import functools
import pathlib
import typing
from typing import Protocol, TypeVar

from imza import config as configs
from imza.wiring import key_stores
from pki import clock, durable_files, errors, metrics, settings
from pki.keystore import settings as keystore_settings
from pki.keystore import signature_log, store

if typing.TYPE_CHECKING:
    from sqlalchemy import orm

    from ca.continuity import known_signatures
    from pki import outbound
    from pki.keystore import logged_store


class Closeable(Protocol):
    """Something that must be closed."""

    def close(self) -> None:
        """Let go of it."""


SIGNATURE_LOG = "signatures.log"
"""The log's name beside keys in files."""

Held = TypeVar("Held", bound=Closeable)


class Resources:
    """Opens what zones need and closes it at the end, the last one first."""

    def __init__(self, present: clock.Clock, board: metrics.Board | None = None) -> None:
        """Take the clock that every zone reads, and where the figures of all workers are kept."""
        self.present = present
        self.metrics = metrics.Metrics(board)
        self._held = contextlib.ExitStack()
        self._logs: dict[pathlib.Path, signature_log.SignatureLog] = {}
        self._guards: dict[pathlib.Path, known_signatures.SigningGuard] = {}

    def close(self) -> None:
        """Close everything."""
        self._held.close()

    def hold(self, one: Held) -> Held:
        """Close this too at the end."""
        self._held.callback(one.close)
        return one

    def client(
        self, timeout_s: float = 10.0, trust_pem: pathlib.Path | None = None
    ) -> "outbound.Client":
        """Open an HTTP client."""
        from pki import outbound

        return self.hold(outbound.Client(timeout_s=timeout_s, trust_pem=trust_pem))

    def sessions(self, config: configs.Config) -> "orm.sessionmaker[orm.Session]":
        """Open a zone's database, which must be of this version."""
        from imza import schema
        from pki import database

        engine = database.connect(configs.require(config.database, "database").url)
        self._held.callback(engine.dispose)
        schema.check(engine)
        return database.session_factory(engine)

    def keys(self, section: keystore_settings.Settings | None, name: str) -> store.KeyStore:
        """Open the key store of a section of the settings file."""
        opened = keystore_settings.open_store(configs.require(section, name))
        self._held.callback(opened.close)
        return opened

    def authority_keys(
        self,
        config: configs.Config,
        sessions: "orm.sessionmaker[orm.Session]",
        *,
        root: bool = False,
    ) -> "logged_store.LoggedKeyStore":
        """Open what the certification authority keeps keys in; the root's in ceremonies alone.

        What the authorities' own keys sign is written to the signature log first, and they sign
        only while there is room for the audit log's anchors, and while the database knows all that
        the log names.
        """
        from ca import hierarchy
        from pki.keystore import logged_store

        own = self.keys(config.keystore, "keystore")
        elsewhere = {
            prefix: self.keys(section, name)
            for prefix, section, name in (
                ("ocsp-", config.keystore_ocsp, "keystore_ocsp"),
                ("tsu-", config.keystore_tsa, "keystore_tsa"),
                (hierarchy.ROOT, config.keystore_root if root else None, "keystore_root"),
            )
            if section is not None
        }
        every = key_stores.StoresByLabel(own, elsewhere) if elsewhere else own
        guard = self.signing_guard(config, sessions)
        return logged_store.LoggedKeyStore(
            every,
            self.signature_log(config),
            hierarchy.is_authority_key,
            needs=(guard.check_log, *rooms(config)),
            permit=guard.check_recorded,
        )

    def signing_guard(
        self, config: configs.Config, sessions: "orm.sessionmaker[orm.Session]"
    ) -> "known_signatures.SigningGuard":
        """What compares the signature log with the registry; one for each log."""
        from ca.continuity import known_signatures

        path = signature_log_path(config)
        if path not in self._guards:
            self._guards[path] = known_signatures.SigningGuard(sessions, path, self.present)
        return self._guards[path]

    def signature_log(self, config: configs.Config) -> signature_log.SignatureLog:
        """Open the log of what the authorities sign; one for each file.

        Raises:
            SettingsError: Nothing says where it is.
        """
        path = signature_log_path(config)
        if path not in self._logs:
            self._logs[path] = self.hold(signature_log.SignatureLog(path, self.present))
        return self._logs[path]

    def upgraded_sessions(self, config: configs.Config) -> "orm.sessionmaker[orm.Session]":
        """Open a zone's database and bring it to this version first."""
        from imza import schema
        from pki import database

        engine = database.connect(configs.require(config.database, "database").url)
        self._held.callback(engine.dispose)
        schema.upgrade(engine)
        return database.session_factory(engine)


def rooms(config: configs.Config) -> "tuple[logged_store.Check, ...]":
    """Return checks that there is room for what must be written when an authority signs.

    That is the folder of the audit log's anchors, and that of a database in a file: what was
    intended could be recorded in the last of its room, and then not that it was done.
    """
    from pki import database

    folders = []
    if config.audit is not None:
        folder = config.audit.folder
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise errors.StorageError(
                f"the folder {folder} of the audit log's anchors cannot be made ({error.strerror})"
            ) from error
        folders.append(folder)
    if config.database is not None and (file := database.file_of(config.database.url)) is not None:
        folders.append(file.absolute().parent)
    return tuple(functools.partial(durable_files.check_room, one) for one in folders)


def signature_log_path(config: configs.Config) -> pathlib.Path:
    """Where the signature log is: as the settings say, or beside the keys where these are files.

    Raises:
        SettingsError: The keys are in a module and the settings do not say.
    """
    if config.signature_log is not None:
        return config.signature_log.file
    folder = configs.require(config.keystore, "keystore").folder
    if folder is None:
        raise settings.SettingsError(
            "expected a section [signature_log] with the entry 'file': what the keys in a module"
            " sign is written there first"
        )
    return folder / SIGNATURE_LOG
