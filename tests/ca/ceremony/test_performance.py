"""A ceremony is played and its transcript checked, with keys in memory."""

import datetime
import pathlib

from sqlalchemy import orm

from ca import hierarchy
from ca.ceremony import examination, performance, script, transcript
from pki import audit
from tests.support import ca_world, ceremonies

FOUNDING = pathlib.Path("docs/examples/ceremony.yaml").read_bytes()


def test_the_example_founds_a_hierarchy_whose_transcript_checks(
    sessions: orm.sessionmaker[orm.Session], at: datetime.datetime
) -> None:
    stage = ceremonies.make_stage(sessions, at)
    signed = performance.play(stage.stage, script.read(FOUNDING))
    assert signed.stopped_by is None
    found = examination.examine(signed.content, signed.signature_der, stage.root())
    assert found.transcript.outcome == transcript.COMPLETED
    assert len(found.transcript.steps) == 23
    assert len(stage.asked) == 15 * 3 + 8 * 2 + 3
    made = hierarchy.load(sessions, stage.keys, ca_world.SETTINGS)
    assert set(made.authorities) == set(hierarchy._TITLES)
    with sessions() as session:
        audit.verify(session)
