"""Requests to the CA's registration API, each signed with an operator's key."""

import threading
from collections.abc import Callable, Collection

import httpx

from pki import clock, message_signatures, operator_credentials, operator_roles, outbound

TAG = "imza-registration"
"""What the signatures of requests to `/ra/v1` are for (RFC 9421 2.3)."""

Operators = Callable[[operator_roles.Role], operator_credentials.Credential]
"""Gives the credential with which a call is signed that is for a role."""


class SignedSender:
    """Signs requests and sends them; safe to use from several threads."""

    def __init__(
        self,
        client: outbound.Client,
        base_url: str,
        operators: Operators,
        present: clock.Clock,
    ) -> None:
        """Send nothing yet.

        Args:
            client: Sends the requests; whoever made it closes it.
            base_url: The CA zone's address, without a slash at its end.
            operators: Whoever a call is for.
            present: The clock that requests are signed by; the CA's may differ by a minute.
        """
        self._client = client
        self._base_url = base_url.rstrip("/")
        self._operators = operators
        self._present = present
        self._lock = threading.Lock()

    @property
    def base_url(self) -> str:
        """The CA zone's address."""
        return self._base_url

    def send(
        self,
        role: operator_roles.Role,
        method: str,
        path: str,
        *,
        body: bytes = b"",
        content_type: str | None = None,
        accept: str | None = None,
        expect: Collection[int] = (200,),
    ) -> outbound.Reply:
        """Sign and send one request.

        Args:
            role: Whom the call is for; where one operator's key is at hand, it signs everything.
            method: The HTTP method.
            path: From the base address on, with its query.
            body: What to send.
            content_type: The type of `body`.
            accept: The type asked for.
            expect: The statuses that are an answer; every other one raises.

        Raises:
            OperatorCredentialError: No such operator, or their key does not open.
            DeviceError: The key's token failed.
            PeerError: As `outbound.Client.send`.
        """
        url = f"{self._base_url}{path}"
        target = httpx.URL(url).raw_path.decode("ascii")
        only_path, _, query = target.partition("?")
        fields = [] if content_type is None else [("Content-Type", content_type)]
        with self._lock:
            operator = self._operators(role)
        signed = message_signatures.sign(
            message_signatures.Request(method, only_path, query, fields, body),
            operator.key,
            key_id=operator.key_id,
            tag=TAG,
            at=self._present.now(),
        )
        return self._client.send(
            method,
            url,
            body=body or None,
            content_type=content_type,
            accept=accept,
            headers=signed,
            expect=expect,
        )

    def fetch(self, url: str) -> outbound.Reply:
        """Fetch what is public, unsigned. Raises as `outbound.Client.send` does."""
        return self._client.send("GET", url)
