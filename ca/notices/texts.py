"""What subscribers are told, in their language: plain, short, and without a link.

A message that never has a link teaches people to distrust those that do.
"""

import dataclasses
import datetime
import enum

from ca.subscribers import contacts
from pki import certificates, profiles

Language = contacts.Language


class Kind(enum.Enum):
    """What a message is about."""

    EXPIRES = "expires"
    ISSUED = "issued"
    HELD = "held"
    RELEASED = "released"
    REVOKED = "revoked"


@dataclasses.dataclass(frozen=True)
class Text:
    """A message for people."""

    subject: str
    body: str


_PURPOSES = {
    Language.AZERBAIJANI: {
        profiles.SIGN.name: "Elektron imza sertifikatınız",
        profiles.AUTHENTICATE.name: "Autentifikasiya sertifikatınız",
        "": "Sertifikatınız",
    },
    Language.GEORGIAN: {
        profiles.SIGN.name: "თქვენი ელექტრონული ხელმოწერის სერტიფიკატი",
        profiles.AUTHENTICATE.name: "თქვენი ავთენტიფიკაციის სერტიფიკატი",
        "": "თქვენი სერტიფიკატი",
    },
    Language.ENGLISH: {
        profiles.SIGN.name: "Your certificate for signatures",
        profiles.AUTHENTICATE.name: "Your certificate for authentication",
        "": "Your certificate",
    },
}

_TEXTS = {
    (Language.AZERBAIJANI, Kind.EXPIRES): Text(
        "Sertifikatınızın müddəti {end} tarixində bitir",
        "{purpose} (№ {number}) {end} tarixində qüvvədən düşür. Bu tarixədək onu yeniləyin və ya"
        " qeydiyyat mərkəzinə müraciət edin.",
    ),
    (Language.AZERBAIJANI, Kind.ISSUED): Text(
        "Sizə yeni sertifikat verildi",
        "{purpose} (№ {number}) {date} tarixində verildi, {end} tarixinədək etibarlıdır. Bunu siz"
        " istəməmisinizsə, dərhal onun ləğvini tələb edin.",
    ),
    (Language.AZERBAIJANI, Kind.HELD): Text(
        "Sertifikatınız dayandırıldı",
        "{purpose} (№ {number}) {date} tarixində müvəqqəti dayandırıldı. Bunu siz"
        " istəməmisinizsə, qeydiyyat mərkəzinə müraciət edin.",
    ),
    (Language.AZERBAIJANI, Kind.RELEASED): Text(
        "Sertifikatınız bərpa olundu",
        "{purpose} (№ {number}) {date} tarixindən yenidən etibarlıdır. Bunu siz"
        " istəməmisinizsə, dərhal onun ləğvini tələb edin.",
    ),
    (Language.AZERBAIJANI, Kind.REVOKED): Text(
        "Sertifikatınız ləğv edildi",
        "{purpose} (№ {number}) {date} tarixində ləğv edildi və daha istifadə oluna bilməz. Bunu"
        " siz istəməmisinizsə, qeydiyyat mərkəzinə müraciət edin.",
    ),
    (Language.GEORGIAN, Kind.EXPIRES): Text(
        "თქვენი სერტიფიკატის ვადა იწურება {end}",
        "{purpose} (№ {number}) ძალას კარგავს {end}. მანამდე განაახლეთ იგი ან მიმართეთ"
        " სარეგისტრაციო ცენტრს.",
    ),
    (Language.GEORGIAN, Kind.ISSUED): Text(
        "თქვენზე გაიცა ახალი სერტიფიკატი",
        "{purpose} (№ {number}) გაიცა {date}, ძალაშია {end}-მდე. თუ ეს თქვენ არ მოგითხოვიათ,"
        " დაუყოვნებლივ მოითხოვეთ მისი გაუქმება.",
    ),
    (Language.GEORGIAN, Kind.HELD): Text(
        "თქვენი სერტიფიკატი შეჩერებულია",
        "{purpose} (№ {number}) დროებით შეჩერდა {date}. თუ ეს თქვენ არ მოგითხოვიათ, მიმართეთ"
        " სარეგისტრაციო ცენტრს.",
    ),
    (Language.GEORGIAN, Kind.RELEASED): Text(
        "თქვენი სერტიფიკატი აღდგენილია",
        "{purpose} (№ {number}) კვლავ ძალაშია {date}-დან. თუ ეს თქვენ არ მოგითხოვიათ,"
        " დაუყოვნებლივ მოითხოვეთ მისი გაუქმება.",
    ),
    (Language.GEORGIAN, Kind.REVOKED): Text(
        "თქვენი სერტიფიკატი გაუქმებულია",
        "{purpose} (№ {number}) გაუქმდა {date} და მისი გამოყენება აღარ შეიძლება. თუ ეს თქვენ არ"
        " მოგითხოვიათ, მიმართეთ სარეგისტრაციო ცენტრს.",
    ),
    (Language.ENGLISH, Kind.EXPIRES): Text(
        "Your certificate ends on {end}",
        "{purpose} (no. {number}) ends on {end}. Renew it before then, or visit a registration"
        " office.",
    ),
    (Language.ENGLISH, Kind.ISSUED): Text(
        "A new certificate was issued to you",
        "{purpose} (no. {number}) was issued on {date} and is valid until {end}. If you did not"
        " ask for it, have it revoked at once.",
    ),
    (Language.ENGLISH, Kind.HELD): Text(
        "Your certificate is suspended",
        "{purpose} (no. {number}) was suspended on {date}. If you did not ask for this, contact a"
        " registration office.",
    ),
    (Language.ENGLISH, Kind.RELEASED): Text(
        "Your certificate is valid again",
        "{purpose} (no. {number}) is valid again since {date}. If you did not ask for this, have"
        " it revoked at once.",
    ),
    (Language.ENGLISH, Kind.REVOKED): Text(
        "Your certificate is revoked",
        "{purpose} (no. {number}) was revoked on {date} and cannot be used any more. If you did"
        " not ask for this, contact a registration office.",
    ),
}

_CLOSINGS = {
    Language.AZERBAIJANI: "Biz heç vaxt PIN kod və ya parol soruşmuruq.",
    Language.GEORGIAN: "ჩვენ არასოდეს გთხოვთ PIN-კოდს ან პაროლს.",
    Language.ENGLISH: "We never ask for PINs or passwords.",
}


def write(
    kind: Kind,
    language: contacts.Language,
    *,
    profile: str,
    serial_number: int,
    happened_at: datetime.datetime,
    not_after: datetime.datetime,
) -> Text:
    """Return a message; it names the certificate by its use and the end of its serial number.

    Days are those of UTC, which are at most hours off the reader's.
    """
    purposes = _PURPOSES[language]
    values = {
        "purpose": purposes.get(profile, purposes[""]),
        "number": f"…{certificates.serial_text(serial_number)[-8:]}",
        "date": happened_at.strftime("%d.%m.%Y"),
        "end": not_after.strftime("%d.%m.%Y"),
    }
    text = _TEXTS[language, kind]
    return Text(text.subject.format(**values), text.body.format(**values))


def close(body: str, language: contacts.Language, organisation: str) -> str:
    """A body as a letter ends: who writes, and what they never ask for."""
    return f"{body}\n\n{_CLOSINGS[language]}\n\n{organisation}\n"
