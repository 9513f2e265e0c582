"""Building a zone by its name; a process imports only what its own zone needs."""

import importlib
import typing

from imza import config as configs
from imza.wiring.resources import Resources
from imza.wiring.zone import ZONES, Zone
from pki import errors, failpoints

if typing.TYPE_CHECKING:
    from pki import access


def build(
    resources: Resources,
    name: str,
    config: configs.Config,
    tokens: "access.AccessTokens | None" = None,
) -> Zone:
    """Build one zone.

    Args:
        resources: Holds what the zone opens.
        name: One of `ZONES`.
        config: Its settings.
        tokens: Instead of the zone's own, where several zones share one `/oauth2/token`.

    Raises:
        SettingsError: A section is missing.
        OutdatedSchemaError: The database is not of this version.
        DeviceError: The key store does not open.
        FailpointRefusedError: A failpoint is set, and this is no test installation.
    """
    if name not in ZONES:
        raise errors.InputError(f"expected a zone of {', '.join(ZONES)}, got {name!r}")
    failpoints.arm_from_environment(allowed=config.testing.failpoints)
    module = importlib.import_module(f"imza.wiring.{name}_zone")
    built = module.build(resources, config, tokens)
    if not isinstance(built, Zone):
        raise TypeError(f"expected a zone from {module.__name__}")
    return built


def access_tokens(resources: Resources, config: configs.Config) -> "access.AccessTokens":
    """What gives tokens to the clients of a settings file, and knows them again."""
    from pki import access

    return access.AccessTokens(config.access, resources.sessions(config))
