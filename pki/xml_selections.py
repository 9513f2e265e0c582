"""Which parts of a document the filters of a signature keep (XMLDSig 6.6.3, XPath Filter 2.0).

A selection is kept as the few elements at which it turns: everything below an element is in, or is
out, up to the next one. So what was signed is always whole elements with all that is in them, less
whole elements, and can be reported as such. XPath that would take an element apart, a text without
the element around it say, is refused.

An expression is a stranger's program. It is taken apart into words first; only those of the list
below run, in libxml2, over a bounded number of nodes. `here()` and `id()` are answered by us.
"""

import dataclasses
import enum
import re
from collections.abc import Callable, Mapping, Sequence

from lxml import etree

from pki import xml_trees

MAX_EXPRESSION = 2000
"""Characters; the longest in published test documents has some 300."""
MAX_FILTERS = 20
"""Filters of one XPath Filter 2.0 transform."""
MAX_NODES = 500_000
"""In a document that an expression is evaluated over; each element that is found takes memory."""
MAX_STEPS = 20_000_000
"""What an expression may visit, by an estimate from its words; some seconds of libxml2's time."""
MAX_TURNS = 10_000
"""Elements at which a selection turns."""

_FUNCTIONS = frozenset(
    (
        *("boolean", "contains", "count", "false", "here", "id", "last", "local-name", "name"),
        *("namespace-uri", "normalize-space", "not", "position", "starts-with", "string"),
        *("string-length", "true"),
    )
)
"""No function that builds strings: each could be many times as long as the document."""
_NODE_TYPES = frozenset(("comment", "node", "processing-instruction", "text"))
_WIDE_AXES = frozenset(
    (
        "descendant",
        "descendant-or-self",
        "following",
        "following-sibling",
        "parent",
        "preceding",
        "preceding-sibling",
    )
)
_WORD = re.compile(
    r"\s*(?:(?P<literal>\"[^\"]*\"|'[^']*')|(?P<number>\d+(?:\.\d*)?|\.\d+)"
    r"|(?P<name>[^\W\d][\w.\-]*(?::(?!:)(?:[^\W\d][\w.\-]*|\*))?)"
    r"|(?P<mark>::|//|\.\.|!=|<=|>=|[()\[\].@,/|+\-=<>*]))"
)
_BEFORE_A_ROOT = frozenset(
    ("", "(", "[", ",", "|", "=", "!=", "<", ">", "<=", ">=", "+", "-", "and", "or", "div", "mod")
)
_STAYS = re.compile(r"ancestor|self\b|attribute\b|@|\.")
_ID_CALL = re.compile(r"\(\s*(\"[^\"]*\"|'[^']*')\s*\)")


class FilterMode(enum.Enum):
    """What a filter does with what its expression names (XPath Filter 2.0)."""

    INTERSECT = "intersect"
    SUBTRACT = "subtract"
    UNION = "union"


@dataclasses.dataclass(frozen=True)
class Selection:
    """Some whole elements of a document, less some whole elements inside of them.

    Attributes:
        outside: Whether what stands outside the root is in it.
        turns: The elements that differ from what is around them, and whether they are in.
    """

    outside: bool
    turns: Mapping[etree._Element, bool]

    def holds(self, element: etree._Element) -> bool:
        """Whether an element is in."""
        for one in (element, *element.iterancestors()):
            if one in self.turns:
                return self.turns[one]
        return self.outside

    def intersect(self, other: "Selection") -> "Selection":
        """What is in both."""
        return self._combine(other, lambda one, two: one and two)

    def subtract(self, other: "Selection") -> "Selection":
        """What is in this one alone."""
        return self._combine(other, lambda one, two: one and not two)

    def union(self, other: "Selection") -> "Selection":
        """What is in either."""
        return self._combine(other, lambda one, two: one or two)

    def _combine(self, other: "Selection", rule: Callable[[bool, bool], bool]) -> "Selection":
        outside = rule(self.outside, other.outside)
        combined = {
            one: rule(self.holds(one), other.holds(one))
            for one in dict.fromkeys((*self.turns, *other.turns))
        }
        return _turning(outside, combined)


@dataclasses.dataclass(frozen=True)
class Part:
    """One thing that is canonicalised: a node, less some elements in it."""

    node: xml_trees.Node
    left_out: tuple[etree._Element, ...]


def everything() -> Selection:
    """A document with all that is in it."""
    return Selection(True, {})


def elements(found: Sequence[etree._Element]) -> Selection:
    """Some elements with all that is in them."""
    return _turning(False, dict.fromkeys(found, True))


def parts(selection: Selection, tree: etree._ElementTree) -> tuple[Part, ...]:
    """What is canonicalised for a selection, in document order.

    Raises:
        xml_trees.UnsupportedXMLSignatureError: It keeps something inside of what it leaves out of
            something that it keeps.
    """
    root = tree.getroot()
    kept: list[xml_trees.Node] = []
    if selection.outside:
        if not selection.holds(root) and _has_siblings(root):
            raise _refused("leave out the root and keep what is around it")
        if selection.holds(root):
            kept.append(tree)
    wanted = {one for one, is_in in selection.turns.items() if is_in}
    for one in wanted:
        if selection.outside or any(above in wanted for above in one.iterancestors()):
            # Its namespaces and xml: attributes would be told relative to what is around the gap.
            raise _refused("keep a part of what they leave out")
    if len(wanted) > 1:
        kept += [one for one in root.iter(etree.Element) if one in wanted]
    else:
        kept += wanted
    left_out = [one for one, is_in in selection.turns.items() if not is_in]
    if len(kept) < 2:
        return tuple(Part(one, tuple(left_out)) for one in kept)
    holders: dict[xml_trees.Node, list[etree._Element]] = {one: [] for one in kept}
    for one in left_out:
        holders[next(above for above in one.iterancestors() if above in holders)].append(one)
    return tuple(Part(one, tuple(gaps)) for one, gaps in holders.items())


class Expressions:
    """Evaluates the expressions of one document's signatures."""

    def __init__(self, tree: etree._ElementTree, find: Callable[[str], etree._Element]) -> None:
        """Take a document and what finds the one element with an identifier in it, or raises."""
        self._tree = tree
        self._find = find

    def true_nodes(self, holder: etree._Element, *, with_comments: bool) -> Selection:
        """The nodes for which an expression is true (XMLDSig 6.6.3).

        Args:
            holder: The ds:XPath with the expression; `here()` and its namespaces are its own.
            with_comments: Whether comments count; they are in no node-set otherwise.

        Raises:
            xml_trees.UnsupportedXMLSignatureError: Outside of what is carried out.
            xml_trees.XMLSignatureError: It is no XPath.
        """
        words = _read(holder)
        test = self._prepare(holder, words, times=self._size())
        true, false = f"boolean({test})", f"not({test})"
        aside = "not(self::*)" if with_comments else "not(self::*) and not(self::comment())"
        irregular = " or ".join(
            f"//*[{around}]/{inside}[{other}]"
            for around, other in ((true, false), (false, true))
            for inside in (f"node()[{aside}]", "@*", "namespace::*")
        )
        ask = self._query(holder, words)
        if ask(irregular) is not False:
            raise _refused("take elements apart")
        outer_in = ask(f"boolean(/node()[{aside}][{true}])") is True
        outer_out = ask(f"boolean(/node()[{aside}][{false}])") is True
        if outer_in and outer_out:
            raise _refused("take apart what is outside of the root")
        root = self._tree.getroot()
        turning_in = _elements(ask(f"//*[{true}][parent::*[{false}]]"))
        turning_out = _elements(ask(f"//*[{false}][parent::*[{true}]]"))
        root_in = ask(f"boolean(/*[{true}])") is True
        outside = outer_in or (root_in and not outer_out)
        turns = {root: root_in, **dict.fromkeys(turning_in, True)}
        return _turning(outside, turns | dict.fromkeys(turning_out, False))

    def subtrees(self, holder: etree._Element) -> Selection:
        """What an expression names, with all that is in it (XPath Filter 2.0); raises as above."""
        words = _read(holder)
        test = self._prepare(holder, words, times=1)
        ask = self._query(holder, words)
        if ask(f"boolean(({test})[not(self::*)][..])") is True:
            raise _refused("name other nodes than elements")
        if ask(f"boolean(({test})[not(self::*)])") is True:
            # A node without a parent that is no element: the document.
            return everything()
        return elements(_elements(ask(test)))

    def _size(self) -> int:
        return int(float(str(self._tree.xpath("count(//node()) + count(//@*)"))))

    def _depth(self) -> int:
        depth = deepest = 0
        for event, _ in etree.iterwalk(self._tree, events=("start", "end")):
            depth += 1 if event == "start" else -1
            deepest = max(deepest, depth)
        return deepest

    def _prepare(self, holder: etree._Element, words: "_Words", *, times: int) -> str:
        """Check what an expression costs, and that it is one: it is put into others as text."""
        size = self._size()
        steps = times * max(size, 1) ** words.wide
        if words.climbing and size <= MAX_NODES:
            steps *= self._depth() ** words.climbing
        if size > MAX_NODES or steps > MAX_STEPS:
            raise xml_trees.UnsupportedXMLSignatureError(
                f"expected an XPath that visits at most {MAX_STEPS} nodes, got one that may visit"
                f" more in a document of {size}"
            )
        try:
            etree.XPath(words.text, namespaces=_namespaces(holder), regexp=False)
        except etree.XPathError as error:
            raise xml_trees.XMLSignatureError(
                f"expected XPath 1.0 in a transform: {error}"
            ) from error
        return words.text

    def _query(self, holder: etree._Element, words: "_Words") -> Callable[[str], object]:
        is_elsewhere = holder.getroottree().getroot() is not self._tree.getroot()
        if is_elsewhere and (words.uses_here or words.identifiers):
            # XMLDSig 6.6.3.1: here() has no answer in another document.
            raise _refused("name a place in another document")
        variables = {name: self._find(wanted) for name, wanted in words.identifiers.items()}
        if words.uses_here:
            variables["here"] = holder
        namespaces = _namespaces(holder)

        def ask(expression: str) -> object:
            try:
                query = etree.XPath(
                    expression, namespaces=namespaces, regexp=False, smart_strings=False
                )
                return query(self._tree, **variables)  # type: ignore[arg-type]
            except etree.XPathError as error:
                raise xml_trees.XMLSignatureError(
                    f"expected XPath 1.0 in a transform: {error}"
                ) from error

        return ask


@dataclasses.dataclass(frozen=True)
class _Words:
    """An expression whose words are all known.

    Attributes:
        text: With variables in place of here() and id().
        identifiers: What was asked of id(), by the variable in its place.
        uses_here: Whether it has the variable `here`.
        wide: How many of its steps may each visit the whole document.
        climbing: How many may each visit all that is above a node.
    """

    text: str
    identifiers: Mapping[str, str]
    uses_here: bool
    wide: int
    climbing: int


def _read(holder: etree._Element) -> _Words:
    expression = xml_trees.read_text(holder)
    if not expression or len(expression) > MAX_EXPRESSION:
        raise xml_trees.UnsupportedXMLSignatureError(
            f"expected an XPath of 1 to {MAX_EXPRESSION} characters, got {len(expression)}"
        )
    read: list[str] = []
    identifiers: dict[str, str] = {}
    uses_here = False
    wide = climbing = descending = depth = at = 0
    before = ""
    while at < len(expression):
        word = _WORD.match(expression, at)
        if word is None:
            raise _refused(f"have the sign {expression[at]!r}")
        at = word.end()
        text = word[0].strip()
        following = expression[at:].lstrip()
        if word["name"] and following.startswith("(") and text not in _NODE_TYPES:
            if text not in _FUNCTIONS and not _is_operator(text, before):
                raise _refused(f"call {text[:50]}()")
            if text in ("position", "last") and not depth:
                # The place of each node is always 1 of 1, which no query over all of them gives.
                raise _refused(f"call {text}() of a node itself")
            if text == "here":
                uses_here = True
                text, at = "$here", expression.index(")", at) + 1
            elif text == "id":
                called = _ID_CALL.match(following)
                if called is None:
                    raise _refused("call id() with more than one name")
                at = len(expression) - len(following) + called.end()
                identifier = called[1][1:-1].strip()
                text = f"$id{len(identifiers)}"
                identifiers[text[1:]] = identifier
        depth += {"[": 1, "]": -1}.get(text, 0)
        is_wide = text == "//" or (text in _WIDE_AXES and following.startswith("::"))
        # A path from the root, or to what is beside a node, is walked again for each node.
        climbing += text in ("ancestor", "ancestor-or-self") and following.startswith("::")
        if text == "*" and before not in _BEFORE_A_ROOT | {"/", "//", "::", "@"}:
            raise _refused("multiply")
        wide += is_wide or text == ".." or (text == "/" and before in _BEFORE_A_ROOT)
        descending += text == "/" and not _STAYS.match(following)
        read.append(text)
        before = text
    if climbing or uses_here or identifiers:
        # What is above a node, or somewhere else, may have the whole document below it.
        wide += descending
    return _Words(" ".join(read), identifiers, uses_here, wide, climbing)


def _is_operator(text: str, before: str) -> bool:
    """Whether a word before a parenthesis is an operator and no function (XPath 1.0 3.7)."""
    return text in ("and", "or", "mod", "div") and before not in ("", "(", "[", ",", "/", "//", "|")


def _namespaces(holder: etree._Element) -> dict[str, str]:
    return {prefix: space for prefix, space in holder.nsmap.items() if prefix}


def _elements(found: object) -> list[etree._Element]:
    if not isinstance(found, list):
        raise xml_trees.XMLSignatureError("expected an XPath that names nodes, got a value")
    if len(found) > MAX_TURNS:
        raise xml_trees.UnsupportedXMLSignatureError(
            f"expected an XPath that selects at most {MAX_TURNS} parts, got {len(found)}"
        )
    return found


def _has_siblings(root: etree._Element) -> bool:
    """Whether a comment or an instruction stands outside the root."""
    return root.getprevious() is not None or root.getnext() is not None


def _turning(outside: bool, found: Mapping[etree._Element, bool]) -> Selection:
    """A selection without the elements that are as what is around them."""
    whole = Selection(outside, found)
    turns = {
        one: is_in
        for one, is_in in found.items()
        if is_in is not (outside if (above := one.getparent()) is None else whole.holds(above))
    }
    if len(turns) > MAX_TURNS:
        raise xml_trees.UnsupportedXMLSignatureError(
            f"expected transforms that select at most {MAX_TURNS} parts, got {len(turns)}"
        )
    return Selection(outside, turns)


def _refused(what: str) -> xml_trees.UnsupportedXMLSignatureError:
    return xml_trees.UnsupportedXMLSignatureError(
        f"expected transforms that keep or leave out whole elements, got some that {what}"
    )
