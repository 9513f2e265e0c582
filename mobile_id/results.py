"""What a phone is asked for, and how it can end, in the words of Mobile-ID REST."""

import enum

from pki import algorithms


class Operation(enum.Enum):
    """What the person is asked to do; each has a key and a PIN of its own on the SIM."""

    AUTHENTICATION = "authentication"
    SIGNATURE = "signature"


class Result(enum.Enum):
    """How a session ended (Mobile-ID REST 3.3.8)."""

    OK = "OK"
    TIMEOUT = "TIMEOUT"
    NOT_MID_CLIENT = "NOT_MID_CLIENT"
    USER_CANCELLED = "USER_CANCELLED"
    SIGNATURE_HASH_MISMATCH = "SIGNATURE_HASH_MISMATCH"
    PHONE_ABSENT = "PHONE_ABSENT"
    DELIVERY_ERROR = "DELIVERY_ERROR"
    SIM_ERROR = "SIM_ERROR"


class CertificateResult(enum.Enum):
    """How the look-up of a signing certificate ended (Mobile-ID REST 3.1.7)."""

    OK = "OK"
    NOT_FOUND = "NOT_FOUND"
    NOT_ACTIVE = "NOT_ACTIVE"


class Language(enum.Enum):
    """The language of the dialogue on the phone; AZE is our extension."""

    EST = "EST"
    ENG = "ENG"
    RUS = "RUS"
    LIT = "LIT"
    AZE = "AZE"


HASH_TYPES = {
    "SHA256": algorithms.HashAlgorithm.SHA256,
    "SHA384": algorithms.HashAlgorithm.SHA384,
    "SHA512": algorithms.HashAlgorithm.SHA512,
}
"""Hash algorithms as the protocol spells them (Mobile-ID REST 2.3.1)."""

HASH_TYPE_NAMES = {algorithm: name for name, algorithm in HASH_TYPES.items()}

REFUSABLE = frozenset(
    {Result.USER_CANCELLED, Result.PHONE_ABSENT, Result.DELIVERY_ERROR, Result.SIM_ERROR}
)
"""The reasons that a phone, or the network on its behalf, may give for not answering."""


def language_for(language: Language, phone_number: str) -> Language:
    """Return the language that a number is really asked in (Mobile-ID REST 3.2.3).

    SIMs of Lithuania know no Estonian and SIMs of Estonia no Lithuanian: both get English.
    """
    if language is Language.EST and phone_number.startswith("+370"):
        return Language.ENG
    if language is Language.LIT and phone_number.startswith("+372"):
        return Language.ENG
    return language
