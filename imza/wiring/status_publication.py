"""Publishing the statuses of all certificates for responders on other machines."""

import datetime
import logging

from sqlalchemy import orm

from ca import service_keys
from imza import config as configs
from imza import migrations
from imza.wiring.resources import Resources
from ocsp.statuses import contents as views
from ocsp.statuses import registry_source
from pki import status_file, status_publishers
from pki.keystore import store

log = logging.getLogger(__name__)


class StatusPublisher:
    """Follows the registry and writes the signed file."""

    def __init__(
        self,
        resources: Resources,
        config: configs.Config,
        sessions: orm.sessionmaker[orm.Session],
        keys: store.KeyStore,
        *,
        actor: str = "worker",
    ) -> None:
        """Open the registry for reading; the key is opened, or made, when it first signs.

        Raises:
            SettingsError: The settings do not say where the file is.
        """
        self._settings = configs.require(config.status_file, "status_file")
        self._source = resources.hold(
            registry_source.RegistrySource(
                configs.require(config.database, "database").url,
                revision=migrations.newest_revision(),
            )
        )
        self._sessions = sessions
        self._keys = keys
        self._actor = actor
        self._known: views.Contents | None = None

    def public_key(self, at: datetime.datetime) -> store.KeyHandle:
        """The key that signs; responders are given its public part."""
        return service_keys.open_status_publisher(self._sessions, self._keys, at, actor=self._actor)

    def publish(self, at: datetime.datetime) -> status_file.Header:
        """Write the file as of now and return what it says.

        Raises:
            RegistryUnreadableError: The database is away; the file before stays.
            DeviceError: The key did not sign, or the disk is full.
        """
        self._known = views.settled(self._source.update(self._known, at))
        key = self.public_key(at)
        pieces = status_publishers.sign(self._known.merged(), key)
        status_file.write(self._settings.file, pieces)
        log.info("status_file_published change=%d", self._known.position.number)
        return status_file.Header(
            self._known.position,
            self._known.as_of,
            self._known.locked_at,
            self._known.issuers,
            self._known.responders,
        )
