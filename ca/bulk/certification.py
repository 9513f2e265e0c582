"""Certifying many approved applications with the commits of one certificate."""

import dataclasses
import datetime
from collections.abc import Sequence

from sqlalchemy import orm

from ca import csr, hierarchy, issuance, orders
from ca.applications import certification, states
from pki import algorithms, database, errors


@dataclasses.dataclass(frozen=True)
class Asked:
    """One certificate that is asked for; see `applications.certification`."""

    application_id: str
    profile_name: str
    csr_der: bytes


Answer = certification.Issued | errors.ImzaError
"""What became of one."""


def certify_applications(
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    asked: Sequence[Asked],
    at: datetime.datetime,
    *,
    actor: str,
) -> tuple[Answer, ...]:
    """Issue one certificate for each that is asked for; the answers come in the same order.

    Each ends as `certification.certify_application` would end it: with the certificate that the
    same request got before or gets now, or with the error that would be raised.

    Raises:
        LimitError: More than `issuance.MAX_ORDERS`.
        DatabaseError: The database is away.
    """
    if len(asked) > issuance.MAX_ORDERS:
        raise errors.LimitError(
            f"expected at most {issuance.MAX_ORDERS} certificates at a time, got {len(asked)}"
        )
    answers: dict[int, Answer] = {}
    keys: dict[int, algorithms.PublicKey] = {}
    for place, one in enumerate(asked):
        try:
            keys[place] = csr.parse(one.csr_der).public_key
        except errors.ImzaError as error:
            answers[place] = error
    batch: dict[int, orders.Order] = {}
    with sessions() as session:
        for place, key in keys.items():
            try:
                batch[place] = _order(session, authorities, asked[place], key, at, actor)
            except database.DatabaseError:
                raise
            except errors.ImzaError as error:
                answers[place] = error
    outcomes = issuance.issue_certificates(sessions, list(batch.values()), authorities.settings, at)
    for place, outcome in zip(batch, outcomes, strict=True):
        answers[place] = _answer(authorities, outcome)
    return tuple(answers[place] for place in range(len(asked)))


def _answer(authorities: hierarchy.Hierarchy, outcome: orders.Outcome) -> Answer:
    if isinstance(outcome, errors.ImzaError):
        return outcome
    if outcome.certificate_der is None:
        return orders.IssuanceAbandonedError("the certificate was abandoned: ask again")
    # What was issued before may be by an earlier generation than the one that issues now.
    chain_der = authorities.named(outcome.issuer_name).chain_der
    return certification.Issued(outcome, outcome.certificate_der, chain_der)


def _order(
    session: orm.Session,
    authorities: hierarchy.Hierarchy,
    asked: Asked,
    public_key: algorithms.PublicKey,
    at: datetime.datetime,
    actor: str,
) -> orders.Order:
    name = states.request_key(asked.application_id, asked.profile_name)
    return certification.prepare_order(
        session,
        authorities,
        asked.application_id,
        asked.profile_name,
        public_key,
        orders.IssuanceRequest(name, actor),
        at,
    )
