"""OSC both ways with SuperCollider's sclang: what arrives there, and what it sends."""

import os
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from listeners import PATIENCE, READY, Listener
from test_peers_osc_in import cat as cat  # noqa: PLC0414 - a fixture
from test_peers_osc_in import human, wait_for
from test_peers_outputs import play_everything

import livesketch as ls
from livesketch.events import Token
from livesketch.outputs.osc import osc
from livesketch.outputs.osc_wire import osc_message

QT = {"QT_QPA_PLATFORM": "offscreen", "QTWEBENGINE_DISABLE_SANDBOX": "1"}
"""No screen; and its web view, which nobody opens, refuses to be loaded by root where it has a sandbox."""
PROGRAM = """
(
var port = {port}, kinds = ["pen", "stroke/begin", "stroke/end", "end", "token", "state"];
var say = {{ |what, msg| (what ++ "\\t" ++ msg.collect {{ |x| x.class.name ++ " " ++ x }}.join("\\t")).postln }};
var cat = "/livesketch/wild-cat/";
var paths = ["0/", "1/", ""].collect {{ |voice| kinds.collect {{ |kind| cat ++ voice ++ kind }} }}.flatten;
(paths ++ ["/livesketch/alive"]).do {{ |path| OSCFunc({{ |msg| say.("got", msg) }}, path, recvPort: port) }};
OSCFunc({{ |msg, at|
    say.("timed", msg ++ [at - SystemClock.seconds]);
    SystemClock.schedAbs(at, {{ say.("played", msg ++ [at - SystemClock.seconds]); nil }});
}}, '/livesketch/timed/pen', recvPort: port);
OSCFunc({{ |msg| say.("ready", msg) }}, '/ready', recvPort: port);
OSCFunc({{ |msg| say.("pong", msg) }}, '/livesketch/pong');
OSCFunc({{ |msg|
    var to = NetAddr("127.0.0.1", msg[1]);
    to.sendMsg(cat ++ "temperature", 0.4);
    to.sendMsg(cat ++ "label", \\cat, 0.25, "pig", 0.75);
    to.sendMsg(cat ++ "feed/point", 0.2, 0.3);
    to.sendMsg(cat ++ "feed/point", 0.5, 0.35, 0.8, 0.9);
    to.sendMsg(cat ++ "feed/commit");
    to.sendMsg(cat ++ "temperature", "hot");
    to.sendBundle(0.1, [cat ++ "mute", 1], [cat ++ "rate", 77]);
    to.sendMsg("/livesketch/ping");
    to.sendMsg("/livesketch/ping", port);
}}, '/speak', recvPort: port);
OSCFunc({{ 0.exit }}, '/quit', recvPort: port);
SystemClock.sched(300, {{ 1.exit }});
)
"""


@pytest.fixture(scope="module")
def sclang(peer: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listener]:
    """It runs, hears, and ends when it is told to."""
    program, folder = peer("sclang"), tmp_path_factory.mktemp("sclang")
    with socket.socket(type=socket.SOCK_DGRAM) as spare:
        spare.bind(("127.0.0.1", 0))
        own = spare.getsockname()[1]

    def command(port: int) -> list[str]:
        script = folder / "both_ways.scd"
        script.write_text(PROGRAM.format(port=port))
        return [program, "-D", "-u", str(own), str(script)]

    # No folders, classes or settings of the person who runs the tests.
    homes = {name: str(folder) for name in ("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR")}
    running = Listener(command, folder / "sclang.log", os.environ | homes | QT)
    try:
        running.wait_for("ready\t", again=READY)
        yield running
        tell(running, "/quit", "i", 1)
        assert running.process.wait(PATIENCE) == 0, running.lines()[-20:]
    finally:
        running.close()
    assert not [line for line in running.lines() if line.startswith("ERROR")]


def tell(running: Listener, address: str, types: str, *values: Any) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as udp:
        udp.sendto(osc_message(address, types, *values).dgram, ("127.0.0.1", running.port))


def heard(running: Listener, kind: str) -> list[list[tuple[str, str]]]:
    """Messages as sclang printed them: of each value its class and what it is."""
    lines = [line.split("\t")[1:] for line in running.lines() if line.startswith(kind + "\t")]
    return [[(word.partition(" ")[0], word.partition(" ")[2]) for word in words] for words in lines]


def test_sclang_prints_every_message_in_order_with_its_types(sclang: Listener) -> None:
    before = len(heard(sclang, "got"))
    sent = play_everything(sclang.port)
    wait_for(lambda: len(heard(sclang, "got")) >= before + len(sent))
    got = heard(sclang, "got")[before:]
    assert len(got) == len(sent)
    for (name, *values), (address, args) in zip(got, sent, strict=True):
        assert name == ("Symbol", address)
        assert [kind for kind, _ in values] == [{int: "Integer", float: "Float", str: "Symbol"}[type(a)] for a in args]
        for (_, text), value in zip(values, args, strict=True):
            assert text == value if isinstance(value, str) else float(text) == pytest.approx(value, rel=1e-6, abs=1e-6)


def test_sclang_understands_utf8_tokens(sclang: Listener) -> None:
    output = osc(f"127.0.0.1:{sclang.port}")
    texts = ["春", "山为斜好几" * 50]
    before = len(heard(sclang, "got"))
    for step, text in enumerate(texts):
        output.send(Token(0.0, "wild-cat", 0, step, text, -1.0, 2.0, False))
    output.close()
    wait_for(lambda: len(heard(sclang, "got")) >= before + 2)
    assert [words[-1] for words in heard(sclang, "got")[before:]] == [("Symbol", text) for text in texts]


def test_sclang_does_bundles_at_once_and_knows_when_they_are_due(sclang: Listener, cat: ls.SketchStream) -> None:
    """Its functions are called at once, with the moment, and can wait for it, as the documents say."""
    output = ls.osc(f"127.0.0.1:{sclang.port}", mode="timetag", latency=1.0)
    with ls.play(cat.fork(), output, rate=50, name="timed"):
        wait_for(lambda: len(heard(sclang, "timed")) > 3)
    wait_for(lambda: len(heard(sclang, "played")) > 3)
    ahead = [float(words[-1][1]) for words in heard(sclang, "timed")]
    assert 0.0 < max(ahead) < 1.01
    assert all(float(words[-1][1]) <= 0.001 for words in heard(sclang, "played"))


def test_what_sclang_sends_is_done_and_it_hears_the_pong(sclang: Listener, cat: ls.SketchStream) -> None:
    with ls.listen(0) as listener:
        tell(sclang, "/speak", "i", listener.port)
        wait_for(lambda: listener.done + listener.errors == 10)
        wait_for(lambda: len(heard(sclang, "pong")) == 2)
        assert listener.kinds["value"] == listener.errors == 1
        assert "hot" in listener.last_error
    pong = [("Symbol", "/livesketch/pong"), ("Integer", "1"), ("Symbol", "wild-cat")]
    assert [words[:3] for words in heard(sclang, "pong")] == [pong, pong]
    assert cat.temperature == 0.4
    assert cat.label == pytest.approx({"cat": 0.25, "pig": 0.75})
    assert human(cat) == [pytest.approx(place) for place in ((0.8, 0.55), (1.1, 1.1))]
    assert ls.players()["Wild Cat"].muted
    assert ls.players()["Wild Cat"].rate == 77
