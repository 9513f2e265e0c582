"""What a container as a whole says of a signature in it: the files it covers, its level, its form.

A container shows a person its data files. What a signature does not name is not covered, however
well the signature verifies: each file that is left out is told.
"""

import dataclasses
import re
from collections.abc import Sequence

from signing_service.validation import findings, report
from signing_service.validation.asic import container as containers
from signing_service.validation.asic import nested

_OWN_FILE = re.compile(
    r"(manifest|container|metadata|relations)\.xml|.*signatures.*\.xml|.*ASiC.*Manifest.*\.xml"
    r"|.*signature.*\.p7s|.*timestamp.*\.tst|.*evidencerecord.*\.(ers|xml)"
)
"""Files of META-INF that are the container's own (EN 319 162-1 4.3.3, 4.4.3, 4.4.4; OCF 3.5.1)."""


def completed(
    found: findings.FoundSignature,
    container: containers.Container,
    stamps: Sequence[findings.FoundTimeStamp],
    *,
    is_simple: bool,
    nested_containers: Sequence[str],
) -> findings.FoundSignature:
    """Add to a signature what the container says of it.

    Args:
        found: The signature, with the files that it signs.
        container: It.
        stamps: The time stamps that are files of the container.
        is_simple: It is ASiC-S.
        nested_containers: Its files that are containers themselves.
    """
    files = container.data_files
    left_out = [one for one in (*files, *_strange(container)) if one not in found.signed_files]
    warnings = [*found.warnings, *_warnings(container, nested_containers)]
    signed = [one for one in found.signed_files if one in files]
    # A counter-signature is over another signature, whatever else it names.
    kind = report.ScopeKind.PARTIAL
    if not found.is_counter:
        kind = report.ScopeKind.NONE
        if signed:
            kind = report.ScopeKind.PARTIAL if left_out else report.ScopeKind.FULL
        warnings = [one for one in warnings if one.code != "partial-scope"]
        if left_out and found.intact:
            warnings.append(
                report.Finding(
                    "file-not-covered",
                    f"{len(left_out)} file(s) of the container are not covered by this"
                    f" signature: {', '.join(one[:100] for one in left_out[:10])}",
                )
            )
    return dataclasses.replace(
        found,
        level=_level(found, stamps),
        scope_kind=kind,
        scope_names=found.scope_names if found.is_counter else tuple(signed),
        warnings=tuple(warnings),
        failure=found.failure or _failure(files, is_simple=is_simple),
    )


def _level(found: findings.FoundSignature, stamps: Sequence[findings.FoundTimeStamp]) -> str:
    archived = any(found.file in one.covers and not one.is_broken for one in stamps)
    if archived and found.level == "CAdES-BASELINE-LT":
        # EN 319 162-1 5.3.2: the archive manifest's time stamp does what ATSv3 does in CAdES.
        return "CAdES-BASELINE-LTA"
    return found.level


def _failure(
    files: Sequence[str], *, is_simple: bool
) -> tuple[report.SubIndication, report.Finding] | None:
    """What keeps a container from holding a signature of anything, or None."""
    problem = None
    if is_simple and len(files) != 1:
        # EN 319 162-1 4.3.2: which one was meant cannot be said.
        problem = report.Finding(
            "asic-s-files", f"expected one data file in an ASiC-S container, got {len(files)}"
        )
    elif not files:
        # EN 319 162-1 4.4: a container without a file holds no signature of anything.
        problem = report.Finding("asic-no-files", "there is no data file in the container")
    return None if problem is None else (report.SubIndication.FORMAT_FAILURE, problem)


def _strange(container: containers.Container) -> list[str]:
    """Files in META-INF that no clause of EN 319 162-1 puts there: programs show them too."""
    return [
        one
        for one in container
        if one.startswith(containers.META)
        and not _OWN_FILE.fullmatch(one.removeprefix(containers.META))
    ]


def _warnings(
    container: containers.Container, nested_containers: Sequence[str]
) -> list[report.Finding]:
    inner = nested.warning(nested_containers)
    found = [] if inner is None else [inner]
    mimetype = container.mimetype()
    if mimetype not in containers.TYPES:
        declared = "none" if mimetype is None else repr(mimetype[:100])
        found.append(
            report.Finding(
                "asic-mimetype", f"expected the mimetype of an ASiC container, got {declared}"
            )
        )
    elif not container.is_mimetype_first:
        found.append(
            report.Finding(
                "asic-mimetype-place",
                "the mimetype is not the first entry, or it is packed (EN 319 162-1 A.1)",
            )
        )
    return found
