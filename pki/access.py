"""Who calls: OAuth 2.0 client credentials (RFC 6749 4.4) and the bearer tokens they give.

Clients come from the settings, each with the SHA-256 of its secret. That is enough because
secrets are made by the installation, 256 random bits each: there is nothing to guess. Tokens are
stored hashed too, so that a copy of the database lets nobody in.
"""

import dataclasses
import datetime
import hashlib
import hmac
import secrets

import sqlalchemy
from sqlalchemy import orm

from pki import access_settings, database, errors

TOKEN_BYTES = 32


@dataclasses.dataclass(frozen=True)
class Caller:
    """A client that showed a good token."""

    client_id: str
    scopes: frozenset[str]


@dataclasses.dataclass(frozen=True)
class AccessToken:
    """A token as its client gets it, once."""

    value: str = dataclasses.field(repr=False)
    scopes: tuple[str, ...]
    expires_in_s: int


class InvalidClientError(errors.AccessError):
    """The client is unknown or its secret is wrong (RFC 6749 5.2)."""

    code = "invalid-client"


class InvalidScopeError(errors.AccessError):
    """The client asked for a scope that it was not given."""

    code = "invalid-scope"


class InvalidTokenError(errors.AccessError):
    """No bearer token, or one that is unknown or expired (RFC 6750 3.1)."""

    code = "invalid-token"


class InsufficientScopeError(errors.AccessError):
    """The token is good but does not allow this call (RFC 6750 3.1)."""

    code = "insufficient-scope"


class _TokenRow(database.Base):
    __tablename__ = "access_tokens"

    token_sha256: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(64), primary_key=True)
    client_id: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(100))
    scopes: orm.Mapped[str] = orm.mapped_column(sqlalchemy.String(500))
    expires_at: orm.Mapped[datetime.datetime] = orm.mapped_column(database.UtcDateTime, index=True)


class AccessTokens:
    """Gives tokens to clients and recognises them again."""

    def __init__(
        self, settings: access_settings.Settings, sessions: orm.sessionmaker[orm.Session]
    ) -> None:
        """Take the known clients and where tokens are kept."""
        self._settings = settings
        self._clients = {client.client_id: client for client in settings.clients}
        self._sessions = sessions

    def issue(
        self,
        client_id: str,
        client_secret: str,
        scopes: tuple[str, ...] | None,
        at: datetime.datetime,
    ) -> AccessToken:
        """Give a token for the client's own scopes, or fewer.

        Raises:
            InvalidClientError: Unknown client or wrong secret; which of the two is not told.
            InvalidScopeError: A scope that the client was not given.
        """
        client = self._clients.get(client_id)
        expected = client.secret_sha256 if client else "0" * 64
        # Compared even for an unknown client, so that time does not tell which ones exist.
        if not hmac.compare_digest(_sha256(client_secret), expected) or client is None:
            raise InvalidClientError("expected a known client_id and its client_secret")
        granted = client.scopes if scopes is None else scopes
        if refused := sorted(set(granted) - set(client.scopes)):
            raise InvalidScopeError(
                f"expected scopes among {', '.join(client.scopes)}, got {refused[0]!r}"
            )
        value = secrets.token_urlsafe(TOKEN_BYTES)
        with self._sessions() as session:
            session.execute(sqlalchemy.delete(_TokenRow).where(_TokenRow.expires_at < at))
            session.add(
                _TokenRow(
                    token_sha256=_sha256(value),
                    client_id=client_id,
                    scopes=" ".join(granted),
                    expires_at=at + self._settings.token_lifetime,
                )
            )
            session.commit()
        return AccessToken(
            value, tuple(granted), int(self._settings.token_lifetime.total_seconds())
        )

    def check(self, bearer: str | None, scope: str, at: datetime.datetime) -> Caller:
        """Return who holds a token that allows `scope`.

        Raises:
            InvalidTokenError: Missing, unknown or expired.
            InsufficientScopeError: Good, but not for this scope.
        """
        if not bearer:
            raise InvalidTokenError("expected a bearer token from POST /oauth2/token, got none")
        with self._sessions() as session:
            row = session.get(_TokenRow, _sha256(bearer))
        if row is None or row.expires_at <= at or row.client_id not in self._clients:
            raise InvalidTokenError("the bearer token is unknown or expired: ask for a new one")
        scopes = frozenset(row.scopes.split())
        if scope not in scopes:
            raise InsufficientScopeError(
                f"expected a token with the scope {scope!r}, got one with {sorted(scopes)}"
            )
        return Caller(row.client_id, scopes)


def new_secret() -> str:
    """Return a fresh client secret of 256 random bits."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def hash_secret(secret: str) -> str:
    """Return what the settings hold instead of a secret."""
    return _sha256(secret)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
