"""A patient who can be recognised anywhere, and the forms in which their data could turn up somewhere."""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import quote, quote_plus


def _letters(count: int) -> str:
    """Letters that no hexadecimal number, and hardly a word, has."""
    return "".join(secrets.choice("ghjkqvwxyz") for _ in range(count))


def _digits(count: int) -> str:
    return "".join(secrets.choice("123456789") for _ in range(count))


@dataclass(frozen=True, slots=True)
class Patient:
    """Everything is made up, and long enough not to turn up by chance."""

    given_name: str
    family_name: str
    email: str
    password: str
    birth_date: str
    phone: str
    insurance_number: str
    street: str
    note: str
    diagnosis: str
    dosage: str
    search: str
    """What was typed into a search box."""

    @staticmethod
    def fresh() -> Patient:
        return Patient(
            given_name=f"Zéphyrine-{_letters(8)}",
            family_name=f"d'Aubépine {_letters(8)}",
            email=f"{_letters(14)}@example.invalid",
            password=f"{_letters(10)} {_digits(8)}",
            birth_date=f"19{secrets.randbelow(20) + 10}-{secrets.randbelow(9) + 1:02}-{secrets.randbelow(19) + 10}",
            # Of the numbers that the French regulator keeps for fiction.
            phone=f"+33639981{_digits(3)}",
            insurance_number=f"2{_digits(14)}",
            street=f"7 rue des {_letters(12)}",
            note=f'complains of {_letters(12)} "at night" & <often>',
            diagnosis=f"suspected {_letters(14)}",
            dosage=f"half a {_letters(10)} before sleep",
            search=f"{_letters(9)} {_letters(9)}",
        )

    def seeds(self) -> Mapping[str, str]:
        """By what they are."""
        return {name: getattr(self, name) for name in self.__dataclass_fields__}


def forms(text: str) -> frozenset[str]:
    """`text` as it may stand in a log line, a URL, a JSON document, a token or a database's complaint.

    Base64 has three forms, as a text may begin at any of three places within a group; the characters at either end,
    which depend on its neighbours, are left out.
    """
    once, plain = json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]
    # A document within a document: a log line that quotes a request's body.
    written = {text, once, plain, *(json.dumps(each)[1:-1] for each in (once, plain))}
    found = {
        *written,
        text.lower(),
        text.upper(),
        quote(text),
        quote(text, safe=""),
        quote_plus(text),
        repr(text)[1:-1],
        text.replace("'", "''"),
        text.replace("'", "&#39;").replace('"', "&quot;"),
        repr(text.encode())[2:-1],
        text.encode().hex(),
    }
    for body in written:
        for before in range(3):
            padded = b"\0" * before + body.encode()
            whole = len(padded) // 3 * 3
            for encode in (base64.b64encode, base64.urlsafe_b64encode):
                coded = encode(padded[:whole]).decode()
                found.add(coded[(0, 2, 3)[before] :])
    return frozenset(form for form in found if len(form) >= 8)


def found_in(text: str, seeds: Mapping[str, str]) -> list[tuple[str, str]]:
    """Name of each seed that `text` holds in some form, with its surroundings."""
    hits: list[tuple[str, str]] = []
    for name, seed in seeds.items():
        for form in forms(seed):
            at = text.find(form)
            if at >= 0:
                hits.append((name, text[max(0, at - 150) : at + len(form) + 60]))
                break
    return hits


def checked(texts: Iterable[tuple[str, str]], seeds: Mapping[str, str]) -> list[str]:
    """A line for each place (name and text) that holds a seed."""
    return [
        f"{place}: {name} in ...{around}..."
        for place, text in texts
        for name, around in found_in(text, seeds)
    ]
