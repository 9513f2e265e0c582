"""The forms that a validation report can have, and how a client chooses one."""

import enum
import json

from signing_service.reports import etsi, page, preferences, printed, sheet
from signing_service.reports.wording import Wording
from signing_service.validation import report


class Form(enum.Enum):
    """A form, by its media type."""

    JSON = "application/json"
    XML = "application/xml"
    HTML = "text/html"
    PDF = "application/pdf"


_NAMES = {
    **{one.value: one for one in Form},
    "text/xml": Form.XML,
    "text/*": Form.HTML,
    "application/*": Form.JSON,
    "*/*": Form.JSON,
}


def choose(accept: str) -> Form | None:
    """Return the form that a client likes best by its Accept header; None: none of ours."""
    for wish in preferences.ordered(accept or "*/*"):
        if wish in _NAMES:
            return _NAMES[wish]
    return None


def render(shown: report.ValidationReport, form: Form, words: Wording, *, detailed: bool) -> bytes:
    """Return a report in a form; language is for those that people read, detail for JSON too.

    Raises:
        NothingToReportError: XML of a document without a signature.
        FontError: The font of the PDF cannot be read.
    """
    if form is Form.JSON:
        return json.dumps(shown.to_json(detailed=detailed), ensure_ascii=False).encode()
    if form is Form.XML:
        return etsi.build(shown)
    told = sheet.make(shown.to_json(detailed=detailed), words, detailed=detailed)
    return page.set_sheet(told) if form is Form.HTML else printed.set_sheet(told)
