"""The end of `imza sign`: waiting until sessions are finished, and writing what was signed."""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from imza import api_client
from imza.sign_card import say
from pki import durable_files, errors

FINISHED = frozenset({"completed", "refused", "expired", "failed"})


class SessionEndedError(errors.StateError):
    """The session ended without a signature; the code is the service's own."""

    def __init__(self, code: str, message: str) -> None:
        """Take the code that the session ended with."""
        super().__init__(message)
        self.code = code  # type: ignore[misc]


def finished(api: api_client.SigningApi, session: dict[str, Any]) -> dict[str, Any]:
    """Wait for the end of a session; one that stays at a lower level says so.

    Raises:
        SessionEndedError: It ended without a signature.
    """
    told = None
    while not _is_done(session):
        if session["state"] != told:
            told = session["state"]
            say(f"  {told.replace('_', ' ')} …")
        session = api.state(session["id"])
    _require_signature(session)
    return session


def finished_batch(api: api_client.SigningApi, batch: dict[str, Any]) -> dict[str, Any]:
    """Wait for the end of every session of a batch."""
    told = None
    while not all(map(_is_done, batch["sessions"])):
        if batch["state"] != told:
            told = batch["state"]
            say(f"  {told.replace('_', ' ')} …")
        batch = api.batch(batch["id"])
    return batch


def write(
    api: api_client.SigningApi, session: Mapping[str, Any], name: str, target: pathlib.Path
) -> dict[str, Any]:
    """Fetch a signed document, write it whole or not at all, and tell the person."""
    durable_files.replace(target, api.document(session["id"]))
    say(f"{name}: signed at level {session['level_reached']}, written to {target}")
    return {**session, "output": str(target)}


def write_batch(
    api: api_client.SigningApi,
    batch: Mapping[str, Any],
    places: Sequence[tuple[str, pathlib.Path]],
) -> list[dict[str, Any]]:
    """Write every document of a batch that was signed.

    Raises:
        SessionEndedError: One was not; the others are written first.
    """
    written, ended = [], None
    for session, (name, target) in zip(batch["sessions"], places, strict=True):
        try:
            _require_signature(session)
        except SessionEndedError as error:
            ended = ended or error
        else:
            written.append({**write(api, session, name, target), "batch": batch["id"]})
    if ended is not None:
        raise ended
    return written


def _is_done(session: Mapping[str, Any]) -> bool:
    # With an error the state says that a peer is down; the service raises the level later.
    return session["state"] in FINISHED or (
        session["state"] == "augmenting" and bool(session.get("error"))
    )


def _require_signature(session: Mapping[str, Any]) -> None:
    """Check that there is a signed document, perhaps of a lower level than was asked for."""
    error = session.get("error") or {}
    if session["state"] == "augmenting":
        say(
            f"  the level reached is {session['level_reached']};"
            f" the service raises it later: {error['message']}"
        )
    elif session["state"] != "completed":
        raise SessionEndedError(
            str(error.get("code") or session["state"]),
            str(error.get("message") or f"the session ended as {session['state']}"),
        )
