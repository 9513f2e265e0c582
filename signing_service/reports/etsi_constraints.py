"""The constraints that a signature was judged by, told one by one (TS 119 102-2 4)."""

from lxml import etree

from signing_service.reports.etsi_xml import OWN, WORDS, XADES, add, name
from signing_service.validation import building_blocks, report

CONSTRAINT = f"{OWN}constraint:"
"""What a constraint's identifier begins with; the rest is the rule's name."""
PARAMETER = f"{OWN}constraint-parameter"


def evaluation(one: report.SignatureReport, policy: str) -> etree._Element:
    """The policy, and every constraint that was gone through or that it does not have.

    What stopped the judgement comes last; constraints after it were not evaluated, and are not
    told.
    """
    told = etree.Element(name("ValidationConstraintsEvaluationReport"))
    named = add(told, "SignatureValidationPolicy")
    chosen = add(named, "SignaturePolicyIdentifier")
    etree.SubElement(chosen, f"{{{XADES}}}SignaturePolicyImplied")
    add(named, "PolicyName", policy)
    for block in one.building_blocks:
        if block.kind is not building_blocks.BlockKind.TIME_STAMP:
            for constraint in block.constraints:
                told.append(_constraint(constraint))
    return told


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
        status = add(told, "ValidationStatus")
        add(status, "MainIndication", f"{WORDS}mainindication:{indication.value.lower()}")
        if constraint.sub_indication is not None:
            add(
                status,
                "SubIndication",
                f"{WORDS}subindication:{constraint.sub_indication.value}",
            )
    return told
