"""Who a certificate names: the vetted person, and the names of our own services.

Names keep the letters that the identity document has. They are never put into upper case: that
turns Georgian into capitals hardly any font has, and Azerbaijani i into I.
"""

import dataclasses
import hashlib
import json
import unicodedata

from cryptography import x509

from ca import settings as ca_settings
from pki import errors, oids, person_codes, registration

MAX_NAME = 64
MAX_COMMON_NAME = 64
"""RFC 5280 A.1 ub-common-name; EN 319 412-2 allows more but many readers do not."""

TEST_MARK = "TEST"

_REFUSED_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Control characters, direction overrides, surrogates: a name holding one shows as another."""


class SubjectError(errors.InputError):
    """A name or number cannot stand in a certificate."""

    code = "subject-refused"


@dataclasses.dataclass(frozen=True)
class Applicant:
    """A person whose identity was checked, in the role they applied for."""

    category: registration.Category
    person: registration.Person
    organisation: registration.Organisation | None = None
    title: str | None = None

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
                "expected an organisation for business and official, and none for citizen"
            )
        if self.organisation is not None:
            check_text("organisation.name", self.organisation.name)
            person_codes.check_organisation_code(self.organisation.country, self.organisation.code)
        if self.title is not None:
            if self.organisation is None:
                raise SubjectError("expected a title only together with an organisation")
            check_text("title", self.title)


def check_text(field: str, text: str) -> None:
    """Check a text that stands in a name.

    Raises:
        SubjectError: Empty, too long, not in Unicode form NFC, with spaces around it, or with
            characters that do not show.
    """
    if not 1 <= len(text) <= MAX_NAME:
        raise SubjectError(f"expected {field} of 1 to {MAX_NAME} characters, got {len(text)}")
    if text != text.strip() or text != unicodedata.normalize("NFC", text):
        raise SubjectError(f"expected {field} in Unicode form NFC without spaces around it")
    if any(unicodedata.category(one) in _REFUSED_CATEGORIES for one in text):
        raise SubjectError(f"expected {field} without characters that do not show")


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


def request_hash(applicant: Applicant, vetting: registration.Vetting) -> str:
    """Return the hash that an approval is bound to: of everything that was applied for."""
    value = {
        "category": applicant.category.value,
        "person": dataclasses.asdict(applicant.person),
        "organisation": (
            None if applicant.organisation is None else dataclasses.asdict(applicant.organisation)
        ),
        "title": applicant.title,
        "vetting": dataclasses.asdict(vetting),
    }
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _name(parts: list[tuple[str, str]]) -> x509.Name:
    try:
        return x509.Name(
            [x509.NameAttribute(x509.ObjectIdentifier(dotted), text) for dotted, text in parts]
        )
    except ValueError as error:
        raise SubjectError("a part of the name does not fit into a certificate") from error
