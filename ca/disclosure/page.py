"""A statement as a page: one file without scripts, fonts or anything else from elsewhere.

The page is built as a tree, so that whatever a setting holds is text and never markup.
"""

import base64
import dataclasses
import hashlib
from collections.abc import Iterable, Mapping, Sequence

from lxml import etree, html

from ca.disclosure import statement as statements
from ca.disclosure import wording

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #57606a; --line: #d0d7de;
  --link: #0b57a4; --warn: #8a1c1c; --warn-paper: #fff1f0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --paper: #14171a; --soft: #a2abb5;
  --line: #3a4149; --link: #8abaf5; --warn: #ffb3ad; --warn-paper: #3a1614; } }
* { box-sizing: border-box; }
html { font: 100%/1.6 "Noto Sans", "DejaVu Sans", "Segoe UI", system-ui, sans-serif;
  color: var(--ink); background: var(--paper); -webkit-text-size-adjust: 100%; }
body { max-width: 46rem; margin: 0 auto; padding: 1.25rem 1.25rem 4rem; overflow-wrap: break-word; }
a { color: var(--link); }
a:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
nav ul { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap;
  gap: .25rem 1.25rem; }
nav [aria-current] { font-weight: 700; color: var(--ink); text-decoration: none; }
.notice { margin: 1.25rem 0; padding: .75rem 1rem; color: var(--warn);
  background: var(--warn-paper); border: 2px solid var(--warn); font-weight: 700; }
h1 { font-size: 1.75rem; line-height: 1.25; margin: 1.5rem 0 .5rem; }
h2 { font-size: 1.2rem; line-height: 1.35; margin: 2.25rem 0 .5rem; padding-top: .75rem;
  border-top: 1px solid var(--line); }
p, ul, ol, dl { margin: .6rem 0; }
.facts { display: grid; grid-template-columns: minmax(9rem, 15rem) minmax(0, 1fr);
  gap: .3rem 1.25rem; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; }
.about { color: var(--soft); }
.contents { columns: 18rem 2; column-gap: 3rem; padding-left: 1.75rem; }
code { font-family: "Noto Sans Mono", "DejaVu Sans Mono", monospace; font-size: .85em;
  overflow-wrap: anywhere; }
@media (max-width: 34rem) { .facts { grid-template-columns: 1fr; gap: 0; }
  .facts dd { margin-bottom: .6rem; } h1 { font-size: 1.45rem; } .contents { columns: 1; } }
@media print { :root { --ink: #000; --paper: #fff; --soft: #333; --line: #999; --link: #000;
  --warn: #000; --warn-paper: #fff; } html { font-size: 10.5pt; }
  body { max-width: none; padding: 0; }
  nav { display: none; } h2 { break-after: avoid; } li, dd, p { break-inside: avoid; } }
"""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing but the page's own style; neither scripts nor anything that is fetched."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """One published statement as the index shows it."""

    version: str
    language: str
    effective: str
    pdf_sha256: str


def set_statement(one: statements.Statement, languages: Sequence[str], pdf_sha256: str) -> bytes:
    """Return the page of a statement, in UTF-8.

    Args:
        one: The statement.
        languages: In which it exists.
        pdf_sha256: The hash of the same statement as PDF, in hex.
    """
    words = one.wording
    here = f"/pds/{one.version}"
    main = [
        _tag("h1", words.title),
        _tag(
            "p",
            {"class": "about"},
            f"{one.operator}. {words.version} {one.version}. {words.effective}: ",
            _tag("time", {"datetime": one.effective.isoformat()}, one.effective.isoformat()),
        ),
        *(_tag("p", text) for text in one.introduction),
        _tag(
            "nav",
            {"aria-label": words.contents},
            _tag(
                "ol",
                {"class": "contents"},
                *(
                    _tag("li", _tag("a", {"href": f"#{part.name}"}, part.heading))
                    for part in one.sections
                ),
            ),
        ),
        *(_section(part) for part in one.sections),
    ]
    footer = _tag(
        "footer",
        _tag("h2", {"id": "document"}, words.as_pdf),
        _tag(
            "p",
            _tag(
                "a",
                {
                    "href": f"{here}/{one.language}.pdf",
                    "type": "application/pdf",
                    "hreflang": one.language,
                },
                words.as_pdf,
            ),
        ),
        _tag("p", {"class": "about"}, f"{words.digest}: ", _tag("code", pdf_sha256)),
        _tag("p", _tag("a", {"href": "/pds/"}, words.all_versions)),
    )
    return _document(
        words,
        title=f"{words.title} \u2013 {one.operator}",
        notice=one.notice,
        choices=[(language, f"{here}/{language}") for language in languages],
        body=[_tag("main", {"id": "main"}, *main), footer],
    )


def set_index(
    words: wording.Wording, notice: str, operator: str, published: Iterable[Entry]
) -> bytes:
    """Return the page that lists every statement, in a language, in UTF-8."""
    entries = list(published)
    languages = list(dict.fromkeys(one.language for one in entries))
    versions = list(dict.fromkeys(one.version for one in entries))
    parts: list[etree._Element] = [
        _tag("h1", words.index_title),
        _tag("p", {"class": "about"}, operator),
    ]
    for number, version in enumerate(versions):
        of_version = [one for one in entries if one.version == version]
        state = words.current if number == 0 else words.earlier
        parts.append(
            _tag(
                "section",
                _tag("h2", f"{words.version} {version} ({state})"),
                _tag("p", {"class": "about"}, f"{words.effective}: {of_version[0].effective}"),
                _tag("ul", *(_entry(one) for one in of_version)),
            )
        )
    return _document(
        words,
        title=f"{words.index_title} \u2013 {operator}",
        notice=notice,
        choices=[(one, f"/pds/?language={one}") for one in languages],
        body=[_tag("main", {"id": "main"}, *parts)],
    )


def _entry(one: Entry) -> etree._Element:
    words = statements.WORDINGS[one.language]
    address = f"/pds/{one.version}/{one.language}"
    return _tag(
        "li",
        _tag(
            "a",
            {"href": address, "lang": one.language, "hreflang": one.language},
            words.language_name,
        ),
        ", ",
        _tag("a", {"href": f"{address}.pdf", "type": "application/pdf"}, "PDF"),
        _tag("br"),
        _tag("span", {"class": "about"}, "SHA-256 "),
        _tag("code", one.pdf_sha256),
    )


def _section(part: statements.Section) -> etree._Element:
    content: list[etree._Element] = [_tag("p", text) for text in part.paragraphs]
    if part.lines:
        content.append(_tag("dl", {"class": "facts"}, *_lines(part.lines)))
    if part.points:
        content.append(_tag("ul", *(_tag("li", text) for text in part.points)))
    heading = f"{part.name}-heading"
    return _tag(
        "section",
        {"id": part.name, "aria-labelledby": heading},
        _tag("h2", {"id": heading}, part.heading),
        *content,
    )


def _lines(lines: Iterable[statements.Line]) -> Iterable[etree._Element]:
    for line in lines:
        yield _tag("dt", line.label)
        yield _tag("dd", _tag("a", {"href": line.url}, line.text) if line.url else line.text)


def _document(
    words: wording.Wording,
    *,
    title: str,
    notice: str,
    choices: Sequence[tuple[str, str]],
    body: Iterable[etree._Element],
) -> bytes:
    top = _tag(
        "header",
        _tag(
            "nav",
            {"aria-label": words.languages},
            _tag("ul", *(_tag("li", _choice(words, language, url)) for language, url in choices)),
        ),
    )
    if notice:
        top.append(_tag("p", {"class": "notice", "role": "note"}, notice))
    tree = _tag(
        "html",
        {"lang": words.language},
        _tag(
            "head",
            _tag("meta", {"charset": "utf-8"}),
            _tag("meta", {"name": "viewport", "content": "width=device-width, initial-scale=1"}),
            _tag("title", title),
            _tag("style", STYLE),
        ),
        _tag("body", top, *body),
    )
    return bytes(html.tostring(tree, doctype="<!DOCTYPE html>", encoding="utf-8", method="html"))


def _choice(words: wording.Wording, language: str, url: str) -> etree._Element:
    attributes = {"href": url, "lang": language, "hreflang": language}
    if language == words.language:
        attributes["aria-current"] = "page"
    return _tag("a", attributes, statements.WORDINGS[language].language_name)


def _tag(name: str, *content: "Mapping[str, str] | str | etree._Element") -> etree._Element:
    """An element with attributes, texts and elements inside it, in the order given."""
    made = etree.Element(name)
    for one in content:
        if isinstance(one, Mapping):
            for key, value in one.items():
                made.set(key, value)
        elif not isinstance(one, str):
            made.append(one)
        elif len(made):
            made[-1].tail = (made[-1].tail or "") + one
        else:
            made.text = (made.text or "") + one
    return made
