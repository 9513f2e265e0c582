"""A Mobile-ID gateway at the wire, with one phone that behaves as it is told."""

import base64
import dataclasses
import secrets

import fastapi

from mobile_id import signature_list
from pki import algorithms, signature
from tests.support import hierarchy


@dataclasses.dataclass
class Gateway:
    """The gateway of one person.

    Attributes:
        holder: Whose certificate it gives.
        key: What the phone signs with; another holder's for a phone with a wrong key. Of a list it
            signs the last document alone.
        shown: The texts that it was asked to show with them.
        missing: How many values of a list it leaves out.
        lists: The lists that the phone was asked to sign.
        result: None while the person has not answered.
        asked: The hashes that the phone was asked to sign.
    """

    holder: hierarchy.Holder
    key: hierarchy.Holder
    phone_number: str = "+994500000001"
    person_code: str = "5AB12CD"
    result: str | None = "OK"
    asked: dict[str, bytes] = dataclasses.field(default_factory=dict)
    shown: list[str] = dataclasses.field(default_factory=list)
    lists: dict[str, signature_list.SignatureList] = dataclasses.field(default_factory=dict)
    missing: int = 0
    polls: int = 0

    def routes(self) -> fastapi.APIRouter:
        router = fastapi.APIRouter(prefix="/mid-api")

        @router.post("/certificate")
        def certificate(body: dict[str, str]) -> dict[str, str]:
            known = (self.phone_number, self.person_code)
            if (body["phoneNumber"], body["nationalIdentityNumber"]) != known:
                return {"result": "NOT_FOUND"}
            return {"result": "OK", "cert": base64.b64encode(self.holder.der).decode()}

        @router.post("/signature")
        def start(body: dict[str, str]) -> dict[str, str]:
            session_id = secrets.token_hex(8)
            self.asked[session_id] = base64.b64decode(body["hash"])
            self.shown.append(body.get("displayText", ""))
            return {"sessionID": session_id}

        @router.get("/signature/session/{session_id}")
        def poll(session_id: str) -> dict[str, object]:
            self.polls += 1
            if self.result is None:
                return {"state": "RUNNING"}
            if self.result != "OK":
                return {"state": "COMPLETE", "result": self.result}
            value = self.key.handle.sign(
                signature.DataToBeSignedRepresentation(
                    algorithms.HashAlgorithm.SHA256, self.asked[session_id]
                )
            )
            return {
                "state": "COMPLETE",
                "result": "OK",
                "signature": {
                    "value": base64.b64encode(value.value).decode(),
                    "algorithm": "SHA256WithECEncryption",
                },
            }

        @router.post("/imza/signature-list")
        def start_list(body: dict[str, object]) -> dict[str, str]:
            session_id = secrets.token_hex(8)
            self.lists[session_id] = signature_list.SignatureList.from_json(body["documents"])
            return {"sessionID": session_id}

        @router.get("/imza/signature-list/session/{session_id}")
        def poll_list(session_id: str) -> dict[str, object]:
            self.polls += 1
            if self.result is None:
                return {"state": "RUNNING"}
            if self.result != "OK":
                return {"state": "COMPLETE", "result": self.result}
            asked = self.lists[session_id].representations
            keys = [self.holder] * (len(asked) - 1) + [self.key]
            values = [key.handle.sign(one).value for key, one in zip(keys, asked, strict=True)][
                : len(asked) - self.missing
            ]
            return {
                "state": "COMPLETE",
                "result": "OK",
                "signatures": [
                    {
                        "value": base64.b64encode(one).decode(),
                        "algorithm": "SHA256WithECEncryption",
                    }
                    for one in values
                ],
            }

        return router
