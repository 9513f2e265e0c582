"""Who a certificate names: a vetted person or organisation, and the names of our own services.

Names keep the letters that the identity document has. They are never put into upper case: that
turns Georgian into capitals hardly any font has, and Azerbaijani i into I.
"""

import dataclasses
import re
import unicodedata

from cryptography import x509

from ca import settings as ca_settings
from pki import errors, oids, person_codes, profiles, registration

MAX_NAME = 64
MAX_COMMON_NAME = 64
"""RFC 5280 A.1 ub-common-name; EN 319 412-2 allows more but many readers do not."""

TEST_MARK = "TEST"

_MEMBER_CLASS = re.compile(r"[A-Z][A-Z0-9_-]{1,19}")
_DNS_LABEL = r"(?!-)[a-z0-9-]{1,63}(?<!-)"
_DNS_NAME = re.compile(rf"{_DNS_LABEL}(\.{_DNS_LABEL})+")

XROAD_PROFILES = frozenset(
    one.name
    for one in (
        profiles.XROAD_AUTHENTICATE,
        profiles.XROAD_AUTHENTICATE_ACME,
        profiles.XROAD_SIGN,
    )
)
DEFAULT_PROFILES = tuple(sorted(profiles.PERSON_NAMES))
"""What a person gets who did not say otherwise."""

_NAMED_PROFILES = XROAD_PROFILES - {profiles.XROAD_SIGN.name}

_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control characters, direction overrides, surrogates: a name holding one shows as another."""


class SubjectError(errors.InputError):
    """A name or number cannot stand in a certificate."""

    code = "subject-refused"


@dataclasses.dataclass(frozen=True)
class Applicant:
    """Somebody in the role that they applied for.

    Attributes:
        category: The role.
        person: Who is certified, or who acts for the organisation that is.
        organisation: For whom a business person or an official acts, or what is certified.
        title: The person's position there.
        profile_names: What certificates may be issued, sorted.
        server: What X-Road's profiles name besides.
    """

    category: registration.Category
    person: registration.Person
    organisation: registration.Organisation | None = None
    title: str | None = None
    profile_names: tuple[str, ...] = DEFAULT_PROFILES
    server: registration.Server | None = None

    def __post_init__(self) -> None:
        """Refuse what no certificate could say."""
        check_text("surname", self.person.surname)
        check_text("given_name", self.person.given_name)
        person_codes.check_person_code(self.person.country, self.person.person_code)
        # The common name joins its parts by commas, as Mobile-ID clients take it apart.
        if "," in self.person.surname + self.person.given_name:
            raise SubjectError("expected names without a comma")
        wanted = self.category is not registration.Category.CITIZEN
        if wanted != (self.organisation is not None):
            raise SubjectError(
                "expected an organisation for business, official and organisation,"
                " and none for citizen"
            )
        if self.organisation is not None:
            check_text("organisation.name", self.organisation.name)
            person_codes.check_organisation_code(self.organisation.country, self.organisation.code)
        if self.title is not None:
            if self.organisation is None:
                raise SubjectError("expected a title only together with an organisation")
            check_text("title", self.title)
        self._check_profiles()

    def _check_profiles(self) -> None:
        allowed: tuple[str, ...] = profiles.PERSON_NAMES
        if self.category is registration.Category.ORGANISATION:
            allowed = profiles.ORGANISATION_NAMES
        if not self.profile_names or not set(self.profile_names) <= set(allowed):
            raise SubjectError(
                f"expected profiles of {', '.join(allowed)} for {self.category.value}"
            )
        if tuple(sorted(set(self.profile_names))) != self.profile_names:
            raise SubjectError("expected profiles in the order of their names, each once")
        if XROAD_PROFILES.isdisjoint(self.profile_names):
            if self.server is not None:
                raise SubjectError("expected a server only together with X-Road's profiles")
            return
        if self.server is None:
            raise SubjectError("expected a server with its member class for X-Road's profiles")
        check_member_class(self.server.member_class)
        if self.server.dns_name is not None:
            check_dns_name(self.server.dns_name)
        elif not _NAMED_PROFILES.isdisjoint(self.profile_names):
            raise SubjectError("expected the server's DNS name for its authentication certificate")


def check_member_class(text: str) -> None:
    """Check the class of an X-Road member, such as GOV or COM.

    Raises:
        SubjectError: Another shape.
    """
    if not _MEMBER_CLASS.fullmatch(text):
        raise SubjectError("expected a member class of 2 to 20 capitals and digits, such as GOV")


def check_dns_name(text: str) -> None:
    """Check the DNS name of a server: lower case, no wildcard, short enough for a common name.

    Raises:
        SubjectError: Another shape.
    """
    if len(text) > MAX_COMMON_NAME or not _DNS_NAME.fullmatch(text) or text[-1].isdigit():
        raise SubjectError(
            f"expected a DNS name in lower case of at most {MAX_COMMON_NAME} characters,"
            " such as ss1.example.az"
        )


def check_text(field: str, text: str, *, limit: int = MAX_NAME) -> None:
    """Check a text that stands in a name.

    Raises:
        SubjectError: Empty, too long, not in Unicode form NFC, with spaces around it, or with
            characters that do not show.
    """
    if not 1 <= len(text) <= limit:
        raise SubjectError(f"expected {field} of 1 to {limit} characters, got {len(text)}")
    if text != text.strip() or not unicodedata.is_normalized("NFC", text):
        raise SubjectError(f"expected {field} in Unicode form NFC without spaces around it")
    if not _REFUSED_CATEGORIES.isdisjoint(map(unicodedata.category, text)):
        raise SubjectError(f"expected {field} without characters that do not show")


def subject_of(
    applicant: Applicant, kind: profiles.SubjectKind, settings: ca_settings.Settings
) -> x509.Name:
    """Return whom a certificate of an applicant names.

    Raises:
        SubjectError: A part of the name does not fit, or the applicant has no such name.
    """
    if kind is profiles.SubjectKind.PERSON:
        return subject_name(applicant, settings)
    if applicant.organisation is None:
        raise SubjectError("expected an organisation to be named")
    if kind is profiles.SubjectKind.ORGANISATION:
        return _seal_name(applicant.organisation, settings)
    if applicant.server is None:
        raise SubjectError("expected a server to be named")
    return _xroad_name(applicant.organisation, applicant.server, kind, settings)


def subject_name(applicant: Applicant, settings: ca_settings.Settings) -> x509.Name:
    """Return the subject of a person's certificate (EN 319 412-2 4.2.4).

    The common name is `SURNAME,GIVEN,CODE`, which Mobile-ID clients take apart. Where it would
    grow too long, the names in it are cut; surname and givenName have them whole.
    """
    person = applicant.person
    surname = person.surname
    if settings.test and TEST_MARK not in f"{person.surname} {person.given_name}":
        surname = f"{TEST_MARK} {surname}"
    room = MAX_COMMON_NAME - len(person.person_code) - 2
    given_name = person.given_name
    if len(surname) + len(given_name) > room:
        given_name = given_name[: max(room - len(surname), room // 2)].rstrip()
    common_name = f"{surname[: room - len(given_name)].rstrip()},{given_name},{person.person_code}"
    parts = [(oids.COUNTRY_NAME, person.country)]
    if applicant.organisation is not None:
        organisation = applicant.organisation
        parts.append((oids.ORGANIZATION_NAME, organisation.name))
        parts.append(
            (
                oids.ORGANIZATION_IDENTIFIER,
                person_codes.organisation_identifier(organisation.country, organisation.code),
            )
        )
        if applicant.title is not None:
            parts.append((oids.TITLE, applicant.title))
    parts += [
        (oids.COMMON_NAME, common_name),
        (oids.SURNAME, surname),
        (oids.GIVEN_NAME, person.given_name),
        (
            oids.SERIAL_NUMBER,
            person_codes.person_identifier(person.country, person.person_code),
        ),
    ]
    return _name(parts)


def _seal_name(
    organisation: registration.Organisation, settings: ca_settings.Settings
) -> x509.Name:
    """EN 319 412-3 4.2.1: country, name, number and common name, each exactly once."""
    name = _marked(organisation, settings)
    return _name(
        [
            (oids.COUNTRY_NAME, organisation.country),
            (oids.ORGANIZATION_NAME, name),
            (
                oids.ORGANIZATION_IDENTIFIER,
                person_codes.organisation_identifier(organisation.country, organisation.code),
            ),
            (oids.COMMON_NAME, name),
        ]
    )


def _xroad_name(
    organisation: registration.Organisation,
    server: registration.Server,
    kind: profiles.SubjectKind,
    settings: ca_settings.Settings,
) -> x509.Name:
    """X-Road's basic profiles: the member's code is the organisation's number."""
    name = _marked(organisation, settings)
    parts = [(oids.COUNTRY_NAME, organisation.country), (oids.ORGANIZATION_NAME, name)]
    if kind is profiles.SubjectKind.MEMBER:
        parts += [(oids.BUSINESS_CATEGORY, server.member_class), (oids.COMMON_NAME, name)]
    else:
        parts.append((oids.COMMON_NAME, server.dns_name or ""))
    return _name([*parts, (oids.SERIAL_NUMBER, organisation.code)])


def _marked(organisation: registration.Organisation, settings: ca_settings.Settings) -> str:
    name = organisation.name
    if settings.test and TEST_MARK not in name:
        name = f"{TEST_MARK} {name}"
    check_text("organisation.name", name)
    return name


def service_name(title: str, settings: ca_settings.Settings) -> x509.Name:
    """Return the name of an authority or a service of ours (EN 319 412-2 4.2.3.1)."""
    mark = f"{TEST_MARK} " if settings.test else ""
    return _name(
        [
            (oids.COUNTRY_NAME, settings.country),
            (oids.ORGANIZATION_NAME, f"{mark}{settings.organisation_name}"),
            (
                oids.ORGANIZATION_IDENTIFIER,
                person_codes.organisation_identifier(settings.country, settings.organisation_code),
            ),
            (oids.COMMON_NAME, f"{mark}{settings.country} {title}"),
        ]
    )


def _name(parts: list[tuple[str, str]]) -> x509.Name:
    try:
        return x509.Name(
            [x509.NameAttribute(x509.ObjectIdentifier(dotted), text) for dotted, text in parts]
        )
    except ValueError as error:
        raise SubjectError("a part of the name does not fit into a certificate") from error
