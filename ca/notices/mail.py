"""Sending e-mail through a mail server (RFC 5321, RFC 5322, RFC 6409)."""

import contextlib
import dataclasses
import datetime
import smtplib
import ssl
from collections.abc import Iterator
from email import message, policy, utils

from ca.notices import settings as notice_settings
from pki import errors

TIMEOUT_S = 10.0
"""The worker that sends has other duties."""


class MailError(errors.PeerError):
    """The mail server did not take a message; `retriable` says whether it may later.

    Attributes:
        reached: The server was there, so that another message can be tried at once.
    """

    code = "mail-not-taken"

    def __init__(self, said: str, *, retriable: bool, reached: bool) -> None:
        """Keep a sentence without address or content."""
        super().__init__(f"the mail server did not take the message ({said})", retriable=retriable)
        self.reached = reached


@dataclasses.dataclass(frozen=True)
class Letter:
    """One e-mail.

    Attributes:
        recipient: An address of RFC 5322 atoms.
        subject: One line.
        body: Plain text.
        language: ISO 639-1.
        message_id: The same in every attempt; becomes Message-ID (RFC 5322 3.6.4).
        at: When it was written.
    """

    recipient: str = dataclasses.field(repr=False)
    subject: str
    body: str
    language: str
    message_id: str
    at: datetime.datetime


class Mailer:
    """A connection to the mail server that is open for some letters."""

    def __init__(self, server: smtplib.SMTP, sender: str) -> None:
        """Take an open connection."""
        self._server = server
        self._sender = sender

    def send(self, letter: Letter) -> None:
        """Hand one letter over.

        Raises:
            MailError: The server did not take it.
        """
        try:
            self._server.send_message(_build(letter, self._sender))
        except smtplib.SMTPRecipientsRefused as error:
            codes = [code for code, _ in error.recipients.values()]
            raise _refused(max(codes, default=0)) from None
        except smtplib.SMTPResponseException as error:
            raise _refused(error.smtp_code) from None
        except (smtplib.SMTPException, OSError) as error:
            # The cause is left out: it may repeat the address.
            raise MailError(type(error).__name__, retriable=True, reached=False) from None


@contextlib.contextmanager
def open_mailer(settings: notice_settings.SmtpSettings) -> Iterator[Mailer]:
    """Connect, with TLS and a login where the settings say so.

    Raises:
        MailError: The server is away, its certificate is not trusted, or the login is refused.
        InputError: The password or the trusted certificates cannot be read.
    """
    context = ssl.create_default_context()
    if settings.tls_ca is not None:
        try:
            context.load_verify_locations(cafile=settings.tls_ca)
        except OSError as error:  # of which SSLError is one
            raise errors.InputError(f"expected PEM certificates in {settings.tls_ca}") from error
    password = settings.load_password()
    server: smtplib.SMTP | None = None
    try:
        if settings.security == "implicit":
            server = smtplib.SMTP_SSL(
                settings.host, settings.port, timeout=TIMEOUT_S, context=context
            )
        else:
            server = smtplib.SMTP(settings.host, settings.port, timeout=TIMEOUT_S)
        if settings.security == "starttls":
            server.starttls(context=context)
        if settings.username is not None and password is not None:
            server.login(settings.username, password)
    except (smtplib.SMTPException, OSError) as error:
        if server is not None:
            server.close()
        raise MailError(type(error).__name__, retriable=True, reached=False) from None
    try:
        yield Mailer(server, settings.sender)
    finally:
        with contextlib.suppress(smtplib.SMTPException, OSError):
            server.quit()


def _build(letter: Letter, sender: str) -> message.EmailMessage:
    # The policy refuses line ends in headers; nothing can add one of its own.
    built = message.EmailMessage(policy=policy.SMTP)
    built["From"] = sender
    built["To"] = letter.recipient
    built["Subject"] = letter.subject
    built["Date"] = utils.format_datetime(letter.at)
    built["Message-ID"] = f"<{letter.message_id}@{sender.rpartition('@')[2].rstrip('>')}>"
    # RFC 3834 5: no machine answers a machine.
    built["Auto-Submitted"] = "auto-generated"
    built.set_content(letter.body, charset="utf-8", cte="base64")
    built["Content-Language"] = letter.language
    return built


def _refused(code: int) -> MailError:
    # RFC 5321 4.2.1: 4yz may be taken later, 5yz never.
    return MailError(f"SMTP {code}", retriable=not 500 <= code < 600, reached=True)
