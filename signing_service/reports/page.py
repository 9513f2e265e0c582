"""A report as a page: one file without scripts, fonts or anything else from elsewhere.

The page is built as a tree, so that whatever a stranger's document says is text, never markup.
"""

import base64
import hashlib

from lxml import etree, html

from signing_service.reports import course, sheet

STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #57606a; --line: #d0d7de;
  --good: #116329; --good-paper: #e6f4ea; --open: #6f4400; --open-paper: #fff4e0;
  --bad: #8a1c1c; --bad-paper: #fff1f0; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --paper: #14171a; --soft: #a2abb5;
  --line: #3a4149; --good: #8fdba4; --good-paper: #12301b; --open: #ffd08a; --open-paper: #38280b;
  --bad: #ffb3ad; --bad-paper: #3a1614; } }
* { box-sizing: border-box; }
html { font: 100%/1.55 "Noto Sans", "DejaVu Sans", "Segoe UI", system-ui, sans-serif;
  color: var(--ink); background: var(--paper); -webkit-text-size-adjust: 100%; }
body { max-width: 48rem; margin: 0 auto; padding: 1.25rem 1.25rem 3rem; overflow-wrap: anywhere; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .5rem 0 1rem; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; padding-top: .9rem;
  border-top: 1px solid var(--line); }
.verdict { display: inline-block; margin: 0 0 .75rem; padding: .35rem .8rem; font-weight: 700;
  border: 2px solid; border-radius: .35rem; }
.good { color: var(--good); background: var(--good-paper); }
.open { color: var(--open); background: var(--open-paper); }
.bad { color: var(--bad); background: var(--bad-paper); }
dl { display: grid; grid-template-columns: minmax(8rem, 14rem) minmax(0, 1fr); gap: .3rem 1.25rem;
  margin: .4rem 0; }
dt { color: var(--soft); } dd { margin: 0; }
h3 { font-size: 1rem; margin: 1.4rem 0 .3rem; } h4 { font-size: .9rem; margin: .9rem 0 .2rem;
  color: var(--soft); }
ul { list-style: none; margin: 0; padding: 0; }
.blocks > li { margin: .5rem 0; padding: .1rem 0 .1rem .75rem; border-left: .25rem solid; }
.blocks > li.good { color: inherit; background: none; border-color: var(--good); }
.blocks > li.open { color: inherit; background: none; border-color: var(--open); }
.blocks > li.bad { color: inherit; background: none; border-color: var(--bad); }
.blocks b { display: block; font-weight: 600; } .blocks i { font-style: normal; }
.good > i { color: var(--good); } .open > i { color: var(--open); } .bad > i { color: var(--bad); }
.rules { margin: .15rem 0 .25rem; font-size: .9rem; color: var(--soft); }
.rules > li { padding-left: 1.4em; text-indent: -1.4em; }
footer { margin-top: 2.5rem; color: var(--soft); font-size: .875rem; }
@media (max-width: 34rem) { dl { grid-template-columns: 1fr; gap: 0; }
  dd { margin-bottom: .6rem; } }
@media print { html { font-size: 10.5pt; } body { max-width: none; padding: 0; }
  section { break-inside: avoid; } }
"""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'sha256-"
    + base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    + "'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""Nothing but the page's own style; neither scripts nor anything that is fetched."""


def set_sheet(one: sheet.Sheet) -> bytes:
    """Return the report as an HTML page in UTF-8."""
    words = one.wording
    page = etree.Element("html", lang=words.language)
    head = etree.SubElement(page, "head")
    etree.SubElement(head, "meta", charset="utf-8")
    etree.SubElement(head, "meta", name="viewport", content="width=device-width, initial-scale=1")
    _add(head, "title", f"{words.title}: {one.document[0].text}")
    _add(head, "style", STYLE)
    body = etree.SubElement(page, "body")
    main = etree.SubElement(body, "main")
    _add(main, "h1", words.title)
    _verdict(main, one.tone, one.verdict)
    _lines(main, one.document)
    for section in one.sections:
        told = etree.SubElement(main, "section")
        _add(told, "h2", section.heading)
        _verdict(told, section.tone, section.verdict)
        _lines(told, section.lines)
        if section.stages:
            _add(told, "h3", words.course)
            _stages(told, section.stages)
    for note in one.notes:
        _add(main, "p", note)
    _add(etree.SubElement(body, "footer"), "p", words.disclaimer)
    written: bytes = html.tostring(page, encoding="utf-8", doctype="<!doctype html>")
    return written


def _verdict(parent: etree._Element, tone: course.Tone, text: str) -> None:
    _add(parent, "p", text).set("class", f"verdict {tone.value}")


def _stages(parent: etree._Element, stages: tuple[course.Stage, ...]) -> None:
    for stage in stages:
        _add(parent, "h4", stage.heading)
        blocks = etree.SubElement(parent, "ul", {"class": "blocks"})
        for block in stage.blocks:
            told = etree.SubElement(blocks, "li", {"class": block.tone.value})
            _add(told, "b", block.heading)
            _add(told, "i", block.verdict)
            rules = etree.SubElement(told, "ul", {"class": "rules"})
            for rule in block.rules:
                shown = _add(rules, "li", f"{rule.mark} {rule.text}")
                _in_english(shown, rule.text, rule.english)


def _lines(parent: etree._Element, lines: tuple[sheet.Line, ...]) -> None:
    told = etree.SubElement(parent, "dl")
    for line in lines:
        _add(told, "dt", line.label)
        _in_english(_add(told, "dd", line.text), line.text, line.english)


def _in_english(parent: etree._Element, text: str, english: str | None) -> None:
    """Add what is in English whatever the page's language is, for programs that read it out."""
    if english is not None:
        parent.text = (parent.text or "") + (" — " if text else "")
        _add(parent, "span", english).set("lang", "en")


def _add(parent: etree._Element, tag: str, text: str) -> etree._Element:
    element = etree.SubElement(parent, tag)
    # What a page cannot hold (names come from strangers) is shown as such.
    element.text = "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)
    return element
