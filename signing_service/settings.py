"""The `[signing]` section of the settings file."""

import dataclasses
import datetime
import pathlib

from signing_service.creation.pdf import fonts


@dataclasses.dataclass(frozen=True)
class SealSettings:
    """One entry of `[[signing.seals]]`.

    Attributes:
        name: What clients call it.
        certificate: PEM of the organisation's certificate.
        key_label: Of its key in the zone's key store.
        clients: The API clients that may use it; their tokens need the scope `seal` besides.
    """

    name: str
    certificate: pathlib.Path
    key_label: str
    clients: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What an operator decides about signing.

    Attributes:
        folder: Where documents of sessions lie; only this service may read it.
        tsa_url: Where time stamps come from.
        tsa_fallback_urls: Other authorities, asked in this order where the first is down or slow,
            refuses, or answers wrongly.
        tsa_policy: The policy that time stamps are asked for under; none: the authority's own.
        ocsp_fallback_urls: Responders that are asked after those that a certificate names.
        trust_anchors: PEM files of roots.
        authorities: PEM files of issuing and infrastructure CAs, to build paths with.
        max_document_bytes: Largest document that is taken.
        max_validation_bytes: Largest document that is validated.
        card_window: How long a session waits for a signature value.
        phone_window: How long it waits for a person's phone.
        raise_window: How long a level that a peer's failure prevented is tried again.
        lease: For how long a worker has a session to itself; more than any step takes. After a
            crash the session waits as long for the next worker.
        keep_documents: How long a session that has ended, and its document, are kept.
        font: A TrueType font with the letters of the country, for visible signatures.
        policies: Files of validation policies, which clients choose by name.
        trusted_lists: Addresses or files of trusted lists, or of lists of them: what they name is
            trusted for validation, and qualified where they say so.
        list_signers: PEM files with certificates of those who sign them.
        list_memory: A file that remembers the newest list of each scheme, so that no older one is
            believed.
        seals: Organisations' keys in the zone's key store.
        report_seal: The name of the seal that XML reports are signed with; none: not signed.
        phone_threads: How many phones are waited for at once in one process.
    """

    folder: pathlib.Path
    tsa_url: str
    trust_anchors: tuple[pathlib.Path, ...]
    authorities: tuple[pathlib.Path, ...] = ()
    tsa_fallback_urls: tuple[str, ...] = ()
    tsa_policy: str | None = None
    ocsp_fallback_urls: tuple[str, ...] = ()
    max_document_bytes: int = 200 * 2**20
    max_validation_bytes: int = 200 * 2**20
    card_window: datetime.timedelta = datetime.timedelta(minutes=15)
    phone_window: datetime.timedelta = datetime.timedelta(minutes=3)
    raise_window: datetime.timedelta = datetime.timedelta(hours=24)
    lease: datetime.timedelta = datetime.timedelta(minutes=2)
    keep_documents: datetime.timedelta = datetime.timedelta(days=7)
    font: pathlib.Path = fonts.DEFAULT_FONT
    policies: tuple[pathlib.Path, ...] = ()
    trusted_lists: tuple[str, ...] = ()
    list_signers: tuple[pathlib.Path, ...] = ()
    list_memory: pathlib.Path | None = None
    phone_threads: int = 32
    seals: tuple[SealSettings, ...] = ()
    report_seal: str | None = None
