"""The settings file of a zone: which sections there are. Each package declares its own."""

import dataclasses
import datetime
import pathlib
from collections.abc import Mapping
from typing import TypeVar

from ca import settings as ca_settings
from ca.audit_log import anchors as audit_anchors
from ca.bulletin import settings as bulletin_settings
from ca.disclosure import settings as disclosure_settings
from ca.enrolment import settings as enrolment_settings
from ca.notices import settings as notice_settings
from ca.registers import settings as register_settings
from ca.renewal import settings as renewal_settings
from ca.subscribers import settings as subscriber_settings
from mobile_id import settings as mobile_settings
from ocsp import settings as ocsp_settings
from pki import access_settings, settings
from pki.keystore import settings as keystore_settings
from pki.keystore import signature_log as signature_logs
from signing_service import settings as signing_settings
from tsa import settings as tsa_settings

Section = TypeVar("Section")

MAX_WORKERS = 256


@dataclasses.dataclass(frozen=True)
class ServerSettings:
    """The `[server]` section: where the zone listens.

    Attributes:
        host: An address of this machine.
        port: The plain port; TLS ends here or at a reverse proxy.
        tls_port: Another port with TLS, or none.
        tls_certificate: PEM with the chain, for `tls_port`.
        tls_key: PEM of its private key.
        workers: So many processes serve the port, and one more does the regular duties; 0: one
            process does everything.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    tls_port: int | None = None
    tls_certificate: pathlib.Path | None = None
    tls_key: pathlib.Path | None = None
    workers: int = 0

    def __post_init__(self) -> None:
        """Refuse a number that is none."""
        if not 0 <= self.workers <= MAX_WORKERS:
            raise settings.SettingsError(
                f"[server] workers: expected 0 to {MAX_WORKERS}, got {self.workers}"
            )


@dataclasses.dataclass(frozen=True)
class DatabaseSettings:
    """The `[database]` section."""

    url: str


@dataclasses.dataclass(frozen=True)
class StatusFileSettings:
    """The `[status_file]` section: what the CA publishes for responders on other machines.

    Attributes:
        file: Is replaced as a whole; somebody brings it to the responders.
        every: How often, in seconds.
    """

    file: pathlib.Path
    every: datetime.timedelta = datetime.timedelta(minutes=1)


@dataclasses.dataclass(frozen=True)
class MobilePeerSettings:
    """The `[mobile_peer]` section: the gateway, as the signing zone's relying party sees it.

    Attributes:
        api_root: Such as `https://HOST/mid-api`.
        relying_party_name: What people are shown.
        relying_party_uuid_file: Holds the shared secret; mode 0600.
        tls_ca: Whom to trust for the gateway's TLS, where that is a private CA.
    """

    api_root: str
    relying_party_name: str
    relying_party_uuid_file: pathlib.Path
    tls_ca: pathlib.Path | None = None


@dataclasses.dataclass(frozen=True)
class TestingSettings:
    """The `[testing]` section; never in production.

    Attributes:
        failpoints: Let the variable `IMZA_FAILPOINT` kill the process; see `pki.failpoints`.
    """

    failpoints: bool = False


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything a settings file may say; each zone needs some of it.

    Attributes:
        keystore: The zone's own keys.
        keystore_ocsp: Where `imza ca init` makes the responders' keys, if not in `keystore`.
        keystore_tsa: Likewise for the time-stamping unit's key.
        disclosure: What the PKI disclosure statements say of the operator.
        statistics: Whose counters make the statistics, and what things cost.
        register: Which authentic source is asked when somebody is vetted.
        audit: Where the CA zone's audit log is anchored, and by which time stamps.
        keystore_root: Where the root's key is, if not in `keystore`: opened for key ceremonies
            alone, and away from the machine otherwise.
        signature_log: Where it is written what the authorities' keys sign.
        status_file: What the CA publishes for responders that cannot reach its database.
    """

    server: ServerSettings = ServerSettings()
    database: DatabaseSettings | None = None
    access: access_settings.Settings = dataclasses.field(default_factory=access_settings.Settings)
    keystore: keystore_settings.Settings | None = None
    keystore_ocsp: keystore_settings.Settings | None = None
    keystore_tsa: keystore_settings.Settings | None = None
    keystore_root: keystore_settings.Settings | None = None
    signature_log: signature_logs.Settings | None = None
    status_file: StatusFileSettings | None = None
    ca: ca_settings.Settings | None = None
    audit: audit_anchors.Settings | None = None
    disclosure: disclosure_settings.Settings | None = None
    statistics: bulletin_settings.Settings | None = None
    enrolment: enrolment_settings.Settings | None = None
    register: register_settings.Settings | None = None
    renewal: renewal_settings.Settings = dataclasses.field(
        default_factory=renewal_settings.Settings
    )
    subscribers: subscriber_settings.Settings = dataclasses.field(
        default_factory=subscriber_settings.Settings
    )
    notices: notice_settings.Settings | None = None
    ocsp: ocsp_settings.Settings | None = None
    tsa: tsa_settings.Settings | None = None
    mobile_id: mobile_settings.Settings | None = None
    mobile_peer: MobilePeerSettings | None = None
    signing: signing_settings.Settings | None = None
    testing: TestingSettings = TestingSettings()

    def __post_init__(self) -> None:
        """Refuse test settings in a certification authority that is not one for tests."""
        if self.testing.failpoints and self.ca is not None and not self.ca.test:
            raise settings.SettingsError(
                "[testing] failpoints: expected it in a test installation alone ([ca] test = true)"
            )


def read(path: pathlib.Path) -> Config:
    """Read and check a settings file; relative paths in it are relative to the current folder.

    Raises:
        SettingsError: Unreadable, or an entry is unknown, missing or of another type.
    """
    return parse(settings.read_file(path))


def parse(content: Mapping[str, object]) -> Config:
    """Check the content of a settings file; raises as `read` does."""
    return settings.read_section(Config, content, name="settings")


def require(section: Section | None, name: str) -> Section:
    """Return a section that a zone cannot do without.

    Raises:
        SettingsError: It is not in the file.
    """
    if section is None:
        raise settings.SettingsError(f"expected a section [{name}] in the settings file")
    return section
