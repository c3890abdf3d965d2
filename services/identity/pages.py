"""The pages of the sign-in: plain HTML that works without scripts, for keyboards and screen readers too."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from urllib.parse import urlsplit

from fastapi.responses import HTMLResponse

_STYLE = (
    "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:24rem;margin:3rem auto;padding:0 1rem;color:#1b1b1b;"
    "background:#fff}label{display:block;margin-top:1rem}input{font:inherit;width:100%;padding:.5rem;"
    "box-sizing:border-box;border:1px solid #555;border-radius:.25rem}button{font:inherit;margin-top:1.5rem;"
    "padding:.6rem 1.2rem;border:0;border-radius:.25rem;background:#0b5394;color:#fff}"
    "[role=alert]{border-left:.3rem solid #a40000;padding-left:.6rem;color:#a40000}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()


def _page(
    title: str, main: str, *, status: int, redirect_uri: str = "", retry_after: int = 0
) -> HTMLResponse:
    html = (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{_STYLE}</style></head>'
        f"<body><main><h1>{escape(title)}</h1>{main}</main></body></html>"
    )
    # Browsers hold the redirect that answers a form to form-action as well.
    target = urlsplit(redirect_uri)
    allowed = f"'self' {target.scheme}://{target.netloc}" if target.netloc else "'self'"
    headers = {
        "content-security-policy": (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {allowed}; "
            "frame-ancestors 'none'; base-uri 'none'"
        ),
        "referrer-policy": "no-referrer",
        "x-frame-options": "DENY",
        "cache-control": "no-store",
    }
    if retry_after:
        headers["retry-after"] = str(retry_after)
    return HTMLResponse(html, status_code=status, headers=headers)


def _alert(message: str) -> str:
    return f'<p role="alert">{escape(message)}</p>' if message else ""


def login_page(
    *, action: str, csrf: str, redirect_uri: str, message: str = "", status: int = 200, retry_after: int = 0
) -> HTMLResponse:
    """Address and password."""
    main = (
        f'{_alert(message)}<form method="post" action="{escape(action)}">'
        f'<input type="hidden" name="csrf" value="{escape(csrf)}">'
        '<label for="email">E-mail address</label><input id="email" name="email" type="email" '
        'autocomplete="username" maxlength="254" required autofocus>'
        '<label for="password">Password</label><input id="password" name="password" type="password" '
        'autocomplete="current-password" maxlength="128" required>'
        "<button>Sign in</button></form>"
    )
    return _page("Sign in", main, status=status, redirect_uri=redirect_uri, retry_after=retry_after)


def mfa_page(
    *, action: str, csrf: str, redirect_uri: str, message: str = "", status: int = 200, retry_after: int = 0
) -> HTMLResponse:
    """The second factor."""
    main = (
        f'{_alert(message)}<form method="post" action="{escape(action)}">'
        f'<input type="hidden" name="csrf" value="{escape(csrf)}">'
        '<label for="code">Code from your authenticator application</label><input id="code" name="code" '
        'type="text" inputmode="numeric" autocomplete="one-time-code" pattern="[0-9]{6}" maxlength="6" '
        "required autofocus><button>Continue</button></form>"
    )
    return _page("Second step", main, status=status, redirect_uri=redirect_uri, retry_after=retry_after)


def error_page(message: str, *, status: int = 400) -> HTMLResponse:
    """What went wrong, where there is nowhere to send the person back to."""
    return _page("Sign-in is not possible", _alert(message), status=status)
