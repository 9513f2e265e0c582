"""What a trust zone is to whoever serves it: routes, regular duties, probes."""

import dataclasses
import datetime
import typing
from collections.abc import Callable, Mapping

from starlette import types as starlette_types

if typing.TYPE_CHECKING:
    import fastapi

ZONES = ("ca", "ocsp", "tsa", "mobile", "signing")

FREQUENT = datetime.timedelta(seconds=2)
REGULAR = datetime.timedelta(minutes=1)
DAILY = datetime.timedelta(days=1)


@dataclasses.dataclass(frozen=True)
class Job:
    """A regular duty of a zone.

    Attributes:
        name: For the log.
        every: How often.
        run: Does it; is handed the present time.
        in_each_process: It looks after what a process keeps in its memory; any other duty is done
            by one process for all.
    """

    name: str
    every: datetime.timedelta
    run: Callable[[datetime.datetime], object]
    in_each_process: bool = False


@dataclasses.dataclass(frozen=True)
class Zone:
    """A trust zone, ready to be served.

    Attributes:
        name: One of `ZONES`.
        routers: What it answers by the web framework, which is not even imported without any.
        endpoints: What it answers ahead of the web framework, by the first part of the path.
        jobs: What its worker does.
        probes: What must work for the zone to be ready, by name; each raises when it does not.
        notes: What an operator should know of how the zone runs, by name.
    """

    name: str
    routers: "tuple[fastapi.APIRouter, ...]"
    jobs: tuple[Job, ...] = ()
    probes: Mapping[str, Callable[[], object]] = dataclasses.field(default_factory=dict)
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)
    endpoints: Mapping[str, starlette_types.ASGIApp] = dataclasses.field(default_factory=dict)
