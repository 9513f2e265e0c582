"""What stands behind a certificate, however often it was renewed: one vetted application."""

import dataclasses

from sqlalchemy import orm

from ca.enrolment import tables
from pki import errors, registry

MAX_RENEWALS = 1000
"""Nobody renews so often; a longer line would be a circle in a table somebody has edited."""

_APPLICATION = "application"
_RENEWAL = "renewal"
_ENROLMENT = "cmp"
_UPDATE = "kur"


@dataclasses.dataclass(frozen=True)
class Lineage:
    """Where a certificate comes from.

    Attributes:
        application_id: What was vetted and approved.
        enrolled_over_wire: Its first one was enrolled by its owner's own software, with a
            reference; otherwise it was certified at a counter, for a card or a SIM.
    """

    application_id: str
    enrolled_over_wire: bool


def request_key(serial_number: int, request_sha256: str) -> str:
    """What the successor of a certificate is recorded under: the same request, the same one."""
    return f"{_RENEWAL}/{registry.serial_key(serial_number)}/{request_sha256}"


def find(session: orm.Session, serial_number: int) -> Lineage | None:
    """Return what stands behind a certificate; None for one of our own services.

    Raises:
        CertificateNotFoundError: No such certificate.
        TamperedError: The line of its predecessors has no beginning.
    """
    for _ in range(MAX_RENEWALS):
        key = registry.find_row(session, serial_number).request_key or ""
        kind, _, rest = key.partition("/")
        if kind == _APPLICATION:
            return Lineage(rest.partition("/")[0], enrolled_over_wire=False)
        if kind == _RENEWAL:
            serial_number = int(rest.partition("/")[0], 16)
            continue
        row = session.get(tables.TransactionRow, rest) if kind == _ENROLMENT else None
        if row is None:
            return None
        if row.renews is None:
            return Lineage(row.application_id, enrolled_over_wire=row.body != _UPDATE)
        serial_number = int(row.renews, 16)
    raise errors.TamperedError("the certificate's predecessors have no beginning")
