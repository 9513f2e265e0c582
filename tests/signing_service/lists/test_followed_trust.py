"""Trusted lists as a service reads them again and again."""

import datetime
import pathlib

import pytest
import sqlalchemy

from pki import certificates, clock, database
from signing_service import trust
from signing_service.lists import followed_trust, trust_sources
from tests.support import trusted_lists as support

AT = datetime.datetime(2026, 1, 31, 12, tzinfo=datetime.UTC)
HOUR = datetime.timedelta(hours=1)


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> support.ListWorld:
    folder = tmp_path_factory.mktemp("ca")
    engine: sqlalchemy.Engine = database.connect(f"sqlite:///{folder}/ca.sqlite")
    return support.make_world_in(engine, AT)


@pytest.fixture
def listed(tmp_path: pathlib.Path, world: support.ListWorld) -> pathlib.Path:
    path = tmp_path / "az.xml"
    path.write_bytes(world.sign(next_update=AT + 24 * HOUR))
    return path


@pytest.fixture
def followed(tmp_path, world, listed) -> followed_trust.FollowedTrust:
    signer = tmp_path / "signer.pem"
    signer.write_text(certificates.to_pem(world.signer))
    sources = trust_sources.TrustSources(clock.FixedClock(AT), None, (signer,))
    return followed_trust.FollowedTrust(trust.TrustAnchors((world.root,)), sources, [str(listed)])


def test_own_anchors_are_trusted_before_any_list_was_read(followed, world):
    assert followed.anchors(AT).certificates == (world.root,)


def test_what_a_list_names_is_trusted_until_its_next_update(followed, world):
    followed.refresh(AT)
    assert len(followed.anchors(AT).certificates) == 5
    assert followed.anchors(AT).services
    late = followed.anchors(AT + 24 * HOUR)
    assert (late.certificates, late.services) == ((world.root,), ())


def test_a_list_that_cannot_be_read_again_stays_in_force(followed, listed):
    followed.refresh(AT)
    listed.write_bytes(b"<broken/>")
    followed.refresh(AT + HOUR)
    assert len(followed.anchors(AT + HOUR).certificates) == 5


def test_a_list_is_read_again_after_an_hour_and_not_before(followed, listed, world):
    followed.refresh(AT)
    listed.write_bytes(world.sign(sequence_number=2, next_update=AT + 48 * HOUR))
    followed.refresh(AT + HOUR / 2)
    assert len(followed.anchors(AT + 25 * HOUR).certificates) == 1
    followed.refresh(AT + HOUR)
    assert len(followed.anchors(AT + 25 * HOUR).certificates) == 5


@pytest.mark.clause("TS 119 612", "5.3.2")
def test_an_older_list_that_is_played_back_is_not_believed_though_nothing_is_remembered(
    followed, listed, world
):
    older = listed.read_bytes()
    listed.write_bytes(world.sign(sequence_number=2, next_update=AT + 20 * HOUR))
    followed.refresh(AT)
    listed.write_bytes(older)
    followed.refresh(AT + HOUR)
    assert len(followed.anchors(AT + 19 * HOUR).certificates) == 5
    # The older one would have been in force for four hours longer.
    assert len(followed.anchors(AT + 21 * HOUR).certificates) == 1


def test_a_list_that_was_not_there_is_tried_again_soon(followed, listed, world):
    content = listed.read_bytes()
    listed.unlink()
    followed.refresh(AT)
    assert len(followed.anchors(AT).certificates) == 1
    listed.write_bytes(content)
    followed.refresh(AT + followed_trust.RETRY)
    assert len(followed.anchors(AT).certificates) == 5
