"""The CA zone's part that deals with subscribers: renewal, contacts, revocation, notices."""

import datetime

from sqlalchemy import orm

import ca.renewal.api
import ca.subscribers.api
from ca import hierarchy, holds
from ca.notices import delivery, occasions
from ca.operators import gate as gates
from imza import config as configs
from imza.wiring.resources import Resources
from imza.wiring.zone import REGULAR, Job, Zone

HOURLY = datetime.timedelta(hours=1)
"""Ends come near by the day; a worker that is restarted daily must find them all the same."""

DELIVERY = datetime.timedelta(seconds=10)


def build(
    resources: Resources,
    config: configs.Config,
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
    gate: gates.Gate,
) -> Zone:
    """Build the routes and the duties about subscribers."""
    present = resources.present
    return Zone(
        "subscribers",
        (
            ca.renewal.api.routes(sessions, authorities, config.renewal, gate, present),
            ca.renewal.api.public_routes(sessions, authorities, config.renewal, present),
            ca.subscribers.api.routes(sessions, config.subscribers, gate, present),
            ca.subscribers.api.public_routes(sessions, authorities, config.subscribers, present),
        ),
        (
            *_hold_jobs(config, sessions, authorities),
            *_notice_jobs(resources, config, sessions, authorities),
        ),
    )


def _hold_jobs(
    config: configs.Config,
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
) -> tuple[Job, ...]:
    limit = config.subscribers.hold_limit
    if limit is None:
        return ()
    return (
        Job(
            "end-overdue-holds",
            REGULAR,
            lambda at: holds.end_overdue(sessions, authorities, limit, at),
        ),
    )


def _notice_jobs(
    resources: Resources,
    config: configs.Config,
    sessions: orm.sessionmaker[orm.Session],
    authorities: hierarchy.Hierarchy,
) -> tuple[Job, ...]:
    settings = config.notices
    if settings is None:
        return ()
    client = None
    if settings.sms is not None:
        settings.sms.load_secret()  # A missing secret stops the start, not the first message.
        client = resources.client(timeout_s=10.0, trust_pem=settings.sms.tls_ca)
    if settings.smtp is not None:
        settings.smtp.load_password()
    post = delivery.Post(sessions, settings, client, authorities.settings.organisation_name)
    changes = (
        (
            Job(
                "record-notices-of-changes",
                REGULAR,
                lambda at: occasions.record_changes(sessions, settings, at),
            ),
        )
        if settings.changes
        else ()
    )
    return (
        *changes,
        Job(
            "record-notices-of-ends",
            HOURLY,
            lambda at: occasions.record_ends(sessions, settings, at),
        ),
        Job("deliver-notices", DELIVERY, lambda at: delivery.deliver_due(post, at)),
    )
