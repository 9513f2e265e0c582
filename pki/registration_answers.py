"""What the registration API answers: values, refusals, and how they are read."""

import base64
import binascii
import dataclasses
from collections.abc import Mapping

from pki import errors, outbound, registration


class RegistrationAnswerError(outbound.PeerAnswerError):
    """The CA answered with something that is not what its API says."""

    code = "registration-answer"


class RegistrationRefusedError(errors.PolicyError):
    """The CA refused; the message is its own.

    Attributes:
        problem_code: The stable code of the CA's problem document.
    """

    code = "registration-refused"

    def __init__(self, message: str, *, problem_code: str) -> None:
        """Keep the sentence and the code that the CA gave."""
        super().__init__(message)
        self.problem_code = problem_code


@dataclasses.dataclass(frozen=True)
class IssuedCertificate:
    """A certificate and the certificates above it: issuing CA first, root last."""

    serial_number: int
    certificate_der: bytes
    chain_der: tuple[bytes, ...]


@dataclasses.dataclass(frozen=True)
class CertificateOrder:
    """One certificate of many: see `RegistrationClient.certify`."""

    application_id: str
    profile: str
    csr_der: bytes


@dataclasses.dataclass(frozen=True)
class EnrolmentReference:
    """What lets an applicant enrol over CMP: a reference and the secret that goes with it."""

    reference: str
    secret: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class ListedCertificate:
    """One line of the list of certificates."""

    serial_number: int
    issuer: str
    profile: str
    subject: str
    not_before: str
    not_after: str
    status: str
    reason: str | None
    role: str | None = None
    organisation: str | None = None


@dataclasses.dataclass(frozen=True)
class ListPage:
    """A part of the list and the cursor of the next (None: this was the last)."""

    certificates: tuple[ListedCertificate, ...]
    next_cursor: str | None


BatchResult = IssuedCertificate | RegistrationRefusedError
"""What becomes of one certificate of many."""


def issued(answer: Mapping[str, object]) -> IssuedCertificate:
    """Read a certificate with its chain; raises `RegistrationAnswerError`, as all of these."""
    chain = answer.get("chain")
    if not isinstance(chain, list):
        raise unexpected("chain")
    return IssuedCertificate(
        _serial(answer),
        _binary(answer.get("certificate")),
        tuple(_binary(one) for one in chain),
    )


def with_lists(answer: Mapping[str, object]) -> Mapping[str, object]:
    """Check that an answer tells of trusted lists, and return it."""
    lists = answer.get("trusted_lists")
    wanted = {"name", "url", "sequence_number", "issued_at", "next_update", "sha256"}
    if not isinstance(lists, list) or not all(
        isinstance(one, dict) and wanted <= set(one) for one in lists
    ):
        raise unexpected("trusted_lists")
    return answer


def application(answer: Mapping[str, object]) -> registration.Application:
    """Read an application."""
    try:
        return registration.Application(
            str(answer["id"]),
            registration.ApplicationState(answer["state"]),
            str(answer["request_hash"]),
        )
    except (KeyError, ValueError) as error:
        raise unexpected("id, state and request_hash") from error


def listed(entry: object) -> ListedCertificate:
    """Read a line of the list of certificates."""
    if not isinstance(entry, dict):
        raise unexpected("certificates[]")
    try:
        return ListedCertificate(
            serial_number=_serial(entry),
            issuer=str(entry["issuer"]),
            profile=str(entry["profile"]),
            subject=str(entry["subject"]),
            not_before=str(entry["not_before"]),
            not_after=str(entry["not_after"]),
            status=str(entry["status"]),
            reason=None if entry["reason"] is None else str(entry["reason"]),
            role=None if entry.get("role") is None else str(entry["role"]),
            organisation=None if entry.get("organisation") is None else str(entry["organisation"]),
        )
    except KeyError as error:
        raise unexpected(str(error)) from error


def result(entry: object) -> BatchResult:
    """Read one result of many: a certificate, or why there is none."""
    if not isinstance(entry, dict):
        raise unexpected("results[]")
    problem = entry.get("problem")
    if problem is None:
        return issued(entry)
    if not isinstance(problem, dict):
        raise unexpected("results[].problem")
    refused = RegistrationRefusedError(
        str(problem.get("detail")), problem_code=str(problem.get("code"))
    )
    refused.retriable = problem.get("retriable") is True
    return refused


def _serial(answer: Mapping[str, object]) -> int:
    try:
        return int(str(answer.get("serial_number")), 16)
    except ValueError as error:
        raise unexpected("serial_number") from error


def _binary(value: object) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)
    except (binascii.Error, ValueError) as error:
        raise unexpected("base64") from error


def unexpected(what: str) -> RegistrationAnswerError:
    """What to raise where an answer lacks something."""
    return RegistrationAnswerError(f"expected {what} in the CA's answer")
