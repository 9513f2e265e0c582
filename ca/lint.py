"""Checks on the to-be-signed certificate before the authority signs it, one for each clause.

They judge a twin by its profile, the issuer and the settings alone, not by the code that built
it. pkilint judges it too: of forty broken certificates it passes eighteen, and those are what the
rules here are for.
"""

import dataclasses
import datetime
import ipaddress
import urllib.parse
from collections.abc import Callable, Hashable, Iterator, Mapping

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from ca import authority, csr, drafts, forms, peer_lint, serials, subjects
from ca import settings as ca_settings
from pki import algorithms, certificates, der, errors, oids, person_codes, profiles, qc_statements

MIN_SERIAL_BITS = 64
"""EN 319 412-1 and common practice: at least 64 random bits, so never a shorter number."""

CRITICAL = frozenset({oids.KEY_USAGE, oids.BASIC_CONSTRAINTS})
"""The extensions that are critical wherever they stand; others only where a profile says so."""

_KNOWN_FORMS = forms.KnownForms()

_PEER_INTERNAL_NAME = "etsi.internal_domain_name"


_ATTRIBUTES: Mapping[profiles.SubjectKind, tuple[frozenset[str], frozenset[str]]] = {
    profiles.SubjectKind.PERSON: (
        frozenset(
            {
                oids.COUNTRY_NAME,
                oids.COMMON_NAME,
                oids.SURNAME,
                oids.GIVEN_NAME,
                oids.SERIAL_NUMBER,
            }
        ),
        frozenset({oids.ORGANIZATION_NAME, oids.ORGANIZATION_IDENTIFIER, oids.TITLE}),
    ),
    profiles.SubjectKind.ORGANISATION: (
        frozenset(
            {
                oids.COUNTRY_NAME,
                oids.COMMON_NAME,
                oids.ORGANIZATION_NAME,
                oids.ORGANIZATION_IDENTIFIER,
            }
        ),
        frozenset(),
    ),
    profiles.SubjectKind.SERVER: (
        frozenset(
            {oids.COUNTRY_NAME, oids.COMMON_NAME, oids.ORGANIZATION_NAME, oids.SERIAL_NUMBER}
        ),
        frozenset(),
    ),
    profiles.SubjectKind.MEMBER: (
        frozenset(
            {
                oids.COUNTRY_NAME,
                oids.COMMON_NAME,
                oids.ORGANIZATION_NAME,
                oids.SERIAL_NUMBER,
                oids.BUSINESS_CATEGORY,
            }
        ),
        frozenset(),
    ),
}
"""Which attributes a subject must have, and which others it may have."""

_XROAD_SUBJECTS = frozenset({profiles.SubjectKind.SERVER, profiles.SubjectKind.MEMBER})


class LintError(errors.PolicyError):
    """The certificate would break its profile; nothing was signed.

    Attributes:
        findings: What is wrong, one entry for each rule that was broken.
    """

    code = "lint"

    def __init__(self, findings: tuple["Finding", ...]) -> None:
        """Name the rules in the message; what they say holds nothing of the subject."""
        super().__init__(
            "the certificate breaks its profile: "
            + "; ".join(f"{one.rule} ({one.message})" for one in findings)
        )
        self.findings = findings


@dataclasses.dataclass(frozen=True)
class Finding:
    """A broken rule and what was expected."""

    rule: str
    message: str


@dataclasses.dataclass(frozen=True)
class Twin:
    """What the rules look at."""

    certificate: x509.Certificate
    facts: certificates.CertificateFacts
    profile: profiles.CertificateProfile
    issuer: authority.Issuer
    settings: ca_settings.Settings
    at: datetime.datetime
    named_deltas: bool | None = None
    """Whether certificates named deltas when this one was issued; None: what the settings say."""

    @property
    def names_deltas(self) -> bool:
        """Whether it must say where deltas on its CRL are."""
        if self.profile.status is not profiles.StatusService.OCSP_AND_CRL:
            return False
        if self.named_deltas is None:
            return self.settings.certificates_name_deltas
        return self.named_deltas

    @property
    def statements(self) -> qc_statements.QcStatements:
        """The qualified statements."""
        return self.facts.qualified


def check_twin(
    twin_der: bytes,
    profile: profiles.CertificateProfile,
    issuer: authority.Issuer,
    settings: ca_settings.Settings,
    at: datetime.datetime,
) -> certificates.CertificateFacts:
    """Judge a twin by our own rules and by pkilint, and return what it says.

    Raises:
        LintError: At least one rule is broken.
    """
    judged = _circumstances(twin_der, profile, issuer, settings)
    alike = None if judged is None else _KNOWN_FORMS.find(judged)
    try:
        certificate, facts = certificates.parse_with_facts(twin_der, alike=alike)
    except certificates.CertificateError as error:
        raise LintError((Finding("readable", error.message),)) from error
    twin = Twin(certificate, facts, profile, issuer, settings, at)
    findings = [
        Finding(rule.__name__.replace("_", "-"), message)
        for rule in (RULES if alike is None else _RULES_OF_EACH)
        for message in rule(twin)
    ]
    if alike is None:
        findings += judge_by_peer(twin_der, profile, settings)
    if findings:
        raise LintError(tuple(findings))
    if judged is not None and alike is None:
        _KNOWN_FORMS.learn(judged, facts)
    return facts


def _circumstances(
    twin_der: bytes,
    profile: profiles.CertificateProfile,
    issuer: authority.Issuer,
    settings: ca_settings.Settings,
) -> Hashable | None:
    """A twin's form with all else that judging it depends on but the time, where forms count.

    Where a certificate was found good in the same circumstances, only what may differ within one
    form is left to be judged.
    """
    # A server's name is in an extension too, which must fit the subject's: no form is like another.
    if not settings.lint_by_form or profile.dns_name:
        return None
    try:
        form = forms.form_of(twin_der)
    except der.DERError:
        return None  # It is judged in full, and refused.
    return form, profile, settings, issuer.name, issuer.subject_der, issuer.key_identifier


def judge_by_peer(
    twin_der: bytes, profile: profiles.CertificateProfile, settings: ca_settings.Settings
) -> Iterator[Finding]:
    """Judge a certificate by pkilint, whatever form it found good before."""
    for code in peer_lint.certificate_findings(twin_der, profile.peer_lint):
        if not _is_tolerated(code, settings):
            yield Finding("pkilint", code)
    if profile.peer_lint == profiles.SIGN.peer_lint:
        yield from _eidas_findings(twin_der, settings)


def _eidas_findings(twin_der: bytes, settings: ca_settings.Settings) -> Iterator[Finding]:
    """Judge by the Union's type, which alone makes pkilint look for Compliance, SSCD and Type.

    Outside the Union exactly one finding is right: that the country's legislation is stated.
    """
    found = [
        code
        for code in peer_lint.certificate_findings(twin_der, peer_lint.EIDAS_TYPE)
        if not _is_tolerated(code, settings)
    ]
    expected = [peer_lint.EIDAS_FINDING] if settings.legislation else []
    if found != expected:
        yield Finding("pkilint-eidas", f"expected {expected}, got {found}")


def _is_tolerated(code: str, settings: ca_settings.Settings) -> bool:
    # A sandbox lives on loopback, and its certificates must point there to be checked.
    if code != _PEER_INTERNAL_NAME or not settings.test:
        return False
    host = urllib.parse.urlsplit(settings.base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serial_number(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.1.2.2: positive, at most 20 octets; and long enough to be random."""
    number = twin.certificate.serial_number
    if number <= 0 or number.bit_length() > 8 * serials.MAX_OCTETS - 1:
        yield "expected a positive serial number of at most 20 octets"
    if number.bit_length() <= MIN_SERIAL_BITS:
        yield f"expected a serial number of more than {MIN_SERIAL_BITS} bits"


def signature_algorithm(twin: Twin) -> Iterator[str]:
    """TS 119 312: the hash that fits the issuer's key."""
    expected = twin.issuer.key_kind.hash_algorithm.short_name
    hasher = twin.certificate.signature_hash_algorithm
    if hasher is None or hasher.name != expected:
        yield f"expected a signature with {expected}"


def issuer_name(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.1.2.4: the issuer's own subject, byte by byte."""
    if twin.certificate.issuer.public_bytes() != twin.issuer.subject.public_bytes():
        yield "expected the name of the authority that signs"


def validity(twin: Twin) -> Iterator[str]:
    """EN 319 411-1 6.3: no longer than the profile says, nor than the issuer itself."""
    facts = twin.facts
    if facts.not_after - facts.not_before >= twin.profile.validity:
        yield f"expected at most {twin.profile.validity.days} days"
    if facts.not_after <= facts.not_before:
        yield "expected an end after the beginning"
    if facts.not_after > twin.issuer.not_after:
        yield "expected an end not after the issuer's"
    if abs(facts.not_before - twin.at) > datetime.timedelta(minutes=5):
        yield "expected a beginning at the time of issuance"


def key(twin: Twin) -> Iterator[str]:
    """TS 119 312: a kind of key that the profile certifies."""
    if twin.facts.key_kind not in twin.profile.key_kinds:
        yield "expected a key of another kind or size"
    if twin.facts.key_kind is not algorithms.KeyKind.RSA3072:
        return
    try:
        csr.check_exponent(twin.certificate.public_key())
    except errors.InputError as error:
        yield error.message


def key_usage(twin: Twin) -> Iterator[str]:
    """EN 319 412-2 4.3.2: exactly the profile's bits."""
    expected = twin.profile.usage_of(twin.certificate.public_key())
    if twin.facts.key_usage != expected:
        yield f"expected {sorted(one.name for one in expected)}"


def extended_key_usage(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.2.1.12: exactly the profile's purposes."""
    if twin.facts.extended_key_usage != twin.profile.extended_key_usage:
        yield f"expected {list(twin.profile.extended_key_usage)}"


def extensions(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.2: exactly the extensions that the profile calls for, critical where it must."""
    profile = twin.profile
    expected = {oids.AUTHORITY_KEY_IDENTIFIER, oids.SUBJECT_KEY_IDENTIFIER, oids.KEY_USAGE}
    conditions = {
        oids.BASIC_CONSTRAINTS: profile.authority or profile.denies_authority,
        oids.EXTENDED_KEY_USAGE: bool(profile.extended_key_usage),
        oids.CERTIFICATE_POLICIES: profile.policy is not None,
        oids.CRL_DISTRIBUTION_POINTS: profile.status is not profiles.StatusService.NONE,
        oids.FRESHEST_CRL: twin.names_deltas,
        oids.AUTHORITY_INFORMATION_ACCESS: profile.status is not profiles.StatusService.NONE,
        oids.OCSP_NO_CHECK: profile.ocsp_no_check,
        oids.PRIVATE_KEY_USAGE_PERIOD: profile.key_use is not None,
        oids.QC_STATEMENTS: profile.semantics is not None,
        oids.SUBJECT_ALTERNATIVE_NAME: profile.dns_name,
    }
    expected |= {name for name, wanted in conditions.items() if wanted}
    found = {one.oid.dotted_string: one.critical for one in twin.certificate.extensions}
    if missing := sorted(expected - set(found)):
        yield f"expected the extensions {missing}"
    if unexpected := sorted(set(found) - expected):
        yield f"expected no extensions {unexpected}"
    critical = set(CRITICAL)
    if profile.extended_key_usage_critical:
        critical.add(oids.EXTENDED_KEY_USAGE)
    for name, is_critical in found.items():
        if is_critical != (name in critical):
            yield f"expected {name} to be {'' if name in critical else 'not '}critical"


def basic_constraints(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.2.1.9: an authority where, and only where, the profile says so."""
    if twin.facts.is_authority != twin.profile.authority:
        yield f"expected cA to be {twin.profile.authority}"
    if twin.profile.authority and twin.facts.is_authority:
        found = twin.certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
        if found.path_length != twin.profile.path_length:
            yield f"expected the path length {twin.profile.path_length}"


def key_identifiers(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.2.1.1 and 4.2.1.2: the issuer's key and the subject's own."""
    if twin.facts.authority_key_identifier != twin.issuer.key_identifier:
        yield "expected the authority key identifier of the authority that signs"
    own = twin.certificate.public_key()
    if isinstance(own, ec.EllipticCurvePublicKey) or twin.facts.key_kind is not None:
        expected = x509.SubjectKeyIdentifier.from_public_key(own).digest
        if twin.facts.subject_key_identifier != expected:
            yield "expected the subject key identifier of the certified key"


def policies(twin: Twin) -> Iterator[str]:
    """EN 319 411-2 5.3: our own policy and exactly the profile's."""
    expected = drafts.policies_of(twin.profile, twin.settings)
    if twin.facts.policies != expected:
        yield f"expected the policies {list(expected)}"


def status_addresses(twin: Twin) -> Iterator[str]:
    """EN 319 412-2 4.4.1: where its status and its issuer are, as the profile says."""
    settings, name, status = twin.settings, twin.issuer.name, twin.profile.status
    addressed = status is not profiles.StatusService.NONE
    answered = status is profiles.StatusService.OCSP_AND_CRL
    if twin.facts.ocsp_urls != ((settings.status_url,) if answered else ()):
        yield "expected the address of the responder, or none where there is none"
    scopes = [settings.crl_scope(name, one) for one in twin.facts.crl_urls]
    if len(scopes) != int(addressed) or None in scopes:
        yield "expected the address of one CRL of the issuer, or none where there is none"
    if twin.facts.ca_issuers_urls != ((settings.certificate_url(name),) if addressed else ()):
        yield "expected the address of the issuer's certificate"


def delta_address(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.2.1.15: where deltas are, on the very CRL that the certificate names."""
    if not twin.names_deltas:
        return
    try:
        points = twin.certificate.extensions.get_extension_for_class(x509.FreshestCRL).value
    except x509.ExtensionNotFound:
        return
    settings, name = twin.settings, twin.issuer.name
    scopes = [settings.crl_scope(name, one) for one in twin.facts.crl_urls]
    expected = [
        settings.crl_url(name, one.partition, delta=True) for one in scopes if one is not None
    ]
    found = [one.value for point in points for one in point.full_name or ()]
    if found != expected or any(one.reasons or one.crl_issuer for one in points):
        yield "expected the address of the deltas on its CRL"


def qualified_compliance(twin: Twin) -> Iterator[str]:
    """EN 319 412-5 4.2.1: QcCompliance on qualified certificates and on no others."""
    if not twin.statements.readable:
        yield "expected statements that can be read"
    if twin.statements.compliance != twin.profile.qualified:
        yield f"expected QcCompliance to be {'present' if twin.profile.qualified else 'absent'}"


def qualified_device(twin: Twin) -> Iterator[str]:
    """EN 319 412-5 4.2.2: QcSSCD exactly together with the QSCD policy, and only where true."""
    claimed = twin.profile.secure_device
    if twin.statements.secure_device != claimed:
        yield f"expected QcSSCD to be {'present' if claimed else 'absent'}"
    if claimed and not twin.settings.secure_device:
        yield "expected no claim of a qualified device: the settings name none"


def qualified_type(twin: Twin) -> Iterator[str]:
    """EN 319 412-5 4.2.3: a person's is for electronic signatures, an organisation's for seals."""
    expected = () if twin.profile.qc_type is None else (twin.profile.qc_type,)
    if twin.statements.types != expected:
        yield f"expected QcType {list(expected)}"


def qualified_legislation(twin: Twin) -> Iterator[str]:
    """EN 319 412-5 4.2.4: the country's law outside the Union, nothing inside it."""
    expected = twin.settings.legislation if twin.profile.qualified else ()
    if twin.statements.legislation != expected:
        yield f"expected QcCClegislation {list(expected)}"


def qualified_disclosure(twin: Twin) -> Iterator[str]:
    """EN 319 412-5 4.3.4: disclosure statements over https, one of them in English."""
    found = twin.statements.pds
    if not twin.profile.qualified:
        if found:
            yield "expected no QcPDS"
        return
    if not any(one.language == "en" for one in found):
        yield "expected a disclosure statement in English"
    if any(urllib.parse.urlsplit(one.url).scheme != "https" for one in found):
        yield "expected disclosure statements over https"
    if found != twin.settings.pds:
        yield "expected the disclosure statements of the settings"


def qualified_others(twin: Twin) -> Iterator[str]:
    """Statements that no profile here makes are claims nobody checked."""
    if twin.statements.others:
        yield f"expected no statements {list(twin.statements.others)}"
    if twin.statements.semantics != twin.profile.semantics:
        yield f"expected the semantics identifier {twin.profile.semantics}"


def subject_country(twin: Twin) -> Iterator[str]:
    """EN 319 412-2 4.2.4: a country by its two capitals; people may be of any."""
    if twin.profile.subject is profiles.SubjectKind.FOREIGN_AUTHORITY:
        # Another country's authority, of whatever country but ours.
        if not twin.facts.country or twin.facts.country == twin.settings.country:
            yield "expected the capitals of another country"
    elif twin.profile.subject is profiles.SubjectKind.PERSON:
        if not person_codes.is_country(twin.facts.country or ""):
            yield "expected the capitals of a country"
    elif twin.facts.country not in person_codes.countries():
        yield "expected the capitals of a country that is served"


def subject_attributes(twin: Twin) -> Iterator[str]:
    """EN 319 412-2 4.2.4: what names a person, or a service of ours, each exactly once."""
    found = [one.oid.dotted_string for one in twin.certificate.subject]
    if len(found) != len(set(found)) or len(twin.certificate.subject.rdns) != len(found):
        yield "expected each attribute once and by itself"
    if twin.profile.subject is profiles.SubjectKind.FOREIGN_AUTHORITY:
        # The name is theirs to the letter; RFC 5280 4.1.2.6 asks for no more than that it be one.
        if not {oids.ORGANIZATION_NAME, oids.COMMON_NAME} & set(found):
            yield "expected an organisation or a common name in the subject"
        return
    needed, optional = _ATTRIBUTES[twin.profile.subject]
    if not needed <= set(found) <= needed | optional:
        yield "expected other attributes in the subject"
    if twin.profile.subject in _XROAD_SUBJECTS:
        return
    if (oids.ORGANIZATION_NAME in found) != (oids.ORGANIZATION_IDENTIFIER in found):
        yield "expected an organisation's name and number together"


def subject_text(twin: Twin) -> Iterator[str]:
    """RFC 5280 A.1: each value within its bound, in NFC, of characters that show."""
    if twin.profile.subject is profiles.SubjectKind.FOREIGN_AUTHORITY:
        return
    for one in twin.certificate.subject:
        try:
            subjects.check_text(one.rfc4514_attribute_name, str(one.value))
        except errors.InputError as error:
            yield error.message


def subject_identifier(twin: Twin) -> Iterator[str]:
    """EN 319 412-1 5.1.3 and 5.1.4: numbers by their country's rules, and of its country."""
    facts = twin.facts
    try:
        if twin.profile.subject is profiles.SubjectKind.PERSON:
            wanted = person_codes.person_identifier(
                facts.person_country or "", facts.person_code or ""
            )
            if facts.identifier != wanted:
                yield "expected the person's number after its own kind"
            if facts.person_country != facts.country:
                yield "expected the person's number to be of the subject's country"
            if not (facts.common_name or "").endswith(f",{facts.person_code}"):
                yield "expected the common name to end with the person's number"
        if twin.profile.subject in _XROAD_SUBJECTS:
            yield from _xroad_names(twin)
        foreign = twin.profile.subject is profiles.SubjectKind.FOREIGN_AUTHORITY
        if facts.organisation_identifier is not None and not foreign:
            found = person_codes.parse_identifier(facts.organisation_identifier)
            if found is None or found.kind != "NTR":
                yield "expected an organisation identifier of the kind NTR"
            else:
                person_codes.check_organisation_code(found.country, found.code)
    except errors.InputError as error:
        yield error.message


def _xroad_names(twin: Twin) -> Iterator[str]:
    """What X-Road's basic profiles read from a name, each part where they look for it."""
    facts = twin.facts
    person_codes.check_organisation_code(facts.country or "", facts.identifier or "")
    if twin.profile.subject is profiles.SubjectKind.MEMBER:
        if facts.common_name != facts.organisation:
            yield "expected the common name to be the member's name"
        category = twin.certificate.subject.get_attributes_for_oid(
            x509.ObjectIdentifier(oids.BUSINESS_CATEGORY)
        )
        subjects.check_member_class(str(category[0].value) if category else "")
    else:
        subjects.check_dns_name(facts.common_name or "")


def alternative_names(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.2.1.6: the server's one name, where the profile has it, and nothing else."""
    found = [
        one
        for extension in twin.certificate.extensions
        if isinstance(extension.value, x509.SubjectAlternativeName)
        for one in extension.value
    ]
    expected = [x509.DNSName(twin.facts.common_name or "")] if twin.profile.dns_name else []
    if found != expected:
        yield "expected the server's name as the only alternative name, or none"


def test_mark(twin: Twin) -> Iterator[str]:
    """A sandbox shows in both names that it is one, and nothing else shows it."""
    mark = subjects.TEST_MARK
    marked = mark in twin.facts.subject, mark in twin.issuer.subject_text
    if twin.settings.test and not all(marked):
        yield f"expected {mark} in the names of issuer and subject"


_OF_THE_FORM: frozenset[Callable[[Twin], Iterator[str]]] = frozenset(
    {
        signature_algorithm,
        issuer_name,
        key_usage,
        extended_key_usage,
        extensions,
        basic_constraints,
        key_identifiers,
        policies,
        status_addresses,
        qualified_compliance,
        qualified_device,
        qualified_type,
        qualified_legislation,
        qualified_disclosure,
        qualified_others,
        subject_country,
        alternative_names,
    }
)
"""The rules that look at nothing but what all certificates of one form have in common."""

RULES: tuple[Callable[[Twin], Iterator[str]], ...] = (
    serial_number,
    signature_algorithm,
    issuer_name,
    validity,
    key,
    key_usage,
    extended_key_usage,
    extensions,
    basic_constraints,
    key_identifiers,
    policies,
    status_addresses,
    delta_address,
    qualified_compliance,
    qualified_device,
    qualified_type,
    qualified_legislation,
    qualified_disclosure,
    qualified_others,
    subject_country,
    subject_attributes,
    subject_text,
    subject_identifier,
    alternative_names,
    test_mark,
)
"""Every rule; a certificate is signed only when none of them says anything."""

_RULES_OF_EACH = tuple(one for one in RULES if one not in _OF_THE_FORM)
"""The rules that judge a certificate whose form was found good."""
