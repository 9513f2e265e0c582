"""What the sandbox's disclosure statements say: TEST values that promise nothing to anybody."""

import datetime
from collections.abc import Mapping

LANGUAGES = ("az", "ka", "en")


def addresses(base_url: str) -> list[dict[str, str]]:
    """The addresses of the statements, as certificates carry them.

    Args:
        base_url: The zone's address over https.
    """
    return [{"url": f"{base_url}/pds/{one}", "language": one} for one in LANGUAGES]


def section(base_url: str) -> Mapping[str, object]:
    """The section `[disclosure]` of a sandbox."""
    return {
        "version": "1.0",
        "effective": datetime.date(2026, 11, 1),
        "address": "TEST, Bakı, AZ1000",
        "email": "test@localhost",
        "telephone": "+994000000000",
        "website": f"{base_url}/",
        "revocation_telephone": "+994000000000",
        "revocation_url": f"{base_url}/",
        "policy_url": f"{base_url}/pds/",
        "practice_statement_url": f"{base_url}/pds/",
        "terms_url": f"{base_url}/pds/",
        "privacy_url": f"{base_url}/pds/",
        "complaints_email": "test@localhost",
        "complaints_days": 30,
        "supervisory_body": _texts(
            "TEST: sınaq qurğusuna heç kim nəzarət etmir",
            "TEST: საცდელ სისტემას არავინ ზედამხედველობს",
            "TEST: nobody supervises a test installation",
        ),
        "supervisory_url": f"{base_url}/",
        "law": _texts(
            "TEST: heç bir qanun sınaq sertifikatına hüquqi qüvvə vermir.",
            "TEST: საცდელ სერტიფიკატს იურიდიულ ძალას არცერთი კანონი არ ანიჭებს.",
            "TEST: no law gives a test certificate legal effect.",
        ),
        "courts": _texts(
            "TEST: sınaq qurğusu barədə mübahisə olmur.",
            "TEST: საცდელი სისტემის შესახებ დავა არ არსებობს.",
            "TEST: there are no disputes about a test installation.",
        ),
        "audits": _texts(
            "TEST: heç bir qurum sınaq qurğusunu qiymətləndirməyib.",
            "TEST: საცდელი სისტემა არცერთ ორგანოს არ შეუფასებია.",
            "TEST: no body has assessed a test installation.",
        ),
        "liability_limit": "1",
        "reliance_limit": "1",
        "currency": "AZN",
        "retention_years": 7,
        "refund_days": 0,
        "languages": list(LANGUAGES),
    }


def _texts(azerbaijani: str, georgian: str, english: str) -> list[dict[str, str]]:
    pairs = zip(LANGUAGES, (azerbaijani, georgian, english), strict=True)
    return [{"language": language, "text": text} for language, text in pairs]
