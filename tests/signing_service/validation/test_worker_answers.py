"""Everything that a worker can answer, found in the types of its answers."""

import dataclasses
import datetime
import enum
import sys
import typing

from signing_service.validation import worker_answers

PLAIN = (str, int, bool, float, bytes, datetime.datetime, type(None))
MODULES = {
    name.rpartition(".")[2] + suffix: module
    for name, module in sys.modules.items()
    if name.startswith(("pki.", "signing_service."))
    for suffix in ("", "_module")
}
"""By the names under which they import each other."""


def reached(wanted: typing.Any, found: dict[str, set[type]]) -> dict[str, set[type]]:
    """Add the classes of ours that a value of a type may hold, by their bare names."""
    if typing.get_origin(wanted) is not None:
        for one in typing.get_args(wanted):
            reached(one, found)
    elif isinstance(wanted, type) and wanted not in PLAIN:
        of_this_name = found.setdefault(wanted.__name__, set())
        if wanted not in of_this_name:
            of_this_name.add(wanted)
            if not issubclass(wanted, enum.Enum):
                fields = dataclasses.fields(wanted)
                hints = typing.get_type_hints(wanted, localns=MODULES)
                assert all(one.init and not one.kw_only for one in fields), wanted
                for one in fields:
                    reached(hints[one.name], found)
    return found


def test_every_class_that_an_answer_can_hold_is_read_by_its_name():
    found = reached(worker_answers.Answer, {})
    assert len(found) > 50
    for name, classes in found.items():
        assert classes == {worker_answers._KINDS.get(name)}, name
