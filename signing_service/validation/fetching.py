"""Fetch the statuses that a judgement found missing, from the authorities that keep them.

Addresses are taken only from certificates on a path to a trust anchor: `paths` names no other as
missing. So a stranger's document cannot make this machine connect to where it likes.
"""

import logging
from collections.abc import Callable, Sequence

from cryptography import x509

from ocsp import client as ocsp_client
from pki import certificates, clock, errors, outbound
from signing_service.validation import evidence, process
from signing_service.validation.certificates import foreign_certificates

MAX_FETCHES = 20
"""For one document; a signature with time stamps needs five or six."""
CRL_TYPE = "application/pkix-crl"

logger = logging.getLogger(__name__)


def fetcher(client: outbound.Client, present: clock.Clock) -> process.Fetch:
    """Return a function that fetches statuses over a client.

    Args:
        client: Its limits on time and size are the limits here.
        present: The real present, by which answers must be fresh, whatever time is judged.
    """

    def fetch(missing: Sequence[evidence.MissingStatus]) -> process.FetchedEvidence:
        asked_at = present.now()
        responses: list[bytes] = []
        crls: dict[str, bytes] = {}
        for certificate_der, issuer_der in _in_order(missing)[:MAX_FETCHES]:
            certificate = foreign_certificates.read_certificate(certificate_der)
            issuer = foreign_certificates.read_certificate(issuer_der)
            response = _quietly(lambda c=certificate, i=issuer: _ask(client, c, i, present))  # type: ignore[misc]
            if response is not None:
                responses.append(response)
                continue
            for url in _crl_urls(certificate):
                if url not in crls:
                    crl = _quietly(lambda u=url: _get(client, u))  # type: ignore[misc]
                    if crl is None:
                        continue
                    crls[url] = crl
                break
        return process.FetchedEvidence(
            ocsp_responses=tuple(responses), crls=tuple(crls.values()), asked_at=asked_at
        )

    return fetch


def _in_order(missing: Sequence[evidence.MissingStatus]) -> list[tuple[bytes, bytes]]:
    """Certificates and their issuers, once each: first those of which nothing is known at all.

    Without these there is no verdict; of the others there is a statement that may be outdated.
    """
    doubted_last = sorted(missing, key=lambda one: one.is_doubted)
    return list(dict.fromkeys((one.certificate_der, one.issuer_der) for one in doubted_last))


def _ask(
    client: outbound.Client,
    certificate: x509.Certificate,
    issuer: x509.Certificate,
    present: clock.Clock,
) -> bytes | None:
    if not certificates.read(certificate).ocsp_urls:
        return None
    return ocsp_client.fetch_status(client, certificate, issuer, present.now()).response_der


def _get(client: outbound.Client, url: str) -> bytes:
    return client.send("GET", url, accept=CRL_TYPE).body


def _crl_urls(certificate: x509.Certificate) -> tuple[str, ...]:
    try:
        return certificates.read(certificate).crl_urls
    except errors.InputError:
        return ()


def _quietly(ask: Callable[[], bytes | None]) -> bytes | None:
    """Ask one authority; what does not answer leaves its status missing, and the report says so."""
    try:
        return ask()
    except (errors.PeerError, errors.InputError) as error:
        logger.info("status not fetched", extra={"code": error.code})
        return None
