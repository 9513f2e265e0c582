"""One line of the table of results."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    """A figure beside its peer.

    Attributes:
        subject: What was measured.
        peer: What it stands beside, or the limit.
        ours: Our figure with its unit.
        theirs: The peer's figure, or the limit itself.
        ratio: Ours divided by theirs.
        target: What to aim at, as a sentence such as `<= 0.5`.
        met: Whether this run met the target.
    """

    subject: str
    peer: str
    ours: str
    theirs: str
    ratio: float
    target: str
    met: bool
