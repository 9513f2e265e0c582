"""A client of the signing REST API, as any portal would write it."""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from pki import credentials, errors, multipart, outbound

WAIT_S = 30
"""How long one question for a session's state may wait at the server."""

MAX_DOCUMENT_BYTES = 512 * 2**20


class RefusedError(errors.PolicyError):
    """The service refused; the code and the sentence are the service's own."""

    def __init__(self, code: str, message: str) -> None:
        """Take the service's own code."""
        super().__init__(message)
        self.code = code  # type: ignore[misc]


class ServiceFailedError(errors.PeerError):
    """The service could not do it now; the code and the sentence are the service's own."""

    def __init__(self, code: str, message: str) -> None:
        """Take the service's own code."""
        super().__init__(message)
        self.code = code  # type: ignore[misc]


class SigningApi:
    """The calls of `/api/v1` that signing and validating need."""

    def __init__(self, known: credentials.Credentials) -> None:
        """Take who calls which server."""
        self._server = known.base_url
        self._client = outbound.Client(
            timeout_s=120.0, max_bytes=MAX_DOCUMENT_BYTES, trust_pem=known.tls_ca_pem
        )
        self._tokens = credentials.TokenSource(self._client, known)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def open_session(
        self,
        documents: Sequence[pathlib.Path],
        parameters: Mapping[str, object],
        picture: pathlib.Path | None = None,
    ) -> dict[str, Any]:
        """Open a signing session for one signature, on one or several documents.

        Args:
            documents: What is signed.
            parameters: How, and with whom.
            picture: A PNG or JPEG for the appearance.
        """
        return self._upload("/api/v1/signing-sessions", documents, parameters, picture)

    def open_batch(
        self,
        documents: Sequence[pathlib.Path],
        parameters: Mapping[str, object],
        picture: pathlib.Path | None = None,
    ) -> dict[str, Any]:
        """Open a batch: a signature on each document, and one confirmation for all."""
        return self._upload("/api/v1/signing-batches", documents, parameters, picture)

    def deliver_values(self, batch_id: str, values: Sequence[Mapping[str, str]]) -> dict[str, Any]:
        """Hand in the values of a whole batch, each with its `session`."""
        return self._call(
            "POST",
            f"/api/v1/signing-batches/{batch_id}/signature-values",
            body=json.dumps({"values": list(values)}).encode(),
            content_type="application/json",
            expect=(200,),
        )

    def batch(self, batch_id: str, *, wait_s: int = WAIT_S) -> dict[str, Any]:
        """The batch, as soon as one of its sessions changes or the time is over."""
        return self._call("GET", f"/api/v1/signing-batches/{batch_id}?wait={wait_s}", expect=(200,))

    def deliver_value(self, session_id: str, value: Mapping[str, str]) -> dict[str, Any]:
        """Hand in the signature value that a card made."""
        return self._call(
            "POST",
            f"/api/v1/signing-sessions/{session_id}/signature-value",
            body=json.dumps(value).encode(),
            content_type="application/json",
            expect=(200,),
        )

    def state(self, session_id: str, *, wait_s: int = WAIT_S) -> dict[str, Any]:
        """The session's state, as soon as it changes or the time is over."""
        return self._call(
            "GET", f"/api/v1/signing-sessions/{session_id}?wait={wait_s}", expect=(200,)
        )

    def cancel(self, session_id: str) -> dict[str, Any]:
        """End a session that will not be finished."""
        return self._call(
            "POST", f"/api/v1/signing-sessions/{session_id}/cancel", body=b"", expect=(200,)
        )

    def document(self, session_id: str) -> bytes:
        """The signed document."""
        return self._send(
            "GET", f"/api/v1/signing-sessions/{session_id}/document", expect=(200,)
        ).body

    def _upload(
        self,
        path: str,
        documents: Sequence[pathlib.Path],
        parameters: Mapping[str, object],
        picture: pathlib.Path | None,
    ) -> dict[str, Any]:
        pictures = [] if picture is None else [picture]
        form = multipart.build(
            [
                multipart.Part("parameters", json.dumps(parameters).encode(), "application/json"),
                *(multipart.file_part("document", one) for one in documents),
                *(multipart.file_part("appearance_image", one) for one in pictures),
            ]
        )
        return self._call(
            "POST", path, body=form.body, content_type=form.content_type, expect=(201,)
        )

    def _call(self, method: str, path: str, **sending: Any) -> dict[str, Any]:
        answer = self._send(method, path, **sending).json()
        if not isinstance(answer, dict):
            raise outbound.PeerAnswerError(f"{path}: expected a JSON object")
        return answer

    def _send(self, method: str, path: str, **sending: Any) -> outbound.Reply:
        try:
            return self._tokens.send(method, self._server + path, **sending)
        except outbound.PeerAnswerError as error:
            if (problem := error.problem()) is not None:
                raise RefusedError(problem.code, problem.detail) from error
            if (failure := error.failure()) is not None:
                raise ServiceFailedError(failure.code, failure.detail) from error
            raise
