"""A comparison as JUnit's XML, which continuous integration shows as tests: a case each, and the exact rises."""

from xml.etree import ElementTree

from capratio.display import printable
from capratio.gate.comparison import Comparison
from capratio.gate.decision import Decision


def outcome_junit(comparison: Comparison) -> str:
    """A test for each case: failed where it regressed or has no latency at head, skipped where it is undecided.

    An exact rise is a failed test of its own. Where the machine moved, no latency is a failure.
    """
    suite = ElementTree.Element("testsuite", name="capratio gate")
    for decision in comparison.decisions:
        _add_decision(suite, decision, comparison.void)
    for rise in comparison.rises:
        test = ElementTree.SubElement(suite, "testcase", classname=rise.quantity, name=printable(rise.case))
        told = f"rose from {rise.base} to {rise.head}, beyond its budget of {rise.budget:.3g}"
        ElementTree.SubElement(test, "failure", message=told)
    for case, why in comparison.failed.items():
        test = ElementTree.SubElement(suite, "testcase", classname="latency", name=printable(case))
        ElementTree.SubElement(test, "error", message=printable(why))
    counted = {"tests": "testcase", "failures": "testcase/failure", "errors": "testcase/error"}
    for name, path in (*counted.items(), ("skipped", "testcase/skipped")):
        suite.set(name, str(len(suite.findall(path))))
    ElementTree.indent(suite)
    return ElementTree.tostring(suite, encoding="unicode", xml_declaration=True) + "\n"


def _add_decision(suite: ElementTree.Element, decision: Decision, void: str | None) -> None:
    test = ElementTree.SubElement(suite, "testcase", classname="latency", name=printable(decision.case))
    if void is not None:
        ElementTree.SubElement(test, "skipped", message=void)
    elif decision.status == "regressed":
        told = (
            f"head / base {decision.ratio:.3f}, {decision.low:.3f} to {decision.high:.3f}, budget {decision.budget:.3g}"
        )
        ElementTree.SubElement(test, "failure", message=told)
    elif decision.status == "undecided":
        ElementTree.SubElement(test, "skipped", message=decision.sentence)
