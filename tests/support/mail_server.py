"""A real SMTP server on loopback (aiosmtpd), with TLS and a login, that keeps what it takes."""

import contextlib
import dataclasses
import email
import ssl
from collections.abc import Iterator
from email import message, policy
from typing import Any

from aiosmtpd import controller, smtp

from tests.support import servers


@dataclasses.dataclass
class MailServer:
    """What the server took, and what it is to refuse."""

    port: int = 0
    letters: list[message.EmailMessage] = dataclasses.field(default_factory=list)
    refuses: str | None = None

    async def handle_RCPT(
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if self.refuses is not None:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.letters.append(email.message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


def _check(_server: Any, _session: Any, _envelope: Any, mechanism: str, data: Any) -> Any:
    right = isinstance(data, smtp.LoginPassword) and data.password == b"TEST password"
    return smtp.AuthResult(success=right, handled=not right)


@contextlib.contextmanager
def serve(tls: ssl.SSLContext | None = None, *, implicit: bool = False) -> Iterator[MailServer]:
    """Run a server; with TLS it wants STARTTLS, or TLS from the start, and then a login."""
    server = MailServer()
    login: dict[str, Any] = (
        {}
        if tls is None
        else {"authenticator": _check, "auth_required": True, "auth_require_tls": not implicit}
    )
    if tls is not None and not implicit:
        login |= {"tls_context": tls, "require_starttls": True}
    running = controller.Controller(
        server,
        hostname="127.0.0.1",
        port=servers.free_port(),
        ssl_context=tls if implicit else None,
        **login,
    )
    server.port = running.port
    running.start()
    try:
        yield server
    finally:
        running.stop()
