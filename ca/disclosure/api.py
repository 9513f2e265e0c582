"""`/pds/`: the statements as pages and PDF, for whoever follows QcPDS of a certificate."""

import hashlib
import json
from typing import Annotated

import fastapi
from fastapi import responses
from sqlalchemy import orm

from ca import settings as ca_settings
from ca.disclosure import languages, page, publication, settings, tables
from ca.disclosure import statement as statements
from pki import clock

FRESH_S = 300
"""How long a cache may hold what a new version would replace."""

LASTING_S = 30 * 86400
"""How long it may hold a numbered version, which never changes."""

HTML = "text/html; charset=utf-8"
PDF = "application/pdf"


def public_routes(
    sessions: orm.sessionmaker[orm.Session],
    own: settings.Settings,
    installation: ca_settings.Settings,
) -> fastapi.APIRouter:
    """Return the routes: `/pds/`, `/pds/LANGUAGE`, `/pds/LANGUAGE.pdf`, and by version."""
    router = fastapi.APIRouter(tags=["disclosure"])

    @router.head("/pds/", include_in_schema=False)
    @router.get("/pds/")
    def list_statements(
        request: fastapi.Request,
        language: Annotated[str | None, fastapi.Query(max_length=8)] = None,
    ) -> fastapi.Response:
        wanted = request.headers.get("accept-language", "")
        chosen = (
            language
            if language in own.languages
            else languages.preferred(wanted, own.languages, "en")
        )
        with sessions() as session:
            found = publication.published(session, own.version)
        words = statements.WORDINGS[chosen]
        entries = [
            page.Entry(one.version, one.language, one.effective, one.pdf_sha256) for one in found
        ]
        name = statements.operator_name(installation)
        notice = words.test_notice if installation.test else ""
        return _answer(
            request,
            page.set_index(words, notice, name, entries),
            HTML,
            chosen,
            {
                "Vary": "Accept-Language",
                "Content-Security-Policy": page.CONTENT_SECURITY_POLICY,
                "Link": _alternates(own, "/pds/", PDF),
            },
        )

    @router.head("/pds/statements.json", include_in_schema=False)
    @router.get("/pds/statements.json")
    def describe_statements(request: fastapi.Request) -> fastapi.Response:
        with sessions() as session:
            found = publication.published(session, own.version)
        value = {
            "version": own.version,
            "statements": [
                {
                    "version": one.version,
                    "language": one.language,
                    "effective": one.effective,
                    "published_at": clock.time_text(one.published_at),
                    "page": f"/pds/{one.version}/{one.language}",
                    "pdf": f"/pds/{one.version}/{one.language}.pdf",
                    "pdf_sha256": one.pdf_sha256,
                }
                for one in found
            ],
        }
        body = json.dumps(value, ensure_ascii=False).encode()
        return _answer(request, body, "application/json", None, {})

    @router.head("/pds/{language}.pdf", include_in_schema=False)
    @router.get("/pds/{language}.pdf")
    def fetch_pdf(request: fastapi.Request, language: str) -> fastapi.Response:
        return _pdf(request, own.version, language, FRESH_S)

    @router.head("/pds/{language}", include_in_schema=False)
    @router.get("/pds/{language}")
    def fetch_page(request: fastapi.Request, language: str) -> fastapi.Response:
        return _page(request, own.version, language, FRESH_S)

    @router.head("/pds/{version}/{language}.pdf", include_in_schema=False)
    @router.get("/pds/{version}/{language}.pdf")
    def fetch_version_as_pdf(
        request: fastapi.Request, version: str, language: str
    ) -> fastapi.Response:
        return _pdf(request, version, language, LASTING_S)

    @router.head("/pds/{version}/{language}", include_in_schema=False)
    @router.get("/pds/{version}/{language}")
    def fetch_version(request: fastapi.Request, version: str, language: str) -> fastapi.Response:
        return _page(request, version, language, LASTING_S)

    def _page(
        request: fastapi.Request, version: str, language: str, fresh_s: int
    ) -> fastapi.Response:
        row = _find(version, language)
        headers = {
            "Content-Security-Policy": row.page_policy,
            "Link": _alternates(own, f"/pds/{version}/", HTML),
        }
        return _answer(request, row.page_html, HTML, language, headers, fresh_s)

    def _pdf(
        request: fastapi.Request, version: str, language: str, fresh_s: int
    ) -> fastapi.Response:
        row = _find(version, language)
        headers = {
            "Content-Disposition": f'inline; filename="pds-{version}-{language}.pdf"',
            "Link": _alternates(own, f"/pds/{version}/", PDF),
        }
        return _answer(request, row.statement_pdf, PDF, language, headers, fresh_s)

    def _find(version: str, language: str) -> tables.StatementRow:
        with sessions() as session:
            return publication.find(session, version, language)

    return router


def _alternates(own: settings.Settings, base: str, shown: str) -> str:
    """The same statement in other languages, and in the other form (RFC 8288)."""
    other = "" if shown == PDF else ".pdf"
    kind = HTML.partition(";")[0] if shown == PDF else PDF
    same = ".pdf" if shown == PDF else ""
    links = []
    for language in own.languages:
        if base != "/pds/":
            links.append(
                f'<{base}{language}{same}>; rel="alternate"; hreflang="{language}";'
                f' type="{shown.partition(";")[0]}"'
            )
        links.append(
            f'<{base}{language}{other}>; rel="alternate"; hreflang="{language}"; type="{kind}"'
        )
    return ", ".join(links)


def _answer(
    request: fastapi.Request,
    body: bytes,
    content_type: str,
    language: str | None,
    headers: dict[str, str],
    fresh_s: int = FRESH_S,
) -> fastapi.Response:
    tag = f'"{hashlib.sha256(body).hexdigest()}"'
    common = {
        **headers,
        "ETag": tag,
        "Cache-Control": f"public, max-age={fresh_s}",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    if language is not None:
        common["Content-Language"] = language
    known = [one.strip() for one in request.headers.get("if-none-match", "").split(",")]
    if tag in known:
        return responses.Response(status_code=304, headers=common)
    return responses.Response(body, media_type=content_type, headers=common)
