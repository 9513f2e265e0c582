"""The zones' counters: the authority asks for them, and no zone reads another's tables.

A zone that does not answer is named in the statistics; the figures of the others stand.
"""

import dataclasses
import logging
from collections.abc import Callable, Sequence

from ca.bulletin import settings
from pki import credentials, errors, months, outbound, usage

log = logging.getLogger(__name__)

MAX_COUNTERS = 1_000_000


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a zone answered.

    Attributes:
        code: Why there is no answer; None where there is one.
    """

    zone: str
    counters: tuple[usage.Counter, ...] = ()
    code: str | None = None


Ask = Callable[[months.Range], Answer]


def asking(source: settings.Source, client: outbound.Client) -> Ask:
    """Return what asks a zone for its counters.

    Raises:
        CredentialsError: The file of its credentials cannot be read.
    """
    known = credentials.read_credentials(source.credentials, "statistics_client", server=source.url)
    tokens = credentials.TokenSource(client, known, scope="statistics")

    def ask(period: months.Range) -> Answer:
        url = f"{known.base_url}/usage/v1/{source.zone}?from={period.first}&to={period.last}"
        try:
            return Answer(source.zone, _counters(source.zone, tokens.send("GET", url).json()))
        except errors.ImzaError as error:
            log.warning("usage_not_read zone=%s code=%s", source.zone, error.code)
            return Answer(source.zone, code=error.code)

    return ask


def ask_all(asks: Sequence[Ask], period: months.Range) -> tuple[Answer, ...]:
    """Ask every zone."""
    return tuple(ask(period) for ask in asks)


def _counters(zone: str, answer: object) -> tuple[usage.Counter, ...]:
    entries = answer.get("counters") if isinstance(answer, dict) else None
    if not isinstance(entries, list) or len(entries) > MAX_COUNTERS:
        raise usage.UsageAnswerError("expected a list of counters")
    return tuple(usage.from_json(zone, one) for one in entries)
