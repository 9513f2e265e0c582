"""The time-stamping authority: one unit and its key."""

from cryptography import x509

import tsa.api
from imza import config as configs
from imza.wiring.resources import Resources
from imza.wiring.zone import Zone
from pki import access
from tsa import authority


def build(resources: Resources, config: configs.Config, _: access.AccessTokens | None) -> Zone:
    """Build the time-stamping authority's zone; see `imza.wiring.zones.build`."""
    settings = configs.require(config.tsa, "tsa")
    chain = x509.load_pem_x509_certificates(settings.certificates.read_bytes())
    keys = resources.keys(config.keystore, "keystore")
    unit = authority.TimeStampingUnit(chain[0], keys.open_key(settings.key_label), tuple(chain[1:]))
    issuing = authority.TimeStampAuthority(unit, settings.policies, qualified=settings.qualified)
    return Zone(
        "tsa",
        (tsa.api.routes(issuing, resources.present),),
        probes={"unit": lambda: unit.check_valid_at(resources.present.now())},
    )
