"""The `[notices]` section of the settings file; without it nobody is told anything."""

import base64
import binascii
import dataclasses
import datetime
import pathlib

from pki import errors

SECURITIES = ("starttls", "implicit", "none")

MIN_SECRET_BYTES = 24
MAX_SECRET_BYTES = 64
"""The Standard Webhooks scheme's limits."""

_SECRET_PREFIX = "whsec_"  # noqa: S105 - what such secrets begin with
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class NoticeSettingsError(errors.InputError):
    """The settings would send nothing, or in the open."""

    code = "notice-settings-refused"


@dataclasses.dataclass(frozen=True)
class SmtpSettings:
    """The table `[notices.smtp]`: the mail server that takes our messages (RFC 6409).

    Attributes:
        host: Its name, which its certificate must have.
        sender: The address that messages come from.
        port: 587, or 465 with implicit TLS.
        security: `starttls` (RFC 3207), `implicit` (RFC 8314 3.3), or `none` for a relay on this
            machine alone.
        username: Who logs in; none logs nobody in.
        password_file: Holds the password; mode 0600.
        tls_ca: Whom to trust for its certificate, where that is a private CA.
    """

    host: str
    sender: str
    port: int = 587
    security: str = "starttls"
    username: str | None = None
    password_file: pathlib.Path | None = None
    tls_ca: pathlib.Path | None = None

    def __post_init__(self) -> None:
        """Refuse a password or an address that would travel in the open."""
        if self.security not in SECURITIES:
            raise NoticeSettingsError(f"expected a security of {', '.join(SECURITIES)}")
        if self.security == "none" and self.host not in _LOOPBACK:
            raise NoticeSettingsError("expected TLS to a mail server on another machine")
        if (self.username is None) != (self.password_file is None):
            raise NoticeSettingsError("expected username and password_file, or neither")
        if "@" not in self.sender:
            raise NoticeSettingsError("expected an address as sender")

    def load_password(self) -> str | None:
        """Return the password, or None where nobody logs in.

        Raises:
            InputError: The file cannot be read.
        """
        return None if self.password_file is None else _read(self.password_file)


@dataclasses.dataclass(frozen=True)
class SmsSettings:
    """The table `[notices.sms]`: a gateway that takes messages as signed webhooks.

    Attributes:
        url: Where messages are posted; over https, or on this machine.
        secret_file: Holds `whsec_` and the base64 of 24 to 64 random bytes; mode 0600.
        tls_ca: Whom to trust for its certificate, where that is a private CA.
    """

    url: str
    secret_file: pathlib.Path
    tls_ca: pathlib.Path | None = None

    def __post_init__(self) -> None:
        """Refuse an address at which numbers would travel in the open."""
        local = tuple(f"http://{one}{end}" for one in ("localhost", "127.0.0.1") for end in ":/")
        if not self.url.startswith(("https://", *local)):
            raise NoticeSettingsError("expected an https address of the SMS gateway")

    def load_secret(self) -> bytes:
        """Return the key of the signatures.

        Raises:
            InputError: The file cannot be read, or holds no such secret.
        """
        text = _read(self.secret_file)
        try:
            secret = base64.b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
        except (binascii.Error, ValueError):
            secret = b""
        whole = MIN_SECRET_BYTES <= len(secret) <= MAX_SECRET_BYTES
        if not text.startswith(_SECRET_PREFIX) or not whole:
            raise NoticeSettingsError(
                f"{self.secret_file}: expected {_SECRET_PREFIX} and the base64 of"
                f" {MIN_SECRET_BYTES} to {MAX_SECRET_BYTES} random bytes"
            )
        return secret


@dataclasses.dataclass(frozen=True)
class Settings:
    """Whom to tell, when, and how often to try.

    Attributes:
        smtp: The mail server; None sends no e-mail.
        sms: The SMS gateway; None sends no SMS.
        days_before_end: How many days before a certificate ends its owner is told.
        changes: Whether owners are told too when a certificate is issued, suspended, released or
            revoked.
        attempts: After how many failures a message is given up.
        first_retry: How long after the first failure it is tried again; doubled each time.
        longest_retry: How long at most.
    """

    smtp: SmtpSettings | None = None
    sms: SmsSettings | None = None
    days_before_end: tuple[int, ...] = (60, 30, 7)
    changes: bool = True
    attempts: int = 12
    first_retry: datetime.timedelta = datetime.timedelta(minutes=1)
    longest_retry: datetime.timedelta = datetime.timedelta(hours=6)

    def __post_init__(self) -> None:
        """Refuse what would send nothing, or for ever."""
        if self.smtp is None and self.sms is None:
            raise NoticeSettingsError("expected [notices.smtp], [notices.sms], or both")
        if any(one < 1 for one in self.days_before_end):
            raise NoticeSettingsError("expected days_before_end above zero")
        if self.attempts < 1 or self.first_retry <= datetime.timedelta():
            raise NoticeSettingsError("expected attempts and first_retry above zero")

    def pause_after(self, attempts: int) -> datetime.timedelta:
        """How long to wait after so many attempts."""
        # The doubling is bounded, as the product of a long one would overflow.
        return min(self.first_retry * (1 << min(attempts - 1, 20)), self.longest_retry)


def _read(path: pathlib.Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NoticeSettingsError(f"{path}: cannot be read") from error
