"""OSC in from programs that others wrote: liblo's oscsend and Pure Data."""

import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_models import small_checkpoint
from test_latent import KINDS

import livesketch as ls
from livesketch.models.checkpoint import save_checkpoint

PATIENCE = 30.0
PATCH = """\
#N canvas 0 0 700 400 12;
#X obj 20 20 loadbang;
#X obj 20 50 t b b b b b b b b b;
#X msg 600 80 connect 127.0.0.1 {port};
#X msg 500 80 0.4;
#X obj 500 110 oscformat livesketch wild-cat temperature;
#X msg 400 80 list cat 0.25 pig 0.75;
#X obj 400 110 oscformat livesketch wild-cat label;
#X msg 300 80 0.2 0.3;
#X obj 300 110 oscformat livesketch wild-cat feed point;
#X msg 200 80 0.8 0.9;
#X msg 150 80 1;
#X obj 150 110 oscformat livesketch wild-cat feed commit;
#X msg 100 80 1;
#X obj 100 110 oscformat livesketch wild-cat mute;
#X msg 60 80 {answers};
#X obj 60 110 oscformat livesketch ping;
#X obj 20 200 list prepend send;
#X obj 20 230 list trim;
#X obj 20 260 netsend -u -b;
#X obj 300 260 netreceive -u -b {answers};
#X obj 300 290 oscparse;
#X obj 300 320 print got;
#X msg 350 80 0.5 0.35;
#X connect 0 0 1 0;
#X connect 1 8 2 0;
#X connect 2 0 18 0;
#X connect 1 7 3 0;
#X connect 3 0 4 0;
#X connect 4 0 16 0;
#X connect 1 6 5 0;
#X connect 5 0 6 0;
#X connect 6 0 16 0;
#X connect 1 5 7 0;
#X connect 7 0 8 0;
#X connect 1 4 22 0;
#X connect 22 0 8 0;
#X connect 1 3 9 0;
#X connect 9 0 8 0;
#X connect 8 0 16 0;
#X connect 1 2 10 0;
#X connect 10 0 11 0;
#X connect 11 0 16 0;
#X connect 1 1 12 0;
#X connect 12 0 13 0;
#X connect 13 0 16 0;
#X connect 1 0 14 0;
#X connect 14 0 15 0;
#X connect 15 0 16 0;
#X connect 16 0 17 0;
#X connect 17 0 18 0;
#X connect 19 0 20 0;
#X connect 20 0 21 0;
"""


def wait_for(condition: Callable[[], object]) -> None:
    limit = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < limit, "waited in vain"
        time.sleep(0.02)


@pytest.fixture
def cat(tmp_path: Path) -> Iterator[ls.SketchStream]:
    path = tmp_path / "small.safetensors"
    save_checkpoint(small_checkpoint(hidden=24, name="small", **KINDS["both"]), path)
    stream = ls.sketch(f"{path}#cat", seed=1)
    player = ls.play(stream, ls.Recorder(), rate=100, name="Wild Cat").pause()
    stream.restart()
    yield stream
    player.stop()


def human(stream: ls.SketchStream) -> list[tuple[float, float]]:
    return [(action.x, action.y) for action in stream.actions if action.source == "human"]


def test_what_oscsend_sends_is_done(peer: Callable[[str], str], cat: ls.SketchStream) -> None:
    program = peer("oscsend")
    with ls.listen(0) as listener:

        def send(command: str, *arguments: str) -> None:
            heard = listener.heard
            subprocess.run([program, "127.0.0.1", str(listener.port), command, *arguments], check=True, timeout=30)
            wait_for(lambda: listener.heard > heard and not len(listener._port.inbox))

        send("/livesketch/wild-cat/temperature", "f", "0.4")
        wait_for(lambda: cat.temperature == 0.4)
        send("/livesketch/wild-cat/temperature", "d", "0.55")
        wait_for(lambda: cat.temperature == 0.55)
        send("/livesketch/wild-cat/temperature", "h", "2")
        wait_for(lambda: cat.temperature == 2)
        send("/livesketch/wild-cat/label", "sfsi", "cat", "0.25", "pig", "1")
        wait_for(lambda: cat.label == pytest.approx({"cat": 0.2, "pig": 0.8}))
        send("/livesketch/wild-cat/z", "ffffff", *"123456")
        wait_for(lambda: cat.z.tolist() == [1, 2, 3, 4, 5, 6])
        send("/livesketch/wild-cat/feed", "ffffff", "0.2", "0.2", "0.4", "0.2", "0.4", "0.5")
        wait_for(lambda: len(human(cat)) == 2)
        assert human(cat) == [pytest.approx(place) for place in ((0.7, 0.5), (0.7, 0.8))]
        send("/livesketch/wild-cat/mute", "T")
        wait_for(lambda: ls.players()["Wild Cat"].muted)
        send("/livesketch/wild-cat/mute", "F")
        wait_for(lambda: not ls.players()["Wild Cat"].muted)
        assert listener.errors == 0
        send("/livesketch/wild-cat/temperature", "s", "hot")
        send("/livesketch/wild-cat/temperature", "N")
        wait_for(lambda: listener.kinds["value"] == 2)
        send("/livesketch/hush")
        wait_for(lambda: not ls.players())


def test_what_pure_data_sends_is_done_and_it_hears_the_pong(
    peer: Callable[[str], str], cat: ls.SketchStream, tmp_path: Path
) -> None:
    program, patch, log = peer("pd"), tmp_path / "send.pd", tmp_path / "pd.log"
    with ls.listen(0) as listener, ls.listen(0) as spare:
        answers = spare.port
        spare.stop()  # a port that is free now
        patch.write_text(PATCH.format(port=listener.port, answers=answers))
        command = [program, "-nogui", "-noaudio", "-nomidi", "-noprefs", "-stderr", "-open", str(patch)]
        with log.open("wb") as out:
            running = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
        try:
            wait_for(lambda: listener.done == 8)
            wait_for(lambda: "got: list livesketch pong 1 wild-cat paused" in log.read_text(errors="replace"))
        finally:
            running.kill()
            running.wait()
        assert listener.errors == 0
    assert cat.temperature == 0.4
    assert cat.label == pytest.approx({"cat": 0.25, "pig": 0.75})
    assert human(cat) == [pytest.approx(place) for place in ((0.8, 0.55), (1.1, 1.1))]
    assert ls.players()["Wild Cat"].muted
    assert "error" not in log.read_text(errors="replace").lower()
