"""A failover's report for people: lines of text with a small plot, and a page that needs nothing but itself."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape
from typing import Final

from vitalops.ledger.report import FailoverReport

BAR: Final = 40
WIDTH, LEFT, ROW, TOP = 860, 230, 30, 40
_BLOCKS: Final = " ▏▎▍▌▋▊▉█"


def text(report: FailoverReport) -> str:
    """The report in lines: what happened when, and what was promised."""
    end = max((each.seconds for each in report.milestones), default=0.0) or 1.0
    width = max((len(each.name) for each in report.milestones), default=0)
    lines = [headline(report), f"  from {_moment(report.loss_at)} ({report.loss_known_by})"]
    lines += [
        f"  {each.name:<{width}}  {each.seconds:7.2f} s  {_bar(each.seconds / end)}"
        for each in report.milestones
    ]
    return "\n".join([*lines, *(f"  {line}" for line in promises(report))])


def headline(report: FailoverReport) -> str:
    kind = "planned" if report.planned else "unplanned"
    return f"{report.run}  {report.pair}: {report.source} -> {report.target}  {kind}  {report.outcome}"


def promises(report: FailoverReport) -> list[str]:
    """RTO and RPO against the pair's targets, and what the ledger found."""
    rto = report.rto_measured
    if rto is None:
        lines = [f"RTO not measured: no good consultation after the loss (promised: {report.rto_target} s)"]
    else:
        lines = [f"RTO {_seconds(rto)} of {report.rto_target} s: {_verdict(rto <= report.rto_target)}"]
    if report.rpo_measured is None:
        lines.append(f"RPO not measured: no ledger was read back (promised: {report.rpo_target} s)")
    else:
        held = _verdict(report.rpo_measured <= report.rpo_target)
        lines.append(f"RPO {_seconds(report.rpo_measured)} of {report.rpo_target} s: {held}")
        lines.append(
            f"ledger {report.ledger}: {report.acknowledged} writes acknowledged, {report.lost} lost,"
            f" {report.duplicated} duplicated, {report.out_of_order} out of order"
        )
    if report.last_before is not None and report.write_pause is not None:
        lines.append(
            f"last acknowledged {report.last_before:.2f} s before the loss; without any for {report.write_pause:.2f} s"
        )
    return lines


def page(report: FailoverReport) -> str:
    """A whole HTML page with the timeline as inline SVG; no script, nothing loaded."""
    items = "".join(f"<li>{escape(line)}</li>" for line in promises(report))
    rows = "".join(
        f"<tr><td>{escape(each.name)}</td><td>{each.seconds:.2f} s</td><td>{_moment(each.at)}</td>"
        f"<td>{escape(each.source)}</td></tr>"
        for each in report.milestones
    )
    return f"""\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{escape(report.run)}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: {WIDTH}px; padding: 0 1rem; }}
svg {{ width: 100%; height: auto; }}
table {{ border-collapse: collapse; }}
td, th {{ padding: .2rem 1rem .2rem 0; text-align: left; }}
@media (prefers-color-scheme: dark) {{ body {{ background: #14161a; color: #e6e6e6; }} svg text {{ fill: #e6e6e6; }} }}
</style></head><body>
<h1>{escape(headline(report))}</h1>
<p>Loss: {_moment(report.loss_at)} UTC ({escape(report.loss_known_by)}).</p>
<ul>{items}</ul>
{timeline(report)}
<table><thead><tr><th>what</th><th>after the loss</th><th>at (UTC)</th><th>says</th></tr></thead>
<tbody>{rows}</tbody></table>
</body></html>
"""


def timeline(report: FailoverReport) -> str:
    """The milestones as bars from the loss, with the promised time to recovery as a line."""
    last = max((each.seconds for each in report.milestones), default=0.0)
    end = max(last * 1.15, 1.0)
    height = TOP + ROW * len(report.milestones) + 30
    scale = (WIDTH - LEFT - 80) / end
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="timeline of {escape(report.run)}" '
        'xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="14">',
        f'<line x1="{LEFT}" y1="{TOP - 10}" x2="{LEFT}" y2="{height - 20}" stroke="#b00020" stroke-width="2"/>',
        f'<text x="{LEFT}" y="{TOP - 16}" text-anchor="middle">loss</text>',
    ]
    if report.rto_target <= end:
        x = LEFT + report.rto_target * scale
        parts.append(
            f'<line x1="{x:.1f}" y1="{TOP - 10}" x2="{x:.1f}" y2="{height - 20}" stroke="#777" stroke-dasharray="4 4"/>'
        )
    for index, each in enumerate(report.milestones):
        y = TOP + index * ROW
        length = max(each.seconds * scale, 1.0)
        parts.append(
            f'<text x="{LEFT - 10}" y="{y + 15}" text-anchor="end">{escape(each.name)}</text>'
            f'<rect x="{LEFT}" y="{y + 3}" width="{length:.1f}" height="16" rx="2" fill="#2a6fb0"/>'
            f'<text x="{LEFT + length + 6:.1f}" y="{y + 15}">{each.seconds:.2f} s</text>'
        )
    return "".join([*parts, "</svg>"])


def _bar(share: float) -> str:
    eighths = round(max(share, 0.0) * BAR * 8)
    return ("█" * (eighths // 8) + _BLOCKS[eighths % 8]).rstrip()


def _seconds(value: float) -> str:
    return f"{value:.2f} s"


def _verdict(held: bool) -> str:
    return "kept" if held else "MISSED"


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S.%f}"[:-3]
