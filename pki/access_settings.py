"""Which programs may ask for access tokens: the `[access]` section of the settings file."""

import dataclasses
import datetime


@dataclasses.dataclass(frozen=True)
class ApiClient:
    """A program that may ask for tokens.

    Attributes:
        client_id: Its public name.
        secret_sha256: The SHA-256 of its secret, in hexadecimal.
        scopes: What its tokens may allow.
    """

    client_id: str
    secret_sha256: str
    scopes: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Settings:
    """The `[access]` section."""

    clients: tuple[ApiClient, ...] = ()
    token_lifetime: datetime.timedelta = datetime.timedelta(hours=1)
