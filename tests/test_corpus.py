"""Texts in: files and folders as documents, classes and splits; what is no text is said with its place."""

import hashlib

import numpy as np
import pytest

from livesketch.data import text_files
from livesketch.data.corpus import load_corpus, part_of
from livesketch.errors import ControlError, DataError


def lines(count, mark="document"):
    return [f"{mark} number {k}, of no weight" for k in range(count)]


def write(path, parts, between="\n"):
    path.write_text(between.join(parts), encoding="utf-8")
    return path


# What is no corpus


@pytest.mark.parametrize("holds", [b"", b"\n \n\t\n", "\ufeff".encode(), "\u3000\n".encode()])
def test_an_empty_corpus_is_an_error_that_names_the_file(tmp_path, holds):
    (tmp_path / "a.txt").write_bytes(holds)
    with pytest.raises(DataError, match=r"no text in .*a\.txt"):
        load_corpus([tmp_path / "a.txt"])


def test_a_missing_file_a_folder_without_text_and_no_list_are_errors(tmp_path):
    (tmp_path / "notes.md").write_text("no text file")
    for paths, words in (
        ([tmp_path / "no.txt"], "no such file"), ([tmp_path], r"without \.txt"), ([], "at least one"),
        ("a.txt", "list"),
    ):  # fmt: skip
        with pytest.raises(DataError, match=words):
            load_corpus(paths)


def test_a_binary_file_is_said_with_the_place(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"text, and then\0")
    with pytest.raises(DataError, match=r"a\.txt: a NUL at byte 14 .*UTF-16"):
        load_corpus([tmp_path / "a.txt"])


@pytest.mark.parametrize(("mark", "at"), [(b"", 10), (b"\xef\xbb\xbf", 13)])
def test_invalid_utf8_is_said_with_line_and_byte(tmp_path, mark, at):
    (tmp_path / "a.txt").write_bytes(mark + "hä\nmore\nx".encode() + b"\xc4\xe3\n")
    with pytest.raises(DataError, match=rf"line 3, byte 1 of the line \(byte {at} of the file.*0xc4.*iconv"):
        load_corpus([tmp_path / "a.txt"])


def test_one_distinct_symbol_is_an_error(tmp_path):
    with pytest.raises(DataError, match="one distinct symbol, 'a'"):
        load_corpus([write(tmp_path / "a.txt", ["aa", "aaa", "a"])])


def test_too_few_documents_to_hold_some_out_is_an_error(tmp_path):
    with pytest.raises(DataError, match="4 documents, of which: none falls to valid"):
        load_corpus([write(tmp_path / "a.txt", lines(4))])
    with pytest.raises(DataError, match="too short to be cut"):
        load_corpus([write(tmp_path / "a.txt", ["ab"])])


def test_a_class_without_a_document_to_train_on_is_an_error(tmp_path):
    held = next(line for line in lines(1000, "held out") if part_of(line) == "valid")
    with pytest.raises(DataError, match="'b' has no document to train on"):
        load_corpus([write(tmp_path / "a.txt", lines(200)), write(tmp_path / "b.txt", [held])], way="line")


def test_a_huge_line_is_an_error_unless_files_are_whole(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "MAX_DOCUMENT", 1000)
    path = write(tmp_path / "a.txt", [*lines(150), "long " * 300])
    with pytest.raises(DataError, match=r"line 151 has 1,499 characters.*--documents file"):
        load_corpus([path])
    assert load_corpus([path], way="file").running


def test_a_file_that_is_too_large_is_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(text_files, "MAX_BYTES", 100)
    with pytest.raises(DataError, match="more than the 100"):
        load_corpus([write(tmp_path / "a.txt", lines(150))])


def test_an_unknown_way_is_an_error(tmp_path):
    with pytest.raises(ControlError, match="'page': expected auto, line, blank, file"):
        load_corpus([write(tmp_path / "a.txt", lines(150))], way="page")


# What is one


def test_a_document_s_split_follows_from_itself_alone(tmp_path):
    for text in ("秦川雄帝宅", *lines(300)):
        number = int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) % 100
        assert part_of(text) == ("test" if number < 3 else "valid" if number < 6 else "train")
    few = load_corpus([write(tmp_path / "a.txt", lines(300))])
    more = load_corpus([write(tmp_path / "a.txt", [*lines(50, "other"), *reversed(lines(300))])])
    for name in ("train", "valid", "test"):
        assert len(getattr(few, name))
        assert set(getattr(few, name).documents) <= set(getattr(more, name).documents)
    assert few.fingerprint() != more.fingerprint()
    assert few.labels == ("a",)
    assert few.train.ended.all()


def test_every_document_is_in_one_split_and_again_counted(tmp_path):
    corpus = load_corpus(
        [write(tmp_path / "a.txt", [*lines(200), "", *lines(3), "  document number 7, of no weight\t"])]
    )
    found = [*corpus.train.documents, *corpus.valid.documents, *corpus.test.documents]
    assert sorted(found) == sorted(lines(200))
    assert [(item.count, item.reason) for item in corpus.skipped] == [(4, "the same document again: left out")]


def test_line_ends_and_byte_order_marks_of_all_systems_are_the_same(tmp_path):
    plain = load_corpus([write(tmp_path / "a.txt", lines(200))])
    for between, start in (("\r\n", "\ufeff"), ("\r", "")):
        (tmp_path / "a.txt").write_bytes((start + between.join(lines(200))).encode())
        assert load_corpus([tmp_path / "a.txt"]).fingerprint() == plain.fingerprint()


def test_each_file_is_a_class_and_each_folder(tmp_path):
    (tmp_path / "my_songs" / "old").mkdir(parents=True)
    for k in range(150):
        write(tmp_path / "my_songs" / ("old" if k % 2 else "") / f"{k}.txt", [f"song {k}", "la la"])
    write(tmp_path / "my_songs" / ".hidden.txt", ["no song"])
    (tmp_path / "my_songs" / "notes.md").write_text("none either")
    corpus = load_corpus([tmp_path / "my_songs", write(tmp_path / "a.txt", lines(150)), tmp_path / "a.txt"], way="file")
    assert corpus.labels == ("my songs", "a")
    assert not corpus.running
    assert "song 3\nla la" in [*corpus.train.documents, *corpus.valid.documents, *corpus.test.documents]
    assert np.bincount(corpus.train.label).tolist()[1] <= 1
    assert [(item.count, item.reason) for item in corpus.skipped] == [
        (1, "other files: passed over"), (1, "the same document again: left out"),
    ]  # fmt: skip


def test_blank_lines_part_documents(tmp_path):
    poems = [f"poem {k}\nsecond line" for k in range(150)]
    corpus = load_corpus([write(tmp_path / "a.txt", poems, "\n \n\n")], way="blank")
    assert sorted([*corpus.train.documents, *corpus.valid.documents, *corpus.test.documents]) == sorted(poems)


def test_a_text_with_blank_lines_is_taken_whole_and_cut_in_blocks_at_line_ends(tmp_path):
    text = "\n\n".join(lines(400))
    corpus = load_corpus([write(tmp_path / "a.txt", [text])])
    assert (corpus.way, corpus.running) == ("file", True)
    assert corpus.skipped == ()
    train, valid, test = (part.documents[0] for part in (corpus.train, corpus.valid, corpus.test))
    assert train + valid + test == text
    assert valid.startswith("document")
    assert test.startswith("document")
    assert len(valid) == pytest.approx(0.03 * len(text), rel=0.2)
    assert [part.ended.tolist() for part in (corpus.train, corpus.valid, corpus.test)] == [[False], [False], [True]]
    assert load_corpus([tmp_path / "a.txt"], way="line").way == "line"


def test_a_text_on_one_line_is_cut_too(tmp_path):
    corpus = load_corpus([write(tmp_path / "a.txt", [" ".join(lines(100))])])
    assert len(corpus.train.documents[0]) == 94 * len(" ".join(lines(100))) // 100


def test_whole_puts_all_into_test(tmp_path):
    corpus = load_corpus([write(tmp_path / "a.txt", lines(3))], whole=True)
    assert (len(corpus.train), len(corpus.valid), corpus.test.documents) == (0, 0, tuple(lines(3)))


def test_the_poems_are_split_as_the_bundled_model_was(shared):
    corpus = load_corpus([shared / "poetry" / "wuyan.txt", shared / "poetry" / "qiyan.txt"])
    assert (corpus.way, corpus.labels) == ("line", ("wuyan", "qiyan"))
    assert len(corpus.train) + len(corpus.valid) + len(corpus.test) == 25466 + 18812
    assert len(corpus.valid) == 1398
    assert load_corpus([shared / "text" / "tinyshakespeare.txt"]).running
