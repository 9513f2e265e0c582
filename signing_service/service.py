"""The signing service as ready objects, which every function of the main job is handed."""

import dataclasses
import pathlib
from collections.abc import Callable

from sqlalchemy import orm

from pki import clock, outbound, signature
from signing_service import certification_paths, documents, parameters, settings
from signing_service.signing import document_store
from tsa import client as tsa_client
from tsa import messages, signed_token


@dataclasses.dataclass(frozen=True)
class SigningService:
    """What the functions here work with, made once in `imza.wiring`.

    Attributes:
        check_document: Refuses what cannot be signed. A service that strangers reach does it in a
            worker process (`validation.isolation`).
        read_picture: Decodes a picture for a visible signature, there too.
    """

    settings: settings.Settings
    database: orm.sessionmaker[orm.Session]
    store: document_store.DocumentStore
    authorities: certification_paths.Authorities
    client: outbound.Client
    clock: clock.Clock
    check_document: Callable[[documents.Document, parameters.SignatureParameters], None]
    read_picture: Callable[[pathlib.Path], parameters.Picture]

    def request_token(self, representation: signature.DataToBeSignedRepresentation) -> bytes:
        """Return a checked time-stamp token over a hash.

        Raises:
            PeerError: The time-stamping authority did not answer, or not usefully.
        """
        imprint = messages.MessageImprint(representation.hash_algorithm, representation.hash)
        at = self.clock.now()
        token = tsa_client.request_time_stamp(
            self.client,
            (self.settings.tsa_url, *self.settings.tsa_fallback_urls),
            imprint,
            at,
            policy=self.settings.tsa_policy,
            check_unit=lambda token: self.authorities.path(
                signed_token.find_signer_certificate(token), at, besides=token.certificates
            ),
        )
        return token.token_der
