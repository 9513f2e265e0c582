import datetime

import pytest

from signing_service import certification_paths
from tests.support import hierarchy as hierarchy_support

NOW = datetime.datetime(2026, 11, 1, tzinfo=datetime.UTC)
WORLD = hierarchy_support.make_hierarchy(NOW)
KNOWN = certification_paths.Authorities(
    (WORLD.root.certificate,), (WORLD.infrastructure.certificate, WORLD.issuing.certificate)
)


def test_path_begins_with_the_certificate_and_ends_with_the_root() -> None:
    holder = WORLD.signer()
    assert KNOWN.path(holder.certificate, NOW) == holder.chain


def test_authority_that_a_token_carries_may_stand_in_the_path() -> None:
    holder = WORLD.signer()
    roots_alone = certification_paths.Authorities((WORLD.root.certificate,))
    with pytest.raises(certification_paths.UntrustedCertificateError):
        roots_alone.path(holder.certificate, NOW)
    assert roots_alone.path(holder.certificate, NOW, besides=holder.issuers) == holder.chain


def test_root_that_a_stranger_sends_along_is_not_trusted() -> None:
    stranger = hierarchy_support.make_hierarchy(NOW).signer()
    with pytest.raises(certification_paths.UntrustedCertificateError):
        KNOWN.path(stranger.certificate, NOW, besides=stranger.issuers)


@pytest.mark.clause("RFC 5280", "6.1.4")
def test_persons_certificate_issues_nothing() -> None:
    holder = WORLD.signer()
    below = WORLD._leaf(holder, [], hierarchy_support.algorithms.KeyKind.P256, [])
    with pytest.raises(certification_paths.UntrustedCertificateError):
        KNOWN.path(below.certificate, NOW, besides=[holder.certificate])


@pytest.mark.parametrize("days", [-2, 4 * 365])
def test_path_outside_the_validity_is_none(days: int) -> None:
    holder = WORLD.signer()
    with pytest.raises(certification_paths.UntrustedCertificateError):
        KNOWN.path(holder.certificate, NOW + datetime.timedelta(days=days))
