"""The `[register]` section: which authentic source is asked when somebody is vetted."""

import dataclasses
import pathlib
import urllib.parse

from pki import errors

KINDS = ("local", "http")


class RegisterSettingsError(errors.InputError):
    """The section does not say where the register is."""

    code = "register-settings-refused"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Where the register is; an installation without this section asks none, and records that.

    Attributes:
        kind: `local`: the tables that `imza ca register import` fills; `http`: a service.
        name: How vetting records name an `http` register.
        url: Its base address; https, or http on this machine.
        token_file: Holds its bearer token; mode 0600.
        timeout: Seconds to wait for an answer.
        tls_ca: Whom to trust for its TLS, where that is a private CA.
    """

    kind: str
    name: str = ""
    url: str = ""
    token_file: pathlib.Path | None = None
    timeout: float = 5.0
    tls_ca: pathlib.Path | None = None

    def __post_init__(self) -> None:
        """Refuse, at the start, what could not be asked."""
        if self.kind not in KINDS:
            raise RegisterSettingsError(f"expected a kind of {', '.join(KINDS)}, got another")
        remote = (self.name, self.url, self.token_file, self.tls_ca)
        if self.kind == "local":
            if any(remote):
                raise RegisterSettingsError("expected no name, url or files for a local register")
            return
        parts = urllib.parse.urlsplit(self.url)
        loopback = parts.hostname in {"127.0.0.1", "::1", "localhost"}
        if not parts.hostname or parts.query or parts.username is not None:
            raise RegisterSettingsError("expected the register's base address as its url")
        if parts.scheme != "https" and not (parts.scheme == "http" and loopback):
            raise RegisterSettingsError("expected https for the register, or http on this machine")
        if not 1 <= len(self.name) <= 64 or not self.name.isprintable() or self.name == "local":
            raise RegisterSettingsError("expected a name of 1 to 64 characters, not 'local'")
        if not 0 < self.timeout <= 60:
            raise RegisterSettingsError("expected a timeout of at most 60 seconds")
