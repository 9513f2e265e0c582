"""A small world around the signing service: a hierarchy, its OCSP responder and CRLs over HTTP on
loopback, a time-stamping unit, and documents to sign."""

import collections
import contextlib
import dataclasses
import datetime
import io
import pathlib
from collections.abc import Iterator

import fastapi
import fpdf
import sqlalchemy
from fastapi import params, responses
from starlette import types

from ocsp import api as ocsp_api
from ocsp import responder, responder_key
from pki import algorithms, clock, database, outbound, status, web
from signing_service import certification_paths, documents, parameters, settings
from signing_service.creation import formats
from signing_service.creation.pdf import pictures
from signing_service.service import SigningService
from signing_service.signing import document_store
from tests.support import hierarchy, servers
from tsa import api as tsa_api
from tsa import authority

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"


@dataclasses.dataclass
class World:
    """Everything a signature meets.

    Attributes:
        revoked: Serial numbers that the OCSP responder calls revoked, and since when.
        down: Which of `ocsp`, `crl` and `tsa` answer 503.
        asked: How often each was asked.
        scope: Where CRLs say that they are of one partition: its address begins with this.
    """

    authorities: hierarchy.Hierarchy
    clock: clock.FixedClock
    client: outbound.Client
    base_url: str
    revoked: dict[int, datetime.datetime] = dataclasses.field(default_factory=dict)
    down: set[str] = dataclasses.field(default_factory=set)
    asked: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    scope: str | None = None

    def lookup(self, issuer: str, serial_number: int) -> status.CertificateStatus | None:
        since = self.revoked.get(serial_number)
        if since is None:
            return status.CertificateStatus(None, None, None)
        return status.CertificateStatus(since, status.RevocationReason.keyCompromise, None)

    def gate(self, name: str) -> params.Depends:
        def check() -> None:
            self.asked[name] += 1
            if name in self.down:
                raise fastapi.HTTPException(503)

        return fastapi.Depends(check)

    def gated(self, name: str, endpoint: types.ASGIApp) -> types.ASGIApp:
        async def answer(scope: types.Scope, receive: types.Receive, send: types.Send) -> None:
            self.asked[name] += 1
            reply = responses.Response(status_code=503) if name in self.down else endpoint
            await reply(scope, receive, send)

        return answer

    @property
    def known(self) -> certification_paths.Authorities:
        return certification_paths.Authorities(
            (self.authorities.root.certificate,),
            (self.authorities.issuing.certificate, self.authorities.infrastructure.certificate),
        )

    def service(self, engine: sqlalchemy.Engine, folder: pathlib.Path) -> SigningService:
        return SigningService(
            settings=settings.Settings(
                folder=folder,
                tsa_url=f"{self.base_url}/tsa",
                trust_anchors=(),
                max_document_bytes=10**6,
            ),
            database=database.session_factory(engine),
            store=document_store.DocumentStore(folder),
            authorities=self.known,
            client=self.client,
            clock=self.clock,
            check_document=formats.check_document,
            read_picture=pictures.read,
        )


@contextlib.contextmanager
def make_world(
    at: datetime.datetime, unit_kind: algorithms.KeyKind = algorithms.KeyKind.P384
) -> Iterator[World]:
    """Start the servers of a world whose clock stands at `at`."""
    endpoints: dict[str, types.ASGIApp] = {}
    application = web.application("test peers", [], endpoints)
    with servers.serve(application) as base_url, contextlib.closing(outbound.Client()) as client:
        authorities = hierarchy.make_hierarchy(
            at, ocsp_url=f"{base_url}/ocsp", crl_url=f"{base_url}/crl/"
        )
        present = clock.FixedClock(at)
        world = World(authorities, present, client, base_url)
        delegate = authorities.ocsp_responder()
        issuer = responder_key.StatusIssuer(
            "issuing",
            authorities.issuing.certificate,
            (responder_key.ResponderKey(delegate.certificate, delegate.handle),),
        )
        answering = responder.Responder((issuer,), world.lookup)
        for path, endpoint in ocsp_api.endpoints(answering, present).items():
            endpoints[path] = world.gated("ocsp", endpoint)
        holder = authorities.time_stamping_unit(unit_kind)
        unit = authority.TimeStampingUnit(holder.certificate, holder.handle, holder.chain[1:-1])
        stamping = authority.TimeStampAuthority(unit, ("1.3.6.1.4.1.99999.2",))
        for path, endpoint in tsa_api.endpoints(stamping, present).items():
            endpoints[path] = world.gated("tsa", endpoint)
        holders = {
            "root": authorities.root,
            "issuing": authorities.issuing,
            "infrastructure": authorities.infrastructure,
        }

        @application.get("/crl/{name}.crl", dependencies=[world.gate("crl")])
        def crl(name: str) -> fastapi.Response:
            point = None if world.scope is None else f"{world.scope}{name}.crl"
            content = authorities.crl(
                holders[name], world.revoked, at=present.now(), distribution_point=point
            )
            return fastapi.Response(content, media_type="application/pkix-crl")

        yield world


def make_pdf(text: str = "Müqavilə: ə ğ ı ş — ხელშეკრულება", pages: int = 2) -> bytes:
    """A small contract of some pages."""
    pdf = fpdf.FPDF()
    pdf.add_font("DejaVu", "", FONT)
    pdf.set_font("DejaVu", size=12)
    for number in range(pages):
        pdf.add_page()
        pdf.cell(text=f"{text} {number + 1}")
    written = io.BytesIO()
    pdf.output(written)
    return written.getvalue()


def pades(
    level: documents.SignatureLevel = documents.SignatureLevel.B_B, **others: object
) -> parameters.SignatureParameters:
    return parameters.SignatureParameters(
        documents.SignatureFormat.PADES,
        level,
        **others,  # type: ignore[arg-type]
    )
