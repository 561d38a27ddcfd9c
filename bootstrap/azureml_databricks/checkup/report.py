"""The report: lines for a terminal or a log, a table for a notebook, JSON for machines.

On a node there is the standard library and nothing else to lay it out with.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from html import escape
from itertools import groupby

from azureml_databricks.checkup.findings import Finding, Verdict

# As SGR codes of a terminal (ECMA-48), and as CSS.
_COLOURS = {
    Verdict.OK: ("32", "#2e7d32"),
    Verdict.NOTE: ("33", "#b26a00"),
    Verdict.WRONG: ("31;1", "#c62828"),
    Verdict.NOT_TRIED: ("2", "#757575"),
}
_WIDTH = max(len(verdict.value) for verdict in Verdict)


@dataclass(frozen=True, repr=False)
class Report:
    """What the doctor found.

    Attributes:
        about: where it looked, such as `python` -> `3.11.2`.
        findings: in the order in which things depend on each other.
    """

    about: Mapping[str, str]
    findings: tuple[Finding, ...]

    @property
    def well(self) -> bool:
        """Whether nothing is wrong."""
        return not self._count(Verdict.WRONG)

    def _count(self, verdict: Verdict) -> int:
        return sum(finding.verdict == verdict for finding in self.findings)

    @property
    def summary(self) -> str:
        """The report in a few words."""
        counts = [(self._count(verdict), verdict.value) for verdict in (Verdict.WRONG, Verdict.NOTE)]
        said = [f"{count} {what}" for count, what in counts if count] or ["all is well"]
        if untried := self._count(Verdict.NOT_TRIED):
            said.append(f"{untried} not tried")
        return ", ".join(said)

    def __repr__(self) -> str:
        """Return the lines, as a cell or a log shows them."""
        return self.text()

    def text(self, *, colours: bool = False) -> str:
        """Return a line for each finding, and one for each advice, by part."""
        return "\n".join(self._lines(colours))

    def _lines(self, colours: bool) -> Iterator[str]:
        yield f"azureml-databricks doctor: {self.summary}"
        yield ", ".join(f"{what} {text}" for what, text in self.about.items())
        for part, findings in groupby(self.findings, key=lambda finding: finding.part):
            yield f"\n{part}"
            for finding in findings:
                verdict = finding.verdict.value.ljust(_WIDTH)
                if colours:
                    verdict = f"\033[{_COLOURS[finding.verdict][0]}m{verdict}\033[0m"
                yield f"  {verdict}  {finding.what}: {finding.detail}"
                if finding.advice:
                    yield f"  {'':{_WIDTH}}  -> {finding.advice}"

    def _repr_html_(self) -> str:
        """Return the table that a notebook shows (IPython's name for it)."""
        about = ", ".join(f"{what} {text}" for what, text in self.about.items())
        rows = []
        for part, findings in groupby(self.findings, key=lambda finding: finding.part):
            for finding in findings:
                rows.append(_row(part, finding))
                part = ""
        return (
            f"<p><b>azureml-databricks doctor: {escape(self.summary)}</b><br>{escape(about)}</p>"
            f"<table>{''.join(rows)}</table>"
        )

    def json(self) -> str:
        """Return it as one line of JSON."""
        findings = [asdict(finding) for finding in self.findings]
        return json.dumps({"well": self.well, "about": dict(self.about), "findings": findings})


def _row(part: str, finding: Finding) -> str:
    colour = _COLOURS[finding.verdict][1]
    advice = f"<br>&rarr; {escape(finding.advice)}" if finding.advice else ""
    cells = (
        f"<b>{escape(part)}</b>",
        f'<span style="color: {colour}">{escape(finding.verdict.value)}</span>',
        escape(finding.what),
        escape(finding.detail) + advice,
    )
    aligned = (f'<td style="text-align: left; vertical-align: top">{cell}</td>' for cell in cells)
    return f"<tr>{''.join(aligned)}</tr>"
