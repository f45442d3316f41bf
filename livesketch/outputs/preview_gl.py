"""Line pieces on a graphics card: OpenGL 3.3 through pyglet, one call for all lines of all drawings.

Each piece becomes a rectangle around itself, widened by half the line and a pixel; each of its pixels is as opaque as
the distance to the piece says (1 inside, 0 outside, falling over one pixel at the edge). That gives smooth edges, round
ends and round joins, whether or not the window has multisampling.
"""

import ctypes
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from .preview_scene import Rgb, Scene
from .preview_wire import png

_VERTEX: Final = """#version 330 core
in vec4 piece;          // from x, y to x, y, on the stage
in float slot;
uniform sampler2D looks;
uniform vec2 size;      // pixels
uniform float below;    // 1: only drawings that others gave way to, 0: only the others
out vec2 along;         // place within the rectangle, pixels
flat out vec2 reach;    // length of the piece, half the line
flat out vec3 rgb;
void main() {
    vec4 where = texelFetch(looks, ivec2(0, int(slot)), 0);   // scale, x, y, half the line
    vec4 how = texelFetch(looks, ivec2(1, int(slot)), 0);     // red, green, blue, below
    vec2 start = piece.xy * where.x + where.yz, end = piece.zw * where.x + where.yz;
    float len = distance(start, end), half_line = where.w, edge = half_line + 1.0;
    vec2 to = len > 1e-4 ? (end - start) / len : vec2(1.0, 0.0);
    vec2 corner = vec2(gl_VertexID & 1, gl_VertexID >> 1 & 1);
    along = vec2(mix(-edge, len + edge, corner.x), mix(-edge, edge, corner.y));
    reach = vec2(len, half_line);
    rgb = how.rgb;
    vec2 place = start + to * along.x + vec2(-to.y, to.x) * along.y;
    vec2 clip = place / size * 2.0 - 1.0;
    bool shown = half_line > 0.0 && abs(how.a - below) < 0.5;
    gl_Position = shown ? vec4(clip.x, -clip.y, 0.0, 1.0) : vec4(2.0, 2.0, 2.0, 1.0);
}
"""
_FRAGMENT: Final = """#version 330 core
in vec2 along;
flat in vec2 reach;
flat in vec3 rgb;
out vec4 color;
void main() {
    float away = length(vec2(along.x - clamp(along.x, 0.0, reach.x), along.y));
    float cover = clamp(reach.y + 0.5 - away, 0.0, 1.0);
    if (cover <= 0.0) discard;
    color = vec4(rgb, cover);
}
"""
_ROW: Final = 5 * 4  # bytes of a corner: its piece and slot
_TRIANGLES: Final = (0, 1, 2, 2, 1, 3)  # of four corners


class Painter:
    """Paints a scene into the current OpenGL context, which must be that of the window; y down, pixels."""

    def __init__(self, pieces: int, slots: int) -> None:
        from pyglet import gl  # noqa: PLC0415 - only the window's process has it
        from pyglet.graphics.shader import Shader, ShaderProgram  # noqa: PLC0415 - likewise

        self._gl: Any = gl
        self._program = ShaderProgram(Shader(_VERTEX, "vertex"), Shader(_FRAGMENT, "fragment"))
        self._array, self._buffer, corners, self._table = (self._name(make) for make in (
            gl.glGenVertexArrays, gl.glGenBuffers, gl.glGenBuffers, gl.glGenTextures))  # fmt: skip
        gl.glBindVertexArray(self._array)
        gl.glBindBuffer(gl.GL_ARRAY_BUFFER, self._buffer)
        gl.glBufferData(gl.GL_ARRAY_BUFFER, 4 * pieces * _ROW, None, gl.GL_DYNAMIC_DRAW)
        for name, count, start in (("piece", 4, 0), ("slot", 1, 16)):
            at = gl.glGetAttribLocation(self._program.id, ctypes.create_string_buffer(name.encode()))
            gl.glEnableVertexAttribArray(at)
            gl.glVertexAttribPointer(at, count, gl.GL_FLOAT, gl.GL_FALSE, _ROW, start)
        order = (4 * np.arange(pieces)[:, None] + _TRIANGLES).astype(np.uint32)
        gl.glBindBuffer(gl.GL_ELEMENT_ARRAY_BUFFER, corners)
        gl.glBufferData(
            gl.GL_ELEMENT_ARRAY_BUFFER, order.nbytes, order.ctypes.data_as(ctypes.c_void_p), gl.GL_STATIC_DRAW
        )
        gl.glBindVertexArray(0)
        gl.glBindTexture(gl.GL_TEXTURE_2D, self._table)
        for what in (gl.GL_TEXTURE_MIN_FILTER, gl.GL_TEXTURE_MAG_FILTER):
            gl.glTexParameteri(gl.GL_TEXTURE_2D, what, gl.GL_NEAREST)
        gl.glTexImage2D(gl.GL_TEXTURE_2D, 0, gl.GL_RGBA32F, 2, slots, 0, gl.GL_RGBA, gl.GL_FLOAT, None)

    def paint(self, scene: Scene, now: float, width: int, height: int) -> None:
        """The scene as it is at ``now``, over all of the window; what is new of it goes to the card first."""
        gl = self._gl
        gl.glViewport(0, 0, width, height)
        gl.glDisable(gl.GL_SCISSOR_TEST)
        gl.glDisable(gl.GL_DEPTH_TEST)
        self._clear(scene.look.background)
        table = scene.table(now, width, height)
        gl.glActiveTexture(gl.GL_TEXTURE0)
        gl.glBindTexture(gl.GL_TEXTURE_2D, self._table)
        gl.glTexSubImage2D(
            gl.GL_TEXTURE_2D, 0, 0, 0, 2, len(table), gl.GL_RGBA, gl.GL_FLOAT, table.ctypes.data_as(ctypes.c_void_p)
        )
        self._upload(scene)
        gl.glEnable(gl.GL_BLEND)
        gl.glBlendFunc(gl.GL_SRC_ALPHA, gl.GL_ONE_MINUS_SRC_ALPHA)
        self._program.use()
        self._program["size"] = (float(width), float(height))
        gl.glBindVertexArray(self._array)
        for below in (1.0, 0.0) if scene.fading() else (0.0,):
            self._program["below"] = below
            gl.glDrawElements(gl.GL_TRIANGLES, len(_TRIANGLES) * scene.count, gl.GL_UNSIGNED_INT, None)
        gl.glBindVertexArray(0)
        self._program.stop()

    def picture(self, width: int, height: int) -> bytes:
        """What is painted, and not yet shown, as a PNG file."""
        gl = self._gl
        pixels = np.empty((height, width, 4), np.uint8)
        gl.glPixelStorei(gl.GL_PACK_ALIGNMENT, 1)
        gl.glReadBuffer(gl.GL_BACK)
        gl.glReadPixels(0, 0, width, height, gl.GL_RGBA, gl.GL_UNSIGNED_BYTE, pixels.ctypes.data_as(ctypes.c_void_p))
        return png(pixels[::-1, :, :3])

    def _upload(self, scene: Scene) -> None:
        """The rows that changed."""
        gl = self._gl
        rows: NDArray[np.float32] = np.repeat(scene.rows[scene.changed : scene.count], 4, axis=0)
        if len(rows):
            gl.glBindBuffer(gl.GL_ARRAY_BUFFER, self._buffer)
            gl.glBufferSubData(
                gl.GL_ARRAY_BUFFER, 4 * scene.changed * _ROW, rows.nbytes, rows.ctypes.data_as(ctypes.c_void_p)
            )
        scene.changed = scene.count

    def _clear(self, background: Rgb) -> None:
        self._gl.glClearColor(*background, 1.0)
        self._gl.glClear(self._gl.GL_COLOR_BUFFER_BIT)

    def _name(self, make: Any) -> int:
        """A new object of OpenGL."""
        name = self._gl.GLuint()
        make(1, name)
        return int(name.value)
