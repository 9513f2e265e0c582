"""The forms that a validation report can have, and how a client chooses one."""

import enum
import json
from collections.abc import Callable

from pki import terminal_text
from signing_service.reports import diagnostic, etsi, page, preferences, printed, sheet
from signing_service.reports.wording import Wording
from signing_service.validation import report
from signing_service.validation.diagnostics import diagnostic_data


class Form(enum.Enum):
    """A form, by its media type."""

    JSON = "application/json"
    XML = "application/xml"
    HTML = "text/html"
    PDF = "application/pdf"


class Kind(enum.Enum):
    """What a report tells."""

    SIMPLE = "simple"
    DETAILED = "detailed"
    ETSI = "etsi"
    """The XML of TS 119 102-2, whatever the client accepts."""
    DIAGNOSTIC = "diagnostic"
    """What was found before anything was judged, as JSON."""

    def form(self, wanted: Form | None) -> Form | None:
        """The form that the kind has; where it has several, the one that is wanted."""
        return {Kind.ETSI: Form.XML, Kind.DIAGNOSTIC: Form.JSON}.get(self, wanted)

    def extent(self, form: Form | None, *, values: bool) -> diagnostic_data.Extent:
        """How much diagnostic data has to be collected for a report of this kind in a form."""
        if self is not Kind.DIAGNOSTIC and form is not Form.XML:
            return diagnostic_data.Extent.NONE
        return diagnostic_data.Extent.VALUES if values else diagnostic_data.Extent.NAMES


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


def render(
    shown: report.ValidationReport,
    form: Form,
    words: Wording,
    kind: Kind,
    build_xml: Callable[[report.ValidationReport], bytes] = etsi.build,
    print_sheet: Callable[[sheet.Sheet], bytes] = printed.set_sheet,
) -> bytes:
    """Return a report in a form; language is for those that people read.

    Args:
        shown: The report.
        form: Its form.
        words: Its language.
        kind: What it tells.
        build_xml: Writes the XML of TS 119 102-2, for a service that signs it.
        print_sheet: Sets the PDF, for a service that does it in a process with limits.

    Raises:
        NothingToReportError: XML of a document without a signature.
        FontError: The font of the PDF cannot be read.
    """
    if form is Form.XML:
        return build_xml(shown)
    if kind is Kind.DIAGNOSTIC and shown.diagnostic is not None:
        return diagnostic.render(shown.diagnostic)
    detailed = kind is Kind.DETAILED
    told = shown.to_json(detailed=detailed)
    if form is Form.JSON:
        # Programs do not mind, and a terminal would obey what stands in a name.
        return terminal_text.printable_json(json.dumps(told, ensure_ascii=False)).encode()
    set_out = sheet.make(told, words, detailed=detailed)
    return page.set_sheet(set_out) if form is Form.HTML else print_sheet(set_out)
