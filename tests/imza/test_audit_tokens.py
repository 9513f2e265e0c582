"""Whose time stamps an exported audit log is believed by."""

import datetime
import hashlib

import pytest

from imza import audit_tokens
from pki import algorithms, errors
from tests.support import hierarchy as hierarchy_support
from tsa import messages, signed_token

STATEMENT = b"imza audit log: 7 entries\n"


def _token(made: hierarchy_support.Hierarchy, along: bool = True) -> bytes:
    unit = made.time_stamping_unit()
    digest = hashlib.sha256(STATEMENT).digest()
    imprint = messages.MessageImprint(algorithms.HashAlgorithm.SHA256, digest)
    info = messages.TSTInfo("1.3.6.1.4.1.99999.2", imprint, 1, made.at)
    sent = unit.chain[:-1] if along else unit.chain[:1]
    return signed_token.build_token(info, unit.certificate, unit.handle, sent)


def test_a_unit_below_the_root_is_believed(hierarchy: hierarchy_support.Hierarchy) -> None:
    check = audit_tokens.checker(hierarchy.root.certificate)
    assert check(_token(hierarchy), STATEMENT) == hierarchy.at


def test_a_unit_of_somebody_else_is_not(
    hierarchy: hierarchy_support.Hierarchy, at: datetime.datetime
) -> None:
    other = hierarchy_support.make_hierarchy(at)
    token = _token(other)
    assert audit_tokens.checker(None)(token, STATEMENT) == at
    with pytest.raises(errors.InputError):
        audit_tokens.checker(hierarchy.root.certificate)(token, STATEMENT)


def test_a_path_with_a_gap_is_not(hierarchy: hierarchy_support.Hierarchy) -> None:
    check = audit_tokens.checker(hierarchy.root.certificate)
    with pytest.raises(audit_tokens.TokenPathError):
        check(_token(hierarchy, along=False), STATEMENT)


def test_a_token_of_another_statement_is_not(hierarchy: hierarchy_support.Hierarchy) -> None:
    check = audit_tokens.checker(None)
    with pytest.raises(errors.InputError):
        check(_token(hierarchy), STATEMENT + b"x")
    with pytest.raises(errors.InputError):
        check(b"no token", STATEMENT)
