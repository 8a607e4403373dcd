"""A recording to upload: a real H.264 MP4 of three seconds, more than 5 MiB so that an upload has several parts."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Final

WIDTH: Final = 640
HEIGHT: Final = 360
FRAMES_PER_SECOND: Final = 25
SECONDS: Final = 3
_NOISE_ROWS: Final = HEIGHT // 2
_BAR_ROWS: Final = 40
_GREY: Final = 128
_MAKING: Final = threading.Lock()


@dataclass(frozen=True)
class Movie:
    """A file and what a recording asset says of it."""

    path: Path
    size: int
    duration: int
    width: int = WIDTH
    height: int = HEIGHT


def ensure_movie(folder: Path) -> Movie:
    """Make the recording in `folder` unless it is there (about 0.2 s); several recordings may end at once."""
    path = folder / "recording.mp4"
    with _MAKING:
        if not path.exists():
            unfinished = folder / "unfinished.mp4"
            _encode(unfinished)
            unfinished.replace(path)
    return Movie(path, path.stat().st_size, SECONDS)


def _encode(path: Path) -> None:
    import av  # loads FFmpeg: only who records needs it

    noise = random.Random(100).randbytes(WIDTH * _NOISE_ROWS)  # noqa: S311
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"preset": "ultrafast", "qp": "20"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(FRAMES_PER_SECOND * SECONDS):
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
            luma, blue, red = frame.planes
            luma.update(_luma(number, noise))
            blue.update(bytes([_GREY]) * blue.buffer_size)
            red.update(bytes([number * 3 % 256]) * red.buffer_size)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _luma(number: int, noise: bytes) -> bytes:
    """A grey ramp with a bright bar that moves down, and noise that no encoder can make small."""
    start = number * 997 % len(noise)
    ramp = bytes(column * 255 // WIDTH for column in range(WIDTH))
    picture = bytearray(noise[start:] + noise[:start] + ramp * (HEIGHT - _NOISE_ROWS))
    top = number * 4 % (HEIGHT - _BAR_ROWS)
    picture[top * WIDTH : (top + _BAR_ROWS) * WIDTH] = b"\xeb" * (_BAR_ROWS * WIDTH)
    return bytes(picture)
