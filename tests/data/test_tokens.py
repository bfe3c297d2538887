"""Words by Unicode's rules; texts whose lines, ids and windows are right or refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from data_support import private_cache, write  # noqa: F401
from hypothesis import given, settings
from hypothesis import strategies as st
from rounds import rounds

import dlcore as dl
from dlcore.data.prepare.tokens import tokenize

THUMB, MAN, WOMAN = "\U0001f44d", "\U0001f468", "\U0001f469"
GERMANY, FRANCE = "\U0001f1e9\U0001f1ea", "\U0001f1eb\U0001f1f7"
WORDS = {  # a text, and its words between bars
    "English": ("To be, or not to be: that's it.", "to|be|,|or|not|to|be|:|that's|it|."),
    "apostrophes": ("'Tis rock'n'roll, l\u2019homme said y'all", "'|tis|rock'n'roll|,|l\u2019homme|said|y'all"),
    "numbers": ("3.14 1,000 10:30 50% $5 x_1 e.g. U.S.A.", "3.14|1,000|10|:|30|50|%|$|5|x_1|e.g|.|u.s.a|."),
    "signs": ("well-known a@b.com -- ...", "well|-|known|a|@|b.com|-|-|.|.|."),
    "Hindi": (
        "\u0939\u093f\u0928\u094d\u0926\u0940 \u092d\u093e\u0937\u093e",
        "\u0939\u093f\u0928\u094d\u0926\u0940|\u092d\u093e\u0937\u093e",
    ),
    "Tamil, Bengali": (
        "\u0ba4\u0bae\u0bbf\u0bb4\u0bcd \u09ac\u09be\u0982\u09b2\u09be",
        "\u0ba4\u0bae\u0bbf\u0bb4\u0bcd|\u09ac\u09be\u0982\u09b2\u09be",
    ),
    "accents typed apart": ("Cafe\u0301 caf\u00e9 k\u0331", "caf\u00e9|caf\u00e9|\u1e35"),
    "Turkish": ("\u0130stanbul I\u0307stanbul", "i\u0307stanbul|i\u0307stanbul"),
    "Greek, German": ("\u039f\u0394\u039f\u03a3 Stra\u00dfe", "\u03bf\u03b4\u03bf\u03c2|stra\u00dfe"),
    "Persian": (
        "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645", "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    ),
    "Hebrew": ("\u05e9\"\u05dc \u200f\u05d0\u05d1\u200f", "\u05e9\"\u05dc|\u05d0\u05d1"),
    "Chinese": ("\u6211\u7231", "\u6211|\u7231"),
    "Japanese": ("\u30c6\u30b9\u30c8\u3067\u3059", "\u30c6\u30b9\u30c8|\u3067|\u3059"),
    "Korean": ("\ud55c\uad6d\uc5b4 \ub9d0", "\ud55c\uad6d\uc5b4|\ub9d0"),
    "Thai": ("\u0e27\u0e31\u0e19\u0e14\u0e35", "\u0e27\u0e31|\u0e19|\u0e14\u0e35"),
    "skin": (f"{THUMB}\U0001f3fd{THUMB} 1\ufe0f\u20e3", f"{THUMB}\U0001f3fd|{THUMB}|1\ufe0f\u20e3"),
    "family, flags": (f"{MAN}\u200d{WOMAN} {GERMANY}{FRANCE}", f"{MAN}\u200d{WOMAN}|{GERMANY}|{FRANCE}"),
    "what is not seen": ("co\u00adop a\u200bb c\x00d\r\ne 1\u202f000 \u200d\ufe0f\ufeff", "coop|a|b|c|d|e|1|000"),
}  # fmt: skip


@pytest.mark.parametrize("name", WORDS)
def test_words(name):
    text, expected = WORDS[name]
    assert tokenize(text, "word") == expected.split("|")


SIGNS = st.sampled_from(
    "aZ1 _'\".,:\u2019\u200d\u200c\u0301\u0307\u0130\u03a3\u00ad\u05e9\u30c6\u0e27\u0e31\u093f\ufe0f"
    "\U0001f1e9\U0001f44d\U0001f3fd"
)


@settings(max_examples=rounds(300), deadline=None, derandomize=True)
@given(st.text(SIGNS | st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12))
def test_what_is_decoded_encodes_to_the_same_ids(text):
    """Catches words that come apart, or together, once they are joined by spaces."""
    for unit in ("word", "character"):
        if tokenize(text, unit):
            vocabulary = dl.data.words(text) if unit == "word" else dl.data.characters(text)
            ids = vocabulary.encode(text)
            assert ids.min() > 3
            np.testing.assert_array_equal(vocabulary.encode(vocabulary.decode(ids)), ids)


def test_a_text_is_the_same_however_its_accents_were_typed():
    apart, together = "cafe\u0301 " * 9, "caf\u00e9 " * 9
    for unit in ("word", "character"):
        one, other = (dl.data.next_token(text, length=3, unit=unit) for text in (apart, together))
        assert one.input_vocabulary == other.input_vocabulary
        np.testing.assert_array_equal(one.train.inputs, other.train.inputs)


def test_parts_of_a_text_end_between_words():
    data = dl.data.next_token("one two three four five six", length=1, unit="word", test=0.5)
    assert data.train.inputs.size == 2
    assert data.input_vocabulary.tokens[4:] == ("one", "three", "two")


@pytest.mark.parametrize(("tokens", "unit", "message"), [
    (("a", "b", "a"), "word", "tokens hold 'a' twice"),
    (("The",), "word", r"tokens hold 'The'; expects words, such as \['the'\]"),
    (("to be",), "word", r"such as \['to', 'be'\]"),
    (("ab",), "character", r"such as \['a', 'b'\]"),
    (("e\u0301",), "character", r"such as \['\u00e9'\]"),
    (("",), "word", "tokens hold ''"),
])  # fmt: skip
def test_tokens_that_no_text_has_are_refused(tokens, unit, message):
    special = dl.data.characters("a").tokens[:4]
    with pytest.raises(dl.ArgumentError, match=message):
        dl.data.Vocabulary((*special, *tokens), unit)


@pytest.mark.parametrize(("call", "message"), [
    (lambda v: v.encode("\ud800"), "half a surrogate pair"),
    (lambda v: dl.data.words(["a", "\udfff"]), "half a surrogate pair"),
    (lambda v: dl.data.next_token("ab\ud800", length=1), "half a surrogate pair"),
    (lambda v: v.encode(b"ab"), "text is b'ab'; expects a string"),
    (lambda v: v.encode_lines(["ab"], length=1, start=True, end=True), "expects room for the marks, 2 or more"),
    (lambda v: jax.jit(v.decode)(jnp.arange(2)), "Traced values are known only when the program runs"),
    (lambda v: jax.jit(dl.data.pad)(jnp.ones((2, 2), int)), "Traced values are arrays already"),
    (lambda v: dl.data.pad([[3.7], [1]]), "Round floats"),
    (lambda v: dl.data.pad([[True]]), "zeros and ones as integers"),
    (lambda v: dl.data.pad([[2**31]]), "Ids are 32-bit integers"),
    (lambda v: dl.data.pad([np.ma.masked_array([1, 2], [0, 1])]), "Some values are masked"),
    (lambda v: dl.data.mask([0.5]), r"mask: ids is \[0.5\]; expects token ids, integers"),
    (lambda v: dl.data.next_token("abcd", length=2, max_vocabulary=9), "expects a limit for words only"),
    (lambda v: dl.data.next_token(" \n", length=2, unit="word"), "no word is frequent enough"),
    (lambda v: dl.data.framed([[7, 0, 8]]), r"ids hold 0, the padding, at \[0, 1\] before other ids"),
    (lambda v: dl.data.framed(np.asarray([[2**40]])), "Some do not fit int32"),
])  # fmt: skip
def test_what_is_no_text_and_no_ids_is_refused(call, message):
    with pytest.raises(dl.DlcoreError, match=message):
        call(dl.data.characters("ab"))


def test_pad_takes_integers_of_every_width():
    rows = [np.asarray([1, 2], ">i2"), np.asarray([3], np.uint64), jnp.asarray([4]), []]
    np.testing.assert_array_equal(dl.data.pad(rows, length=2), [[1, 2], [3, 0], [4, 0], [0, 0]])


def test_lines_of_a_file(tmp_path):
    for content in (b"a\nb\n", b"a\nb", b"a\r\nb\r\n", b"\xef\xbb\xbfa\nb\n", b"a\rb\r"):
        assert dl.data.read_lines(write(tmp_path / "a", content)) == ["a", "b"], content
    assert dl.data.read_lines(write(tmp_path / "a", "a\n\nb\fc\rd\u2028e\n\n")) == ["a", "", "b\fc\rd\u2028e", ""]
    with pytest.raises(dl.DataError, match=r"a NUL byte at offset 1; expects text. If it is UTF-16, iconv -f utf-16le"):
        dl.data.read_text(write(tmp_path / "a", "ab".encode("utf-16-le")))


def test_every_line_is_an_example(tmp_path):
    """Catches empty lines that are dropped at the end of one file, so that sentences no longer face each other."""
    one, two = write(tmp_path / "one", "a\nb\n"), write(tmp_path / "two", "a\nb\n\n")
    with pytest.raises(dl.DataError, match=r"one has 2 lines, .*two has 3; .* empty at the end"):
        dl.data.from_aligned_text((one, two))
    with pytest.raises(dl.DataError, match="two: line 3 is empty"):
        dl.data.from_aligned_text((write(tmp_path / "one", "a\nb\nc"), two))
    with pytest.raises(dl.DataError, match="two: line 3 is empty"):
        dl.data.from_text_classes({"one": one, "two": two})
    with pytest.raises(dl.DataError, match="two: line 2 is empty"):
        dl.data.from_text_classes({"one": one, "two": write(two, "a\n\u200b\u00ad\nb")})


def test_text_classes_have_a_name_and_a_file_each(tmp_path):
    one, two = write(tmp_path / "one", "a\n"), write(tmp_path / "two", "b\n")
    with pytest.raises(dl.DataError, match="one is the file of 'a' and of 'b'"):
        dl.data.from_text_classes({"a": one, "b": tmp_path / "." / "one"})
    with pytest.raises(dl.DataError, match="the same name in two forms of Unicode"):
        dl.data.from_text_classes({"caf\u00e9": one, "cafe\u0301": two})


def test_texts_are_read_up_to_max_bytes(tmp_path):
    one, two = write(tmp_path / "one", "a b c d\n" * 5), write(tmp_path / "two", "e f g h\n" * 5)
    for read in (
        lambda **most: dl.data.from_text(one, length=2, **most),
        lambda **most: dl.data.from_text_classes({"one": one, "two": two}, **most),
        lambda **most: dl.data.from_aligned_text((one, two), **most),
    ):
        assert read(max_bytes=40).train.num_rows
        with pytest.raises(dl.DataError, match="one holds more than max_bytes=39"):
            read(max_bytes=39)
