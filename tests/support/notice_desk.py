"""A desk that tells subscribers: a CA, a mail server and an SMS gateway."""

import dataclasses
import datetime

from ca.notices import delivery, occasions
from ca.subscribers import contacts
from tests.support import ca_world, mail_server


@dataclasses.dataclass
class Gateway:
    """An SMS gateway that believes signed requests alone."""

    url: str = ""
    taken: list[tuple[str, dict[str, object]]] = dataclasses.field(default_factory=list)
    status: int = 204


@dataclasses.dataclass
class Desk:
    """A CA with a mail server and an SMS gateway, and one subscriber who wants to be told."""

    world: ca_world.World
    mail: mail_server.MailServer
    gateway: Gateway
    post: delivery.Post
    application: str

    def certify(self, profile: str = "sign") -> int:
        return self.world.certify(self.application, profile).record.serial_number

    def tell(self, at: datetime.datetime, *, application: str | None = None, **fields: str) -> None:
        contact = contacts.Contact(
            fields.get("email"),
            fields.get("phone_number"),
            contacts.Language(fields.get("language", "az")),
        )
        with self.world.sessions() as session:
            contacts.record(session, application or self.application, contact, at, actor="test")
            session.commit()

    def run(self, at: datetime.datetime) -> int:
        """What the worker does at a time."""
        occasions.record_changes(self.world.sessions, self.post.settings, at)
        occasions.record_ends(self.world.sessions, self.post.settings, at)
        return delivery.deliver_due(self.post, at)
