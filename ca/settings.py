"""The `[ca]` section of the settings file."""

import dataclasses
import datetime
import urllib.parse

from ca.crls import addresses
from ca.trusted_list import settings as trusted_list_settings
from pki import algorithms, der, errors, oids, person_codes, qc_statements

EU_COUNTRIES = frozenset(
    {"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE"}
    | {"IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"}
)
"""Where QcCClegislation must not stand: its absence means Union law (EN 319 412-5 4.2.4)."""

EXAMPLE_ARCS = ("1.3.6.1.4.1.32473.", "2.999.")
"""Arcs kept for documentation (RFC 5612, X.660)."""


class SettingsRefusedError(errors.InputError):
    """The settings would make certificates that break their profile."""

    code = "ca-settings-refused"


@dataclasses.dataclass(frozen=True)
class Disclosure:
    """Where a PKI disclosure statement is and in which language (ISO 639-1)."""

    url: str
    language: str = "en"


@dataclasses.dataclass(frozen=True)
class Settings:
    """Whom the installation serves and what its certificates say.

    Attributes:
        country: The country whose law it works under, and whose people are residents.
        organisation_name: Who runs it; stands in every issuer's name.
        organisation_code: That organisation's number under the country's rules.
        base_url: Under it are `/crl/NAME.crl` and `/ca/NAME.cer`; plain http, as RFC 5280 8 warns
            against needing a certificate to check a certificate.
        disclosures: At least one in English, each over https (EN 319 412-5 4.3.4).
        ocsp_url: Where the responder is; `base_url` and `/ocsp` unless it runs elsewhere.
        test: A sandbox: TEST stands in all names, and the policies are those of `oids.TEST_ARC`.
        policy_arc: The arc of our own policies; a real installation must name one.
        keys_in_secure_devices: Whether keys of subscribers reside in certified devices. A sandbox
            claims it whatever this says, under its test policy, so that others can judge the form.
        crl_validity: From thisUpdate to nextUpdate of the CRLs of issuing CAs.
        root_crl_validity: The same of the root's CRL.
        crl_refresh: How old a CRL grows before a new one is signed (EN 319 411-1 6.2.4: it is
            published within 60 minutes, and at least every 24 hours).
        crl_partition_size: How many certificates of an authority one CRL speaks of; those that
            follow get a list of their own.
        crl_delta_from: From how many entries on a CRL is followed by delta CRLs; shorter ones are
            published anew after each change.
        certificates_name_deltas: Whether certificates of subscribers say where deltas on their CRL
            are (RFC 5280 4.2.1.15); then every CRL is followed by deltas.
        crl_full_refresh: How old a CRL that is followed by deltas grows.
        crl_retention: How long the bytes of every CRL are kept; those of a day's last one for ever.
        responder_renewal: How long before its end a responder's certificate is renewed.
        lint_by_form: Whether pkilint judges each certificate in full (no, the default), or only the
            first of each form in a process, and so it is with our own rules that look at the form
            alone; all others judge every one. See ADR 0015.
        certificates_per_role: How many good certificates of one profile somebody may have in one
            role, a card and a phone being two; 0 sets no limit.
        role_overlap: Certificates that end within this time do not count in that.
        time_stamping_units: The kinds of key of the units that are made at the founding, `tsu-1`,
            `tsu-2` and so on; `P-256`, `P-384` or `RSA-3072`.
        trusted_list: The scheme whose trusted list is published; None publishes none.
    """

    country: str
    organisation_name: str
    organisation_code: str
    base_url: str
    disclosures: tuple[Disclosure, ...]
    ocsp_url: str = ""
    test: bool = False
    policy_arc: str = ""
    keys_in_secure_devices: bool = False
    crl_validity: datetime.timedelta = datetime.timedelta(hours=48)
    root_crl_validity: datetime.timedelta = datetime.timedelta(days=180)
    crl_refresh: datetime.timedelta = datetime.timedelta(minutes=30)
    crl_partition_size: int = 100_000
    crl_delta_from: int = 10_000
    certificates_name_deltas: bool = False
    crl_full_refresh: datetime.timedelta = datetime.timedelta(hours=12)
    crl_retention: datetime.timedelta = datetime.timedelta(days=30)
    responder_renewal: datetime.timedelta = datetime.timedelta(days=10)
    lint_by_form: bool = False
    certificates_per_role: int = 5
    role_overlap: datetime.timedelta = datetime.timedelta(days=30)
    time_stamping_units: tuple[str, ...] = (algorithms.KeyKind.P384.value,)
    trusted_list: trusted_list_settings.Settings | None = None

    def __post_init__(self) -> None:
        """Refuse, at the start, settings that no certificate could be issued under."""
        person_codes.check_organisation_code(self.country, self.organisation_code)
        if not 1 <= len(self.organisation_name) <= 56:
            # 64 characters at most (RFC 5280 A.1 ub-organization-name), less the TEST mark.
            raise SettingsRefusedError("expected an organisation_name of 1 to 56 characters")
        for address in filter(None, (self.base_url, self.ocsp_url)):
            parts = urllib.parse.urlsplit(address)
            if parts.scheme != "http" or not parts.hostname or not address.isascii():
                raise SettingsRefusedError(f"expected an http address, got {address!r}")
        self._check_lists()
        kinds = [one.value for one in algorithms.KeyKind]
        if not self.time_stamping_units or set(self.time_stamping_units) - set(kinds):
            raise SettingsRefusedError(
                f"expected time_stamping_units of {', '.join(kinds)}, at least one"
            )
        if not any(one.language == "en" for one in self.disclosures):
            raise SettingsRefusedError("expected a disclosure statement in English")
        if len({one.language for one in self.disclosures}) != len(self.disclosures):
            raise SettingsRefusedError("expected one disclosure statement for each language")
        for one in self.disclosures:
            if urllib.parse.urlsplit(one.url).scheme != "https" or not one.url.isascii():
                raise SettingsRefusedError(f"expected an https disclosure, got {one.url!r}")
        if self.certificates_per_role < 0 or self.role_overlap < datetime.timedelta(0):
            raise SettingsRefusedError(
                "expected certificates_per_role and role_overlap of 0 or more"
            )
        if self.test and self.policy_arc:
            raise SettingsRefusedError("expected no policy_arc in a test installation")
        if not self.test and not self.policy_arc:
            raise SettingsRefusedError("expected the policy_arc of this installation")
        if self.policy_arc:
            der.encode_oid(self.policy_arc)
        if f"{self.policy_arc}.".startswith(EXAMPLE_ARCS):
            raise SettingsRefusedError("expected an arc of one's own, got one kept for examples")

    def _check_lists(self) -> None:
        """Refuse settings under which lists could not be published."""
        if self.crl_partition_size < 1 or self.crl_delta_from < 0:
            raise SettingsRefusedError(
                "expected crl_partition_size of at least 1 and crl_delta_from of at least 0"
            )
        if self.certificates_name_deltas and self.crl_delta_from:
            # A certificate lives for years: what it names must be there from the first day on.
            raise SettingsRefusedError(
                "expected crl_delta_from = 0 with certificates_name_deltas: an address that"
                " certificates name must always be answered"
            )
        if self.crl_retention < self.crl_validity:
            raise SettingsRefusedError("expected crl_retention not shorter than crl_validity")

    @property
    def secure_device(self) -> bool:
        """Whether signing certificates claim a qualified device."""
        return self.test or self.keys_in_secure_devices

    @property
    def policies_under(self) -> str:
        """The arc under which our own policies are numbered."""
        return oids.TEST_ARC if self.test else self.policy_arc

    @property
    def status_url(self) -> str:
        """The OCSP address in certificates."""
        return self.ocsp_url or f"{self.base_url.rstrip('/')}/ocsp"

    @property
    def legislation(self) -> tuple[str, ...]:
        """The countries of QcCClegislation: ours, unless it is in the Union."""
        return () if self.country in EU_COUNTRIES else (self.country,)

    @property
    def pds(self) -> tuple[qc_statements.PdsLocation, ...]:
        """The disclosure statements as certificates carry them."""
        return tuple(qc_statements.PdsLocation(one.url, one.language) for one in self.disclosures)

    def crl_url(self, issuer_name: str, partition: int = 0, *, delta: bool = False) -> str:
        """Where the CRL of an authority's partition is, or the delta CRL on it."""
        scope = addresses.Scope(issuer_name, partition)
        return f"{self.base_url.rstrip('/')}{addresses.path(scope, delta=delta)}"

    def crl_scope(self, issuer_name: str, url: str) -> addresses.Scope | None:
        """The partition of an authority whose CRL is at an address; None where it is no such."""
        base = self.base_url.rstrip("/")
        if not url.startswith(base):
            return None
        return addresses.parse_full(issuer_name, url.removeprefix(base))

    def certificate_url(self, issuer_name: str) -> str:
        """Where an authority's certificate is."""
        return f"{self.base_url.rstrip('/')}/ca/{issuer_name}.cer"
