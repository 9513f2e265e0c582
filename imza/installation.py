"""A folder that holds a whole installation: a settings file for each zone, and its secrets.

The sandbox runs all zones from one; `imza serve` runs each from its own settings file. The
secrets are random for each folder and work nowhere else.
"""

import dataclasses
import datetime
import json
import pathlib
import secrets
import uuid
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import tomli_w
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from imza import sandbox_disclosure
from imza.wiring import founding
from imza.wiring.zone import ZONES
from pki import access, durable_files, oids
from pki.keystore import settings as keystore_settings

SIGNING_RELYING_PARTY = "TEST imza"
PORTAL_RELYING_PARTY = "TEST portal"

TRUST_ANCHORS = "trust-anchors.pem"
AUTHORITIES = "authorities.pem"
FIRST_UNIT, SECOND_UNIT = "tsu-1", "tsu-2"
"""Time-stamping units: the first signs unless a request names the second one's policy."""

LIST_SIGNER = "tl-signer.pem"

COUNTRY = "AZ"
COUNTRIES = ("AZ", "GE", "EE", "LT")
ORGANISATION = "imza sandbox"
ORGANISATION_CODE = "9900000001"

ENROLMENT_VALIDITY_S = 10 * 365 * 86400

STATISTICS_SCOPES = ("statistics",)

API_SCOPES = ("sign", "validate", "seal", "authenticate")

SEAL, SEAL_KEY = "ministry", "seal-ministry"
"""The name of the seal of a TEST ministry, and the label of its key."""


@dataclasses.dataclass(frozen=True)
class Addresses:
    """Where each zone can be reached, as base addresses; in the sandbox all are the same.

    `secure` is the CA zone's address over https, for what certificates must name in that way.
    """

    ca: str
    ocsp: str
    tsa: str
    mobile: str
    signing: str
    secure: str = "https://localhost"

    @classmethod
    def together(cls, base_url: str, secure: str = "https://localhost") -> "Addresses":
        """Every zone behind one address."""
        return cls(base_url, base_url, base_url, base_url, base_url, secure)

    def of(self, zone: str) -> str:
        """The base address of a zone."""
        return str(getattr(self, zone))


@dataclasses.dataclass(frozen=True)
class ClientSecret:
    """An API client with its secret, as `sandbox.json` tells it."""

    client_id: str
    client_secret: str = dataclasses.field(repr=False)
    scopes: tuple[str, ...]


class Installation:
    """Paths and secrets in one folder."""

    def __init__(self, folder: pathlib.Path, *, registers: bool = False) -> None:
        """Name the folder; `lay_out` fills it.

        Args:
            folder: DIR.
            registers: Whether people are looked up in the local register when they are vetted.
        """
        self.registers = registers
        self.folder = folder.absolute()
        self.trust_anchors = self.folder / TRUST_ANCHORS
        self.authorities = self.folder / AUTHORITIES
        self.list_signer = self.folder / LIST_SIGNER
        self.signature_log = self.folder / "signatures.log"
        self.mobile_folder = self.folder / "mobile"
        self.cards_folder = self.folder / "cards"
        self.operators_folder = self.folder / "operators"
        self.seal_certificate = self.folder / f"{SEAL_KEY}.pem"
        self._secrets = self.folder / "secrets"

    def config_path(self, zone: str) -> pathlib.Path:
        """The settings file of a zone."""
        return self.folder / "config" / f"{zone}.toml"

    @property
    def api_client(self) -> ClientSecret:
        """A portal."""
        return self._client("sandbox-portal", API_SCOPES)

    @property
    def statistics_client(self) -> ClientSecret:
        """The CA zone, when it asks the others for their counters."""
        return self._client("sandbox-statistics", STATISTICS_SCOPES)

    def relying_party_uuid(self, name: str) -> str:
        """The secret that a Mobile-ID relying party shows."""
        return self._secret(f"relying-party-{name.replace(' ', '-')}", lambda: str(uuid.uuid4()))

    @property
    def enrolment_file(self) -> pathlib.Path:
        """The reference and the secret with which a person enrols over CMP."""
        return self._secrets / "cmp.json"

    def lay_out(
        self,
        addresses: Addresses,
        *,
        database_url: str | None = None,
        token: keystore_settings.Settings | None = None,
    ) -> None:
        """Write what is missing of the secrets, and every zone's settings anew.

        Args:
            addresses: Where the zones will be.
            database_url: One database for all zones, instead of a SQLite file for each.
            token: A PKCS#11 token for the authorities' keys, instead of encrypted files.
        """
        for folder in (self.folder, self._secrets, self.folder / "config"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._write_relying_parties()
        common: dict[str, Any] = {
            "access": {"clients": [_as_setting(one) for one in self._clients()]},
            "testing": {"failpoints": True},
        }
        for zone in ZONES:
            content = {
                **common,
                "server": _server(addresses.of(zone)),
                "database": {"url": database_url or f"sqlite:///{self._database_of(zone)}"},
                **self._sections(zone, addresses, token),
            }
            durable_files.replace(self.config_path(zone), tomli_w.dumps(content).encode())

    def _database_of(self, zone: str) -> pathlib.Path:
        # The responder reads the registry that the certification authority writes.
        return self.folder / f"{'ca' if zone == 'ocsp' else zone}.sqlite"

    def _sections(
        self, zone: str, addresses: Addresses, token: keystore_settings.Settings | None
    ) -> dict[str, Any]:
        if zone == "ca":
            self._secret("enrolment", lambda: secrets.token_urlsafe(32))
            return {
                "statistics": self._statistics(addresses),
                "disclosure": sandbox_disclosure.section(addresses.secure),
                **({"register": {"kind": "local"}} if self.registers else {}),
                "enrolment": {
                    "secret_file": str(self._secrets / "enrolment"),
                    # A sandbox may be started again on the same folder for as long as it is of use.
                    "reference_validity": ENROLMENT_VALIDITY_S,
                },
                # Whoever tries renewals has no certificate near its end.
                "renewal": {"window": ENROLMENT_VALIDITY_S, "self_service": True},
                # A sandbox limits nothing.
                "subscribers": {"password_tries": 0},
                "audit": {
                    "folder": str(self.folder / "audit-anchors"),
                    "tsa_url": f"{addresses.tsa}/tsa",
                    "every": 60,
                },
                "keystore": self._keystore("ca", token),
                "signature_log": {"file": str(self.signature_log)},
                "keystore_ocsp": self._keystore("ocsp", token),
                "keystore_tsa": self._keystore("tsa", token),
                "ca": {
                    "country": COUNTRY,
                    "organisation_name": ORGANISATION,
                    "organisation_code": ORGANISATION_CODE,
                    "base_url": addresses.ca,
                    "ocsp_url": f"{addresses.ocsp}/ocsp",
                    "time_stamping_units": ["P-384", "RSA-3072"],
                    "disclosures": sandbox_disclosure.addresses(addresses.secure),
                    "test": True,
                    # A sandbox limits nothing.
                    "certificates_per_role": 0,
                    "trusted_list": {
                        "street_address": "TEST",
                        "locality": "Bakı",
                        "postal_code": "AZ1000",
                        "email": "test@localhost",
                        "website": "https://localhost/",
                    },
                },
            }
        if zone == "ocsp":
            # Whoever revokes in a script looks at the status in the next line.
            own = {"status_poll": 0.1}
            return {"keystore": self._keystore("ocsp", token), "ocsp": own}
        if zone == "tsa":
            return {
                "keystore": self._keystore("tsa", token),
                "tsa": {
                    "certificates": str(self.folder / unit_chain_name(FIRST_UNIT)),
                    "units": [
                        {
                            "certificates": str(self.folder / unit_chain_name(SECOND_UNIT)),
                            "key_label": SECOND_UNIT,
                            "policies": [oids.TEST_POLICY_RSA_TIME_STAMP],
                        }
                    ],
                    "clock": {"trust_system_clock": True},
                },
            }
        if zone == "mobile":
            return {
                "mobile_id": {
                    "relying_parties": str(self._secrets / "relying-parties.json"),
                    "countries": list(COUNTRIES),
                    # A sandbox limits nothing.
                    "max_waiting_per_sim": 0,
                }
            }
        return {
            "mobile_peer": {
                "api_root": f"{addresses.mobile}/mid-api",
                "relying_party_name": SIGNING_RELYING_PARTY,
                "relying_party_uuid_file": str(
                    self._secrets / f"relying-party-{SIGNING_RELYING_PARTY.replace(' ', '-')}"
                ),
            },
            "keystore": self._keystore("signing", token),
            "signing": {
                "folder": str(self.folder / "documents"),
                "seals": [
                    {
                        "name": SEAL,
                        "certificate": str(self.seal_certificate),
                        "key_label": SEAL_KEY,
                        "clients": [self.api_client.client_id],
                    }
                ],
                "report_seal": SEAL,
                "tsa_url": f"{addresses.tsa}/tsa",
                "trust_anchors": [str(self.trust_anchors)],
                "authorities": [str(self.authorities)],
                "trusted_lists": [f"{addresses.ca}/tl/az.xml"],
                "list_signers": [str(self.list_signer)],
                "list_memory": str(self.folder / "trusted-lists.json"),
            },
        }

    def _statistics(self, addresses: Addresses) -> dict[str, Any]:
        path = self._secrets / "statistics.json"
        known = self.statistics_client
        client = {"client_id": known.client_id, "client_secret": known.client_secret}
        durable_files.replace(path, json.dumps(client).encode())
        return {
            "sources": [
                {"zone": zone, "url": addresses.of(zone), "credentials": str(path)}
                for zone in ("signing", "mobile")
            ],
            "tariffs": [
                {
                    "valid_from": datetime.date(2026, 1, 1),
                    "currency": "AZN",
                    "certificates": {"citizen": "1.00", "official": "2.00", "business": "3.00"},
                    "mobile_transaction": "0.01",
                    "vat_percent": "18",
                }
            ],
        }

    def _keystore(self, zone: str, token: keystore_settings.Settings | None) -> dict[str, str]:
        if token is not None:
            return {
                "kind": token.kind,
                "secret_file": str(token.secret_file),
                "module": str(token.module),
                "token": str(token.token),
            }
        self._secret(f"keystore-{zone}", lambda: secrets.token_urlsafe(32))
        return {
            "kind": "file",
            "secret_file": str(self._secrets / f"keystore-{zone}"),
            "folder": str(self.folder / "keys" / zone),
        }

    def _write_relying_parties(self) -> None:
        parties = [
            {
                "uuid": self.relying_party_uuid(name),
                "names": [name],
                "networks": ["127.0.0.0/8", "::1/128"],
            }
            for name in (SIGNING_RELYING_PARTY, PORTAL_RELYING_PARTY)
        ]
        durable_files.replace(self._secrets / "relying-parties.json", json.dumps(parties).encode())

    def _clients(self) -> tuple[ClientSecret, ...]:
        return self.api_client, self.statistics_client

    def _client(self, client_id: str, scopes: tuple[str, ...]) -> ClientSecret:
        return ClientSecret(
            client_id, self._secret(f"client-{client_id}", access.new_secret), scopes
        )

    def _secret(self, name: str, make: Callable[[], str]) -> str:
        path = self._secrets / name
        if not path.exists():
            durable_files.replace(path, make().encode())
        return path.read_text(encoding="utf-8")


def unit_chain_name(label: str) -> str:
    """The file of a time-stamping unit's certificate and the CAs above it."""
    return f"{label}.pem"


def write_certificates(made: founding.Initialised, folder: pathlib.Path) -> None:
    """Write roots, authorities, the time-stamping unit's chain and the list's signer as PEM."""
    roots = [one.certificate for one in made.issuers if one.issuer_name == one.name]
    below = [one.certificate for one in made.issuers if one.issuer_name != one.name]
    (folder / TRUST_ANCHORS).write_bytes(_pem(roots))
    (folder / AUTHORITIES).write_bytes(_pem(below))
    for label, chain in made.unit_chains.items():
        (folder / unit_chain_name(label)).write_bytes(_pem(chain))
    if made.list_signer is not None:
        (folder / LIST_SIGNER).write_bytes(_pem([made.list_signer]))


def _as_setting(client: ClientSecret) -> Mapping[str, object]:
    return {
        "client_id": client.client_id,
        "secret_sha256": access.hash_secret(client.client_secret),
        "scopes": list(client.scopes),
    }


def _server(base_url: str) -> dict[str, object]:
    host, _, port = base_url.removeprefix("http://").partition(":")
    return {"host": host, "port": int(port)}


def _pem(certificates: Iterable[x509.Certificate]) -> bytes:
    return b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)
