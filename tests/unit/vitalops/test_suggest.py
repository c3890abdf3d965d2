from __future__ import annotations

from vitalops.suggest import closest, shown, suggestion


def test_the_closest_word_is_suggested_whatever_its_case() -> None:
    assert closest("gdrp", ["HDS", "GDPR"]) == "GDPR"
    assert closest("zzz", ["HDS", "GDPR"]) is None
    assert suggestion("fr-pra", ["fr-par", "ch-gva"]) == "did you mean 'fr-par'?"


def test_where_none_is_close_all_are_named() -> None:
    assert suggestion("zzz", ["HDS", "GDPR"]) == "one of HDS, GDPR"
    assert suggestion("zzz", []) == "there is none"


def test_values_are_shown_on_one_short_line() -> None:
    assert shown("a\nb") == r"'a\nb'"
    assert shown(3) == "3"
    assert len(shown("x" * 1000)) == 48
