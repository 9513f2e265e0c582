"""The constraints that a signature was judged by, told one by one (TS 119 102-2 4)."""

from lxml import etree

from pki import clock
from signing_service.reports.etsi_xml import OWN, WORDS, XADES, add, name
from signing_service.validation import building_blocks, processes, report

CONSTRAINT = f"{OWN}constraint:"
"""What a constraint's identifier begins with; the rest is the rule's name."""
PARAMETER = f"{OWN}constraint-parameter"
CONTROL_TIME = f"{OWN}control-time"
"""The type of the parameter that past validation has (EN 319 102-1 5.6.2.2)."""
PAST_CERTIFICATE, PAST_SIGNATURE = "past-certificate-validation", "past-signature-validation"


def evaluation(one: report.SignatureReport, policy: str) -> etree._Element:
    """The policy, and every constraint that was gone through or that it does not have.

    What stopped the judgement comes last; constraints after it were not evaluated, and are not
    told.
    """
    told = _begin(policy)
    for block in one.building_blocks:
        if block.kind is not building_blocks.BlockKind.TIME_STAMP:
            for constraint in block.constraints:
                told.append(_constraint(constraint))
    if one.past_validation is not None:
        _add_past(told, one.past_validation)
    return told


def of_time_stamp(past: processes.PastValidation, policy: str) -> etree._Element:
    """The same of a time stamp that was judged in the past."""
    told = _begin(policy)
    _add_past(told, past)
    return told


def _begin(policy: str) -> etree._Element:
    told = etree.Element(name("ValidationConstraintsEvaluationReport"))
    named = add(told, "SignatureValidationPolicy")
    chosen = add(named, "SignaturePolicyIdentifier")
    etree.SubElement(chosen, f"{{{XADES}}}SignaturePolicyImplied")
    add(named, "PolicyName", policy)
    return told


def _add_past(told: etree._Element, past: processes.PastValidation) -> None:
    """Past certificate and past signature validation (EN 319 102-1 5.6.2.1, 5.6.2.4)."""
    for code, concluded in ((PAST_CERTIFICATE, past.certificate), (PAST_SIGNATURE, past.signature)):
        if concluded is not None:
            constraint = add(told, "ValidationConstraint")
            add(constraint, "ValidationConstraintIdentifier", CONSTRAINT + code)
            parameter = add(constraint, "ValidationConstraintParameter")
            add(parameter, "Type", CONTROL_TIME)
            add(parameter, "Value", clock.time_text(past.control_time))
            add(add(constraint, "ConstraintStatus"), "Status", f"{WORDS}constraintStatus:applied")
            _conclude(
                add(constraint, "ValidationStatus"), concluded.indication, concluded.sub_indication
            )


def _constraint(constraint: building_blocks.Constraint) -> etree._Element:
    told = etree.Element(name("ValidationConstraint"))
    add(told, "ValidationConstraintIdentifier", CONSTRAINT + constraint.rule.code)
    if constraint.parameter:
        parameter = add(told, "ValidationConstraintParameter")
        add(parameter, "Type", PARAMETER)
        add(parameter, "Value", constraint.parameter)
    word = "applied" if constraint.is_applied else "disabled"
    add(add(told, "ConstraintStatus"), "Status", f"{WORDS}constraintStatus:{word}")
    indication = constraint.indication
    if indication is not None:
        _conclude(add(told, "ValidationStatus"), indication, constraint.sub_indication)
    return told


def _conclude(
    status: etree._Element,
    indication: building_blocks.BlockIndication,
    sub_indication: report.SubIndication | None,
) -> None:
    add(status, "MainIndication", f"{WORDS}mainindication:{indication.value.lower()}")
    if sub_indication is not None:
        add(status, "SubIndication", f"{WORDS}subindication:{sub_indication.value}")
