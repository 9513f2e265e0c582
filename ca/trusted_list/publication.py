"""Publish the list: take the next number, sign, store; and know when a new one is due."""

import dataclasses
import datetime
import hashlib
import logging
from collections.abc import Sequence

import sqlalchemy
from cryptography import x509
from sqlalchemy import exc, orm

from ca import hierarchy, service_keys
from ca.trusted_list import document, enveloped, services, tables
from ca.trusted_list import scheme as schemes
from pki import audit, certificates, clock, errors, profiles, registry, xml_trees
from pki.keystore import store

log = logging.getLogger(__name__)


class TrustedListNotFoundError(errors.NotFoundError):
    """No list of this name is published."""

    code = "trusted-list-not-found"


class TrustedListInProgressError(errors.StateError):
    """Another process took the next number."""

    code = "trusted-list-in-progress"
    retriable = True


class TrustedListRefusedError(errors.StateError):
    """A list would break a rule; nothing was signed."""

    code = "trusted-list-refused"


@dataclasses.dataclass(frozen=True)
class PublishedList:
    """A list as the world gets it."""

    name: str
    sequence_number: int
    issued_at: datetime.datetime
    next_update: datetime.datetime
    list_xml: bytes
    content_sha256: str


@dataclasses.dataclass(frozen=True)
class Publisher:
    """Publishes every variant of the list of one installation."""

    sessions: orm.sessionmaker[orm.Session]
    keys: store.KeyStore
    authorities: hierarchy.Hierarchy

    def publish(self, at: datetime.datetime, *, actor: str) -> tuple[PublishedList, ...]:
        """Publish every variant now.

        Raises:
            NoTrustedListError: The settings name no scheme.
            TrustedListRefusedError: The signer has no certificate, or the clock stands before the
                last list.
            TrustedListInProgressError: Another process is publishing.
            DeviceError: The key store failed; the number stays unused.
        """
        scheme = schemes.of(self.authorities.settings)
        return tuple(self._publish(scheme, one, at, actor) for one in scheme.variants)

    def publish_due(self, at: datetime.datetime, *, actor: str) -> tuple[PublishedList, ...]:
        """Publish the variants that are new, near their next update, or say what is not so now.

        The worker calls this every few minutes; an installation without a scheme has nothing due.
        """
        if self.authorities.settings.trusted_list is None:
            return ()
        scheme = schemes.of(self.authorities.settings)
        service_keys.renew_list_signer(self.sessions, self.keys, self.authorities, at, actor=actor)
        return tuple(
            self._publish(scheme, one, at, actor)
            for one in scheme.variants
            if self._is_due(scheme, one, at)
        )

    def _is_due(
        self, scheme: schemes.Scheme, variant: schemes.Variant, at: datetime.datetime
    ) -> bool:
        with self.sessions() as session:
            last = find_newest(session, variant.name)
            # Not committed: a status is recorded by the list that tells it.
            listed = services.record_services(session, scheme.installation, at)
            session.rollback()
        if last is None or at >= last.next_update - scheme.operator.renewal:
            return True
        return last.content_sha256 != _content_sha256(scheme, variant, listed)

    def _publish(
        self,
        scheme: schemes.Scheme,
        variant: schemes.Variant,
        at: datetime.datetime,
        actor: str,
    ) -> PublishedList:
        issued_at = clock.whole_seconds(at)
        certificate, key = self._signer(at)
        with self.sessions() as session:
            last = session.scalars(_rows(variant.name).limit(1)).first()
            if last is not None and issued_at < last.issued_at:
                raise TrustedListRefusedError(
                    "the clock stands before the last list's issue: check the clock"
                )
            issue = document.Issue(
                # 5.3.2: one more than any before, whether or not that one was published.
                1 if last is None else last.sequence_number + 1,
                issued_at,
                issued_at + scheme.operator.validity,
            )
            try:
                listed = services.record_services(session, scheme.installation, at)
                row = tables.TrustedListRow(
                    name=variant.name,
                    sequence_number=issue.sequence_number,
                    issued_at=issue.issued_at,
                    next_update=issue.next_update,
                    content_sha256=_content_sha256(scheme, variant, listed),
                )
                session.add(row)
                session.flush()
            except exc.IntegrityError as error:
                raise TrustedListInProgressError(
                    "another process is publishing this list"
                ) from error
            session.commit()
        root = document.build(scheme, variant, listed, issue)
        list_xml = enveloped.sign(root, certificate, key, issued_at)
        with self.sessions() as session:
            stored = session.get_one(tables.TrustedListRow, row.id, with_for_update=True)
            stored.list_xml = list_xml
            audit.append(
                session,
                audit.AuditEvent.TRUSTED_LIST_PUBLISHED,
                at,
                actor=actor,
                details={
                    "name": variant.name,
                    "sequence_number": issue.sequence_number,
                    "sha256": hashlib.sha256(list_xml).hexdigest(),
                },
            )
            session.commit()
            published = _to_published(stored)
        log.info(
            "trusted_list_published name=%s number=%d services=%d",
            variant.name,
            issue.sequence_number,
            len(listed),
        )
        return published

    def _signer(self, at: datetime.datetime) -> tuple[x509.Certificate, store.KeyHandle]:
        with self.sessions() as session:
            record = registry.current_certificate(
                session,
                profiles.TRUSTED_LIST_SIGNER.name,
                at,
                key_label=hierarchy.TRUSTED_LIST_SIGNER,
            )
        if record is None or record.certificate_der is None:
            raise TrustedListRefusedError(
                "the trusted list's signer has no valid certificate: run `imza ca init`"
            )
        key = self.keys.open_key(hierarchy.TRUSTED_LIST_SIGNER)
        return certificates.parse(record.certificate_der), key


def newest(session: orm.Session, name: str) -> PublishedList:
    """Return the newest list of a name.

    Raises:
        TrustedListNotFoundError: None is published.
    """
    found = find_newest(session, name)
    if found is None:
        raise TrustedListNotFoundError("no trusted list of this name is published")
    return found


def find_newest(session: orm.Session, name: str) -> PublishedList | None:
    """Return the newest list of a name, or None."""
    row = session.scalars(
        _rows(name).where(tables.TrustedListRow.list_xml.is_not(None)).limit(1)
    ).first()
    return None if row is None else _to_published(row)


def _rows(name: str) -> sqlalchemy.Select[tables.TrustedListRow]:
    return (
        sqlalchemy.select(tables.TrustedListRow)
        .where(tables.TrustedListRow.name == name)
        .order_by(tables.TrustedListRow.sequence_number.desc())
    )


def _to_published(row: tables.TrustedListRow) -> PublishedList:
    if row.list_xml is None:
        raise TrustedListNotFoundError("this list was not signed")
    return PublishedList(
        row.name,
        row.sequence_number,
        row.issued_at,
        row.next_update,
        row.list_xml,
        row.content_sha256,
    )


def _content_sha256(
    scheme: schemes.Scheme, variant: schemes.Variant, listed: Sequence[services.Service]
) -> str:
    """The hash of what a list says besides its number and dates."""
    same = document.Issue(1, _EPOCH, _EPOCH)
    root = document.build(scheme, variant, listed, same)
    return hashlib.sha256(xml_trees.canonicalise(root, xml_trees.C14N_EXCLUSIVE)).hexdigest()


_EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.UTC)
