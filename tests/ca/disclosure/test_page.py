import base64
import hashlib
import re

import pytest
from lxml import html

from ca.disclosure import page, settings, statement
from tests.support import ca_world, disclosure

DIGEST = "ab" * 32


def _page(language: str, **changes: object) -> html.HtmlElement:
    own = disclosure.read(disclosure.TEST_TABLE, **changes)
    made = statement.compose(own, ca_world.SETTINGS, language)
    return html.document_fromstring(page.set_statement(made, own.languages, DIGEST).decode())


@pytest.mark.parametrize("language", settings.LANGUAGES)
def test_a_page_is_structured_for_those_who_cannot_see_it(language: str) -> None:
    tree = _page(language)
    assert tree.get("lang") == language
    assert [one.tag for one in tree.body] == ["header", "main", "footer"]
    assert len(tree.findall(".//h1")) == 1
    assert len(tree.xpath("//main/section/h2")) == 11
    for section in tree.xpath("//main/section"):
        (heading,) = section.xpath("./h2[@id]")
        assert section.get("aria-labelledby") == heading.get("id")
    anchors = {one.get("href")[1:] for one in tree.xpath("//nav//a[starts-with(@href, '#')]")}
    assert anchors == {one.get("id") for one in tree.xpath("//main/section")}
    (current,) = tree.xpath("//header//a[@aria-current]")
    assert current.get("hreflang") == language
    assert all(one.get("lang") for one in tree.xpath("//header//a"))


@pytest.mark.parametrize("language", settings.LANGUAGES)
def test_a_page_fetches_nothing_and_its_policy_allows_its_style_alone(language: str) -> None:
    tree = _page(language)
    assert not tree.xpath("//script | //img | //link | //iframe | //@style | //@onclick")
    (style,) = tree.xpath("//style")
    assert "url(" not in style.text
    assert "@import" not in style.text
    digest = base64.b64encode(hashlib.sha256(style.text.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page.CONTENT_SECURITY_POLICY
    assert page.CONTENT_SECURITY_POLICY.startswith("default-src 'none'")


def test_markup_in_a_setting_is_text() -> None:
    texts = [
        {"language": one, "text": "<script>alert(1)</script> & </style>"}
        for one in settings.LANGUAGES
    ]
    tree = _page("en", law=texts)
    assert not tree.xpath("//script")
    (section,) = tree.xpath("//section[@id='law']")
    assert "<script>alert(1)</script> & </style>" in section.text_content()


def test_a_page_is_utf8_with_its_digest_and_both_colour_schemes_have_contrast() -> None:
    own = disclosure.read(disclosure.TEST_TABLE)
    made = statement.compose(own, ca_world.SETTINGS, "ka")
    raw = page.set_statement(made, own.languages, DIGEST)
    assert raw.startswith(b"<!DOCTYPE html>")
    assert DIGEST in raw.decode()
    assert "ქართული" in raw.decode("utf-8")
    for scheme in re.findall(r"--ink: (#\w+); --paper: (#\w+); --soft: (#\w+)", page.STYLE)[:2]:
        ink, paper, soft = map(_luminance, scheme)
        # WCAG 2.2 1.4.3: 4.5 to 1.
        for text in (ink, soft):
            light, dark = max(text, paper), min(text, paper)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, scheme


def _luminance(colour: str) -> float:
    digits = colour[1:]
    if len(digits) == 3:
        digits = "".join(one * 2 for one in digits)
    parts = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
