"""A response ready to be sent, with what the transport has to know about it."""

import datetime
from typing import NamedTuple

from ocsp import messages


class Answer(NamedTuple):
    """A response ready to be sent.

    A tuple and no dataclass, as one is made for every request.

    Attributes:
        response_der: The bytes.
        response_status: What became of the request.
        produced_at: None unless successful.
        this_update: Likewise; never later than `produced_at`.
        next_update: Until when anybody may keep it; None where nobody may: it answers one
            requester's nonce, or says `unknown` of a certificate that may be issued any moment.
    """

    response_der: bytes
    response_status: messages.ResponseStatus
    produced_at: datetime.datetime | None = None
    this_update: datetime.datetime | None = None
    next_update: datetime.datetime | None = None
