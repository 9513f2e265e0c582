"""What the phone calls: fetch what is asked, confirm with a signature value, or refuse.

Each SIM shows its own secret as a bearer token. The control code is not part of what is sent:
the phone computes it from the hash.
"""

import base64
import binascii
import functools
from collections.abc import Callable
from typing import Annotated, Any

import anyio
import anyio.to_thread
import fastapi
import pydantic
from fastapi import responses

from mobile_id import gateway, results, signature_list, waiting
from pki import clock, errors, web

MAX_WAIT_S = 60
"""Longest time a phone's question is held open."""

MAX_VALUE_CHARACTERS = 128
"""Base64 of r||s on P-384, the largest key a SIM may have."""

DATABASE_CALLS_AT_ONCE = 16
"""As many as the connection pool serves; further ones wait in the event loop."""


class Confirmation(pydantic.BaseModel):
    """The signature value, raw r||s in base64."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)
    signature_value: str = pydantic.Field(min_length=4, max_length=MAX_VALUE_CHARACTERS)


class ListConfirmation(pydantic.BaseModel):
    """A value for each document of a list, in its order."""

    model_config = pydantic.ConfigDict(extra="forbid", strict=True)
    signature_values: list[
        Annotated[str, pydantic.Field(min_length=4, max_length=MAX_VALUE_CHARACTERS)]
    ] = pydantic.Field(min_length=1, max_length=signature_list.MAX_DOCUMENTS)


class Refusal(pydantic.BaseModel):
    """Why there will be no signature."""

    model_config = pydantic.ConfigDict(extra="forbid")
    reason: results.Result


def routes(
    mobile_gateway: gateway.Gateway, notices: waiting.Notices, present: clock.Clock
) -> fastapi.APIRouter:
    """Return the routes; the caller mounts them at `/mobile-device`."""
    router = fastapi.APIRouter(tags=["mobile-device"])
    limiter = anyio.CapacityLimiter(DATABASE_CALLS_AT_ONCE)

    async def in_thread(function: Callable[..., Any], *arguments: object) -> Any:
        return await anyio.to_thread.run_sync(
            functools.partial(function, *arguments), limiter=limiter
        )

    def subscriber(request: fastapi.Request) -> str:
        return mobile_gateway.subscriber_id(web.bearer_token(request))

    Subscriber = Annotated[str, fastapi.Depends(subscriber)]

    @router.get("/transactions/open")
    async def fetch(
        subscriber_id: Subscriber,
        wait: Annotated[int, fastapi.Query(ge=0, le=MAX_WAIT_S)] = 0,
        seen: Annotated[str, fastapi.Query(max_length=36)] = "",
    ) -> fastapi.Response:
        """Give the transaction that the SIM should show, waiting until there is one.

        `seen` names one that the phone shows already: then the next one is waited for.
        """
        loop_time = anyio.current_time
        until = loop_time() + wait
        with notices.wait_for(gateway.sim_topic(subscriber_id)) as waiter:
            while True:
                found: gateway.DeliveredTransaction | None = await in_thread(
                    mobile_gateway.open_transaction, subscriber_id, present.now()
                )
                if found is not None and found.id != seen:
                    return responses.JSONResponse(_shown(found))
                left = until - loop_time()
                if found is not None:
                    # The one that is shown frees the SIM when its window closes.
                    window = (found.answer_by - present.now()).total_seconds()
                    left_now = min(left, max(0.01, window))
                else:
                    left_now = left
                if left <= 0 or await waiter.woken(left_now) is waiting.Woken.DISPLACED:
                    return fastapi.Response(status_code=204)
                waiter.again()

    @router.post("/transactions/{transaction_id}/confirmation")
    def confirm(
        transaction_id: str, confirmation: Confirmation, subscriber_id: Subscriber
    ) -> dict[str, str]:
        value = _decode(confirmation.signature_value)
        result = mobile_gateway.confirm(subscriber_id, transaction_id, value, present.now())
        return {"result": result.value}

    @router.post("/transactions/{transaction_id}/list-confirmation")
    def confirm_list(
        transaction_id: str, confirmation: ListConfirmation, subscriber_id: Subscriber
    ) -> dict[str, str]:
        values = [_decode(one) for one in confirmation.signature_values]
        result = mobile_gateway.confirm_all(subscriber_id, transaction_id, values, present.now())
        return {"result": result.value}

    @router.post("/transactions/{transaction_id}/refusal")
    def refuse(transaction_id: str, refusal: Refusal, subscriber_id: Subscriber) -> dict[str, str]:
        result = mobile_gateway.refuse(subscriber_id, transaction_id, refusal.reason, present.now())
        return {"result": result.value}

    return router


def _shown(delivered: gateway.DeliveredTransaction) -> dict[str, object]:
    # A list has no hash of its own to sign: a phone that knows no lists signs nothing.
    asked: dict[str, object] = (
        {
            "hash_type": results.HASH_TYPE_NAMES[delivered.representation.hash_algorithm],
            "hash": base64.b64encode(delivered.representation.hash).decode(),
        }
        if delivered.documents is None
        else {"documents": delivered.documents.to_json()}
    )
    return {
        "id": delivered.id,
        "operation": delivered.operation.value,
        "relying_party": delivered.relying_party,
        "text": delivered.text,
        "language": delivered.language.value,
        **asked,
        "answer_by": clock.time_text(delivered.answer_by),
    }


def _decode(encoded: str) -> bytes:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise errors.InputError("expected signature_value in base64") from error
