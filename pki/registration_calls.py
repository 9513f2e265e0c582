"""The registration API of the CA zone from its clients' side: stations, gateways, commands."""

import base64
import contextlib
import dataclasses
import datetime
import json
import pathlib
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence

from pki import (
    clock,
    operator_credentials,
    operator_roles,
    outbound,
    registration,
    signed_requests,
    status,
)
from pki import registration_answers as answers
from pki import vetting as vettings

_APPROVER = operator_roles.Role.APPROVER
_ADMINISTRATOR = operator_roles.Role.CA_ADMINISTRATOR
_AUDITOR = operator_roles.Role.AUDITOR


class RegistrationClient:
    """Calls `/ra/v1`, each call signed with the key of an operator."""

    def __init__(self, sender: signed_requests.SignedSender) -> None:
        """Keep what signs requests and sends them."""
        self._sender = sender

    def apply(
        self,
        category: registration.Category,
        person: registration.Person,
        vetting: vettings.Vetting | None = None,
        *,
        organisation: registration.Organisation | None = None,
        title: str | None = None,
        profiles: Sequence[str] | None = None,
        server: registration.Server | None = None,
    ) -> registration.Application:
        """Hand in an application; with a vetting record it is vetted in the same call.

        Args:
            category: The role that is applied for.
            person: Who is certified, or who acts for the organisation that is.
            vetting: How the identity was checked; None where that comes later.
            organisation: For every role but a citizen's.
            title: The person's position there.
            profiles: What certificates are applied for; None: those of a person.
            server: For X-Road's profiles.

        Raises:
            RegistrationRefusedError: The CA's rules forbid it, an entry is wrong, or the operator
                is not known or may not do this.
            OperatorCredentialError: The operator's key does not open.
            PeerError: The CA did not answer, or not as its API says.
        """
        answer = self.call(
            "POST",
            "applications",
            {
                "category": category.value,
                "person": dataclasses.asdict(person),
                "organisation": None if organisation is None else dataclasses.asdict(organisation),
                "title": title,
                "profiles": None if profiles is None else list(profiles),
                "server": None if server is None else dataclasses.asdict(server),
                "vetting": None if vetting is None else vetting.as_json(),
            },
            expect=(201,),
        )
        return answers.application(answer)

    def vet(self, application_id: str, vetting: vettings.Vetting) -> registration.Application:
        """Hand in how an applicant's identity was checked. Raises as `apply`."""
        path = f"applications/{segment(application_id)}/vetting"
        return answers.application(self.call("POST", path, vetting.as_json()))

    def approve(self, application_id: str) -> registration.Application:
        """Approve an application; approving it again changes nothing. Raises as `apply`."""
        path = f"applications/{segment(application_id)}/approval"
        return answers.application(self.call("POST", path, {}, role=_APPROVER))

    def reject(self, application_id: str, reason: str) -> registration.Application:
        """Reject an application that is not approved yet. Raises as `apply`."""
        path = f"applications/{segment(application_id)}/rejection"
        return answers.application(self.call("POST", path, {"reason": reason}))

    def show_application(self, application_id: str) -> Mapping[str, object]:
        """Return all that the CA keeps of an application, as its API writes it."""
        return self.call("GET", f"applications/{segment(application_id)}", None)

    def list_applications(
        self, *, state: registration.ApplicationState | None = None, person_code: str | None = None
    ) -> Iterator[Mapping[str, object]]:
        """Give the applications, the oldest first, page after page. Raises as `apply`."""
        cursor: object = None
        while True:
            query = {
                "state": None if state is None else state.value,
                "person_code": person_code,
                "cursor": cursor,
            }
            text = urllib.parse.urlencode({k: v for k, v in query.items() if v is not None})
            answer = self.call("GET", f"applications?{text}", None)
            page, cursor = answer.get("applications"), answer.get("next_cursor")
            if not isinstance(page, list) or not isinstance(cursor, str | None):
                raise answers.unexpected("applications and next_cursor")
            yield from page
            if cursor is None:
                return

    def certify(
        self, application_id: str, profile: str, csr_der: bytes, *, software_key: bool = False
    ) -> answers.IssuedCertificate:
        """Ask for a certificate; the same request again gives the same one. Raises as `apply`.

        Args:
            application_id: An approved application.
            profile: One of those applied for.
            csr_der: A PKCS#10 request; only its key and its proof of possession count.
            software_key: The key lies in a file; test installations alone certify it.
        """
        answer = self.call(
            "POST",
            f"applications/{segment(application_id)}/certificates",
            {
                "profile": profile,
                "csr": base64.b64encode(csr_der).decode("ascii"),
                **({"software_key": True} if software_key else {}),
            },
            expect=(200, 201),
        )
        return answers.issued(answer)

    def certify_many(
        self, asked: Sequence[answers.CertificateOrder]
    ) -> tuple[answers.IssuedCertificate | answers.RegistrationRefusedError, ...]:
        """Ask for up to `MAX_BATCH` certificates; one that is refused spoils no other.

        The answers come in the same order. The same orders again give the same certificates.
        Raises as `apply`.
        """
        body = {
            "certificates": [
                {
                    "application": one.application_id,
                    "profile": one.profile,
                    "csr": base64.b64encode(one.csr_der).decode("ascii"),
                }
                for one in asked
            ]
        }
        results = self.call("POST", "certificates/batch", body).get("results")
        if not isinstance(results, list) or len(results) != len(asked):
            raise answers.unexpected(f"{len(asked)} results")
        return tuple(answers.result(one) for one in results)

    def share_secret(
        self, application_id: str, profile: str, *, reusable: bool = False
    ) -> answers.EnrolmentReference:
        """Ask for a reference with which the applicant enrols over CMP. Raises as `apply`.

        Args:
            application_id: An approved application.
            profile: `sign` or `authenticate`.
            reusable: For any number of enrolments; test installations alone allow it.
        """
        answer = self.call(
            "POST",
            f"applications/{segment(application_id)}/enrolment-references",
            {"profile": profile, "reusable": reusable},
            expect=(201,),
        )
        reference, secret = answer.get("reference"), answer.get("secret")
        if not isinstance(reference, str) or not isinstance(secret, str):
            raise answers.unexpected("reference and secret")
        return answers.EnrolmentReference(reference, secret)

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
        self.call("POST", f"certificates/{serial_number:x}/revoke", body)

    def renew(
        self,
        serial_number: int,
        request_der: bytes,
        *,
        early: bool = False,
        supersede: bool = False,
    ) -> answers.IssuedCertificate:
        """Renew a certificate at its owner's signed request. Raises as `apply`.

        Args:
            serial_number: Of the certificate that is renewed.
            request_der: PKCS#10 for the new key, in CMS signed by the old one.
            early: Before the certificate's last days, too.
            supersede: Revoke the old one once the new one exists.
        """
        query = "&".join(
            f"{name}=true" for name, asked in (("early", early), ("supersede", supersede)) if asked
        )
        path = f"certificates/{serial_number:x}/renewal"
        return answers.issued(
            self.call(
                "POST",
                f"{path}?{query}" if query else path,
                request_der,
                expect=(201,),
                content_type=registration.CMS_TYPE,
            )
        )

    def hold(self, serial_number: int) -> None:
        """Suspend a certificate. Raises as `apply`."""
        self.call("POST", f"certificates/{serial_number:x}/hold", {})

    def release(self, serial_number: int) -> None:
        """End a suspension. Raises as `apply`."""
        self.call("POST", f"certificates/{serial_number:x}/release", {})

    def list(
        self, *, person_code: str | None = None, cursor: str | None = None
    ) -> answers.ListPage:
        """Return a page of the certificates that were issued. Raises as `apply`."""
        query = {"person_code": person_code, "cursor": cursor}
        text = urllib.parse.urlencode({k: v for k, v in query.items() if v is not None})
        answer = self.call("GET", f"certificates?{text}" if text else "certificates", None)
        entries = answer.get("certificates")
        if not isinstance(entries, list):
            raise answers.unexpected("certificates")
        cursor_after = answer.get("next_cursor")
        return answers.ListPage(
            tuple(answers.listed(one) for one in entries),
            None if cursor_after is None else str(cursor_after),
        )

    def show(self, serial_number: int) -> Mapping[str, object]:
        """Return all that the CA tells of one certificate, as its API writes it."""
        return self.call("GET", f"certificates/{serial_number:x}", None)

    def publish_crl(self, issuer: str, *, delta: bool = False) -> Mapping[str, object]:
        """Make the CA sign a fresh CRL of each partition, or a delta CRL. Raises as `apply`."""
        path = f"crls/{segment(issuer)}{'?delta=true' if delta else ''}"
        return self.call("POST", path, {}, role=_ADMINISTRATOR)

    def show_crls(self, issuer: str) -> Mapping[str, object]:
        """Return numbers, dates and addresses of an authority's CRLs. Raises as `apply`."""
        return self.call("GET", f"crls/{segment(issuer)}", None)

    def publish_trusted_lists(self) -> Mapping[str, object]:
        """Make the CA sign and publish its trusted list anew. Raises as `apply`."""
        return answers.with_lists(self.call("POST", "trusted-lists", {}, role=_ADMINISTRATOR))

    def trusted_lists(self) -> Mapping[str, object]:
        """Return number, dates and address of each published list. Raises as `apply`."""
        return answers.with_lists(self.call("GET", "trusted-lists", None, role=_ADMINISTRATOR))

    def fetch_trusted_list(self, name: str) -> bytes:
        """Return a published list, byte for byte; who signed it is not judged here.

        Raises:
            RegistrationRefusedError: None of this name is published.
        """
        try:
            return self._sender.fetch(f"{self._sender.base_url}/tl/{segment(name)}.xml").body
        except outbound.PeerAnswerError as error:
            if (problem := error.problem()) is not None:
                raise answers.RegistrationRefusedError(
                    problem.detail, problem_code=problem.code
                ) from error
            raise

    def verify_audit(self) -> Mapping[str, object]:
        """Make the CA recompute its audit log. Raises as `apply`."""
        return self.call("GET", "audit", None, role=_AUDITOR)

    def anchor_audit(self) -> Mapping[str, object]:
        """Make the CA have its audit log's head time-stamped now. Raises as `apply`."""
        return self.call("POST", "audit/anchors", {}, role=_AUDITOR, expect=(201,))

    def list_audit(self, what: str) -> Iterator[Mapping[str, object]]:
        """Give the audit log's `entries` or `anchors`, the oldest first. Raises as `apply`."""
        after: object = 0
        while after is not None:
            answer = self.call("GET", f"audit/{what}?after={after}", None, role=_AUDITOR)
            page, after = answer.get(what), answer.get("next")
            if not isinstance(page, list) or not isinstance(after, int | None):
                raise answers.unexpected(f"{what} and next")
            yield from page

    def call(
        self,
        method: str,
        path: str,
        body: object | None,
        *,
        role: operator_roles.Role = operator_roles.Role.RA_OFFICER,
        expect: tuple[int, ...] = (200,),
        content_type: str = "application/json",
    ) -> Mapping[str, object]:
        """Make a call of `/ra/v1` that has no method of its own here. Raises as `apply`.

        Args:
            method: The HTTP method.
            path: Behind `/ra/v1/`, with its query.
            body: Sent as JSON, bytes as they are; None sends no body.
            role: Whom the call is for, where the keys of several operators are at hand.
            expect: The statuses that are an answer.
            content_type: The type of the body.
        """
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        try:
            reply = self._sender.send(
                role,
                method,
                f"/ra/v1/{path}",
                body=b"" if body is None else content,
                content_type=None if body is None else content_type,
                accept="application/json",
                expect=expect,
            )
        except outbound.PeerAnswerError as error:
            if (problem := error.problem()) is not None:
                raise answers.RegistrationRefusedError(
                    problem.detail, problem_code=problem.code
                ) from error
            raise
        answer = reply.json()
        if not isinstance(answer, dict):
            raise answers.RegistrationAnswerError("expected a JSON object from the CA", reply=reply)
        return answer


@contextlib.contextmanager
def open_client(
    server: str | None,
    path: pathlib.Path,
    *,
    operator: str | None = None,
    secret_fd: int | None = None,
) -> Iterator[RegistrationClient]:
    """Open a client with the credentials of a file, and close it afterwards.

    Args:
        server: The CA zone's base address; None takes the one in the file.
        path: An operator's file (`pki.operator_credentials`), or a sandbox.json.
        operator: The name or role of one operator of a sandbox.json; None lets each call be made
            by the first operator whose role it is for.
        secret_fd: Where the key's passphrase or PIN is read; None asks on the terminal.

    Raises:
        OperatorCredentialError: The file is unreadable or has no such operator.
    """
    place = operator_credentials.read_place(path, server=server, operator=operator)
    ask = operator_credentials.ask_on(secret_fd)
    known: dict[operator_credentials.CredentialFile, operator_credentials.Credential] = {}

    with contextlib.ExitStack() as opened:

        def credential(role: operator_roles.Role) -> operator_credentials.Credential:
            file = place.file_of(role)
            if file not in known:
                known[file] = operator_credentials.open_credential(file, ask, opened)
            return known[file]

        client = opened.enter_context(
            contextlib.closing(outbound.Client(trust_pem=place.tls_ca_pem))
        )
        yield RegistrationClient(
            signed_requests.SignedSender(client, place.server, credential, clock.SystemClock())
        )


def renew(server: str, request_der: bytes) -> answers.IssuedCertificate:
    """Renew a certificate by its owner's own call, which needs no operator.

    Args:
        server: The CA zone's base address.
        request_der: PKCS#10 for the new key, in CMS signed by the old one.

    Raises:
        RegistrationRefusedError: The CA's rules forbid it.
        PeerError: The CA did not answer, or not as its API says.
    """
    with contextlib.closing(outbound.Client()) as client:
        try:
            reply = client.send(
                "POST",
                f"{server.rstrip('/')}/renewal/v1/requests",
                body=request_der,
                content_type=registration.CMS_TYPE,
                accept="application/json",
                expect=(201,),
            )
        except outbound.PeerAnswerError as error:
            if (problem := error.problem()) is not None:
                raise answers.RegistrationRefusedError(
                    problem.detail, problem_code=problem.code
                ) from error
            raise
    answer = reply.json()
    if not isinstance(answer, dict):
        raise answers.RegistrationAnswerError("expected a JSON object from the CA", reply=reply)
    return answers.issued(answer)


def segment(text: str) -> str:
    """A text as one segment of a path."""
    return urllib.parse.quote(text, safe="")
