"""Fetching, against a server on this machine: no test here asks a real network for anything."""

import dataclasses
import fcntl
import gzip
import hashlib
import http.server
import json
import logging
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
from small_models import small_checkpoint

import livesketch as ls
from livesketch import cli
from livesketch.errors import (
    CheckpointError,
    ControlError,
    DataError,
    DownloadError,
    ModelNotFoundError,
    OutputError,
)
from livesketch.models import catalogue, download, official
from livesketch.models.fetch import cache_folder, fetch
from livesketch.models.fetched import read_record
from livesketch.models.magenta import export_magenta
from livesketch.models.official import wanted

OWL = "/sketchRNN/large_models/owl.gen.json"
CAT = "/sketchrnn/cat.npz"
LINES = "/full/simplified/hot air balloon.ndjson"


@dataclass
class Behaviour:
    """What the server does; a test changes it."""

    files: dict[str, bytes] = field(default_factory=dict)
    ranges: bool = True
    version: str = '"v1"'
    """The ETag; empty: none is sent."""
    cuts: list[int] = field(default_factory=list)
    """How many bytes of a body the next answers send before the connection closes."""
    always_cut: int | None = None
    length: int | None = None
    """Another Content-Length than the body's."""
    statuses: list[int] = field(default_factory=list)
    """Of the next answers, instead of 200 and 206."""
    content_range: str = ""
    most_of_a_range: int | None = None
    """Bytes that an answer to a Range holds at most."""
    chunked: bool = False
    encoding: str = ""
    redirects: dict[str, str] = field(default_factory=dict)
    gate: threading.Event | None = None
    """Where given, answers wait for it."""
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and Range of every request."""


class Handler(http.server.BaseHTTPRequestHandler):
    server: "Server"

    def log_message(self, *arguments: Any) -> None:
        """Silent."""

    def do_GET(self) -> None:
        how = self.server.how
        path = official_path(self.path)
        how.asked.append((path, self.headers.get("Range")))
        if how.gate is not None:
            assert how.gate.wait(30)
        if path in how.redirects:
            self.send_response(302)
            self.send_header("Location", how.redirects[path])
            self.end_headers()
        elif how.statuses:
            self.send_error(how.statuses.pop(0))
        elif path not in how.files:
            self.send_error(404)
        else:
            self.give(how, how.files[path])

    def give(self, how: Behaviour, content: bytes) -> None:
        start = self.start(how)
        if start > len(content):
            self.send_error(416)
            return
        body = content[start:][: how.most_of_a_range if start else None]
        self.send_response(206 if start else 200)
        if start:
            held = f"bytes {start}-{start + len(body) - 1}/{len(content)}"
            self.send_header("Content-Range", how.content_range or held)
        if how.version:
            self.send_header("ETag", how.version)
        if how.encoding:
            self.send_header("Content-Encoding", how.encoding)
        if not how.chunked:
            self.send_header("Content-Length", str(how.length or len(body)))
        self.end_headers()
        cut = how.cuts.pop(0) if how.cuts else how.always_cut
        self.wfile.write(body if cut is None else body[:cut])

    def start(self, how: Behaviour) -> int:
        asked = self.headers.get("Range", "")
        if not how.ranges or not asked or self.headers.get("If-Range", how.version) != how.version:
            return 0
        return int(asked.removeprefix("bytes=").removesuffix("-"))


def official_path(path: str) -> str:
    assert " " not in path
    return path.replace("%20", " ")


class Server(http.server.ThreadingHTTPServer):
    how: Behaviour
    daemon_threads = False

    def handle_error(self, *arguments: Any) -> None:
        """A client that went away is no news."""


@dataclass
class Place:
    how: Behaviour
    base: str
    cache: Path

    @property
    def ranges(self) -> list[str | None]:
        return [asked for _, asked in self.how.asked]


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """A server with an owl, a cat and a balloon, set as the base of both sources, and an empty cache."""
    server = Server(("127.0.0.1", 0), Handler)
    server.how = Behaviour()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), name="livesketch-test-server")
    thread.start()
    base = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("LIVESKETCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIVESKETCH_MAGENTA_BASE", f"{base}/sketchRNN")
    monkeypatch.setenv("LIVESKETCH_QUICKDRAW_BASE", f"{base}/")
    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(download, "PAUSES", (0.0, 0.0, 0.0))
    server.how.files = {
        OWL: an_owl(tmp_path),
        CAT: some_cats(tmp_path),
        LINES: b"".join(a_line(n) for n in range(30)),
    }
    yield Place(server.how, base, tmp_path / "cache")
    if server.how.gate is not None:
        server.how.gate.set()
    server.shutdown()
    server.server_close()
    thread.join()


def an_owl(folder: Path, seed: int = 1) -> bytes:
    path = folder / "made.gen.json"
    export_magenta(small_checkpoint(hidden=32, name="owl", seed=seed), path)
    return path.read_bytes()


def some_cats(folder: Path) -> bytes:
    drawing = np.array([[3, 4, 0], [5, -6, 1], [7, 8, 1]], np.int16)
    splits = {}
    for split in ("train", "valid", "test"):
        splits[split] = np.empty(2, object)
        splits[split][:] = [drawing, drawing[:2]]
    np.savez(folder / "made.npz", **splits)  # type: ignore[arg-type]
    return (folder / "made.npz").read_bytes()


def a_line(number: int) -> bytes:
    line = {"word": "hot air balloon", "key_id": str(number), "drawing": [[[0, 5, number], [9, 5, 1]]]}
    return json.dumps(line).encode() + b"\n"


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


# Names


@pytest.mark.parametrize(
    "name",
    [
        "", "owl", "magenta", "magenta:", "quickdraw:", "magenta:../../etc", "magenta:..", "magenta:.", "magenta:a/b",
        "magenta:a\\b", "magenta:/etc/passwd", "magenta:owl.exe", "magenta:owl.npz", "quickdraw:cat.vae",
        "magenta:a%2fb", "quickdraw:cat?x=1", "quickdraw:cat#x", "quickdraw:c\0t", "quickdraw:c\nt", "magenta:owl..vae",
        "google:owl", "https://example.org/owl.gen.json", "magenta:-owl", "magenta:owl_", "magenta:" + "a" * 61,
        "magenta:http://example.org/x", "magenta:owl.", "quickdraw:.npz", "quickdraw:猫",
    ],
)  # fmt: skip
def test_other_names_are_refused_before_anything_happens(place: Place, name: str) -> None:
    with pytest.raises(ModelNotFoundError, match="fetch"):
        fetch(name)
    assert place.how.asked == []
    assert not place.cache.exists()


@pytest.mark.parametrize("name", [None, 5, b"magenta:owl", Path("magenta:owl")])
def test_what_is_no_text_is_refused(place: Place, name: Any) -> None:
    with pytest.raises(ModelNotFoundError, match="nothing to fetch"):
        fetch(name)


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("magenta:owl", "M/large_models/owl.gen.json"),
        ("Magenta: OWL.gen.json", "M/large_models/owl.gen.json"),
        ("magenta:owl.vae", "M/large_models/owl.vae.json"),
        ("magenta:palm tree", "M/large_models/palm_tree.gen.json"),
        ("magenta:The Mona-Lisa", "M/large_models/the_mona_lisa.gen.json"),
        ("quickdraw:cat", "Q/sketchrnn/cat.npz"),
        ("quickdraw:hot_air_balloon", "Q/sketchrnn/hot%20air%20balloon.npz"),
        ("quickdraw:Hot  Air Balloon.NDJSON", "Q/full/simplified/hot%20air%20balloon.ndjson"),
        ("quickdraw:the eiffel tower", "Q/sketchrnn/The%20Eiffel%20Tower.npz"),
        ("quickdraw:great_wall_of_china", "Q/sketchrnn/The%20Great%20Wall%20of%20China.npz"),
        ("quickdraw:T_shirt", "Q/sketchrnn/t-shirt.npz"),
    ],
)
def test_names_are_the_official_addresses(name: str, where: str) -> None:
    bases = {
        "M": "https://storage.googleapis.com/quickdraw-models/sketchRNN",
        "Q": "https://storage.googleapis.com/quickdraw_dataset",
    }
    assert wanted(name).url(None) == bases[where[0]] + where[1:]


@pytest.mark.parametrize(
    "base",
    [
        "example.org", "ftp://example.org", "file:///etc", "http://", "https://example.org/?x=", "https://example.org/#x",
        "http://[::1", "http://example.org:99999", "http://exa mple.org", "http://example.org/\n",
    ],
)  # fmt: skip
def test_a_base_that_is_no_address_is_refused(place: Place, base: str) -> None:
    with pytest.raises(ControlError, match="expected an address"):
        fetch("magenta:owl", base=base)
    assert not place.cache.exists()


# What comes, and where it is kept


def test_a_model_is_fetched_once_and_described(place: Place) -> None:
    path = fetch("magenta:owl")
    assert path == place.cache / "magenta" / "owl.gen.json"
    content = place.how.files[OWL]
    assert path.read_bytes() == content
    assert files(place.cache) == ["owl.gen.json", "owl.gen.json.origin", "owl.gen.md"]
    record = read_record(path)
    assert record is not None
    assert (record.bytes, record.sha256) == (len(content), hashlib.sha256(content).hexdigest())
    assert record.url == f"{place.base}{OWL}"
    card = path.with_name("owl.gen.md").read_text()
    for words in (record.url, record.sha256, str(len(content)), record.fetched, "Google's", "not stated"):
        assert words in card
    assert fetch("magenta:Owl.gen") == path
    assert place.how.asked == [(OWL, None)]


def test_the_cache_needs_no_server(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    path = fetch("magenta:owl")
    monkeypatch.setenv("LIVESKETCH_MAGENTA_BASE", closed_port())
    assert fetch("magenta:owl") == path


def test_data_sets_are_fetched(place: Place) -> None:
    cats, lines = fetch("quickdraw:cat"), fetch("quickdraw:hot_air_balloon.ndjson")
    assert cats.read_bytes() == place.how.files[CAT]
    assert lines.name == "hot air balloon.ndjson"
    assert lines.read_bytes() == place.how.files[LINES]
    record = read_record(lines)
    assert record is not None
    assert record.licence == "CC-BY-4.0"
    assert "Google Creative Lab" in record.attribution
    assert files(place.cache) == [
        "cat.npz",
        "cat.npz.origin",
        "hot air balloon.ndjson",
        "hot air balloon.ndjson.origin",
    ]


def test_a_stream_fetches_once_and_says_whose_weights_they_are(place: Place) -> None:
    stream = ls.sketch("magenta:owl", seed=1, backend="reference")
    assert next(stream).step == 0
    assert "Google's" in stream.checkpoint.attribution
    assert stream.checkpoint.licence == "not stated by Google"
    assert stream.checkpoint.source["fetched"]["url"] == f"{place.base}{OWL}"
    again, label = catalogue.open_model("Magenta:OWL")
    assert again is stream.checkpoint
    assert label is None
    assert len(place.how.asked) == 1


def test_streams_say_what_is_no_model(place: Place) -> None:
    with pytest.raises(ModelNotFoundError, match="drawings to train on"):
        ls.sketch("quickdraw:cat")
    with pytest.raises(ModelNotFoundError, match="no name that can be fetched"):
        ls.sketch("magenta:../owl")
    assert place.how.asked == []


def test_arguments_come_before_the_environment(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LIVESKETCH_MAGENTA_BASE", closed_port())
    path = fetch("magenta:owl", base=f"{place.base}/sketchRNN/", to=tmp_path / "a" / "b")
    assert path == tmp_path / "a" / "b" / "owl.gen.json"
    assert not place.cache.exists()
    assert files(path.parent) == ["owl.gen.json", "owl.gen.json.origin", "owl.gen.md"]


def test_the_cache_is_the_system_s_where_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "livesketch"
    monkeypatch.setenv("LIVESKETCH_CACHE", "~/somewhere")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "somewhere"


def test_progress_is_told(place: Place) -> None:
    told: list[tuple[int, int | None]] = []
    fetch("magenta:owl", progress=lambda there, total: told.append((there, total)))
    size = len(place.how.files[OWL])
    assert told[-1] == (size, size)
    assert [there for there, _ in told] == sorted(there for there, _ in told)


def test_a_file_that_has_changed_is_reported_when_fetched_again(
    place: Place, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    old = hashlib.sha256(fetch("magenta:owl").read_bytes()).hexdigest()
    with caplog.at_level(logging.WARNING, "livesketch"):
        fetch("magenta:owl", again=True)
        assert caplog.records == []
        place.how.files[OWL] = an_owl(tmp_path, seed=2)
        path = fetch("magenta:owl", again=True)
    assert "has changed" in caplog.text
    assert old in caplog.text
    assert path.read_bytes() == place.how.files[OWL]
    record = read_record(path)
    assert record is not None
    assert record.replaced == old
    assert old in path.with_name("owl.gen.md").read_text()
    assert len(place.how.asked) == 3


def test_the_old_file_stays_where_fetching_again_fails(place: Place) -> None:
    path = fetch("magenta:owl")
    before = path.read_bytes()
    for wrong in (b"<html>", b""):
        place.how.files[OWL] = wrong
        with pytest.raises(CheckpointError):
            fetch("magenta:owl", again=True)
    place.how.statuses = [404]
    with pytest.raises(ModelNotFoundError):
        fetch("magenta:owl", again=True)
    assert path.read_bytes() == before
    assert files(place.cache) == ["owl.gen.json", "owl.gen.json.origin", "owl.gen.md"]


def test_a_file_put_there_by_hand_is_used_once_it_is_checked(place: Place) -> None:
    path = place.cache / "magenta" / "owl.gen.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(place.how.files[OWL])
    assert fetch("magenta:owl") == path
    path.write_bytes(b"{}")
    with pytest.raises(CheckpointError, match="--again"):
        fetch("magenta:owl")
    assert path.read_bytes() == b"{}", "it is not ours to delete"
    assert place.how.asked == []
    fetch("magenta:owl", again=True)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="--again"):
        fetch("magenta:owl")


@pytest.mark.parametrize("record", ["", "{", "[]", '{"name": 5}', "null", "[" * 100_000])
def test_a_record_that_cannot_be_read_is_none(place: Place, record: str) -> None:
    path = fetch("magenta:owl")
    path.with_name("owl.gen.json.origin").write_text(record)
    assert read_record(path) is None
    assert fetch("magenta:owl") == path
    checkpoint, _ = catalogue.open_model("magenta:owl")
    assert "Google's" in checkpoint.attribution


# Connections that break


def test_a_download_that_is_cut_goes_on_where_it_was(place: Place) -> None:
    size = len(place.how.files[OWL])
    place.how.cuts = [1000, 5]
    path = fetch("magenta:owl")
    assert path.read_bytes() == place.how.files[OWL]
    assert place.ranges == [None, "bytes=1000-", "bytes=1005-"]
    assert files(place.cache) == ["owl.gen.json", "owl.gen.json.origin", "owl.gen.md"]
    record = read_record(path)
    assert record is not None
    assert record.bytes == size


def test_a_later_call_goes_on_too(place: Place) -> None:
    place.how.cuts, place.how.always_cut = [1000], 0
    with pytest.raises(DownloadError, match="1000 of"):
        fetch("magenta:owl")
    assert ".owl.gen.json.part" in files(place.cache)
    assert "owl.gen.json" not in files(place.cache)
    place.how.always_cut, place.how.asked = None, []
    assert fetch("magenta:owl").read_bytes() == place.how.files[OWL]
    assert place.ranges == ["bytes=1000-"]


def test_a_file_that_changed_meanwhile_comes_whole(place: Place, tmp_path: Path) -> None:
    place.how.cuts, place.how.always_cut = [1000], 0
    with pytest.raises(DownloadError):
        fetch("magenta:owl")
    place.how.always_cut, place.how.asked = None, []
    place.how.files[OWL], place.how.version = an_owl(tmp_path, seed=2), '"v2"'
    assert fetch("magenta:owl").read_bytes() == place.how.files[OWL]
    assert place.ranges == ["bytes=1000-"]


@pytest.mark.parametrize("version", ['"v1"', ""])
def test_a_server_without_ranges_is_asked_for_all_again(place: Place, version: str) -> None:
    place.how.ranges, place.how.version, place.how.cuts = False, version, [1000, 1500]
    assert fetch("magenta:owl").read_bytes() == place.how.files[OWL]
    assert len(place.how.asked) == 3


@pytest.mark.parametrize("version", ["", 'W/"weak"'])
def test_without_a_version_nothing_is_pieced_together(place: Place, version: str) -> None:
    place.how.version, place.how.cuts = version, [1000]
    assert fetch("magenta:owl").read_bytes() == place.how.files[OWL]
    assert place.ranges == [None, None]


@pytest.mark.parametrize("content_range", ["bytes 0-99/100", "bytes 999-2000/5000", "nonsense", "bytes */5000"])
def test_another_part_than_the_one_asked_for_is_thrown_away(place: Place, content_range: str) -> None:
    place.how.cuts, place.how.content_range = [1000], content_range
    assert fetch("magenta:owl").read_bytes() == place.how.files[OWL]
    assert place.ranges == [None, "bytes=1000-", None]


def test_a_server_may_give_less_than_was_asked_for(place: Place) -> None:
    size = len(place.how.files[LINES])
    place.how.cuts, place.how.most_of_a_range = [size // 3], size // 3
    assert fetch("quickdraw:hot air balloon.ndjson").read_bytes() == place.how.files[LINES]
    assert place.ranges[1:3] == [f"bytes={size // 3}-", f"bytes={2 * (size // 3)}-"]


def test_the_part_of_another_address_is_not_gone_on_with(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.how.cuts, place.how.always_cut = [1000], 0
    with pytest.raises(DownloadError):
        fetch("magenta:owl")
    place.how.always_cut, place.how.asked = None, []
    place.how.files["/copy" + OWL] = place.how.files[OWL]
    fetch("magenta:owl", base=f"{place.base}/copy/sketchRNN")
    assert place.ranges == [None]


def test_a_part_longer_than_the_file_is_thrown_away(place: Place) -> None:
    place.how.cuts, place.how.always_cut = [1000], 0
    with pytest.raises(DownloadError):
        fetch("magenta:owl")
    part = place.cache / "magenta" / ".owl.gen.json.part"
    part.write_bytes(bytes(10 + len(place.how.files[OWL])))
    place.how.always_cut = None
    assert fetch("magenta:owl").read_bytes() == place.how.files[OWL]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_server_that_always_cuts_is_given_up(place: Place, ranges: bool) -> None:
    place.how.always_cut, place.how.ranges = 100, ranges
    with pytest.raises(DownloadError, match="after 4 attempts") as caught:
        fetch("magenta:owl")
    assert f"{place.base}{OWL}" in str(caught.value)
    assert str(place.cache / "magenta" / "owl.gen.json") in str(caught.value)
    assert "--base or LIVESKETCH_MAGENTA_BASE" in str(caught.value)
    assert len(place.how.asked) == 4


def test_attempts_that_bring_much_are_not_counted(place: Place, tmp_path: Path) -> None:
    export_magenta(small_checkpoint(hidden=200, name="owl"), tmp_path / "large.gen.json")
    place.how.files[OWL] = (tmp_path / "large.gen.json").read_bytes()
    place.how.always_cut = download.FRUIT
    assert len(place.how.files[OWL]) > 5 * download.FRUIT
    assert fetch("magenta:owl").read_bytes() == place.how.files[OWL]


def test_a_body_of_unknown_length_is_checked_by_its_format(place: Place) -> None:
    place.how.chunked = True
    assert fetch("magenta:owl").read_bytes() == place.how.files[OWL]
    place.how.cuts = [1000]
    with pytest.raises(CheckpointError, match=r"deleted.*owl\.gen\.json"):
        fetch("magenta:owl", again=True)
    place.how.cuts = [len(place.how.files[LINES]) - 20]
    with pytest.raises(DataError, match="whole"):
        fetch("quickdraw:hot air balloon.ndjson")
    assert [name for name in files(place.cache) if "owl" not in name] == []


def test_a_body_that_is_compressed_on_its_way_is_unpacked(place: Place) -> None:
    content = place.how.files[OWL]
    place.how.files[OWL], place.how.encoding = gzip.compress(content), "gzip"
    assert fetch("magenta:owl").read_bytes() == content


def test_a_server_too_slow_is_not_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter(range(0, 10**9, 10**5))  # each look at the clock is 28 hours later
    monkeypatch.setattr(download, "_now", lambda: float(next(seconds)))
    place.how.version = ""
    with pytest.raises(DownloadError, match="too slow"):
        fetch("magenta:owl")


def test_a_server_that_says_nothing_is_not_waited_for(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TIMEOUT", 0.02)
    place.how.gate = threading.Event()
    with pytest.raises(DownloadError, match="nothing for"):
        fetch("magenta:owl")


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_in_trouble_is_asked_again(place: Place, status: int) -> None:
    place.how.statuses = [status] * 2
    assert fetch("magenta:owl").read_bytes() == place.how.files[OWL]
    place.how.statuses = [status] * 10
    with pytest.raises(DownloadError, match=str(status)):
        fetch("magenta:owl", again=True)


# Servers that do not have it, and files that are something else


def test_what_the_server_does_not_have_is_not_found(place: Place) -> None:
    with pytest.raises(ModelNotFoundError, match=r"404.*did you mean.*magenta:elephant") as caught:
        fetch("magenta:elefant")
    assert f"{place.base}/sketchRNN/large_models/elefant.gen.json" in str(caught.value)
    with pytest.raises(ModelNotFoundError, match=r"404.*categories\.txt"):
        fetch("quickdraw:elefant")
    assert len(place.how.asked) == 2
    assert files(place.cache) == []


@pytest.mark.parametrize("status", [401, 403, 451])
def test_a_server_that_refuses_is_asked_once(place: Place, status: int) -> None:
    place.how.statuses = [status]
    with pytest.raises(DownloadError, match=f"{status}.*put the file at"):
        fetch("magenta:owl")
    assert len(place.how.asked) == 1


def closed_port() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}"


def test_a_refused_connection_is_an_error_at_once(place: Place) -> None:
    with pytest.raises(DownloadError, match="no connection to the server"):
        fetch("magenta:owl", base=closed_port())


def test_a_server_without_an_address_is_an_error_at_once(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*arguments: Any, **options: Any) -> Any:
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    with pytest.raises(DownloadError, match="is there a network"):
        fetch("magenta:owl", base="http://livesketch.invalid")


def test_a_password_in_the_base_is_shown_nowhere(place: Place) -> None:
    base = place.base.replace("http://", "http://me:secret@")
    path = fetch("magenta:owl", base=f"{base}/sketchRNN")
    assert all(b"secret" not in file.read_bytes() for file in path.parent.iterdir())
    with pytest.raises(ModelNotFoundError) as caught:
        fetch("magenta:wol", base=base)
    assert "secret" not in str(caught.value)


def test_a_redirect_is_followed_and_one_without_end_is_not(place: Place) -> None:
    place.how.redirects = {OWL: "/moved"}
    place.how.files["/moved"] = place.how.files[OWL]
    place.how.cuts = [1000]
    assert fetch("magenta:owl").read_bytes() == place.how.files[OWL]
    assert place.how.asked[-1] == ("/moved", "bytes=1000-")
    place.how.redirects["/moved"] = OWL
    with pytest.raises(DownloadError, match="redirects"):
        fetch("magenta:owl", again=True)


def test_a_redirect_away_from_https_is_refused(tmp_path: Path) -> None:
    class Response:
        url = "http://example.org/owl.gen.json"

        def __enter__(self) -> Self:
            return self

        def __exit__(self, *arguments: object) -> None:
            """Nothing to close."""

    class Session:
        def get(self, *arguments: Any, **options: Any) -> Response:
            return Response()

    with pytest.raises(DownloadError, match="https to http://"):
        download.Resuming(tmp_path / "part", 10)._attempt(Session(), "https://example.org/owl.gen.json")  # type: ignore[arg-type]


def test_a_file_too_large_is_refused_before_it_is_read(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    place.how.length = 10**12
    with pytest.raises(DownloadError, match="1000000000000 bytes"):
        fetch("magenta:owl", progress=lambda there, _: told.append(there))
    assert told == []
    assert files(place.cache) == []
    place.how.length, place.how.chunked = None, True
    small = dataclasses.replace(official.SOURCES["magenta"], most=1000)
    monkeypatch.setitem(official.SOURCES, "magenta", small)
    with pytest.raises(DownloadError, match="more bytes"):
        fetch("magenta:owl")
    assert ".owl.gen.json.part" not in files(place.cache)


@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("magenta:owl", b"<html>Please log in</html>", CheckpointError),
        ("magenta:owl", b"", CheckpointError),
        ("magenta:owl", b"[{}, [], []]", CheckpointError),
        ("quickdraw:cat", b"<html>Please log in</html>", DataError),
        ("quickdraw:cat", b"PK\3\4 and so on", DataError),
        ("quickdraw:hot air balloon.ndjson", b"\n <!doctype html>", DataError),
        ("quickdraw:hot air balloon.ndjson", b"", DataError),
        ("quickdraw:hot air balloon.ndjson", b"{}\n", DataError),
        ("quickdraw:hot air balloon.ndjson", a_line(1) + b"\n\n" + a_line(2), DataError),
        ("quickdraw:hot air balloon.ndjson", a_line(1) * 30 + a_line(2)[:-9], DataError),
        ("quickdraw:hot air balloon.ndjson", b'{"drawing": [[1]]}\n', DataError),
        ("quickdraw:hot air balloon.ndjson", b"[" * 3_000_000, DataError),
    ],
)
def test_what_is_something_else_is_deleted(place: Place, name: str, content: bytes, error: type[Exception]) -> None:
    asked = wanted(name)
    place.how.files |= dict.fromkeys((OWL, CAT, LINES), content)
    with pytest.raises(error, match="was deleted") as caught:
        fetch(name)
    assert asked.file in str(caught.value)
    assert ".new" not in str(caught.value)
    assert ("web page" in str(caught.value)) == content.lstrip().startswith(b"<")
    assert files(place.cache) == []


def test_a_decoder_under_the_name_of_a_vae_is_refused(place: Place) -> None:
    place.how.files["/sketchRNN/large_models/owl.vae.json"] = place.how.files[OWL]
    with pytest.raises(CheckpointError, match="a sketch_decoder; expected a sketch_vae"):
        fetch("magenta:owl.vae")


# Folders


def test_a_cache_that_cannot_be_written_is_an_error(place: Place, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be written"):
        fetch("magenta:owl", to=tmp_path / "file")
    with pytest.raises(OutputError, match="cannot be written"):
        fetch("magenta:owl", to=tmp_path / "file" / "below")
    assert place.how.asked == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_without_permission_is_an_error(place: Place) -> None:
    place.cache.mkdir()
    place.cache.chmod(0o500)
    with pytest.raises(OutputError, match="LIVESKETCH_CACHE"):
        fetch("magenta:owl")
    assert place.how.asked == []


def test_a_full_disk_is_an_error_and_the_next_call_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(there: int, total: int | None) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match="No space left"):
        fetch("magenta:owl", progress=full)
    place.how.asked = []
    assert fetch("magenta:owl").read_bytes() == place.how.files[OWL]
    assert ".owl.gen.json.lock" not in files(place.cache)


def test_a_lock_whose_file_was_removed_is_taken_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, real, seen = tmp_path / "lock", fcntl.flock, []

    def flock(stream: Any, how: int) -> None:
        real(stream, how)
        seen.append(stream)
        if len(seen) == 1:
            path.unlink()  # as by the one who had the lock before

    monkeypatch.setattr(fcntl, "flock", flock)
    with download.locked(path):
        assert path.exists(), "the next one would find nothing to wait for"
    assert not path.exists()
    assert len(seen) == 2


def test_threads_that_ask_for_the_same_file_share_it(place: Place) -> None:
    got: list[Path] = []
    place.how.gate = threading.Event()
    threads = [
        threading.Thread(target=lambda: got.append(fetch("magenta:owl")), name=f"livesketch-test-{n}") for n in range(4)
    ]
    for thread in threads:
        thread.start()
    place.how.gate.set()
    for thread in threads:
        thread.join()
    assert got == [place.cache / "magenta" / "owl.gen.json"] * 4
    assert place.how.asked == [(OWL, None)]


def test_processes_that_ask_for_the_same_file_share_it(place: Place) -> None:
    place.how.gate = threading.Event()
    program = (
        "import sys, livesketch as ls; from livesketch.models import magenta, fetch; import pooch\n"
        "print('ready', flush=True); print(ls.fetch('magenta:owl'))"
    )
    command = [sys.executable, "-c", program]
    pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(command, **pipes) for _ in range(2)]
    try:
        for process in running:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        place.how.gate.set()
        said = [process.communicate(timeout=60) for process in running]
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert said == [(f"{place.cache / 'magenta' / 'owl.gen.json'}\n", "")] * 2, "and the library is silent"
    assert place.how.asked == [(OWL, None)]
    assert files(place.cache) == ["owl.gen.json", "owl.gen.json.origin", "owl.gen.md"]


# The command


def test_the_command_prints_paths(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fetch", "magenta:owl", "quickdraw:cat"]) == 0
    out, err = capsys.readouterr()
    assert out == f"{place.cache / 'magenta' / 'owl.gen.json'}\n{place.cache / 'quickdraw' / 'cat.npz'}\n"
    assert hashlib.sha256(place.how.files[OWL]).hexdigest() in err
    assert "Google's" in err


def test_the_command_takes_a_base_and_a_folder(
    place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["fetch", "quickdraw:cat", "--base", place.base, "--to", str(tmp_path / "here")]
    assert cli.main(words) == cli.main(words) == 0
    assert len(place.how.asked) == 1
    assert cli.main([*words, "--again"]) == 0
    assert len(place.how.asked) == 2
    assert (tmp_path / "here" / "cat.npz").read_bytes() == place.how.files[CAT]
    assert capsys.readouterr().out == f"{tmp_path / 'here' / 'cat.npz'}\n" * 3


def test_the_command_says_what_has_changed(place: Place, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, changed in (([], False), (["--again"], False), ([], True), (["--again"], True), ([], True)):
        if changed:
            place.how.files[OWL] = an_owl(tmp_path, seed=2)
        assert cli.main(["fetch", "magenta:owl", *words]) == 0
        assert ("has changed" in capsys.readouterr().err) == (changed and words == ["--again"])


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["magenta:../etc"], 3),
        (["magenta:nobody"], 3),
        (["magenta:owl", "nonsense"], 3),
        (["magenta:owl", "quickdraw:cat", "--base", "http://127.0.0.1"], 2),
        (["magenta:owl", "--base", "nowhere"], 2),
        (["magenta:owl", "--to", "/dev/null/x"], 4),
    ],
)
def test_the_command_s_exit_codes(
    place: Place, words: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["fetch", *words]) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("livesketch: ")
    assert "magenta:nobody" in words or place.how.asked == []


def test_the_command_says_when_it_is_offline(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fetch", "magenta:owl", "--base", closed_port()]) == 3
    assert "put the file at" in capsys.readouterr().err


def test_nothing_of_the_network_is_loaded_before_something_is_fetched() -> None:
    program = """
import sys, livesketch as ls
next(ls.sketch("cat", seed=1, backend="reference"))
ls.fetch
print([name for name in ("pooch", "requests", "urllib3") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
