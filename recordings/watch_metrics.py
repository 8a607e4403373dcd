"""The report of a watch as OpenMetrics text, for a scraper: a file that is replaced at once, never seen half-written.

All families are gauges with `bucket` and `environment` as labels: so the files of several stacks can lie in one folder
(the textfile collector of Prometheus' node exporter takes them), and the older text format reads them too.

Source: https://prometheus.io/docs/specs/om/open_metrics_spec/.
"""

from __future__ import annotations

import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

from recordings.errors import ConfigurationError
from recordings.outputs import StackOutputs
from recordings.watch import Report, State, Window
from recordings.watch_reasons import UNKNOWN

PREFIX: Final = "recordings_watch_"
_ESCAPES: Final = {"\\": "\\\\", '"': '\\"', "\n": "\\n"}

Sample = tuple[Mapping[str, str], float]


def render(report: Report, window: Window, outputs: StackOutputs) -> str:
    """The whole exposition, which ends with `# EOF`."""
    common = {"bucket": outputs.bucket_name, "environment": outputs.environment}
    lines = []
    for name, unit, help_, samples in _families(report, window):
        family = f"{PREFIX}{name}"
        lines.append(f"# TYPE {family} gauge")
        lines += [f"# UNIT {family} {unit}"] if unit else []
        lines.append(f"# HELP {family} {help_}")
        lines += [f"{family}{{{_labels({**common, **labels})}}} {value!r}" for labels, value in samples]
    return "\n".join([*lines, "# EOF"]) + "\n"


def write_whole(file: Path, text: str) -> None:
    """Replace the file, readable by all (a scraper is another user). Raises ConfigurationError if that cannot be."""
    try:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=file.parent)
        try:
            with os.fdopen(handle, "w", encoding="utf-8") as out:
                out.write(text)
                out.flush()
                os.fsync(handle)
            os.chmod(name, 0o644)
            os.replace(name, file)
        except BaseException:
            with suppress(OSError):
                os.unlink(name)
            raise
    except OSError as error:
        raise ConfigurationError(f"{str(file)!r} cannot be written: {error.strerror or error}") from None


def _families(report: Report, window: Window) -> Iterator[tuple[str, str, str, list[Sample]]]:
    counts, now = report.counts, report.now
    states: list[Sample] = [({"state": state.value.replace(" ", "_")}, float(counts[state])) for state in State]
    yield "recordings", "", "Recordings of the window, by state.", states
    failed = Counter(one.reason or UNKNOWN for one in report.watched if one.state is State.FAILED)
    reasons: list[Sample] = [({"reason": reason}, float(count)) for reason, count in sorted(failed.items())]
    yield "failures", "", "Failed recordings of the window, by the error type that 100ms gave.", reasons
    yield "running", "", "Recordings that are being made.", _one(report.running)
    waiting = [one.at for one in report.watched if one.state in (State.ON_ITS_WAY, State.LATE) and one.at]
    age = max(((now - at).total_seconds() for at in waiting), default=0.0)
    yield "oldest_waiting_seconds", "seconds", "For how long the oldest recording is on its way or late.", _one(age)
    took = [one.delivery_seconds for one in report.watched if one.delivery_seconds is not None]
    if took:
        yield "slowest_delivery_seconds", "seconds", "The longest time from an end to its recording.", _one(max(took))
    yield "late_after_seconds", "seconds", "When a recording counts as late.", _one(window.late.total_seconds())
    yield (
        "window_seconds",
        "seconds",
        "How far back recordings are watched.",
        _one((now - window.since).total_seconds()),
    )
    yield "last_run_timestamp_seconds", "seconds", "When this was written (Unix time).", _one(now.timestamp())


def _one(value: float) -> list[Sample]:
    return [({}, float(value))]


def _labels(labels: Mapping[str, str]) -> str:
    return ",".join(f'{name}="{_escaped(value)}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return "".join(_ESCAPES.get(char, char) for char in value)
