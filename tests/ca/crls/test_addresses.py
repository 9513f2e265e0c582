import hypothesis
import pytest
from hypothesis import strategies as st

from ca.crls import addresses

SCOPES = st.builds(
    addresses.Scope,
    st.sampled_from(["citizen", "citizen-2", "delta", "1"]),
    st.integers(0, addresses.MAX_PARTITION),
)


@hypothesis.given(SCOPES, st.booleans())
def test_a_path_is_read_back_as_what_it_was_made_of(scope: addresses.Scope, delta: bool) -> None:
    path = addresses.path(scope, delta=delta)
    if scope.partition or delta:
        file = path.removeprefix(f"/crl/{scope.issuer_name}/")
        assert addresses.parse_file(scope.issuer_name, file) == (scope, delta)
    expected = None if delta else scope
    assert addresses.parse_full(scope.issuer_name, path) == expected


@hypothesis.given(SCOPES, SCOPES, st.booleans(), st.booleans())
def test_no_two_lists_share_a_path(
    one: addresses.Scope, other: addresses.Scope, delta: bool, other_delta: bool
) -> None:
    same = (one, delta) == (other, other_delta)
    assert (addresses.path(one, delta=delta) == addresses.path(other, delta=other_delta)) is same


@pytest.mark.parametrize("file", ["0.crl", "01.crl", "x.crl", "1-delta", "delta-1.crl", "1.crl\n"])
def test_other_files_are_no_lists(file: str) -> None:
    assert addresses.parse_file("citizen", file) is None
