"""How lists are named in addresses.

    /crl/NAME.crl            the authority's list, or that of its partition 0
    /crl/NAME/delta.crl      what changed since that list
    /crl/NAME/3.crl          the list of partition 3
    /crl/NAME/3-delta.crl    what changed since that one

Partitions lie in a folder, so that no name of an authority can be taken for one of another's.
"""

import dataclasses
import re

MAX_PARTITION = 999_999

_FILE = re.compile(r"(?:(?P<partition>[1-9][0-9]{0,5})(?P<both>-delta)?|(?P<delta>delta))\.crl")


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclasses.dataclass(frozen=True, order=True)
class Scope:
    """The certificates that one list speaks of: those of an authority's partition.

    Partition 0 is the whole of an authority that has no others.
    """

    issuer_name: str
    partition: int = 0


def is_name(text: str) -> bool:
    """Whether a part of an address can be an authority's name; a database may refuse others."""
    return _NAME.fullmatch(text) is not None


def path(scope: Scope, *, delta: bool = False) -> str:
    """The path of a scope's list below the base address."""
    if scope.partition:
        suffix = "-delta" if delta else ""
        return f"/crl/{scope.issuer_name}/{scope.partition}{suffix}.crl"
    return f"/crl/{scope.issuer_name}/delta.crl" if delta else f"/crl/{scope.issuer_name}.crl"


def parse_file(issuer_name: str, file: str) -> tuple[Scope, bool] | None:
    """The scope of a file in an authority's folder and whether it is a delta; None for others."""
    found = _FILE.fullmatch(file)
    if found is None:
        return None
    delta = bool(found["delta"] or found["both"])
    return Scope(issuer_name, int(found["partition"] or 0)), delta


def parse_full(issuer_name: str, path_of_list: str) -> Scope | None:
    """The scope of an authority's full list by its path; None where it is no such path."""
    if path_of_list == path(Scope(issuer_name)):
        return Scope(issuer_name)
    folder = f"/crl/{issuer_name}/"
    if not path_of_list.startswith(folder):
        return None
    found = parse_file(issuer_name, path_of_list.removeprefix(folder))
    return None if found is None or found[1] else found[0]
