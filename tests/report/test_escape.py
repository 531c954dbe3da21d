"""Foreign text becomes text that only prints, and nothing of it is lost unsaid."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trueward.report.escape import pieces, visible

ANY_TEXT = st.text(alphabet=st.characters(exclude_categories=()), max_size=60) | st.lists(
    st.sampled_from("\x00\x07\x1b\r\n\t\x7f\x85\x9b\u200b\u200e\u202e\u2066\u2028\ufeff\ud800\ue000\U000e0041a ⟨é漢")
).map("".join)
BIDI_AND_ZERO_WIDTH = {0x061C, 0x180E, 0x034F, 0x2060, 0xFEFF, 0x00AD, *range(0x200B, 0x2010), *range(0x2028, 0x202F)}
BIDI_AND_ZERO_WIDTH |= {*range(0x2066, 0x206A), *range(0xFE00, 0xFE10), *range(0xE0000, 0xE0080)}


def is_harmless(text: str, multiline: bool = False) -> bool:
    return all(
        (multiline and c == "\n")
        or (unicodedata.category(c) not in ("Cc", "Cs", "Co") and ord(c) not in BIDI_AND_ZERO_WIDTH)
        for c in text
    )


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain \\boxed{12} é 漢字 🎲", "plain \\boxed{12} é 漢字 🎲"),
        ("\x1b[2J\x1b]0;pwn\x07", "\\x1b[2J\\x1b]0;pwn\\x07"),
        ("a\rb\bc\x9bd", "a\\x0db\\x08c\\x9bd"),
        ("a\nb\tc", "a⏎b⇥c"),
        ("\u202e\u2066\u200b\ufeff", "⟨U+202E⟩⟨U+2066⟩⟨U+200B⟩⟨U+FEFF⟩"),
        ("\ud800 \ue000 \U000e0041", "⟨U+D800⟩ ⟨U+E000⟩ ⟨U+E0041⟩"),
        ("no\u00a0break", "no⟨U+00A0⟩break"),
        ("✓\ufe0f", "✓⟨U+FE0F⟩"),
        ("[red]x[/red]", "[red]x[/red]"),
    ],
)
def test_what_does_not_print_is_named(text: str, shown: str) -> None:
    assert visible(text, None) == shown


def test_lines_are_kept_only_when_asked() -> None:
    assert visible("a\r\nb", None, multiline=True) == "a\\x0d\nb"


def test_long_text_loses_its_middle_and_says_how_much() -> None:
    assert visible("a" * 1_000_000 + "b" * 30, 30) == "a" * 20 + "… 1,000,000 characters …" + "b" * 10
    assert visible("abc", 3) == "abc"
    assert visible("abcd", 3) == "ab… 1 characters …d"


@given(ANY_TEXT, st.none() | st.integers(0, 40), st.booleans())
def test_output_only_prints(text: str, limit: int | None, multiline: bool) -> None:
    shown = visible(text, limit, multiline=multiline)
    assert is_harmless(shown, multiline)
    shown.encode("utf-8")


@given(ANY_TEXT, st.none() | st.integers(0, 40))
def test_pieces_join_to_the_visible_text(text: str, limit: int | None) -> None:
    assert "".join(pieces(text, limit)) == visible(text, limit, multiline=True)


def test_pieces_alternate_between_print_and_notation() -> None:
    assert pieces("ab\u202ec") == ["ab", "⟨U+202E⟩", "c"]
    assert pieces("\x1b\x1b") == ["", "\\x1b\\x1b"]
    assert pieces("a\nb") == ["a\nb"]
    assert pieces("") == [""]
    assert pieces("abcdef", 3) == ["ab", "… 3 characters …", "f"]
    assert pieces("\x1b\x1babc\x07", 3) == ["", "\\x1b\\x1b… 3 characters …", "", "\\x07"]


def test_the_check_itself_can_fail() -> None:
    assert not is_harmless("\x1b")
    assert not is_harmless("\n")
    assert not is_harmless("\u200b")
