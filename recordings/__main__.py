"""Entry point: `python -m recordings` and the console script are the command `recordings`."""

from __future__ import annotations

import atexit
import gc


def main() -> None:
    """Run the command that the arguments name; ends the process.

    Starting makes some 65,000 objects, which stay. To look through them for garbage again and again, and once more in
    the end, takes nearly as long as all imports: so this comes before them.
    """
    gc.set_threshold(100_000)
    atexit.register(gc.freeze)
    from recordings.cli import main as run

    run()


if __name__ == "__main__":
    main()
