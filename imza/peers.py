"""Software that we did not write, judging what we made: how the demo runs each of them."""

import asyncio
import dataclasses
import pathlib
import re
import subprocess
import sys
from collections.abc import Sequence

from lxml import etree

from pki import errors

TIMEOUT_S = 60

PDFSIG_LINES = ("Signer Certificate Common Name", "Signature Validation", "Certificate Validation")

SIGNED_PROPERTIES = "http://uri.etsi.org/01903/v1.3.2#:SignedProperties"


SIGNATURES = (
    "//*[local-name()='Signature' and namespace-uri()='http://www.w3.org/2000/09/xmldsig#']"
)


class PeerProgramError(errors.PeerError):
    """A program is missing or did not finish."""

    code = "peer-program"
    retriable = False


@dataclasses.dataclass(frozen=True)
class Opinion:
    """What another program said of a document.

    Attributes:
        accepted: Whether it accepts every signature.
        lines: The lines of its output that say so.
    """

    accepted: bool
    lines: tuple[str, ...]


def trust_in_nss(folder: pathlib.Path, certificates: Sequence[pathlib.Path]) -> None:
    """Make an NSS database in `folder` that trusts these CA certificates, for pdfsig."""
    folder.mkdir(parents=True, exist_ok=True)
    _run(["certutil", "-N", "-d", f"sql:{folder}", "--empty-password"])
    for number, certificate in enumerate(certificates):
        _run(
            ["certutil", "-A", "-d", f"sql:{folder}", "-n", f"ca-{number}", "-t", "CT,C,C", "-a",
             "-i", str(certificate)]
        )  # fmt: skip


def pdfsig(document: pathlib.Path, nss: pathlib.Path) -> Opinion:
    """Poppler's pdfsig: every signature must be Valid and its certificate Trusted."""
    done = _run(["pdfsig", "-nssdir", f"sql:{nss}", str(document)])
    # It lists document time stamps too, which it cannot check, as signatures of type "unknown".
    blocks = [
        [line.strip(" -") for line in block.splitlines()]
        for block in re.split(r"(?m)^Signature #\d+:\n", done.stdout)[1:]
        if "Signature Type: unknown" not in block
    ]
    accepted = bool(blocks) and all(
        "Signature Validation: Signature is Valid." in block
        and "Certificate Validation: Certificate is Trusted." in block
        for block in blocks
    )
    kept = tuple(line for block in blocks for line in block if line.startswith(PDFSIG_LINES))
    return Opinion(accepted, kept)


def xmlsec1(document: pathlib.Path, root_pem: pathlib.Path) -> Opinion:
    """The XML Security Library's command, with the root as the only trust.

    It verifies one signature a run, so it runs once for each.
    """
    count = _count_signatures(document)
    accepted, lines = count > 0, []
    for number in range(1, count + 1):
        done = _run(
            ["xmlsec1", "--verify", "--enabled-key-data", "x509", "--trusted-pem", str(root_pem),
             "--id-attr:Id", SIGNED_PROPERTIES, "--node-xpath", f"({SIGNATURES})[{number}]",
             str(document)]
        )  # fmt: skip
        accepted = accepted and done.returncode == 0
        told = [line for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        lines += told[:3]
    return Opinion(accepted, tuple(lines))


def _count_signatures(document: pathlib.Path) -> int:
    parser = etree.XMLParser(resolve_entities=False, no_network=True)
    try:
        found = etree.parse(str(document), parser).xpath(SIGNATURES)
    except etree.XMLSyntaxError:
        return 0
    return len(found) if isinstance(found, list) else 0


def pyhanko(document: pathlib.Path, root_pem: pathlib.Path) -> Opinion:
    """PyHanko's AdES validation in a process of its own: offline, with only the root trusted."""
    done = _run([sys.executable, "-m", "imza.peers", str(document), str(root_pem)])
    lines = tuple(done.stdout.splitlines()) or tuple(done.stderr.splitlines()[-1:])
    return Opinion(done.returncode == 0, lines)


def _judge_with_pyhanko(document: pathlib.Path, root_pem: pathlib.Path) -> int:
    """Print pyHanko's verdict on each signature; runs in the process that `pyhanko` starts."""
    from pyhanko.keys import load_certs_from_pemder
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.ades.report import AdESPassed
    from pyhanko.sign.validation import ades, policy_decl
    from pyhanko_certvalidator import policy_decl as certificate_policy
    from pyhanko_certvalidator.authority import CertTrustAnchor
    from pyhanko_certvalidator.context import CertValidationPolicySpec
    from pyhanko_certvalidator.registry import SimpleTrustManager

    anchors = [CertTrustAnchor(one) for one in load_certs_from_pemder([str(root_pem)])]
    policy = CertValidationPolicySpec(
        trust_manager=SimpleTrustManager.build(trust_roots=anchors),
        revinfo_policy=certificate_policy.CertRevTrustPolicy(certificate_policy.REQUIRE_REVINFO),
    )
    specification = policy_decl.PdfSignatureValidationSpec(
        policy_decl.SignatureValidationSpec(
            cert_validation_policy=policy,
            revinfo_gathering_policy=policy_decl.RevocationInfoGatheringSpec(
                online_fetching_rule=policy_decl.RevinfoOnlineFetchingRule.LOCAL_ONLY
            ),
        )
    )

    async def judge() -> list[tuple[str, object]]:
        with document.open("rb") as stream:
            return [
                (
                    signature.signer_cert.subject.native["common_name"],
                    (await ades.ades_lta_validation(signature, specification)).ades_subindic,
                )
                for signature in PdfFileReader(stream).embedded_regular_signatures
            ]

    verdicts = asyncio.run(judge())
    for name, verdict in verdicts:
        sys.stdout.write(f"{name}: {verdict}\n")
    good = bool(verdicts) and all(verdict is AdESPassed.OK for _, verdict in verdicts)
    return 0 if good else 1


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(  # noqa: S603 - fixed commands
            command, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerProgramError(f"{command[0]} cannot be run: make system installs it") from error


if __name__ == "__main__":
    sys.exit(_judge_with_pyhanko(pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])))
