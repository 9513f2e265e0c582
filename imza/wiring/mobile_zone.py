"""The mobile signature gateway: what relying parties and phones call."""

import fastapi

import mobile_id.api
import mobile_id.settings
from imza import config as configs
from imza import health
from imza.wiring.resources import Resources
from imza.wiring.zone import REGULAR, Job, Zone
from mobile_id import device_api, gateway, waiting
from pki import access, usage_api, web


def build(resources: Resources, config: configs.Config, tokens: access.AccessTokens | None) -> Zone:
    """Build the gateway's zone; see `imza.wiring.zones.build`."""
    settings = configs.require(config.mobile_id, "mobile_id")
    sessions = resources.sessions(config)
    notices = waiting.Notices()
    mobile_gateway = gateway.Gateway(
        sessions,
        mobile_id.settings.load_relying_parties(
            configs.require(settings.relying_parties, "mobile_id.relying_parties")
        ),
        settings,
        notices.announce,
    )
    # Several workers may share the database: each hears what the others changed.
    notices.follow(lambda: mobile_gateway.changed_topics(resources.present.now()))
    root = fastapi.APIRouter()
    root.include_router(
        mobile_id.api.routes(mobile_gateway, notices, resources.present), prefix="/mid-api"
    )
    root.include_router(
        device_api.routes(mobile_gateway, notices, resources.present), prefix="/mobile-device"
    )
    own = tokens or access.AccessTokens(config.access, sessions)
    return Zone(
        "mobile",
        (
            root,
            usage_api.routes("mobile", sessions, own, resources.present),
            *(() if tokens else (web.token_routes(own, resources.present),)),
        ),
        (Job("expire-transactions", REGULAR, mobile_gateway.expire_due),),
        {"database": health.database_probe(sessions)},
    )
