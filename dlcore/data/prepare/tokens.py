"""Texts into characters or words, by Unicode's rules.

Texts are taken in Unicode's composed form (NFC), so that a letter with its accent is the same however it was typed.
Words are those of UAX 29, "Unicode text segmentation" (https://www.unicode.org/reports/tr29/, sec. 4.1), in lower case,
but for colons, which end a word, as that annex suggests for languages other than Swedish.
"""

import functools
import unicodedata
from typing import Any, Literal

Unit = Literal["character", "word"]

# Marks that are not seen and are no part of a word: soft hyphen, marks of direction, word joiner, byte order mark.
INVISIBLE = r"\u00ad\u061c\u200e\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff"
# What is not seen when it stands alone: spaces, controls, joiners and selectors.
NOTHING = r"\s\p{Cc}\p{Cf}\p{Default_Ignorable_Code_Point}"


def composed(text: str) -> str:
    """The text in Unicode's composed form, NFC."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def tokenize(text: str, unit: Unit) -> list[str]:
    """Characters (code points), or words in lower case with punctuation marks and symbols one by one."""
    if unit == "character":
        return list(composed(text))
    lower = composed(composed(text).lower())
    return _word().findall(_invisible().sub("", lower))


def has_words(text: str) -> bool:
    """Whether the text has anything to be seen."""
    return _word().search(_invisible().sub("", text)) is not None


@functools.cache
def _invisible() -> Any:
    return _compiled(f"[{INVISIBLE}]")


@functools.cache
def _word() -> Any:
    """The pattern of a token. Comments name the rules of UAX 29."""
    marks = r"[\p{WB=Extend}\p{WB=Format}\p{WB=ZWJ}]*+"  # WB4: they belong to what is before
    hebrew = r"\p{WB=Hebrew_Letter}"
    letter = rf"[\p{{WB=ALetter}}{hebrew}]{marks}"
    inner = (
        rf"(?:[\p{{WB=MidLetter}}\p{{WB=MidNumLet}}'--[:\uff1a\ufe13\ufe55]]|(?<={hebrew})\"){marks}"  # WB6, 7, 7b, 7c
    )
    letters = rf"{letter}(?:(?:{inner})?{letter})*+(?:(?<={hebrew})')?"  # WB5, 7a
    number = rf"\p{{WB=Numeric}}{marks}"
    numbers = rf"{number}(?:(?:[\p{{WB=MidNum}}\p{{WB=MidNumLet}}']{marks})?{number})*+"  # WB8, 11, 12
    run = rf"(?:(?:{letters}|{numbers})++|(?:\p{{WB=Katakana}}{marks})++)"  # WB9, 10, 13
    joiners = rf"(?:[\p{{WB=ExtendNumLet}}--\s]{marks})"  # the narrow no-break space is one, and yet a space
    word = rf"{joiners}*+{run}(?:{joiners}++{run})*+{joiners}*+|{joiners}++"  # WB13a, 13b
    flag = rf"\p{{WB=Regional_Indicator}}{marks}\p{{WB=Regional_Indicator}}{marks}"  # WB15, 16
    pictograph = rf"\p{{Extended_Pictographic}}{marks}"
    picture = rf"{pictograph}(?:(?<=\u200d){pictograph})*+"  # WB3c
    return _compiled(rf"{word}|{flag}|{picture}|[^{NOTHING}]{marks}")


def _compiled(pattern: str) -> Any:
    import regex  # the standard library's `re` knows no Unicode properties

    return regex.compile(pattern, regex.VERSION1)
