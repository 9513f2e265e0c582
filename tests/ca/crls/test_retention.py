import datetime

import sqlalchemy

from ca.crls import addresses, published, retention, tables

SCOPE = addresses.Scope("citizen")
DAY = datetime.timedelta(days=1)


def _kept(office) -> set[int]:
    with office.sessions() as session:
        rows = session.scalars(sqlalchemy.select(tables.CRLRow)).all()
        with_bytes = set(session.scalars(sqlalchemy.select(tables.CRLChunkRow.crl_id)))
        assert {row.id for row in rows if row.kept} == with_bytes
        return {row.number for row in rows if row.kept}


def _clean(office, keep: datetime.timedelta) -> None:
    with office.sessions() as session:
        retention.clean(session, SCOPE, keep, office.at)
        session.commit()


def test_of_each_day_the_last_full_list_stays_and_of_all_the_newest(office) -> None:
    start = office.at
    numbers = {}
    for hours in (0, 6, 24, 30, 48):
        office.at = start + datetime.timedelta(hours=hours)
        numbers[hours] = [one.number for one in office.publish_full()]
    office.at = start + 40 * DAY
    _clean(office, 30 * DAY)
    assert _kept(office) == {numbers[6][0], numbers[30][0], *numbers[48]}
    _clean(office, 30 * DAY)
    with office.sessions() as session:
        for delta in (False, True):
            newest = published.newest(session, SCOPE, delta=delta)
            assert published.content(session, newest)
        assert published.last_number(session, "citizen") == 10


def test_within_the_time_every_list_stays(office) -> None:
    for _ in range(3):
        office.publish_full()
    _clean(office, DAY)
    assert len(_kept(office)) == 6
