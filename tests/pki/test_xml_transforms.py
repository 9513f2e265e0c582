"""What the transforms of a reference leave: each canonical form here is also xmlsec1's."""

import time

import pytest
from lxml import etree

from pki import xml_selections, xml_signature, xml_transforms, xml_trees

DOCUMENT = (
    '<?look at?><r xmlns="urn:t" xmlns:p="urn:p" xml:lang="az"><a Id="a1">one<!-- c -->'
    '<b p:x="2">two<c/></b>tail</a> <p:d><e>three</e><a>x</a></p:d>'
    f'<s:Signature xmlns:s="{xml_signature.DS}" Id="S">%s</s:Signature></r><!-- end -->'
)
TAG = '<r xmlns="urn:t" xmlns:p="urn:p" xml:lang="az">'
WHOLE = f'<?look at?>\n{TAG}<a Id="a1">one<b p:x="2">two<c></c></b>tail</a> '
D = "<p:d><e>three</e><a>x</a></p:d>"
APEX = '<a xmlns="urn:t" xmlns:p="urn:p" Id="a1" xml:lang="az">one<b p:x="2">two<c></c></b>tail</a>'
X = '<a xmlns="urn:t" xmlns:p="urn:p" xml:lang="az">x</a>'
APEX_D = '<p:d xmlns="urn:t" xmlns:p="urn:p" xml:lang="az"><e>three</e><a>x</a></p:d>'

SPACES = f'xmlns:t="urn:t" xmlns:p="urn:p" xmlns:g="{xml_signature.DS}"'


def xpath(text: str) -> str:
    text = text.replace("<", "&lt;")
    return (
        f'<ds:Transform xmlns:ds="{xml_signature.DS}" {SPACES} Algorithm="{xml_signature.XPATH}">'
        f"<ds:XPath>{text}</ds:XPath></ds:Transform>"
    )


def filters(*wanted: tuple[str, str]) -> str:
    space = xml_transforms.XPATH_FILTER_2
    listed = "".join(f'<f:XPath Filter="{mode}">{text}</f:XPath>' for mode, text in wanted)
    return (
        f'<ds:Transform xmlns:ds="{xml_signature.DS}" {SPACES} xmlns:f="{space}"'
        f' Algorithm="{space}">{listed}</ds:Transform>'
    )


def chain(*transforms: str, node: str | None = None, comments: bool = False):
    """What is left of the document, or of an element in it; the transforms lie in its signature."""
    tree = xml_trees.parse((DOCUMENT % "".join(transforms)).encode())
    signature = tree.getroot()[-1]

    def find(identifier: str) -> etree._Element:
        return xml_trees.find_by_id(tree.getroot(), identifier)

    state = xml_transforms.Chain(signature, find(node) if node else tree, None, comments, find)
    for one in list(signature):
        state.apply(one)
    return state.finish().decode(), state


@pytest.mark.clause("XML Signature", "6.6.3")
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("not(ancestor-or-self::g:Signature)", f"{WHOLE}{D}</r>"),
        ("\n not ( ancestor-or-self::g:Signature )\n", f"{WHOLE}{D}</r>"),
        ("not(ancestor-or-self::*[@Id='S'])", f"{WHOLE}{D}</r>"),
        ("not(ancestor-or-self::*[local-name() = 'Signature'])", f"{WHOLE}{D}</r>"),
        (
            "count(ancestor-or-self::g:Signature | here()/ancestor::g:Signature[1])"
            " > count(ancestor-or-self::g:Signature)",
            f"{WHOLE}{D}</r>",
        ),
        (
            "not(ancestor-or-self::t:b | ancestor-or-self::g:Signature)",
            f'<?look at?>\n{TAG}<a Id="a1">onetail</a> {D}</r>',
        ),
        (
            "not(ancestor-or-self::t:a) and not(ancestor-or-self::g:Signature)",
            f"<?look at?>\n{TAG} <p:d><e>three</e></p:d></r>",
        ),
        ("ancestor-or-self::t:a", APEX + X),
        ("ancestor-or-self::p:d", APEX_D),
        ("false()", ""),
    ],
)
def test_expression_keeps_what_it_is_true_for(expression, expected):
    assert chain(xpath(expression))[0] == expected


@pytest.mark.clause("XPath Filter 2.0", "3.4")
@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([("subtract", "//g:Signature")], f"{WHOLE}{D}</r>"),
        ([("subtract", "/*/g:Signature")], f"{WHOLE}{D}</r>"),
        ([("subtract", "here()/ancestor::g:Signature[1]")], f"{WHOLE}{D}</r>"),
        ([("intersect", "/"), ("subtract", "id('S')")], f"{WHOLE}{D}</r>"),
        ([("intersect", "//t:a")], APEX + X),
        ([("intersect", "/t:r/t:a"), ("union", "/t:r/p:d")], APEX + APEX_D),
        (
            [("intersect", "//t:a"), ("subtract", "//t:b")],
            '<a xmlns="urn:t" xmlns:p="urn:p" Id="a1" xml:lang="az">onetail</a>' + X,
        ),
        (
            [("intersect", "/t:r"), ("subtract", "//g:Signature")],
            f"{WHOLE}{D}</r>".removeprefix("<?look at?>\n"),
        ),
        ([("intersect", "//g:Signature"), ("subtract", "//g:Signature")], ""),
        (
            [("subtract", "//g:Signature"), ("union", "//g:Signature"), ("intersect", "id('a1')")],
            APEX,
        ),
    ],
)
def test_filters_work_on_elements_with_all_that_is_in_them(wanted, expected):
    assert chain(filters(*wanted))[0] == expected


def test_what_a_filter_adds_was_named_by_the_reference():
    """XPath Filter 2.0 3.4: the filter's nodes are cut with those that came in."""
    octets, state = chain(filters(("union", "/t:r/p:d"), ("subtract", "//t:b")), node="a1")
    assert octets.endswith("onetail</a>")
    assert "three" not in octets
    assert state.is_partial


def test_comments_of_a_pointer_are_kept_by_a_filter():
    transform = f'<t Algorithm="{xml_trees.C14N_10}#WithComments"/>'
    octets, _ = chain(filters(("subtract", "//t:b")), transform, node="a1", comments=True)
    assert "one<!-- c -->tail" in octets


def test_leaving_signatures_out_is_no_partial_selection_and_all_else_is():
    assert not chain(xpath("not(ancestor-or-self::*[@Id='S'])"))[1].is_partial
    for expression in ("not(ancestor-or-self::t:b)", "ancestor-or-self::t:a", "false()"):
        assert chain(xpath(expression))[1].is_partial, expression


@pytest.mark.parametrize(
    "transform",
    [
        xpath("self::text()"),
        xpath("not(self::t:b)"),
        xpath("not(self::text())"),
        xpath("not(../t:b)"),
        xpath("position() = 1"),
        xpath("document('x')"),
        xpath("concat(., .)"),
        xpath("g:anything()"),
        xpath("$x"),
        xpath("id(//@Id)"),
        xpath(" or ".join(["true()"] * 500)),
        filters(("intersect", "//text()")),
        filters(("intersect", "//@Id")),
        filters(("intersect", "//namespace::*")),
        filters(("subtract", "//p:d"), ("union", "//t:e")),
        filters(("subtract", "/*")),
    ],
)
def test_what_cannot_be_told_in_whole_elements_or_may_do_harm_is_refused(transform):
    with pytest.raises(xml_trees.UnsupportedXMLSignatureError):
        chain(transform)


@pytest.mark.parametrize(
    "transform",
    [
        xpath("not("),
        xpath("1] | //t:a["),
        xpath("q:a"),
        filters(("other", "/")),
        filters(("intersect", "1 = 1")),
        filters(),
        filters(*[("intersect", "/")] * (xml_selections.MAX_FILTERS + 1)),
    ],
)
def test_what_is_no_filter_is_a_format_error(transform):
    with pytest.raises(xml_trees.XMLSignatureError):
        chain(transform)


def test_expression_that_may_visit_too_many_nodes_is_refused():
    tree = xml_trees.parse(f"<r>{'<a/>' * 20_000}<x>not(//a = .)</x></r>".encode())
    expressions = xml_selections.Expressions(tree, lambda one: tree.getroot())
    with pytest.raises(xml_trees.UnsupportedXMLSignatureError, match="visits at most"):
        expressions.true_nodes(tree.getroot()[-1], with_comments=False)


@pytest.mark.parametrize(
    ("content", "expression"),
    [
        ("<a>" * 100 + "</a>" * 100, "not(ancestor::*[ancestor::*[ancestor::*[ancestor::zz]]])"),
        ("".join(f'<a b{i}="x"/>' for i in range(2000)), "count(//@*[count(//@*) > 5]) > 0"),
        ("<b/>" * 1000, 'id("x")/b[count(id("x")/b[count(id("x")/b) = 0]) = 1]'),
        ("<b/>" * 1000, "count(//b * //b) > 1"),
    ],
)
def test_what_climbs_looks_elsewhere_or_multiplies_is_counted_too(content, expression):
    text = expression.replace("<", "&lt;")
    tree = xml_trees.parse(f'<r Id="x">{content}<x>{text}</x></r>'.encode())
    expressions = xml_selections.Expressions(tree, lambda one: tree.getroot())
    began = time.process_time()
    with pytest.raises(xml_trees.UnsupportedXMLSignatureError):
        expressions.true_nodes(tree.getroot()[-1], with_comments=False)
    assert time.process_time() - began < 1


def test_signatures_that_a_filter_puts_back_are_not_left_out():
    out, back = ("subtract", "//g:Signature"), ("union", "//g:Signature")
    assert chain(filters(out))[1].without_all_signatures
    assert not chain(filters(out, back))[1].without_all_signatures
    assert chain(filters(out, back, out))[1].without_all_signatures


def test_text_behind_a_comment_is_decoded_too():
    """XMLDSig 6.6.2: all text nodes."""
    tree = xml_trees.parse(b"<r><o>VEVT<!-- c -->VA==</o></r>")
    state = xml_transforms.Chain(tree.getroot(), tree.getroot()[0], None, False)
    state.apply(etree.fromstring(f'<t Algorithm="{xml_transforms.BASE64}"/>'))
    assert state.finish() == b"TEST"


def test_octets_that_are_read_again_keep_their_comments():
    """XMLDSig 4.4.3.2: it is the bare name of a part that leaves comments out."""
    signature = xml_trees.parse(b"<r/>").getroot()
    state = xml_transforms.Chain(signature, None, b"<a><!-- c --></a>", False)
    state.apply(etree.fromstring(f'<t Algorithm="{xml_trees.C14N_11}#WithComments"/>'))
    assert state.finish() == b"<a><!-- c --></a>"


def test_known_text_under_a_prefix_that_means_something_else_is_not_the_known_text():
    space = xml_transforms.XPATH_FILTER_2
    transform = etree.fromstring(
        f'<t xmlns:ds="urn:other" xmlns:d="{xml_signature.DS}" xmlns:f="{space}"'
        f' Algorithm="{space}"><f:XPath Filter="subtract">//ds:Signature</f:XPath></t>'
    )
    tree = xml_trees.parse(f'<r xmlns:d="{xml_signature.DS}"><d:Signature/></r>'.encode())
    state = xml_transforms.Chain(tree.getroot()[0], tree, None, False)
    with pytest.raises(xml_trees.UnsupportedXMLSignatureError):
        state.apply(transform)
