"""What the texts of a statement are made of; each language has a module with its own.

The headings are those of EN 319 411-1 Annex A, in its order.
"""

import dataclasses
import enum

SECTIONS = (
    "contact",
    "certificates",
    "reliance",
    "subscribers",
    "status",
    "warranty",
    "agreements",
    "privacy",
    "refund",
    "law",
    "audit",
)
"""The rows of EN 319 411-1 Annex A, by a short name that is the anchor of a page."""


class Condition(enum.Enum):
    """When a sentence stands in a statement."""

    ALWAYS = "always"
    TEST = "test"
    REAL = "real"
    SECURE_DEVICE = "secure-device"
    NO_SECURE_DEVICE = "no-secure-device"
    RELIANCE_LIMIT = "reliance-limit"
    NO_RELIANCE_LIMIT = "no-reliance-limit"
    REFUND = "refund"
    NO_REFUND = "no-refund"
    TRUSTED_LIST = "trusted-list"


@dataclasses.dataclass(frozen=True)
class Sentence:
    """A text with `{names}` of facts, and when it is said."""

    text: str
    condition: Condition = Condition.ALWAYS


@dataclasses.dataclass(frozen=True)
class Fact:
    """A line of a list of facts: what it is called, and which one it is."""

    label: str
    name: str
    condition: Condition = Condition.ALWAYS


@dataclasses.dataclass(frozen=True)
class SectionWording:
    """One section: a heading, paragraphs, facts, and points."""

    name: str
    heading: str
    paragraphs: tuple[Sentence, ...] = ()
    facts: tuple[Fact, ...] = ()
    points: tuple[Sentence, ...] = ()


@dataclasses.dataclass(frozen=True)
class Wording:
    """A whole statement in one language.

    Attributes:
        language: ISO 639-1.
        language_name: As its speakers write it.
        title: Of the statement.
        index_title: Of the page that lists the statements.
        test_notice: What stands above everything of a test installation.
        introduction: What stands before the first section.
        sections: In the order of `SECTIONS`.
        contents: Above the list of sections.
        languages: Above the choice of languages.
        version: What comes before a version's number.
        effective: What comes before a date.
        as_pdf: What leads to the PDF.
        all_versions: What leads to the index.
        current: What marks the version in force.
        earlier: What marks an older version.
        digest: What comes before a hash.
        page: What comes before the number of a page.
    """

    language: str
    language_name: str
    title: str
    index_title: str
    test_notice: str
    introduction: tuple[Sentence, ...]
    sections: tuple[SectionWording, ...]
    contents: str
    languages: str
    version: str
    effective: str
    as_pdf: str
    all_versions: str
    current: str
    earlier: str
    digest: str
    page: str
