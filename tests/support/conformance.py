"""Makes the table of clauses and the tests that show them, from the tests' markers."""

import ast
import pathlib
import sys
from collections.abc import Iterator

TESTS = pathlib.Path(__file__).parents[1]

HEAD = """# Clauses and the tests that show them

Made by `make docs` from the tests' `clause` markers; not written by hand.

| document | clause | test |
|---|---|---|
"""


def clauses() -> Iterator[tuple[str, str, str]]:
    """Every marker as (document, clause, test)."""
    for path in sorted(TESTS.rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.FunctionDef):
                continue
            for mark in node.decorator_list:
                if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.clause":
                    document, number = (str(ast.literal_eval(one)) for one in mark.args)
                    name = node.name.removeprefix("test_").replace("_", " ")
                    yield document, number, f"{name} (`{path.relative_to(TESTS.parent)}`)"


def table() -> str:
    return HEAD + "".join(
        f"| {document} | {number} | {test} |\n" for document, number, test in sorted(clauses())
    )


if __name__ == "__main__":
    pathlib.Path(sys.argv[1]).write_text(table(), encoding="utf-8")
