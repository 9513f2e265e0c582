"""The status service: responders' keys, and a view of the registry."""

import datetime
import logging
import threading
from collections.abc import Sequence

from sqlalchemy import orm

import ocsp.api
from imza import config as configs
from imza import health
from imza.wiring.resources import Resources
from imza.wiring.zone import REGULAR, Job, Zone
from ocsp import responder, responder_key
from pki import access, certificates, errors, profiles, registry, registry_lock, status
from pki.keystore import store

log = logging.getLogger(__name__)


class RegistryNotReconciledError(errors.PeerError):
    """The registry was restored from a backup and is not reconciled yet."""

    code = "registry-locked"


def build(resources: Resources, config: configs.Config, _: access.AccessTokens | None) -> Zone:
    """Build the status service's zone; see `imza.wiring.zones.build`."""
    sessions = resources.sessions(config)
    keys = resources.keys(config.keystore, "keystore")
    settings = configs.require(config.ocsp, "ocsp")

    locked = threading.Event()

    def look_up(issuer: str, serial_number: int) -> status.CertificateStatus | None:
        if locked.is_set():
            # A database that was restored from a backup has lost the newest revocations.
            raise RegistryNotReconciledError("the registry is locked: no status is told")
        with sessions() as session:
            return registry.status_of(session, issuer, serial_number)

    answering = responder.Responder(
        _status_issuers(sessions, keys, resources.present.now()), look_up, settings.validity
    )

    def follow_lock() -> None:
        with sessions() as session:
            is_locked = registry_lock.state(session).locked_at is not None
        if is_locked and not locked.is_set():
            log.error("registry_locked: requests are answered tryLater")
        (locked.set if is_locked else locked.clear)()

    follow_lock()

    def reload(at: datetime.datetime) -> None:
        follow_lock()
        # A new generation of an authority is answered for within the minute; keys are opened
        # again only where the registry names another certificate.
        known = [
            (one.name, certificates.to_der(one.keys[0].certificate)) for one in answering.issuers
        ]
        if _responders(sessions, at) != known:
            answering.issuers = tuple(_status_issuers(sessions, keys, at))
            log.info("responders_loaded issuers=%d", len(answering.issuers))

    return Zone(
        "ocsp",
        (),
        (Job("reload-responders", REGULAR, reload, in_each_process=True),),
        {"registry": health.database_probe(sessions)},
        endpoints=ocsp.api.endpoints(answering, resources.present, lookup_waits=True),
    )


def _responders(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> list[tuple[str, bytes]]:
    """Each issuing CA with its responder's current certificate, as `_status_issuers` finds them."""
    with sessions() as session:
        found = [
            (
                issuer.name,
                registry.current_certificate(
                    session, profiles.OCSP_RESPONDER.name, at, issuer_name=issuer.name
                ),
            )
            for issuer in registry.issuers(session)
        ]
    return [
        (name, record.certificate_der)
        for name, record in found
        if record is not None and record.key_label and record.certificate_der is not None
    ]


def _status_issuers(
    sessions: orm.sessionmaker[orm.Session], keys: store.KeyStore, at: datetime.datetime
) -> Sequence[responder_key.StatusIssuer]:
    """The issuing CAs of the registry, each with its responder's current certificate and key."""
    found = []
    with sessions() as session:
        for issuer in registry.issuers(session):
            record = registry.current_certificate(
                session, profiles.OCSP_RESPONDER.name, at, issuer_name=issuer.name
            )
            if record is None or record.key_label is None:
                continue
            key = responder_key.ResponderKey(record.certificate, keys.open_key(record.key_label))
            found.append(responder_key.StatusIssuer(issuer.name, issuer.certificate, (key,)))
    return found
