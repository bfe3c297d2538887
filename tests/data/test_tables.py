"""What a table means: its index, its names, which columns are inputs, what is a number and what a class."""
# pyright: reportOptionalMemberAccess=false

import datetime
import decimal
import gzip

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from data_support import write

import dlcore as dl

KINDS = ["a", "a", "b"]


def frame(**columns) -> pd.DataFrame:
    return pd.DataFrame({"x": [1, 5, 4], "kind": KINDS, **columns})


def raises(text: str):
    return pytest.raises(dl.DataError, match=text)


def parquet(table: pd.DataFrame, path, **options):
    table.to_parquet(path)
    return dl.data.from_parquet(path, "kind", **options)


def loaders(folder):
    """A frame by each of the two ways that know an index."""
    return (
        lambda table, **options: dl.data.from_frame(table, "kind", **options),
        lambda table, **options: parquet(table, folder / "a.parquet", **options),
    )


def test_index_is_read_alike_from_a_frame_and_a_file(tmp_path):
    """Catches a level of the index that is no input without a word, and one that is an input by accident."""
    for load in loaders(tmp_path):
        ages = load(frame().set_index(pd.Index([7, 9, 7], name="age")))
        assert ages.input_names == ("age", "x")
        np.testing.assert_array_equal(ages.train.inputs, [[7, 1], [9, 5], [7, 4]])
        assert load(frame().set_index(pd.Index([7, 9, 7], name="age")), drop=[0]).input_names == ("age",)  # not 0
        levels = pd.MultiIndex.from_tuples([(1, 5), (1, 6), (2, 9)], names=["g", "h"])
        assert load(frame().set_index(levels)).input_names == ("g", "h", "x")
        numbered = load(frame().set_index(pd.RangeIndex(5, 8)))
        assert numbered.input_names == ("x",)
        assert numbered.source.endswith("without its index of row numbers")
        with raises(r"column 'id' numbers the rows; .* drop=\('id',\)"):
            load(frame().set_index(pd.RangeIndex(5, 8, name="id")))
        filtered = frame().set_index(pd.Index([1, 2, 5], name="id"))
        with raises(r"column 'id' is an index of another number for each row; .* drop=\('id',\).*reset_index"):
            load(filtered)
        assert load(filtered, drop=("id",)).input_names == ("x",)
        assert load(filtered.reset_index()).input_names == ("id", "x")
        with raises(r"column 'index' has no name, .* drop=\('index',\)"):
            load(frame().set_index(pd.Index(["p", "q", "r"])))
        assert load(frame().set_index(pd.Index(["p", "q", "r"])), drop=("index",)).input_names == ("x",)
    with raises(r"the index of the table is called 'x', as one of its columns.*reset_index\(drop=True\)"):
        dl.data.from_frame(frame().set_index(pd.Index([1, 2, 5], name="x")), "kind")


def test_saved_index_of_a_csv_is_no_input(tmp_path):
    path = write(tmp_path / "a.csv", ",x,kind\n0,1.5,a\n1,2.5,a\n2,1.0,b\n")
    with raises(r"column 'Unnamed: 0' has no name.*drop=\('Unnamed: 0',\)"):
        dl.data.from_csv(path, "kind")
    assert dl.data.from_csv(path, "kind", drop=("Unnamed: 0",)).input_names == ("x",)
    path = write(tmp_path / "b.csv", "x,kind,\n1,a,\n2,b,\n")  # a separator at the end of each line
    with raises(r"column 'Unnamed: 2' is missing in all rows\. .* drop=\('Unnamed: 2',\)"):
        dl.data.from_csv(path, "kind")
    assert dl.data.from_csv(path, "kind", drop=("Unnamed: 2",)).input_names == ("x",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("5.1,3.5,setosa\n4.9,3.0,setosa\n7.0,3.2,rose\n", "first line names a column '5.1'.*pass header=False"),
        ("red,yes\nred,no\nblue,no\n", "column 'red' also holds 'red'.*pass header=False"),
        ("x,kind\n1,a\nx,kind\n2,b\n", "row 1 holds the names once more.*there twice"),
        ("y,x,y\n1,2,1\n3,4,3\n", r"two columns are called 'y'.*'y\.1'"),
        ("y,x,y \n1,2,1\n3,4,3\n", "two columns are called 'y'"),
        ("# x,kind\n1,a\n2,b\n", "starts with '# x'.*comment='#'"),
        ("zip,kind\n02134,a\n2134,b\n", r"column 'zip' holds '02134' and '2134', .* one_hot=\('zip',\)"),
        ("x;kind\n1;a\n2;b\n", "all names are one.*Pass separator=';'"),
        (
            'x,kind\n"1,234",a\n2,b\n',
            r"column 'x' holds '1,234'.*frame\['x'\]\.str\.replace\(',', ''\)\.astype\(float\)",
        ),
        ("x,kind\n(5),a\n2,b\n", r"column 'x' holds '\(5\)'.*one_hot"),  # no advice that makes 5 of it
        ("x,kind\n12%,a\n13%,b\n", "column 'x' holds '12%'.*from_frame"),
        ("t,kind\n1700000000,a\n1700000030,b\n", "column 't' holds 1700000000 and 1700000030, which are one number"),
        ("t,kind\n12345678901234567890123,a\n12345678901234567890124,b\n", "one number in float32"),
        (b"x,kind\n1,a\0\n", "holds a NUL byte at offset 10"),
        ("x,kind\n1,a\n".encode("utf-16"), "is not UTF-8: .*iconv -f utf-16 -t utf-8"),
        ("x,kind\n1,a\n".encode("utf-16le"), "holds a NUL byte at offset 1; .*iconv -f utf-16le"),
        (b"PK\x03\x04\xff", r"looks like a zip archive.*pandas\.read_excel"),
    ],
)
def test_csv_that_would_be_read_as_something_else(tmp_path, text, message):
    with raises(message):
        dl.data.from_csv(write(tmp_path / "a.csv", text), -1, drop=())


def test_csv_as_people_write_it(tmp_path):
    text = '\ufeff x , kind \r\n\r\n"1",a \r\n 2 , b\r\n3,"a"\r\n'
    data = dl.data.from_csv(write(tmp_path / "a.csv", text), "kind")
    assert (data.input_names, data.target_names) == (("x",), ("a", "b"))
    np.testing.assert_array_equal(data.train.targets, [0, 1, 0])


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"kind.1": [4, 4, 5]}, {}, "'kind.1' is called as pandas calls a second column"),
        ({"kind_id": [4, 4, 5]}, {}, r"'kind_id' stands for the classes of the target 'kind'.*drop=\('kind_id',\)"),
        ({"again": KINDS}, {"one_hot": ["again"]}, "'again' is a copy of the target 'kind'"),
        ({" x": [1, 2, 4]}, {}, "the columns 'x' and ' x'; expects names that differ by more than spaces"),
        ({"t": ["p", "?", "q"]}, {"one_hot": ["t"]}, r"column 't' holds '\?'; expects a value"),
        ({"t": [1, 2, 4]}, {"drop": ["t"], "one_hot": ["t"]}, "column 't' is in drop and in one_hot"),
        ({}, {"one_hot": ["kind"]}, "column 'kind' is in target and in one_hot"),
        ({"": [1, 2, 4]}, {}, "column '' has no name"),
        ({"t": pd.to_datetime(["2020", "2021", "2023"]).tz_localize("UTC")}, {}, "'t' holds datetime64.*total_seconds"),
        ({"t": pd.to_timedelta([1, 2, 4], "s")}, {}, "'t' holds timedelta64.*total_seconds"),
        ({"t": pd.period_range("2020", periods=3)}, {}, "'t' holds period.*start_time"),
        ({"t": [datetime.date(2020, 1, 1)] * 3}, {}, "'t' holds cells of kind datetime.*to_datetime"),
        ({"t": pd.Series([1j, 2, 3], dtype=object)}, {}, "'t' holds cells of kind complex"),
        ({"t": [b"1", b"2", b"3"]}, {}, r"'t' holds cells of kind bytes.*str\.decode"),
        ({"t": [{"a": 1}] * 3}, {}, "'t' holds cells of kind dictionary.*json_normalize"),
        ({"t": [2**53, 2**53 + 1, 4]}, {}, "9007199254740992 and 9007199254740993, which are one number in float32"),
        ({"t": pd.array([2**25, 2**25 + 1, 4], dtype="Int64")}, {}, "33554432 and 33554433, which are one number"),
        ({"t": [1e9, 1e9 + 0.5, 1e9 + 0.7]}, {}, r"1000000000 to 1000000000\.7, where float32 has steps of 64"),
        ({"n": [None, None, None]}, {}, r"column 'n' is missing in all rows\. .*drop=\('n',\)"),
    ],
)
def test_columns_that_are_refused(columns, options, message):
    with raises(message):
        dl.data.from_frame(frame(**columns), "kind", **options)


def test_what_the_errors_advise_works():
    """Catches advice that ends in the next error."""
    times = frame(t=pd.to_datetime(["2020", "2021", "2023"]))
    seconds = times.assign(t=(times["t"] - times["t"].min()).dt.total_seconds())
    assert dl.data.from_frame(seconds, "kind").train.inputs[1, 1] == 366 * 86400
    stamps = frame(t=[1.7e9, 1.7e9 + 30.5, 1.7e9 + 60])
    moved = dl.data.from_frame(stamps.assign(t=stamps["t"] - stamps["t"].min()), "kind")
    np.testing.assert_array_equal(moved.train.inputs[:, 1], [0, 30.5, 60])
    assert dl.data.from_frame(stamps.assign(t=stamps["t"].astype("float32")), "kind").train.num_rows == 3
    amounts = frame(t=["$1,234.5", "2", "-3"])
    plain = amounts["t"].str.replace(r"[^0-9.,+-]", "", regex=True).str.replace(",", "").astype(float)
    assert dl.data.from_frame(amounts.assign(t=plain), "kind").train.inputs[:, 1].tolist() == [1234.5, 2, -3]
    gaps = frame(t=[1, None, 3])
    assert dl.data.from_frame(gaps.dropna(), "kind").train.inputs.tolist() == [[1, 1], [4, 3]]
    levels = frame(level=pd.Categorical(["lo", "hi", "lo"], ["lo", "hi", "none"]))
    with raises("'level' has 1 categories without rows, 'none' first"):
        dl.data.from_frame(levels, "level", drop=["kind"])
    used = levels.assign(level=levels["level"].cat.remove_unused_categories())
    assert dl.data.from_frame(used, "level", drop=["kind"]).target_names == ("lo", "hi")


@pytest.mark.parametrize(
    ("values", "options", "names", "targets"),
    [
        ([100, 200, 300], {}, ("y",), [100.0, 200.0, 300.0]),
        ([decimal.Decimal("1.5"), decimal.Decimal(2), decimal.Decimal(3)], {}, ("y",), [1.5, 2.0, 3.0]),
        (pd.Categorical(["lo", "hi", "lo"], ["lo", "hi"]), {}, ("lo", "hi"), [0, 1, 0]),
        (pd.Categorical([2.0, 1.0, 2.0], [2.0, 1.0]), {}, ("2", "1"), [0, 1, 0]),
        ([7, 3, 7], {"target_kind": "class"}, ("3", "7"), [1, 0, 1]),
        ([2.0, 1.0, 2.0], {"target_kind": "class"}, ("1", "2"), [1, 0, 1]),
        (["10", "2", "10"], {}, ("2", "10"), [1, 0, 1]),
        ([True, False, True], {}, ("False", "True"), [1, 0, 1]),
        (pd.array([True, False, True], dtype="boolean"), {}, ("False", "True"), [1, 0, 1]),
        (pd.array(["b", "a", "b"], dtype="string"), {}, ("a", "b"), [1, 0, 1]),
        (pd.array([1, 2, 4], dtype="Int64"), {}, ("y",), [1.0, 2.0, 4.0]),
        (pd.Categorical(["lo", "hi", "lo"], ["lo", "hi"], ordered=True), {}, ("lo", "hi"), [0, 1, 0]),
        ([2**25, 2**25 + 1, 5], {"target_kind": "class"}, ("5", "33554432", "33554433"), [1, 2, 0]),
    ],
)
def test_numbers_are_numbers_and_classes_have_an_order(values, options, names, targets):
    """Catches prices in whole numbers that become classes, and "10" before "2"."""
    data = dl.data.from_frame(pd.DataFrame({"x": [1, 5, 4], "y": values}), "y", **options)
    assert (data.target_names, data.train.targets.tolist()) == (names, targets)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["1,234", "2,345", "3"], "holds text that looks like numbers, '1,234'; .*target_kind='class'"),
        (["a", "nan", "b"], "row 1, column 'y' holds 'nan'; expects a value, and not text for a missing one"),
        (["2020-01-01", "2020-01-02", "2020-02-01"], "holds text that looks like dates.*to_datetime"),
        (["a", "a ", "b"], r"holds 'a' and 'a '; .*str\.join\(' '\)"),
        ([True, "x", 2], r"mixes kinds of values .*astype\(str\)"),
        ([2**25, 2**25 + 1, 5], "33554432 and 33554433, .*target_kind='class'"),
        (pd.to_datetime(["2020", "2021", "2023"]), "holds datetime64"),
    ],
)
def test_targets_that_are_refused(values, message):
    with raises(message):
        dl.data.from_frame(pd.DataFrame({"x": [1, 5, 4], "y": values}), "y")


def test_tables_of_text_are_sent_to_from_frame():
    with raises(r"It is a table: dl\.data\.from_frame"):
        dl.data.from_arrays(frame()[["kind"]], [0, 1, 0])


def test_labels_of_columns_are_not_taken_for_positions():
    table = pd.DataFrame([[1, 2, 5], [2, 4, 6]], columns=[2, 1, 0])
    with raises("0 is the label of a column, and not its position.*Pass '0'"):
        dl.data.from_frame(table, 0)
    assert dl.data.from_frame(table, "0").train.targets.tolist() == [5, 6]


def test_small_files_of_large_tables(tmp_path):
    """Catches limits that look at the size of the file, or only at what is left once it is read."""
    pd.DataFrame({"x": np.zeros(20_000), "kind": ["a", "b"] * 10_000}).to_parquet(tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 20_000
    with raises("a.parquet unpacks to 320000 bytes or more; expects at most max_bytes=20000"):
        dl.data.from_parquet(tmp_path / "a.parquet", "kind", max_bytes=20_000)
    pd.DataFrame({"x": [[0] * 9000, [0]], "kind": ["a", "b"]}).to_parquet(tmp_path / "b.parquet")
    with raises("b.parquet unpacks to 72024 bytes or more"):
        dl.data.from_parquet(tmp_path / "b.parquet", "kind", max_bytes=20_000)
    packed = write(tmp_path / "a.csv", gzip.compress(b"x,kind\n" + b"1,a\n" * 20_000))
    with raises("a.csv holds more than max_bytes=20000 bytes when unpacked"):
        dl.data.from_csv(packed, "kind", max_bytes=20_000)
    with raises("a.csv holds 40003 cells; expects at most max_bytes=100000"):
        dl.data.from_csv(packed, "kind", max_bytes=100_000)
    with raises("the inputs would have 101 columns and 100 rows"):
        dl.data.from_frame(
            pd.DataFrame({"x": range(100), "g": range(100), "kind": ["a", "b"] * 50}), "kind", one_hot=["g"],
            max_bytes=4000,
        )  # fmt: skip


def test_names_that_are_taken_for_a_row(tmp_path):
    path = write(tmp_path / "a.csv", "x,kind\n1,a\n2,b\n")
    with raises("the first line holds 'x' above numbers, and header=False is given.*leave header=False out"):
        dl.data.from_csv(path, -1, header=False)


def test_names_that_pandas_gave_are_names(tmp_path):
    path = write(tmp_path / "a.csv", "kind,0,1,2\na,5,6,1\nb,4,5,3\n")
    assert dl.data.from_csv(path, "kind").input_names == ("0", "1", "2")


def test_text_of_a_file_is_text(tmp_path):
    """Catches text that is categories in the order of its rows, or numbers."""
    pd.DataFrame({0: [1, 2, 5], 1: ["q", "p", "q"], 2: [1.0, 2, 4]}).to_parquet(tmp_path / "a.parquet")
    assert dl.data.from_parquet(tmp_path / "a.parquet", "2", one_hot=("1",)).input_names == ("0", "1_p", "1_q")
    words = pd.Series(KINDS, dtype=pd.ArrowDtype(pa.dictionary(pa.int32(), pa.string())))
    assert dl.data.from_frame(frame(kind=words), "kind").target_names == ("a", "b")
    assert dl.data.from_frame(frame(kind=words), "x", one_hot=["kind"]).input_names == ("kind_a", "kind_b")


def test_small_integers_do_not_wrap_when_rows_are_counted():
    data = dl.data.from_frame(pd.DataFrame({"index": np.array([254, 255, 0], np.uint8), "kind": KINDS}), "kind")
    assert data.input_names == ("index",)


def test_names_of_their_own_column(tmp_path):
    """Catches a file that is refused since numbers are called #, or a word is the name of its column."""
    path = write(tmp_path / "a.csv", "#,word,kind\n4,word,a\n2,a,b\n")
    assert dl.data.from_csv(path, "kind", drop=("word",)).input_names == ("#",)
    text = pd.read_csv(write(tmp_path / "b.csv", "word,kind\nword,a\na,b\n"))
    with raises(r"column 'word' also holds 'word'.*from_frame\(pd.read_csv"):
        dl.data.from_csv(tmp_path / "b.csv", "kind", one_hot=("word",))
    assert dl.data.from_frame(text, "kind", one_hot=("word",)).train.num_rows == 2
    comment = write(tmp_path / "c.csv", "#x,kind\n4,a\n2,b\n")
    assert dl.data.from_frame(pd.read_csv(comment), "kind").input_names == ("#x",)


def test_codes_with_leading_zeros(tmp_path):
    """Catches codes that become one number when pandas reads them."""
    path = write(tmp_path / "a.csv", 'zip,v,y\n02134,1,01\n"2134",2,1\n10001,3,10\n')
    data = dl.data.from_csv(path, "y", target_kind="class", one_hot=("zip",))
    assert data.input_names == ("v", "zip_02134", "zip_10001", "zip_2134")
    assert (data.target_names, data.train.targets.tolist()) == (("01", "1", "10"), [0, 1, 2])
    assert dl.data.from_csv(path, "y", drop=("zip",)).train.targets.tolist() == [1, 1, 10]
    plain = write(tmp_path / "b.csv", "zip,y\n02134,0.5\n10001,0.05\n")
    assert dl.data.from_csv(plain, -1).train.inputs.tolist() == [[2134], [10001]]


@pytest.mark.parametrize("twins", ["caf\u00e9 cafe\u0301", "a\u200bb ab", "a\u00a0b a,b", "a a,"])
def test_categories_that_look_alike(twins):
    """Catches two classes, or two inputs, for what is one."""
    one, other = (text.replace(",", " ") for text in twins.split(" "))
    words = frame(word=[one, other, "tea"])
    for load in (
        lambda table: dl.data.from_frame(table, "word", drop=["kind"]),
        lambda table: dl.data.from_frame(table, "kind", one_hot=["word"]),
        lambda table: dl.data.from_frame(table.astype({"word": "category"}), "kind", one_hot=["word"]),
        lambda table: dl.data.from_frame(table.astype({"word": "category"}), "word", drop=["kind"]),
    ):
        with raises("expects categories that differ by more than spaces"):
            load(words)
    words["word"] = words["word"].str.normalize("NFC").str.replace(r"[\u00ad\u200b-\u200f\u2060\ufeff]", "", regex=True)
    words["word"] = words["word"].str.split().str.join(" ")
    assert dl.data.from_frame(words, "word", drop=["kind"]).train.targets.tolist() == [0, 0, 1]


def test_new_rows_get_the_columns_of_the_data_set():
    """Catches columns in another order, a category that shifts its neighbors, one that is silently nothing."""
    table = pd.DataFrame({"x": [1, 5, 4], "place_size": [1, 2, 3], "place": ["sea", "wood", "sea"], "kind": KINDS})
    raw = dl.data.from_frame(table, "kind", one_hot=["place"])
    assert raw.input_names == ("x", "place_size", "place_sea", "place_wood")
    again = dl.data.inputs_from_frame(table, raw, one_hot=["place"])
    np.testing.assert_array_equal(again, raw.train.inputs)
    new = pd.DataFrame({"place": ["wood"], "note": ["n"], "place_size": [7.5], "x": [2]})
    np.testing.assert_array_equal(dl.data.inputs_from_frame(new, raw, one_hot=["place"]), [[2, 7.5, 0, 1]])
    standardized = dl.data.standardize(raw)
    np.testing.assert_array_equal(dl.data.inputs_from_frame(new, standardized, one_hot=["place"]), [[2, 7.5, 0, 1]])
    for rows, options, text in (
        (new, {}, r"no column 'place_sea', an input of unnamed; they have .* one_hot=\('place',\)"),
        (new.drop(columns="x"), {"one_hot": ["place"]}, "no column 'x'.*Add it"),
        (new.drop(columns="place_size"), {"one_hot": ["place"]}, "no column 'place_size'.*Add it"),
        (new.assign(place="lake"), {"one_hot": ["place"]}, "make an input 'place_lake'.*place_sea, place_wood"),
        (new.assign(x=np.nan), {"one_hot": ["place"]}, "row 0, column 'x' is missing"),
        (new, {"one_hot": ["plac"]}, "no column 'plac'; did you mean 'place'"),
    ):
        with raises(text):
            dl.data.inputs_from_frame(rows, raw, **options)
    with raises("has no input_names"):
        dl.data.inputs_from_frame(new, dl.data.from_arrays(np.ones((2, 1)), [0, 1]))


def test_a_separator_is_one_character(tmp_path):
    """Catches pandas' other parser, with its warning and its reading of patterns."""
    path = write(tmp_path / "a.csv", "x::kind\n1::a\n2::b\n")
    for separator in ("::", "", "\u2028"):
        with pytest.raises(dl.ArgumentError, match=r"one character of ASCII.*sep='::', engine='python'"):
            dl.data.from_csv(path, "kind", separator=separator)
