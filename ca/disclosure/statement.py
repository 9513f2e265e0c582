"""Composing a statement: the wording of a language with the facts of an installation."""

import dataclasses
import datetime
import decimal
import hashlib
import json
from collections.abc import Mapping

from ca import drafts, subjects
from ca import settings as ca_settings
from ca.disclosure import azerbaijani, english, georgian, settings, wording
from ca.disclosure.wording import Condition
from ca.trusted_list import scheme as schemes
from pki import person_codes, profiles

WORDINGS: Mapping[str, wording.Wording] = {
    one.WORDING.language: one.WORDING for one in (azerbaijani, georgian, english)
}

NO_BREAK_SPACE = "\u00a0"


@dataclasses.dataclass(frozen=True)
class Line:
    """A fact with what it is called; an address that can be followed stands beside it."""

    label: str
    text: str
    url: str | None = None


@dataclasses.dataclass(frozen=True)
class Section:
    """A section with everything filled in."""

    name: str
    heading: str
    paragraphs: tuple[str, ...]
    lines: tuple[Line, ...]
    points: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Statement:
    """A statement in one language, ready to be set.

    Attributes:
        operator: Whose it is.
        version: Of the statement.
        effective: Since when.
        notice: Above everything; empty but for a test installation.
    """

    wording: wording.Wording
    operator: str
    version: str
    effective: datetime.date
    notice: str
    introduction: tuple[str, ...]
    sections: tuple[Section, ...]

    @property
    def language(self) -> str:
        """ISO 639-1."""
        return self.wording.language


def compose(own: settings.Settings, installation: ca_settings.Settings, language: str) -> Statement:
    """Return the statement of an installation in one of its languages.

    Raises:
        DisclosureSettingsError: A real installation's settings hold placeholders.
    """
    if not installation.test:
        own.check_no_placeholders()
    chosen = WORDINGS[language]
    facts = _facts(own, installation, language)
    true = _conditions(own, installation)

    def said(sentences: tuple[wording.Sentence, ...]) -> tuple[str, ...]:
        return tuple(one.text.format_map(facts) for one in sentences if one.condition in true)

    return Statement(
        wording=chosen,
        operator=facts["operator"],
        version=own.version,
        effective=own.effective,
        notice=chosen.test_notice if installation.test else "",
        introduction=said(chosen.introduction),
        sections=tuple(
            Section(
                one.name,
                one.heading,
                said(one.paragraphs),
                tuple(
                    Line(fact.label, facts[fact.name], _link(facts[fact.name]))
                    for fact in one.facts
                    if fact.condition in true
                ),
                said(one.points),
            )
            for one in chosen.sections
        ),
    )


def operator_name(installation: ca_settings.Settings) -> str:
    """Who runs an installation, as its authorities' certificates name it."""
    mark = f"{subjects.TEST_MARK} " if installation.test else ""
    return f"{mark}{installation.organisation_name}"


def facts_sha256(own: settings.Settings, installation: ca_settings.Settings) -> str:
    """Return the hash of everything in a statement that comes from settings.

    Two statements of one version have the same, whatever the software's own wording is.
    """
    said = {language: _facts(own, installation, language) for language in sorted(own.languages)}
    conditions = sorted(one.value for one in _conditions(own, installation))
    text = json.dumps([own.effective.isoformat(), said, conditions], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _conditions(own: settings.Settings, installation: ca_settings.Settings) -> frozenset[Condition]:
    real_device = installation.keys_in_secure_devices and not installation.test
    no_device = not installation.keys_in_secure_devices and not installation.test
    limited = own.reliance_limit is not None
    held = {
        Condition.ALWAYS: True,
        Condition.TEST: installation.test,
        Condition.REAL: not installation.test,
        Condition.SECURE_DEVICE: real_device,
        Condition.NO_SECURE_DEVICE: no_device,
        Condition.RELIANCE_LIMIT: limited,
        Condition.NO_RELIANCE_LIMIT: not limited,
        Condition.REFUND: own.refund_days > 0,
        Condition.NO_REFUND: own.refund_days == 0,
        Condition.TRUSTED_LIST: installation.trusted_list is not None,
    }
    return frozenset(one for one, true in held.items() if true)


def _facts(
    own: settings.Settings, installation: ca_settings.Settings, language: str
) -> dict[str, str]:
    """Every fact that a wording may name, as text."""
    signing = profiles.subscriber_profile(
        profiles.SIGN.name, secure_device=installation.secure_device
    )
    seal = profiles.subscriber_profile(profiles.SEAL.name, secure_device=installation.secure_device)
    years = profiles.SUBSCRIBER_VALIDITY.days // 365
    listed = ""
    if installation.trusted_list is not None:
        scheme = schemes.of(installation)
        listed = scheme.url(scheme.variants[0])
    return {
        "operator": operator_name(installation),
        "operator_identifier": person_codes.organisation_identifier(
            installation.country, installation.organisation_code
        ),
        "address": own.address,
        "email": own.email,
        "telephone": own.telephone,
        "website": own.website,
        "revocation_telephone": own.revocation_telephone,
        "revocation_url": own.revocation_url,
        "signing_policies": ", ".join(drafts.policies_of(signing, installation)),
        "authentication_policies": ", ".join(
            drafts.policies_of(profiles.AUTHENTICATE, installation)
        ),
        "seal_policies": ", ".join(drafts.policies_of(seal, installation)),
        "xroad_policies": ", ".join(
            policy
            for one in (profiles.XROAD_AUTHENTICATE, profiles.XROAD_SIGN)
            for policy in drafts.policies_of(one, installation)
        ),
        "validity_years": str(years),
        "reliance_limit": _amount(own.reliance_limit, own.currency),
        "liability_limit": _amount(own.liability_limit, own.currency),
        "retention_years": str(own.retention_years),
        "ocsp_url": installation.status_url,
        "crl_url": installation.crl_url("*"),
        "trusted_list_url": listed,
        "policy_url": own.policy_url,
        "practice_statement_url": own.practice_statement_url,
        "terms_url": own.terms_url,
        "privacy_url": own.privacy_url,
        "refund_days": str(own.refund_days),
        "law": own.text("law", language),
        "courts": own.text("courts", language),
        "complaints_email": own.complaints_email,
        "complaints_days": str(own.complaints_days),
        "supervisory_body": own.text("supervisory_body", language),
        "supervisory_url": own.supervisory_url,
        "audits": own.text("audits", language),
        "repository_url": installation.base_url,
    }


def _amount(value: decimal.Decimal | None, currency: str) -> str:
    """An amount with its currency, thousands apart, and never broken over two lines."""
    if value is None:
        return ""
    digits = f"{value:,}".replace(",", NO_BREAK_SPACE)
    return f"{digits}{NO_BREAK_SPACE}{currency}"


def _link(text: str) -> str | None:
    if "*" in text:
        return None
    if text.startswith(("https://", "http://")):
        return text
    if text.startswith("+") and text[1:].isdigit():
        return f"tel:{text}"
    if "@" in text and " " not in text:
        return f"mailto:{text}"
    return None
