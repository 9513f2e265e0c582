import contextlib
import dataclasses
import datetime
import hashlib
import logging
from collections.abc import Iterator

import httpx
import pytest
import sqlalchemy
from sqlalchemy import orm

from ca import settings as ca_settings
from ca.disclosure import api, publication, settings, tables
from imza import schema
from pki import audit, database, web
from tests.support import ca_world, disclosure, servers

OWN = disclosure.read(disclosure.TEST_TABLE)
NEXT = disclosure.read(disclosure.TEST_TABLE, version="2.0", telephone="+994000000009")


@contextlib.contextmanager
def _served(
    sessions: orm.sessionmaker[orm.Session], own: settings.Settings, at: datetime.datetime
) -> Iterator[httpx.Client]:
    publication.publish(sessions, own, ca_world.SETTINGS, at)
    app = web.application("test", [api.public_routes(sessions, own, ca_world.SETTINGS)])
    with (
        servers.serve(app) as base_url,
        httpx.Client(base_url=base_url, follow_redirects=True) as client,
    ):
        yield client


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """One installation for all who only read; what is written is tried on both databases."""
    engine = database.connect(f"sqlite:///{tmp_path_factory.mktemp('pds')}/ca.sqlite")
    schema.upgrade(engine)
    at = datetime.datetime(2026, 11, 2, tzinfo=datetime.UTC)
    with _served(database.session_factory(engine), OWN, at) as opened:
        yield opened
    engine.dispose()


def test_a_statement_is_a_page_and_a_pdf_in_each_language(client: httpx.Client) -> None:
    for language in settings.LANGUAGES:
        _check_both_forms(client, language)


def _check_both_forms(client: httpx.Client, language: str) -> None:
    shown = client.get(f"/pds/{language}")
    assert shown.status_code == 200
    assert shown.headers["content-type"] == "text/html; charset=utf-8"
    assert shown.headers["content-language"] == language
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    for other in settings.LANGUAGES:
        assert f'</pds/1.0/{other}>; rel="alternate"; hreflang="{other}"' in shown.headers["link"]
    printed = client.get(f"/pds/{language}.pdf")
    assert printed.headers["content-type"] == "application/pdf"
    assert printed.headers["content-language"] == language
    assert printed.content.startswith(b"%PDF-")
    assert hashlib.sha256(printed.content).hexdigest() in shown.text


def test_the_index_speaks_the_readers_language(client: httpx.Client) -> None:
    readers = [("ka, en;q=0.5", "ka"), ("az-AZ", "az"), ("ru", "en"), ("", "en")]
    for header, language in readers:
        shown = client.get("/pds/", headers={"Accept-Language": header})
        assert shown.headers["content-language"] == language
        assert shown.headers["vary"] == "Accept-Language"
        assert f'<html lang="{language}">' in shown.text
        asked = client.get("/pds/?language=az", headers={"Accept-Language": header})
        assert asked.headers["content-language"] == "az"


def test_an_address_without_the_slash_leads_to_the_index(client: httpx.Client) -> None:
    assert client.get("/pds").url.path == "/pds/"


def test_hashes_and_dates_are_for_machines_too(client: httpx.Client) -> None:
    value = client.get("/pds/statements.json").json()
    assert value["version"] == "1.0"
    assert len(value["statements"]) == 3
    for one in value["statements"]:
        assert hashlib.sha256(client.get(one["pdf"]).content).hexdigest() == one["pdf_sha256"]
        assert client.get(one["page"]).status_code == 200
        assert one["effective"] == "2026-11-01"


def test_what_is_not_published_is_not_found(client: httpx.Client) -> None:
    for path in [
        "/pds/ru",
        "/pds/ru.pdf",
        "/pds/9.9/en",
        "/pds/1.0/EN",
        "/pds/1.0/en.xml",
        "/pds/1.0/enx",
        "/pds/1.0000000000000000/en",
        "/pds/%00/en",
    ]:
        refused = client.get(path)
        assert refused.status_code == 404
        assert refused.json()["code"] == "disclosure-not-found"


def test_a_page_is_answered_to_head_and_to_who_has_it(client: httpx.Client) -> None:
    shown = client.get("/pds/en")
    asked = client.head("/pds/en")
    assert asked.status_code == 200
    assert asked.content == b""
    again = client.get("/pds/en", headers={"If-None-Match": shown.headers["etag"]})
    assert again.status_code == 304
    assert again.content == b""


@pytest.mark.slow
def test_an_older_version_keeps_its_bytes_and_its_address(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> None:
    with _served(sessions, OWN, at) as client:
        before = client.get("/pds/az.pdf").content
        page_before = client.get("/pds/1.0/az").content
    later = at + datetime.timedelta(days=1)
    with _served(sessions, NEXT, later) as client:
        assert client.get("/pds/az.pdf").content != before
        assert client.get("/pds/1.0/az.pdf").content == before
        assert client.get("/pds/1.0/az").content == page_before
        assert "+994000000009" in client.get("/pds/az").text
        index = client.get("/pds/").text
        assert index.index("Version 2.0 (in force)") < index.index("Version 1.0 (earlier)")


def test_a_change_without_a_new_version_is_told_and_not_published(
    sessions: orm.sessionmaker[orm.Session],
    at: datetime.datetime,
    caplog: pytest.LogCaptureFixture,
) -> None:
    publication.publish(sessions, OWN, ca_world.SETTINGS, at)
    changed = disclosure.read(disclosure.TEST_TABLE, telephone="+994000000009")
    with caplog.at_level(logging.WARNING):
        assert publication.publish(sessions, changed, ca_world.SETTINGS, at) == ()
    assert "disclosure_changed version=1.0" in caplog.text
    with sessions() as session:
        assert b"+994000000009" not in publication.find(session, "1.0", "en").page_html


def test_a_second_start_publishes_nothing_and_the_audit_log_knows_the_first(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> None:
    assert publication.publish(sessions, OWN, ca_world.SETTINGS, at) == ("az", "ka", "en")
    assert publication.publish(sessions, OWN, ca_world.SETTINGS, at) == ()
    with sessions() as session:
        found = audit.entries(session, after=0, limit=10)
        stored = session.scalar(
            sqlalchemy.select(sqlalchemy.func.count(tables.StatementRow.language))
        )
    assert stored == 3
    assert [one.event for one in found] == [audit.AuditEvent.DISCLOSURE_PUBLISHED.value] * 3


def test_certificates_cannot_point_to_a_statement_that_is_not_published(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> None:
    elsewhere = dataclasses.replace(
        ca_world.SETTINGS,
        disclosures=(
            ca_settings.Disclosure("https://pki.localhost/pds/en", "en"),
            ca_settings.Disclosure("https://pki.localhost/pds/ru", "ru"),
        ),
    )
    with pytest.raises(settings.DisclosureSettingsError, match="/pds/ru, which is not published"):
        publication.publish(sessions, OWN, elsewhere, at)
