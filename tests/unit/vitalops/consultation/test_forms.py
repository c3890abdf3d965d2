from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from vitalops.consultation import forms

PAGE = """<!doctype html><html><body>
<p role="alert">Wrong <b>e-mail</b>
   or password.</p>
<form action="/identity/login?next=%2Fa&amp;b=1" method="post">
  <input type="hidden" name="csrf" value="a&quot;b">
  <label>E-mail <input type="email" name="who" value=""></label>
  <input name="secret" type=password>
  <input type="checkbox" name="remember" value="yes">
  <input type="checkbox" name="terms" value="yes" checked>
  <button type="submit" name="go">Sign in</button>
  <input type="submit" value="Also go" name="go2">
</form><input name="outside" value="x"></body></html>"""


def test_a_form_is_read_as_a_browser_would_submit_it() -> None:
    page = forms.parse(PAGE)
    (form,) = page.forms
    assert form.action == "/identity/login?next=%2Fa&b=1"
    assert form.method == "post"
    assert form.fields == {"csrf": 'a"b', "who": "", "secret": "", "terms": "yes"}


def test_fields_are_found_by_type_or_name_in_the_order_wanted() -> None:
    form = forms.parse(PAGE).forms[0]
    assert form.field_for("email", "username") == "who"
    assert form.field_for("password") == "secret"
    assert form.field_for("secret") == "secret"
    assert form.field_for("totp", "otp") is None


def test_complaints_are_collected_in_one_line() -> None:
    assert forms.parse(PAGE).alerts == ("Wrong e-mail or password.",)
    assert forms.parse("<p>fine</p>").alerts == ()


@given(st.text(max_size=300))
def test_any_text_is_a_page(text: str) -> None:
    assert isinstance(forms.parse(text), forms.Page)
