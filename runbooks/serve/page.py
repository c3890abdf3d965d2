"""The pages of people on call, as HTML. Pure: a view in, a page out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from runbooks.engine.runs import Run, RunState
from runbooks.serve.desk import OperationView, View
from runbooks.serve.incidents import Incident, IncidentState
from runbooks.serve.markup import Html, el, joined
from runbooks.serve.people import Session
from vitalops.evidence.record import Entry, Record, RecordKind
from vitalops.halt import Halt

POLL_SECONDS: Final = 2
HEARD_SECONDS: Final = 900.0
"""Alertmanager's watchdog comes every five minutes: after three that did not come, alerting is broken."""
_LONGEST: Final = 300


def first_page(view: View, session: Session, said: str = "") -> str:
    return _document(
        "On call",
        _header(view.platform, session),
        el("main", _said(said), el("div", live(view, session), id="live", data_seconds=POLL_SECONDS)),
    )


def live(view: View, session: Session) -> Html:
    """What changes by itself. Each section is replaced alone, and not while somebody writes in it."""
    parts = [
        _section("halt", "Kill switch", _halt(view.halt, session), alarming=view.halt is not None),
        _problems(view),
        _section("approvals", f"Approvals waiting ({len(view.waiting)})", _waiting(view, session)),
        _section("running", f"Running ({len(view.running)})", _runs(view.running, view.now, session)),
        _section("incidents", f"Open incidents ({sum(view.counts.values())})", _incidents(view)),
        _section("ended", "Ended lately", _ended(view.ended, view.now)),
        _section("timeline", "Timeline", _timeline(view.timeline)),
        _section("alerting", "Alerting", _heard(view)),
    ]
    return joined(parts)


def operation_page(view: OperationView, platform: str, session: Session, now: datetime) -> str:
    parts: list[object] = [el("p", el("a", "Back to on call", href="/")), el("h1", view.id)]
    parts += [el("p", problem, class_="problem") for problem in view.problems]
    if view.incident is not None:
        parts.append(el("section", _incident_facts(view.incident), class_="card"))
    if view.run is not None:
        parts.append(el("section", _run_card(view.run, now, session, linked=False), class_="card"))
    parts.append(el("section", el("h2", "Journal"), _timeline(view.records, whole=True)))
    return _document(view.id, _header(platform, session), el("main", parts))


def login_page(said: str = "", anybody: bool = True) -> str:
    hint = "Your token was given to you as a file, by whoever runs vitalops."
    if not anybody:
        hint = "Nobody is on call yet. Add somebody: vitalops runbook serve --add-person NAME"
    form = el(
        "form",
        el("label", "Name", for_="name"),
        el("input", id="name", name="name", autocomplete="username", autocapitalize="none", required=True),
        el("label", "Token", for_="token"),
        el(
            "input", id="token", name="token", type="password", autocomplete="current-password", required=True
        ),
        el("button", "Log in", class_="primary"),
        method="post",
        action="/login",
        class_="card",
    )
    return _document(
        "Log in", None, el("main", el("h1", "vitalops on call"), _said(said), el("p", hint), form)
    )


def message_page(title: str, said: str) -> str:
    return _document(
        title, None, el("main", el("h1", title), el("p", said), el("a", "Back to on call", href="/"))
    )


def _document(title: str, header: Html | None, main: Html) -> str:
    head = el(
        "head",
        el("meta", charset="utf-8"),
        el("meta", name="viewport", content="width=device-width, initial-scale=1"),
        el("meta", name="color-scheme", content="light dark"),
        el("meta", name="robots", content="noindex"),
        el("title", f"{title} · vitalops"),
        el("link", rel="stylesheet", href="/assets/style.css"),
        el("script", src="/assets/live.js", defer=True),
    )
    body = el(
        "body",
        el("a", "Skip to content", href="#content", class_="skip"),
        header,
        el("div", main, id="content"),
    )
    return f"<!doctype html>\n{el('html', head, body, lang='en').text}\n"


def _header(platform: str, session: Session) -> Html:
    log_out = el(
        "form", _csrf(session), el("button", "Log out", class_="quiet"), method="post", action="/logout"
    )
    status = el("span", "live", id="status", role="status", class_="status")
    return el(
        "header",
        el("a", el("strong", "vitalops"), f" {platform}", href="/", class_="brand"),
        status,
        el("span", session.person, class_="who"),
        log_out,
    )


def _section(name: str, title: str, content: object, *, alarming: bool = False) -> Html:
    heading = f"heading-{name}"
    return el(
        "section",
        el("h2", title, id=heading),
        content,
        id=name,
        class_="halted" if alarming else None,
        aria_labelledby=heading,
    )


def _said(said: str) -> Html | None:
    return el("p", said, class_="said", role="alert") if said else None


def _problems(view: View) -> Html:
    return el("section", [el("p", each, class_="problem") for each in view.problems], id="problems")


def _halt(halt: Halt | None, session: Session) -> list[Html]:
    if halt is None:
        fields = (
            _reason_field("halt", "Why halt everything?"),
            el("button", "Halt everything", class_="danger"),
        )
        return [
            el("p", "Operations may run."),
            el("details", el("summary", "Halt everything"), _form("/halt", session, *fields)),
        ]
    fields = (_reason_field("lift", "Why may everything go on?"), el("button", "Lift the halt"))
    return [
        el("p", el("strong", "HALTED "), str(halt), role="alert"),
        el("p", "What is running ends its step and stops. Alerts are stored and not acted on."),
        el("details", el("summary", "Lift the halt"), _form("/lift", session, *fields)),
    ]


def _waiting(view: View, session: Session) -> object:
    if not view.waiting:
        return el("p", "Nothing waits for approval.", class_="nothing")
    return [_run_card(run, view.now, session) for run in view.waiting]


def _runs(runs: Sequence[Run], now: datetime, session: Session | None) -> object:
    if not runs:
        return el("p", "Nothing.", class_="nothing")
    return [_run_card(run, now, session) for run in runs]


def _ended(runs: Sequence[Run], now: datetime) -> object:
    if not runs:
        return el("p", "Nothing.", class_="nothing")
    return [
        el(
            "article",
            el("h3", el("a", run.id, href=f"/operations/{run.id}"), " ", _badge(run.state.value)),
            el("p", f"{_progress(run)}, ended {_age(now, run.ended)} ago"),
            el("p", _short(run.detail)) if run.detail else None,
            class_="card",
        )
        for run in runs
    ]


def _run_card(run: Run, now: datetime, session: Session | None, *, linked: bool = True) -> Html:
    title = el("a", run.id, href=f"/operations/{run.id}") if linked else run.id
    facts: list[tuple[str, object]] = [
        ("Targets", ", ".join(run.targets)),
        ("Asked for by", f"{run.requester}, {_age(now, run.created)} ago"),
        ("Why", run.reason),
        ("Parameters", _data(run.parameters)),
        ("Decided by", run.decided_by),
    ]
    if run.state is RunState.WAITING:
        facts.append(("Expires in", _left(now, run.approval_until)))
    return el(
        "article",
        el("h3", title, " ", _badge(run.state.value)),
        el("p", run.detail) if run.detail else None,
        _steps(run),
        _facts(facts),
        _decisions(run, session) if session is not None else None,
        class_="card",
    )


def _decisions(run: Run, session: Session) -> object:
    base = f"/runs/{run.id}"
    if run.state is RunState.WAITING:
        return el(
            "form",
            _csrf(session),
            _reason_field(run.id, "Reason (needed to reject)", required=False),
            el(
                "div",
                el("button", f"Approve {run.runbook}", formaction=f"{base}/approve", class_="primary"),
                el("button", f"Reject {run.runbook}", formaction=f"{base}/reject"),
                class_="buttons",
            ),
            method="post",
        )
    if run.state in (RunState.READY, RunState.INTERRUPTED):
        return el(
            "form",
            _csrf(session),
            _reason_field(run.id, "Reason (needed to give up)", required=False),
            el(
                "div",
                el("button", f"Go on with {run.runbook}", formaction=f"{base}/resume", class_="primary"),
                el("button", f"Give up {run.runbook}", formaction=f"{base}/reject"),
                class_="buttons",
            ),
            method="post",
        )
    return None


def _steps(run: Run) -> object:
    if not run.steps:
        return None
    done = [name in run.outputs for name in run.steps]
    count = len(run.steps) if run.state is RunState.SUCCEEDED else sum(done)
    label = _progress(run)
    items = [
        el(
            "li",
            name,
            _mark(run, name, done=run.state is RunState.SUCCEEDED or there),
            class_=_kind(run, name, there),
        )
        for name, there in zip(run.steps, done, strict=True)
    ]
    return [
        el("p", label),
        el("progress", label, value=count, max=len(run.steps), aria_label=label),
        el("ol", items, class_="steps"),
    ]


def _progress(run: Run) -> str:
    count = (
        len(run.steps) if run.state is RunState.SUCCEEDED else sum(name in run.outputs for name in run.steps)
    )
    return f"{count} of {len(run.steps)} steps done"


def _kind(run: Run, name: str, done: bool) -> str:
    if done or run.state is RunState.SUCCEEDED:
        return "done"
    return "current" if name == run.step and run.started else "to-come"


def _mark(run: Run, name: str, *, done: bool) -> Html | None:
    # Not by colour alone.
    if done:
        return el("span", " done", class_="mark")
    if name != run.step or not run.started:
        return None
    word = {RunState.RUNNING: " now", RunState.INTERRUPTED: " interrupted"}.get(run.state, " ended here")
    return el("span", word, class_="mark")


def _incidents(view: View) -> object:
    if not view.incidents:
        return el("p", "No incident is open.", class_="nothing")
    items = [el("li", _incident_line(each, view.now), class_="row") for each in view.incidents]
    left = sum(view.counts.values()) - len(items)
    return [el("ul", items, class_="rows"), el("p", f"and {left} more") if left > 0 else None]


def _incident_line(incident: Incident, now: datetime) -> list[object]:
    return [
        el("a", incident.name, href=f"/operations/{incident.id}"),
        " ",
        _badge(_STATES[incident.state]),
        _badge(incident.severity) if incident.severity else None,
        el("span", f" {incident.region or incident.pair}, for {_age(now, incident.started)}"),
        el("p", _short(incident.summary)) if incident.summary else None,
        el("p", incident.detail, class_="detail") if incident.detail else None,
        el("p", el("a", incident.run, href=f"/operations/{incident.run}")) if incident.run else None,
    ]


_STATES: Final = {
    IncidentState.RECEIVED: "not acted on yet",
    IncidentState.STARTED: "runbook started",
    IncidentState.FILED: "waits for approval",
    IncidentState.UNANSWERED: "no runbook: for a person",
    IncidentState.REFUSED: "refused",
    IncidentState.PASSED: "ended by itself",
}


def _incident_facts(incident: Incident) -> list[object]:
    run = el("a", incident.run, href=f"/operations/{incident.run}") if incident.run else ""
    return [
        el("h2", incident.name, " ", _badge(_STATES[incident.state])),
        el("p", incident.summary),
        el("p", incident.detail) if incident.detail else None,
        _facts(
            [
                ("Target", incident.target),
                ("Since", _moment(incident.started)),
                ("Received", _moment(incident.received)),
                ("Ended", _moment(incident.resolved) if incident.resolved else "not yet"),
                ("Told", f"{incident.notices} times"),
                ("Runbook", incident.runbook),
                ("Run", run),
                ("Labels", _data(incident.labels)),
            ]
        ),
    ]


def _timeline(entries: Iterable[Entry], *, whole: bool = False) -> object:
    items = [el("li", _entry(each, whole=whole), class_="row") for each in entries]
    return el("ol", items, class_="rows timeline") if items else el("p", "Nothing yet.", class_="nothing")


def _entry(entry: Entry, *, whole: bool) -> list[object]:
    record = entry.record
    linked = record.operation not in ("halt", "journal")
    operation = el("a", record.operation, href=f"/operations/{record.operation}") if linked else None
    name = record.name if record.name != record.operation else ""
    return [
        el("time", f"{entry.at:%m-%d %H:%M:%S}", datetime=entry.at.isoformat(timespec="seconds")),
        " ",
        _badge(record.kind.value),
        f" {name} " if name else " ",
        operation if not whole else None,
        el("span", f" by {record.actor}", class_="who"),
        None if whole else el("p", _short(_gist(record))) if _gist(record) else None,
        el("p", record.reason) if whole and record.reason else None,
        el("p", _data(record.data), class_="detail") if whole and record.data else None,
    ]


def _gist(record: Record) -> str:
    """What is new in a record: its run's reason was told when it was asked for."""
    known = [record.data.get(key) for key in ("step", "what", "event", "outcome", "state", "detail")]
    words = [word for word in known if isinstance(word, str) and word]
    if record.kind not in (RecordKind.STARTED, RecordKind.STEP, RecordKind.FINISHED) and record.reason:
        words.append(record.reason)
    return ": ".join(dict.fromkeys(words))


def _heard(view: View) -> object:
    if not view.heard:
        return el("p", "No region's Alertmanager has been heard of yet.", class_="nothing")
    rows: list[Html] = []
    for place, at in sorted(view.heard.items()):
        silent = view.now.timestamp() - at > HEARD_SECONDS
        said = f"{place}: heard {_age(view.now, at)} ago" + ("; its alerting is silent" if silent else "")
        rows.append(el("li", said, class_="problem" if silent else None))
    return el("ul", rows)


def _form(action: str, session: Session, *fields: object) -> Html:
    return el("form", _csrf(session), *fields, method="post", action=action)


def _csrf(session: Session) -> Html:
    return el("input", type="hidden", name="csrf", value=session.csrf)


def _reason_field(name: str, label: str, *, required: bool = True) -> list[Html]:
    field = f"reason-{name}"
    return [
        el("label", label, for_=field),
        el("input", id=field, name="reason", maxlength=_LONGEST, required=required, autocomplete="off"),
    ]


def _facts(facts: Iterable[tuple[str, object]]) -> Html:
    return el("dl", [(el("dt", name), el("dd", value)) for name, value in facts if value])


def _badge(word: str) -> Html:
    return el("span", word, class_=f"badge {word.split(' ')[0]}")


def _data(data: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}: {_value(value)}" for key, value in data.items())


def _value(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"


def _age(now: datetime, then: float) -> str:
    return _span(max(now.timestamp() - then, 0.0))


def _left(now: datetime, until: float) -> str:
    return _span(max(until - now.timestamp(), 0.0))


def _span(seconds: float) -> str:
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min" if whole < 86400 else f"{whole // 86400} d"
