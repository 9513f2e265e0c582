"""The calls of the registration API that are about operators; each raises as `apply` does."""

import base64
import urllib.parse
from collections.abc import Mapping

from pki import operator_roles, registration_answers, registration_calls

_ADMINISTRATOR = operator_roles.Role.CA_ADMINISTRATOR


def add(
    client: registration_calls.RegistrationClient,
    name: str,
    role: operator_roles.Role,
    csr_der: bytes,
) -> Mapping[str, object]:
    """Add an operator; the answer has their certificate, and the state they are in."""
    body = {
        "name": name,
        "role": role.value,
        "csr": base64.b64encode(csr_der).decode("ascii"),
    }
    return client.call("POST", "operators", body, role=_ADMINISTRATOR, expect=(201,))


def confirm(client: registration_calls.RegistrationClient, name: str) -> Mapping[str, object]:
    """Confirm an operator whom another administrator added."""
    path = f"operators/{_segment(name)}/confirmation"
    return client.call("POST", path, {}, role=_ADMINISTRATOR)


def disable(client: registration_calls.RegistrationClient, name: str) -> Mapping[str, object]:
    """Disable an operator for good."""
    path = f"operators/{_segment(name)}/disable"
    return client.call("POST", path, {}, role=_ADMINISTRATOR)


def every(client: registration_calls.RegistrationClient) -> list[Mapping[str, object]]:
    """Return all operators there ever were."""
    found = client.call("GET", "operators", None, role=_ADMINISTRATOR).get("operators")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise registration_answers.RegistrationAnswerError("expected operators in the CA's answer")
    return found


def show_caller(client: registration_calls.RegistrationClient) -> Mapping[str, object]:
    """Return who the caller is to the CA."""
    return client.call("GET", "operator", None)


def renew_own(
    client: registration_calls.RegistrationClient, csr_der: bytes
) -> Mapping[str, object]:
    """Get another certificate for the caller."""
    body = {"csr": base64.b64encode(csr_der).decode("ascii")}
    return client.call("POST", "operator/certificates", body, expect=(201,))


def _segment(text: str) -> str:
    return urllib.parse.quote(text, safe="")
