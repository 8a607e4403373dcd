"""The receipt of an erasure: what a data-protection officer files, and a check can be held against later.

Owns its form. It says what was asked, when, by which account; what was removed, counted by kind, with a SHA-256 of each
object's path and so no path; what stays, where, until when and why; and what was left alone. Paths are in it only where
something was left alone, since somebody has to look there.

Sources: 100ms' page "Recording assets" (its own storage keeps recordings 15 days; nothing deletes an asset by API),
https://cloud.google.com/storage/docs/soft-delete.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from recordings.erasure.ledger import ROW, Noted, Receipt
from recordings.erasure.places import Refused, Search
from recordings.paths import parse

HMS_KEEPS: Final = timedelta(days=15)
"""How long 100ms keeps a recording in its own storage."""
UPLOAD: Final = "unfinished upload"
"""The kind under which aborted uploads are noted."""


@dataclass(frozen=True)
class Stays:
    """Something that an erasure does not reach: where, until when (None: no end that is known), and why."""

    what: str
    until: datetime | None
    why: str

    def as_json(self) -> dict[str, Any]:
        """The entry of the receipt."""
        return {"what": self.what, "until": _stamp(self.until), "why": self.why}


def what_stays(
    search: Search, soft_delete: Mapping[str, timedelta], skipped: Sequence[str], at: datetime
) -> list[Stays]:
    """What stays after an erasure that ends at `at`; `soft_delete` by bucket, `skipped` buckets were not looked at."""
    stays = [
        Stays(
            f"soft-deleted objects of bucket {bucket}",
            at + kept,
            "Google keeps removed objects so long, and bills them; only the bucket's owner can bring them back",
        )
        for bucket, kept in soft_delete.items()
        if kept
    ]
    made = [claim.entry.recorded_at for claim in search.scope.claims if claim.by_hms and claim.entry.recorded_at]
    ends = max(made) + HMS_KEEPS if made else at
    if ends > at:
        why = "what 100ms has in its own storage it keeps 15 days, and no call of its API deletes it before"
        stays.append(Stays("100ms' own copies, if it made any", ends, why))
    for bucket, count in sorted(Counter(parse(claim.path).bucket for claim in search.elsewhere).items()):
        stays.append(
            Stays(
                f"{count} recording assets in bucket {bucket}",
                None,
                "the bucket is none of the stack's: 100ms' own, which ends as above, or one that you erase in yourself",
            )
        )
    stays += [Stays(f"former bucket {bucket}", None, "not looked at (--without-former)") for bucket in skipped]
    return [
        *stays,
        Stays("100ms' list of recordings", None, "ids, times, sizes: no call of its API deletes them; ask its support"),
        Stays("tombstones", None, "ids at 100ms alone, so that sync, reconcile and backfill bring nothing back"),
        Stays(
            "copies that this command cannot see",
            None,
            "backups of the database, replicas and access logs of the bucket, caches, what was downloaded",
        ),
    ]


def receipt(
    erasure: str,
    search: Search,
    noted: Iterable[Noted],
    *,
    account: str,
    buckets: Sequence[str],
    begun: datetime,
    ended: datetime,
    stays: Sequence[Stays],
    left: Sequence[Refused],
) -> Receipt:
    """The receipt as JSON; `complete` says that nothing was left alone and nothing is still to come."""
    scope = search.scope
    things = list(noted)
    removed = [item for item in things if item.kind not in (ROW, UPLOAD)]
    return {
        "receipt": "erasure of recordings",
        "form": 1,
        "id": erasure,
        "asked": {scope.target.kind.value: scope.target.id},
        "begun": _stamp(begun),
        "ended": _stamp(ended),
        "complete": not left and not scope.unfinished,
        "account": account,
        "buckets": list(buckets),
        "removed": {
            "objects": len({item.object for item in removed}),
            "versions": len(removed),
            "bytes": sum(item.bytes for item in removed),
            "unfinishedUploads": sum(item.kind == UPLOAD for item in things),
            "rows": sum(item.kind == ROW for item in things),
            "byKind": {
                kind: {
                    "objects": len({item.object for item in removed if item.kind == kind}),
                    "versions": sum(item.kind == kind for item in removed),
                    "bytes": sum(item.bytes for item in removed if item.kind == kind),
                }
                for kind in sorted({item.kind for item in removed})
            },
        },
        "objects": [
            {"sha256": name, "versions": count} for name, count in sorted(Counter(i.object for i in removed).items())
        ],
        "tombstones": {"recordings": len(scope.jobs), "recordingAssets": len(scope.assets)},
        "stays": [entry.as_json() for entry in stays],
        "stillToCome": [{"recording": job.id, "status": job.status} for job in scope.unfinished],
        "leftAlone": [{"path": item.path, "reason": item.reason} for item in left],
    }


def _stamp(at: datetime | None) -> str | None:
    return None if at is None else at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
