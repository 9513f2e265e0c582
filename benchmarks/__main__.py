"""`make bench`: run every benchmark and write benchmarks/results.md."""

import importlib
import os
import pathlib
import platform
import sys

from benchmarks import row

MODULES = (
    "benchmarks.start",
    "benchmarks.pades",
    "benchmarks.detached",
    "benchmarks.validation",
    "benchmarks.memory",
    "benchmarks.hsm",
    "benchmarks.tsa",
    "benchmarks.issuance",
    "benchmarks.crl",
    "benchmarks.status_view",
    "benchmarks.ocsp",
    "benchmarks.nginx",
)
RESULTS = pathlib.Path(__file__).parent / "results.md"


def main() -> None:
    """Print each row as it is measured, then write the table."""
    found: list[row.Row] = []
    for name in MODULES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        for one in importlib.import_module(name).rows():
            found.append(one)
            mark = "met" if one.met else "MISSED"
            print(
                f"  {one.subject}: {one.ours} beside {one.theirs} ({one.peer}),"
                f" ratio {one.ratio:.2f}, target {one.target}: {mark}",
                flush=True,
            )
    RESULTS.write_text(table(found), encoding="utf-8")


def table(rows: list[row.Row]) -> str:
    """The rows as Markdown."""
    lines = [
        "# Results",
        "",
        "Written by `make bench`. Only ratios mean something: both sides ran interleaved",
        f"in one run, on {os.cpu_count()} cores, Python {platform.python_version()}.",
        "",
        "| what | ours | peer or limit | theirs | ratio | target | met |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {one.subject} | {one.ours} | {one.peer} | {one.theirs} | {one.ratio:.2f} |"
        f" {one.target} | {'yes' if one.met else 'no'} |"
        for one in rows
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":  # Not in the processes that benchmarks start.
    main()
