import datetime

import pytest
import sqlalchemy

from pki import access, access_settings, database

SECRET = access.new_secret()


@pytest.fixture
def tokens(engine: sqlalchemy.Engine) -> access.AccessTokens:
    client = access_settings.ApiClient("portal", access.hash_secret(SECRET), ("sign", "validate"))
    return access.AccessTokens(
        access_settings.Settings(clients=(client,)), database.session_factory(engine)
    )


@pytest.mark.clause("RFC 6749", "4.4")
def test_a_token_lets_its_client_in_until_it_expires(
    tokens: access.AccessTokens, at: datetime.datetime
) -> None:
    token = tokens.issue("portal", SECRET, None, at)
    assert tokens.check(token.value, "sign", at).client_id == "portal"
    with pytest.raises(access.InvalidTokenError):
        tokens.check(token.value, "sign", at + datetime.timedelta(seconds=token.expires_in_s))


def test_a_token_holds_no_more_than_was_asked(
    tokens: access.AccessTokens, at: datetime.datetime
) -> None:
    token = tokens.issue("portal", SECRET, ("validate",), at)
    with pytest.raises(access.InsufficientScopeError):
        tokens.check(token.value, "sign", at)


def test_a_scope_that_was_not_given_is_refused(
    tokens: access.AccessTokens, at: datetime.datetime
) -> None:
    with pytest.raises(access.InvalidScopeError):
        tokens.issue("portal", SECRET, ("seal",), at)


@pytest.mark.parametrize(
    ("client", "secret"),
    [("portal", "wrong"), ("nobody", SECRET), ("", "")],
    ids=["wrong secret", "unknown client", "nothing"],
)
def test_unknown_client_and_wrong_secret_get_the_same_answer(
    tokens: access.AccessTokens, at: datetime.datetime, client: str, secret: str
) -> None:
    with pytest.raises(access.InvalidClientError) as caught:
        tokens.issue(client, secret, None, at)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("bearer", [None, "", "made-up"])
def test_a_made_up_token_is_refused(
    tokens: access.AccessTokens, at: datetime.datetime, bearer: str | None
) -> None:
    with pytest.raises(access.InvalidTokenError):
        tokens.check(bearer, "sign", at)


def test_neither_secret_nor_token_is_stored(
    tokens: access.AccessTokens, at: datetime.datetime, engine: sqlalchemy.Engine
) -> None:
    token = tokens.issue("portal", SECRET, None, at)
    with engine.connect() as connection:
        rows = repr(connection.execute(sqlalchemy.text("SELECT * FROM access_tokens")).all())
    assert token.value not in rows
    assert SECRET not in rows
    assert token.value not in repr(token)
