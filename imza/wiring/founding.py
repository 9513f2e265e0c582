"""Making the hierarchy of an installation: all at once, or in a key ceremony."""

import dataclasses
import datetime
import pathlib
from collections.abc import Callable, Mapping

from cryptography import x509
from sqlalchemy import orm

from ca import foundation, generations, hierarchy
from ca import settings as ca_settings
from ca.ceremony import foreign_authority, performance, script
from ca.trusted_list import publication
from imza import config as configs
from imza.wiring.resources import Resources
from pki import profiles, registry


@dataclasses.dataclass(frozen=True)
class Initialised:
    """What the other zones need to know of the hierarchy.

    Attributes:
        issuers: All authorities.
        unit_chains: Of each time-stamping unit, by its label: its certificate and the CAs above
            it, without the root.
        list_signer: The trusted list's; None where no list is published.
    """

    issuers: tuple[registry.IssuerRecord, ...]
    unit_chains: Mapping[str, tuple[x509.Certificate, ...]]
    list_signer: x509.Certificate | None = None


def initialise(resources: Resources, config: configs.Config) -> Initialised:
    """Bring the database to this version and make what is missing of the hierarchy.

    Raises:
        NotInitialisedError: The root's key is elsewhere, and no ceremony has made all
            authorities.
    """
    sessions = resources.upgraded_sessions(config)
    at = resources.present.now()
    keys = resources.authority_keys(config, sessions)
    if config.keystore_root is not None:
        # A ceremony alone opens the root's key store: refused here, before a key is made.
        hierarchy.load(sessions, keys, configs.require(config.ca, "ca"))
    made = foundation.initialise(sessions, keys, configs.require(config.ca, "ca"), at)
    publication.Publisher(sessions, keys, made).publish_due(at, actor="system")
    return _initialised(sessions, configs.require(config.ca, "ca"), at)


def play_ceremony(
    resources: Resources,
    config: configs.Config,
    played: script.Script,
    files: pathlib.Path,
    confirm: performance.Confirm,
    tell: Callable[[str], None],
    *,
    unattended: bool,
) -> tuple[performance.SignedTranscript, Initialised | None]:
    """Play a key ceremony, with the root's key store open.

    Args:
        resources: Holds what is opened.
        config: The CA zone's settings.
        played: The script.
        files: Where the files are that the script names.
        confirm: Asks a witness.
        tell: Says to everybody what was done.
        unattended: Whether `confirm` asks nobody, which only a test installation may.

    Returns:
        The transcript, and what other zones need to know where the hierarchy is whole.
    """
    sessions = resources.upgraded_sessions(config)
    stage = performance.Stage(
        sessions,
        resources.authority_keys(config, sessions, root=True),
        configs.require(config.ca, "ca"),
        resources.present,
        confirm,
        tell,
        lambda name: foreign_authority.load(files / name),
        unattended,
    )
    signed = performance.play(stage, played)
    try:
        settings = configs.require(config.ca, "ca")
        return signed, _initialised(sessions, settings, resources.present.now())
    except hierarchy.NotInitialisedError:
        return signed, None


def _initialised(
    sessions: orm.sessionmaker[orm.Session], settings: ca_settings.Settings, at: datetime.datetime
) -> Initialised:
    labels = [
        generations.unit_label(number)
        for number, _ in enumerate(settings.time_stamping_units, start=1)
    ]
    with sessions() as session:
        issuers = registry.issuers(session)
        units = {
            label: registry.current_certificate(
                session, profiles.TIME_STAMPING_UNIT.name, at, key_label=label
            )
            for label in labels
        }
        signer = registry.current_certificate(
            session,
            profiles.TRUSTED_LIST_SIGNER.name,
            at,
            key_label=hierarchy.TRUSTED_LIST_SIGNER,
        )
    above = {one.name: one.certificate for one in issuers}
    chains = {
        label: (unit.certificate, above[unit.issuer_name])
        for label, unit in units.items()
        if unit is not None
    }
    if missing := set(labels) - set(chains):
        raise hierarchy.NotInitialisedError(
            f"the time-stamping unit {min(missing)} has no valid certificate"
        )
    return Initialised(
        issuers,
        chains,
        None if signer is None else signer.certificate,
    )
