"""Adding operators on the CA's own machine, where its keys are: the first ones come from here."""

import dataclasses
from collections.abc import Sequence

from ca import generations, hierarchy
from ca.operators import register, roles
from imza import config as configs
from imza.wiring.resources import Resources
from pki import certificates


@dataclasses.dataclass(frozen=True)
class Wanted:
    """An operator who is to be added, by a PKCS#10 request in DER."""

    name: str
    role: roles.Role
    csr_der: bytes


def add(
    resources: Resources, config: configs.Config, wanted: Sequence[Wanted]
) -> tuple[register.Certified, ...]:
    """Add operators, who need no confirmation, and certify their keys.

    Who was added with the same key before is returned with the same certificate, or with a new
    one where that is near its end.

    Raises:
        NotInitialisedError: The infrastructure CA does not exist yet.
        ImzaError: As `ca.operators.register.add`.
    """
    sessions = resources.sessions(config)
    at = resources.present.now()
    authorities = hierarchy.load(
        sessions,
        resources.authority_keys(config, sessions),
        configs.require(config.ca, "ca"),
        roles=(generations.INFRASTRUCTURE,),
    )
    added = []
    for one in wanted:
        made = register.add(
            sessions, authorities, one.name, one.role, one.csr_der, at, actor=register.LOCAL
        )
        if certificates.parse(made.certificate_der).not_valid_after_utc - at < register.RENEWAL:
            made = register.renew(
                sessions, authorities, one.name, one.csr_der, at, actor=register.LOCAL
            )
        added.append(made)
    return tuple(added)
