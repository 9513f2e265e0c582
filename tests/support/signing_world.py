"""A small world around the signing service: a hierarchy, its OCSP responder and CRLs over HTTP on
loopback, a time-stamping unit, and documents to sign."""

import contextlib
import dataclasses
import datetime
import io
import pathlib
import secrets
from collections.abc import Iterator

import fastapi
import fpdf
import sqlalchemy
from cryptography import x509

from ocsp import api as ocsp_api
from ocsp import responder, responder_key
from pki import clock, database, errors, outbound, signature, status, web
from signing_service import (
    certification_paths,
    document_store,
    documents,
    flow,
    parameters,
    settings,
)
from tests.support import hierarchy, servers
from tsa import messages, signed_token

FONT = "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf"


class TimeStampUnit:
    """A time-stamping authority that can be switched off."""

    def __init__(self, holder: hierarchy.Holder, present: clock.Clock) -> None:
        self.holder = holder
        self.down = False
        self.tokens = 0
        self._clock = present

    def __call__(self, representation: signature.DataToBeSignedRepresentation) -> bytes:
        if self.down:
            raise outbound.PeerUnavailableError("POST http://tsa.test: no answer in time")
        self.tokens += 1
        info = messages.TSTInfo(
            policy="1.3.6.1.4.1.99999.2",
            imprint=messages.MessageImprint(representation.hash_algorithm, representation.hash),
            serial_number=secrets.randbits(64),
            gen_time=clock.whole_seconds(self._clock.now()),
            accuracy=datetime.timedelta(seconds=1),
        )
        return signed_token.build_token(
            info, self.holder.certificate, self.holder.handle, self.holder.chain[:-1]
        )


@dataclasses.dataclass
class World:
    """Everything a signature meets.

    Attributes:
        revoked: Serial numbers that the OCSP responder calls revoked, and since when.
        peers_down: Makes the OCSP responder and the CRLs answer 503.
    """

    authorities: hierarchy.Hierarchy
    clock: clock.FixedClock
    client: outbound.Client
    unit: TimeStampUnit
    base_url: str
    revoked: dict[int, datetime.datetime] = dataclasses.field(default_factory=dict)
    peers_down: bool = False

    def lookup(self, issuer: str, serial_number: int) -> status.CertificateStatus | None:
        since = self.revoked.get(serial_number)
        if since is None:
            return status.CertificateStatus(None, None, None)
        return status.CertificateStatus(since, status.RevocationReason.keyCompromise, None)

    @property
    def known(self) -> certification_paths.Authorities:
        return certification_paths.Authorities(
            (self.authorities.root.certificate,),
            (self.authorities.issuing.certificate, self.authorities.infrastructure.certificate),
        )

    def service(self, engine: sqlalchemy.Engine, folder: pathlib.Path) -> flow.SigningService:
        return flow.SigningService(
            settings=settings.Settings(
                folder=folder, tsa_url="http://tsa.test", trust_anchors=(), max_document_bytes=10**6
            ),
            database=database.session_factory(engine),
            store=document_store.DocumentStore(folder),
            authorities=self.known,
            client=self.client,
            request_token=self.unit,
            clock=self.clock,
        )


@contextlib.contextmanager
def make_world(at: datetime.datetime) -> Iterator[World]:
    """Start the servers of a world whose clock stands at `at`."""
    application = web.application("test peers", [])
    with servers.serve(application) as base_url, contextlib.closing(outbound.Client()) as client:
        authorities = hierarchy.make_hierarchy(
            at, ocsp_url=f"{base_url}/ocsp", crl_url=f"{base_url}/crl/"
        )
        present = clock.FixedClock(at)
        unit = TimeStampUnit(authorities.time_stamping_unit(), present)
        world = World(authorities, present, client, unit, base_url)
        delegate = authorities.ocsp_responder()
        issuer = responder_key.StatusIssuer(
            "issuing",
            authorities.issuing.certificate,
            (responder_key.ResponderKey(delegate.certificate, delegate.handle),),
        )
        answering = responder.Responder((issuer,), world.lookup)
        application.include_router(
            ocsp_api.routes(answering, present), dependencies=[fastapi.Depends(_up(world))]
        )
        holders = {
            "root": authorities.root,
            "issuing": authorities.issuing,
            "infrastructure": authorities.infrastructure,
        }

        @application.get("/crl/{name}.crl", dependencies=[fastapi.Depends(_up(world))])
        def crl(name: str) -> fastapi.Response:
            content = authorities.crl(holders[name], world.revoked, at=present.now())
            return fastapi.Response(content, media_type="application/pkix-crl")

        yield world


def _up(world: World):  # type: ignore[no-untyped-def]
    def check() -> None:
        if world.peers_down:
            raise fastapi.HTTPException(503)

    return check


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
        documents.SignatureFormat.PADES, level, **others  # type: ignore[arg-type]
    )


def signer_path(holder: hierarchy.Holder) -> tuple[x509.Certificate, ...]:
    return holder.chain


__all__ = ["World", "errors", "make_pdf", "make_world", "pades", "signer_path"]
