"""What is to be done after a compromise, by programs and by people, and what of it is done."""

import dataclasses

from ca.continuity import compromise


@dataclasses.dataclass(frozen=True)
class Item:
    """One line of the checklist.

    Attributes:
        text: What is to be done.
        done: Whether it is; None where a program cannot know.
    """

    text: str
    done: bool | None = None


def of_compromise(name: str, progress: compromise.Progress, *, listed: bool | None) -> list[Item]:
    """The checklist of a compromise of the authority `name`, in the order of its steps.

    Args:
        name: The authority.
        progress: How far the programs have come.
        listed: Whether the trusted list says `withdrawn`; None where no list is published.
    """
    items = [
        Item(f"{name} certifies nobody any more", True),
        Item(
            f"{progress.closure.revoked} certificates revoked, {progress.left} left",
            progress.left == 0,
        ),
        Item(f"the certificate of {name} revoked in the registry", progress.authority_revoked),
        Item(
            "the root's CRL says so (root offline: play a ceremony with revoke-authority)",
            progress.root_crl_number is not None,
        ),
        Item(f"the last CRL of {name} published", progress.last_crl_number is not None),
    ]
    if listed is not None:
        items.append(Item("the trusted list says withdrawn", listed))
    return [
        *items,
        Item("tell the supervisory body, within the time that the law sets"),
        Item("tell subscribers and relying parties: notices, web site, portals"),
        Item("make the next generation: imza ca rollover, or a key ceremony"),
        Item("certify subscribers anew by the next generation"),
        Item(f"destroy the key of {name} once its last CRL is out and no responder is needed"),
        Item("write down what happened; keep the audit log's export of this day"),
    ]
