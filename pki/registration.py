"""The registration API of the CA zone from its clients' side: stations, gateways, commands."""

import base64
import binascii
import contextlib
import dataclasses
import datetime
import enum
import json
import pathlib
import urllib.parse
from collections.abc import Iterator, Mapping

from pki import credentials, errors, outbound, status


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


class Category(enum.Enum):
    """In what role a person signs; each has an issuing CA of its own."""

    CITIZEN = "citizen"
    BUSINESS = "business"
    OFFICIAL = "official"


class ApplicationState(enum.Enum):
    """How far an application came."""

    AWAITING_APPROVAL = "awaiting_approval"
    APPROVED = "approved"


@dataclasses.dataclass(frozen=True)
class Person:
    """A person as the identity document names them."""

    country: str
    person_code: str = dataclasses.field(repr=False)
    surname: str = dataclasses.field(repr=False)
    given_name: str = dataclasses.field(repr=False)


@dataclasses.dataclass(frozen=True)
class Organisation:
    """The organisation that a business person or an official signs for."""

    country: str
    code: str
    name: str


@dataclasses.dataclass(frozen=True)
class Vetting:
    """How the person's identity was checked, by whom, with which document."""

    officer: str
    document: str = dataclasses.field(repr=False)
    method: str = "in_person"


@dataclasses.dataclass(frozen=True)
class Application:
    """An application as the CA keeps it."""

    id: str
    state: ApplicationState
    request_hash: str


@dataclasses.dataclass(frozen=True)
class IssuedCertificate:
    """A certificate and the certificates above it: issuing CA first, root last."""

    serial_number: int
    certificate_der: bytes
    chain_der: tuple[bytes, ...]


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


@dataclasses.dataclass(frozen=True)
class ListPage:
    """A part of the list and the cursor of the next (None: this was the last)."""

    certificates: tuple[ListedCertificate, ...]
    next_cursor: str | None


class RegistrationClient:
    """Calls `/ra/v1` with a bearer token of scope `register`."""

    def __init__(self, tokens: credentials.TokenSource, base_url: str) -> None:
        """Keep the CA zone's address and what sends requests with a token for it."""
        self._tokens = tokens
        self._base_url = f"{base_url.rstrip('/')}/ra/v1"

    def apply(
        self,
        category: Category,
        person: Person,
        vetting: Vetting,
        *,
        organisation: Organisation | None = None,
        title: str | None = None,
    ) -> Application:
        """Hand in an application for a person whose identity was checked.

        Raises:
            RegistrationRefusedError: The CA's rules forbid it, or an entry is wrong.
            ClientRefusedError: The CA does not accept the client's credentials.
            PeerError: The CA did not answer, or not as its API says.
        """
        answer = self._call(
            "POST",
            "applications",
            {
                "category": category.value,
                "person": dataclasses.asdict(person),
                "organisation": None if organisation is None else dataclasses.asdict(organisation),
                "title": title,
                "vetting": dataclasses.asdict(vetting),
            },
            expect=(201,),
        )
        return _application(answer)

    def approve(self, application_id: str, officer: str) -> Application:
        """Approve an application; approving it again changes nothing. Raises as `apply`."""
        path = f"applications/{_segment(application_id)}/approval"
        return _application(self._call("POST", path, {"officer": officer}))

    def certify(self, application_id: str, profile: str, csr_der: bytes) -> IssuedCertificate:
        """Ask for a certificate; the same request again gives the same one. Raises as `apply`.

        Args:
            application_id: An approved application.
            profile: `sign` or `authenticate`.
            csr_der: A PKCS#10 request; only its key and its proof of possession count.
        """
        answer = self._call(
            "POST",
            f"applications/{_segment(application_id)}/certificates",
            {"profile": profile, "csr": base64.b64encode(csr_der).decode("ascii")},
            expect=(200, 201),
        )
        chain = answer.get("chain")
        if not isinstance(chain, list):
            raise _unexpected("chain")
        return IssuedCertificate(
            _serial(answer),
            _binary(answer.get("certificate")),
            tuple(_binary(one) for one in chain),
        )

    def share_secret(
        self, application_id: str, profile: str, *, reusable: bool = False
    ) -> EnrolmentReference:
        """Ask for a reference with which the applicant enrols over CMP. Raises as `apply`.

        Args:
            application_id: An approved application.
            profile: `sign` or `authenticate`.
            reusable: For any number of enrolments; test installations alone allow it.
        """
        answer = self._call(
            "POST",
            f"applications/{_segment(application_id)}/enrolment-references",
            {"profile": profile, "reusable": reusable},
            expect=(201,),
        )
        reference, secret = answer.get("reference"), answer.get("secret")
        if not isinstance(reference, str) or not isinstance(secret, str):
            raise _unexpected("reference and secret")
        return EnrolmentReference(reference, secret)

    def revoke(
        self,
        serial_number: int,
        reason: status.RevocationReason,
        *,
        invalidity_date: datetime.datetime | None = None,
    ) -> None:
        """Revoke a certificate for good. Raises as `apply`."""
        body: dict[str, object] = {"reason": reason.name}
        if invalidity_date is not None:
            body["invalidity_date"] = invalidity_date.isoformat()
        self._call("POST", f"certificates/{serial_number:x}/revoke", body)

    def hold(self, serial_number: int) -> None:
        """Suspend a certificate. Raises as `apply`."""
        self._call("POST", f"certificates/{serial_number:x}/hold", {})

    def release(self, serial_number: int) -> None:
        """End a suspension. Raises as `apply`."""
        self._call("POST", f"certificates/{serial_number:x}/release", {})

    def list(self, *, person_code: str | None = None, cursor: str | None = None) -> ListPage:
        """Return a page of the certificates that were issued. Raises as `apply`."""
        query = {"person_code": person_code, "cursor": cursor}
        text = urllib.parse.urlencode({k: v for k, v in query.items() if v is not None})
        answer = self._call("GET", f"certificates?{text}" if text else "certificates", None)
        entries = answer.get("certificates")
        if not isinstance(entries, list):
            raise _unexpected("certificates")
        cursor_after = answer.get("next_cursor")
        return ListPage(
            tuple(_listed(one) for one in entries),
            None if cursor_after is None else str(cursor_after),
        )

    def show(self, serial_number: int) -> Mapping[str, object]:
        """Return all that the CA tells of one certificate, as its API writes it."""
        return self._call("GET", f"certificates/{serial_number:x}", None)

    def publish_crl(self, issuer: str) -> Mapping[str, object]:
        """Make the CA sign a fresh CRL. Raises as `apply`."""
        return self._call("POST", f"crls/{_segment(issuer)}", {})

    def publish_trusted_lists(self) -> Mapping[str, object]:
        """Make the CA sign and publish its trusted list anew. Raises as `apply`."""
        return _with_lists(self._call("POST", "trusted-lists", {}))

    def trusted_lists(self) -> Mapping[str, object]:
        """Return number, dates and address of each published list. Raises as `apply`."""
        return _with_lists(self._call("GET", "trusted-lists", None))

    def fetch_trusted_list(self, name: str) -> bytes:
        """Return a published list, byte for byte; who signed it is not judged here.

        Raises:
            RegistrationRefusedError: None of this name is published.
        """
        url = f"{self._base_url.removesuffix('/ra/v1')}/tl/{_segment(name)}.xml"
        try:
            return self._tokens.send("GET", url, expect=(200,)).body
        except outbound.PeerAnswerError as error:
            if (problem := error.problem()) is not None:
                raise RegistrationRefusedError(problem.detail, problem_code=problem.code) from error
            raise

    def verify_audit(self) -> Mapping[str, object]:
        """Make the CA recompute its audit log. Raises as `apply`."""
        return self._call("GET", "audit", None)

    def anchor_audit(self) -> Mapping[str, object]:
        """Make the CA have its audit log's head time-stamped now. Raises as `apply`."""
        return self._call("POST", "audit/anchors", {}, expect=(201,))

    def list_audit(self, what: str) -> Iterator[Mapping[str, object]]:
        """Give the audit log's `entries` or `anchors`, the oldest first. Raises as `apply`."""
        after: object = 0
        while after is not None:
            answer = self._call("GET", f"audit/{what}?after={after}", None)
            page, after = answer.get(what), answer.get("next")
            if not isinstance(page, list) or not isinstance(after, int | None):
                raise _unexpected(f"{what} and next")
            yield from page

    def _call(
        self, method: str, path: str, body: object | None, *, expect: tuple[int, ...] = (200,)
    ) -> Mapping[str, object]:
        try:
            reply = self._tokens.send(
                method,
                f"{self._base_url}/{path}",
                body=None if body is None else json.dumps(body).encode(),
                content_type=None if body is None else "application/json",
                accept="application/json",
                expect=expect,
            )
        except outbound.PeerAnswerError as error:
            if (problem := error.problem()) is not None:
                raise RegistrationRefusedError(problem.detail, problem_code=problem.code) from error
            raise
        answer = reply.json()
        if not isinstance(answer, dict):
            raise RegistrationAnswerError("expected a JSON object from the CA", reply=reply)
        return answer


@contextlib.contextmanager
def open_client(server: str | None, path: pathlib.Path) -> Iterator[RegistrationClient]:
    """Open a client with the credentials of a file, and close it afterwards.

    Args:
        server: The CA zone's base address; None takes the one in the file.
        path: A client object (`client_id`, `client_secret`), or a sandbox.json.

    Raises:
        CredentialsError: The file is unreadable or has no such client.
    """
    known = credentials.read_credentials(path, "registration_client", server=server)
    with contextlib.closing(outbound.Client(trust_pem=known.tls_ca_pem)) as client:
        tokens = credentials.TokenSource(client, known, scope="register")
        yield RegistrationClient(tokens, known.base_url)


def _with_lists(answer: Mapping[str, object]) -> Mapping[str, object]:
    lists = answer.get("trusted_lists")
    wanted = {"name", "url", "sequence_number", "issued_at", "next_update", "sha256"}
    if not isinstance(lists, list) or not all(
        isinstance(one, dict) and wanted <= set(one) for one in lists
    ):
        raise _unexpected("trusted_lists")
    return answer


def _application(answer: Mapping[str, object]) -> Application:
    try:
        return Application(
            str(answer["id"]), ApplicationState(answer["state"]), str(answer["request_hash"])
        )
    except (KeyError, ValueError) as error:
        raise _unexpected("id, state and request_hash") from error


def _listed(entry: object) -> ListedCertificate:
    if not isinstance(entry, dict):
        raise _unexpected("certificates[]")
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
        )
    except KeyError as error:
        raise _unexpected(str(error)) from error


def _serial(answer: Mapping[str, object]) -> int:
    try:
        return int(str(answer.get("serial_number")), 16)
    except ValueError as error:
        raise _unexpected("serial_number") from error


def _binary(value: object) -> bytes:
    try:
        return base64.b64decode(str(value), validate=True)
    except (binascii.Error, ValueError) as error:
        raise _unexpected("base64") from error


def _segment(text: str) -> str:
    return urllib.parse.quote(text, safe="")


def _unexpected(what: str) -> RegistrationAnswerError:
    return RegistrationAnswerError(f"expected {what} in the CA's answer")
