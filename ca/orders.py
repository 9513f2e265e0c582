"""What is asked for of an authority, and what is answered without a signature.

A request names what it asks for: the same name never yields a second certificate, and one key is
certified for one subject and one use.
"""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping
from typing import Any, cast

import sqlalchemy
from sqlalchemy import orm

from ca import drafts
from ca.continuity import closures
from pki import certificates, errors, registry

SYSTEM = "system"
"""The actor of what no client or officer asked for."""

# The object-relational layer would take longer than all the rest of a certificate of many.
_CERTIFICATES = cast(sqlalchemy.Table, registry.CertificateRow.__table__)
_BY_REQUEST = sqlalchemy.select(_CERTIFICATES).where(
    _CERTIFICATES.c.request_key == sqlalchemy.bindparam("request")
)
_ROWS_ABOUT = sqlalchemy.select(_CERTIFICATES).where(
    _CERTIFICATES.c.request_key.in_(sqlalchemy.bindparam("requests", expanding=True))
    | _CERTIFICATES.c.key_sha256.in_(sqlalchemy.bindparam("keys", expanding=True))
)


class RequestInProgressError(errors.StateError):
    """The same certificate is being issued at this moment."""

    code = "issuance-in-progress"
    retriable = True


class RequestAnsweredError(errors.StateError):
    """The request got a certificate already, for another key."""

    code = "already-certified"


class KeyCertifiedError(errors.PolicyError):
    """The key was certified before, for somebody else or for something else."""

    code = "key-already-certified"


class IssuanceAbandonedError(errors.StateError):
    """The certificate was abandoned and revoked while it was being issued."""

    code = "issuance-abandoned"
    retriable = True


@dataclasses.dataclass(frozen=True)
class IssuanceRequest:
    """What a certificate is asked for by, and by whom.

    Attributes:
        key: Names the request; the same name never yields a second certificate.
        actor: Which client or officer asks.
        key_label: Where the key of one of our own services lies; None for subscribers.
    """

    key: str
    actor: str
    key_label: str | None = None


@dataclasses.dataclass(frozen=True)
class Order:
    """One certificate to be issued: what it will say, and who asks for it."""

    draft: drafts.CertificateDraft
    request: IssuanceRequest

    @functools.cached_property
    def key_sha256(self) -> str:
        """The key that is certified, as `certificates.key_sha256` tells keys."""
        return hashlib.sha256(self.draft.public_key_der).hexdigest()

    @functools.cached_property
    def use(self) -> tuple[str, str]:
        """What a key is certified for: a subject and a profile."""
        return certificates.name_text(self.draft.subject), self.draft.profile.name

    def placed(self, draft: drafts.CertificateDraft) -> "Order":
        """The same order with the draft that `partitions.place` made of its own."""
        return self if draft is self.draft else dataclasses.replace(self, draft=draft)


Outcome = registry.CertificateRecord | errors.ImzaError
"""What became of an order."""


@dataclasses.dataclass(frozen=True)
class JudgedOrder:
    """An order whose certificate was linted and may be signed."""

    order: Order
    twin_der: bytes
    facts: certificates.CertificateFacts


def settled(connection: sqlalchemy.Connection, asked: Mapping[int, Order]) -> dict[int, Outcome]:
    """The orders that need no signature: answered before, under way, or not allowed."""
    by_request, by_key = _rows_about(connection, asked)
    seen: set[str] = set()
    may_certify: set[tuple[str, str]] = set()
    found: dict[int, Outcome] = {}
    for place, order in asked.items():
        try:
            if order.request.key in seen:
                raise RequestInProgressError("the same certificate is asked for twice at once")
            seen.add(order.request.key)
            if (row := by_request.get(order.request.key)) is not None:
                found[place] = _answer(row, order.key_sha256)
                continue
            # One key with two certificates would make a signature point at either of two
            # subjects, and an authentication could be replayed as a signature.
            if by_key.setdefault(order.key_sha256, {order.use}) != {order.use}:
                raise KeyCertifiedError(
                    "this key has a certificate for another subject or another use: make a new key"
                )
            issuer_and_profile = order.draft.issuer.name, order.draft.profile.name
            if issuer_and_profile not in may_certify:
                closures.check_open(connection, *issuer_and_profile)
                may_certify.add(issuer_and_profile)
        except errors.ImzaError as error:
            found[place] = error
    return found


def find_answer(
    session: orm.Session, request: IssuanceRequest, key_sha256: str
) -> registry.CertificateRecord | None:
    """Return what a request was given before; None for a new one.

    Raises:
        RequestInProgressError: It is being issued now.
        RequestAnsweredError: It was for another key.
    """
    row = session.execute(_BY_REQUEST, {"request": request.key}).first()
    return None if row is None else _answer(row, key_sha256)


def _rows_about(
    connection: sqlalchemy.Connection, asked: Mapping[int, Order]
) -> tuple[dict[str, Any], dict[str, set[tuple[str, str]]]]:
    """What is known of the requests, and for whom and what the keys were certified before."""
    requests = {one.request.key for one in asked.values()}
    keys = {one.key_sha256 for one in asked.values()}
    by_request: dict[str, Any] = {}
    by_key: dict[str, set[tuple[str, str]]] = {}
    if not asked:
        return by_request, by_key
    for row in connection.execute(_ROWS_ABOUT, {"requests": list(requests), "keys": list(keys)}):
        if row.request_key in requests:
            by_request[row.request_key] = row
        by_key.setdefault(row.key_sha256, set()).add((row.subject, row.profile))
    return by_request, by_key


def _answer(row: Any, key_sha256: str) -> registry.CertificateRecord:
    if row.key_sha256 != key_sha256:
        raise RequestAnsweredError(
            "this application has its certificate of that profile already, for another key:"
            " a new key needs a new application"
        )
    if row.state == registry.CertificateState.INTENDED.value:
        raise RequestInProgressError("the same certificate is being issued: ask again shortly")
    return registry.to_record(row)
