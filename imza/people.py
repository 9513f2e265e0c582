"""The people of the sandbox: invented TEST persons and Mobile-ID's published test persons.

The published ones (SK ID Solutions' README of the Mobile-ID REST protocol) keep their phone
numbers, person codes and results, so that existing clients' own tests run against a sandbox.
"""

import dataclasses
import datetime

from pki import registration
from pki import vetting as vettings

MANUAL = "MANUAL"
"""No phone answers by itself; a person runs `imza mobile simulate`."""


@dataclasses.dataclass(frozen=True)
class Person:
    """A person of the sandbox.

    Attributes:
        surname: In the person's own script.
        given_name: Likewise.
        country: Whose person code it is, ISO 3166.
        person_code: FIN, personal number, personal code, or a passport as `PAS-U12345678`.
        role: Which issuing CA certifies the person: citizen, business or official.
        phone_number: With `+`, or None for somebody with a card alone.
        behaviour: What the person's phone does: a Mobile-ID result, or MANUAL.
        has_card: Whether a personalised card lies in a virtual reader.
    """

    surname: str
    given_name: str
    country: str
    person_code: str
    role: str = "citizen"
    organisation: registration.Organisation | None = None
    title: str | None = None
    phone_number: str | None = None
    behaviour: str = "OK"
    has_card: bool = False

    @property
    def name(self) -> str:
        """Given name and surname."""
        return f"{self.given_name} {self.surname}"

    @property
    def vetting(self) -> vettings.Vetting:
        """What the TEST registration officer saw."""
        passport = vettings.DocumentKind.PASSPORT
        seen = vettings.Document(
            passport, self.country, "TEST 0000001", datetime.date(2099, 12, 31)
        )
        return vettings.Vetting((seen,))

    @property
    def vetted(self) -> registration.Person:
        """The person as their identity document names them."""
        return registration.Person(self.country, self.person_code, self.surname, self.given_name)


MINISTRY = registration.Organisation("AZ", "9900000011", "TEST Rəqəmsal İnkişaf Nazirliyi")
COMPANY = registration.Organisation("AZ", "1400000021", "TEST Gənclik MMC")

CITIZEN = Person(
    "TEST Əliyeva", "Günay", "AZ", "5AB12CD", phone_number="+994500000001", has_card=True
)
OFFICIAL = Person(
    "TEST Məmmədov",
    "Elçin",
    "AZ",
    "7XY34ZK",
    role="official",
    organisation=MINISTRY,
    title="Baş məsləhətçi",
    phone_number="+994500000002",
    behaviour=MANUAL,
)

PEOPLE = (
    CITIZEN,
    OFFICIAL,
    Person(
        "TEST Hüseynov",
        "Rəşad",
        "AZ",
        "2MN56PQ",
        role="business",
        organisation=COMPANY,
        title="Direktor",
        phone_number="+994500000003",
        has_card=True,
    ),
    Person("TEST Quliyeva", "Şəbnəm", "AZ", "3KL78RS", phone_number="+994500000004"),
    Person(
        "TEST Abbasov", "Cavid", "AZ", "4TU90VW", phone_number="+994500000005",
        behaviour="USER_CANCELLED",
    ),
    Person(
        "TEST Nağıyev", "Orxan", "AZ", "6WX12YZ", phone_number="+994500000006", behaviour="TIMEOUT"
    ),
    Person("TEST ბერიძე", "ნინო", "GE", "01017000011", phone_number="+995500000001"),
    Person(
        "TEST Number", "One", "EE", "60001017869", phone_number="+37268000769"
    ),
    Person("TEST Number", "Two", "EE", "60001019906", phone_number="+37200000766"),
    Person("TEST Number", "Three", "EE", "60001018800", phone_number="+37200000566"),
    Person(
        "TEST Number", "Four", "EE", "60001019939", phone_number="+37200000266",
        behaviour="NOT_MID_CLIENT",
    ),
    Person(
        "TEST Number", "Five", "EE", "60001019947", phone_number="+37207110066",
        behaviour="DELIVERY_ERROR",
    ),
    Person(
        "TEST Number", "Six", "EE", "60001019950", phone_number="+37201100266",
        behaviour="USER_CANCELLED",
    ),
    Person(
        "TEST Number", "Seven", "EE", "60001019961", phone_number="+37200000666",
        behaviour="SIGNATURE_HASH_MISMATCH",
    ),
    Person(
        "TEST Number", "Eight", "EE", "60001019972", phone_number="+37201200266",
        behaviour="SIM_ERROR",
    ),
    Person(
        "TEST Number", "Nine", "EE", "60001019983", phone_number="+37213100266",
        behaviour="PHONE_ABSENT",
    ),
    Person(
        "TEST Number", "Ten", "LT", "50001018908", phone_number="+37066000266", behaviour="TIMEOUT"
    ),
)  # fmt: skip
"""Everybody; a phone that answers NOT_MID_CLIENT belongs to nobody that the gateway knows."""

HOLDER = Person("TEST Kərimova", "Leyla", "AZ", "8CD45EF")
"""Somebody who has neither card nor phone yet; the demo personalises a card for her."""

REGISTERED = (*PEOPLE, HOLDER)
"""Whom the sandbox's register knows."""
