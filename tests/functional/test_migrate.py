"""`recordings migrate` on a real Postgres: empty, with a table of the application's own, twice, and the way back."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from zipfile import ZipFile

import psycopg
import pytest
from typer.testing import CliRunner, Result

from recordings.cli import app
from recordings.migrate import migrations
from tests.functional.databases import rows

ROOT = Path(__file__).resolve().parents[2]
OURS = {
    "asset_id": "text",
    "job_id": "text",
    "room_id": "text",
    "session_id": "text",
    "type": "text",
    "status": "text",
    "size": "bigint",
    "duration": "double precision",
    "file_path": "text",
    "storage_provider": "text",
    "recorded_at": "timestamp with time zone",
    "synced_at": "timestamp with time zone",
}


def migrate(url: str, *arguments: str) -> Result:
    return CliRunner(env={"DATABASE_URL": url}).invoke(app, ["migrate", *arguments])


def changes(url: str, *arguments: str) -> list[str]:
    """What a run that must be right said that it changed."""
    result = migrate(url, *arguments, "--json")
    assert result.exit_code == 0, result.stderr
    said: list[str] = json.loads(result.stdout)["changes"]
    return said


def columns(url: str) -> dict[str, str]:
    query = "select column_name, data_type from information_schema.columns where table_name = 'meeting_recordings'"
    return dict(rows(url, query))


def schema(url: str) -> list[Any]:
    """Everything that the migration could change, as the system's tables have it."""
    return [
        rows(url, query)
        for query in (
            "select table_name, column_name, ordinal_position, data_type, column_default, is_nullable from "
            "information_schema.columns where table_schema in ('public', 'recordings_internal') order by 1, 2",
            "select indexname, indexdef from pg_indexes where schemaname = 'public' order by 1",
            "select conname, pg_get_constraintdef(oid) from pg_constraint where connamespace = 'public'::regnamespace "
            "order by 1",
            "select relname, relrowsecurity, relacl::text from pg_class where relnamespace = 'public'::regnamespace "
            "order by 1",
            "select nspname from pg_namespace where nspname = 'recordings_internal'",
        )
    ]


def test_empty_database_gets_the_table(empty_database: str) -> None:
    """Every column of its documented type, the default, the check, the unique asset id, row security."""
    assert len(changes(empty_database)) > 15
    assert columns(empty_database) == {"id": "uuid", **OURS}
    rows(empty_database, "insert into meeting_recordings (asset_id) values ('a')")
    assert rows(empty_database, "select storage_provider from meeting_recordings") == [("100ms",)]
    for bad in ("(asset_id) values ('a')", "(storage_provider) values ('ftp')"):
        with pytest.raises(psycopg.errors.IntegrityError):
            rows(empty_database, "insert into meeting_recordings " + bad)
    with pytest.raises(psycopg.errors.NotNullViolation):
        rows(empty_database, "insert into meeting_recordings (storage_provider) values (null)")
    for legal in ("100ms", "s3", "gcs"):
        rows(empty_database, "insert into meeting_recordings (storage_provider) values (%s)", legal)


def test_second_run_changes_nothing(empty_database: str) -> None:
    """Idempotent: the schema is the same to the letter, and the command says so."""
    migrate(empty_database)
    before = schema(empty_database)
    assert changes(empty_database) == []
    assert "nothing to do" in migrate(empty_database).stdout
    assert schema(empty_database) == before


def test_dry_run_tells_all_and_does_nothing(empty_database: str) -> None:
    """The same list, from the same run, rolled back."""
    before = schema(empty_database)
    would = changes(empty_database, "--dry-run")
    assert schema(empty_database) == before
    assert changes(empty_database) == would


def test_nothing_is_for_anon(empty_database: str) -> None:
    """Neither on our table, which Supabase's defaults would open, nor in our schema; service_role has four rights."""
    migrate(empty_database)
    rights = ["select", "insert", "update", "delete", "truncate", "references", "trigger"]
    for role, allowed in {"anon": [], "authenticated": ["select"], "service_role": rights[:4]}.items():
        query = "select has_table_privilege(%s, 'public.meeting_recordings', %s)"
        assert [right for right in rights if rows(empty_database, query, role, right) == [(True,)]] == allowed
        query = "select has_schema_privilege(%s, 'recordings_internal', 'usage')"
        assert rows(empty_database, query, role) == [(False,)]
    rows(empty_database, "insert into meeting_recordings (asset_id) values ('a')")
    with psycopg.connect(empty_database) as connection:
        connection.execute("set local role authenticated")
        assert connection.execute(b"select * from meeting_recordings").fetchall() == []
        connection.execute("set local role anon")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(b"select * from meeting_recordings")


OWN = """
create table meeting_recordings (id bigserial primary key, meeting_id uuid not null default gen_random_uuid(),
  room_id text, storage_provider character varying, "odd; drop table x; --" int, "we""ird % {}" text);
grant select ("meeting_id") on meeting_recordings to anon;
create view public.of_the_application as select meeting_id from meeting_recordings;
insert into meeting_recordings (room_id, storage_provider) select 'room', case when n % 2 = 0 then 's3' end
  from generate_series(1, 50) as n;
"""


def test_table_of_the_application_keeps_everything(empty_database: str) -> None:
    """Rows, columns, types and views stay; what was null in storage_provider says 100ms."""
    rows(empty_database, OWN)
    before = rows(empty_database, "select id, meeting_id, room_id from meeting_recordings order by id")
    migrate(empty_database)
    assert rows(empty_database, "select id, meeting_id, room_id from meeting_recordings order by id") == before
    found = rows(empty_database, "select storage_provider, count(*) from meeting_recordings group by 1 order by 1")
    assert found == [("100ms", 25), ("s3", 25)]
    assert columns(empty_database)["storage_provider"] == "character varying"
    assert set(OURS) <= set(columns(empty_database))
    assert rows(empty_database, "select has_any_column_privilege('anon', 'public.meeting_recordings', 'select')") == [
        (False,)
    ]
    assert changes(empty_database) == []


def test_way_back_gives_back_the_table_as_it_was(empty_database: str) -> None:
    """Columns, constraints, indexes, rights of anon and row security are those of before; twice is harmless."""
    rows(empty_database, OWN)
    before = schema(empty_database)
    migrate(empty_database)
    assert schema(empty_database) != before
    assert changes(empty_database, "--back", "--yes")
    after = schema(empty_database)
    assert (after[0], after[1], after[2], after[4]) == (before[0], before[1], before[2], before[4])
    assert sorted(acl(after)) == sorted(acl(before))
    assert changes(empty_database, "--back", "--yes") == ["nothing was made here: nothing to take away"]


def acl(found: list[Any]) -> list[str]:
    """The table's rights; their order has no meaning."""
    text = next(row for row in found[3] if row[0] == "meeting_recordings")
    return [*text[2].strip("{}").split(","), f"row security {text[1]}"]


def test_way_back_drops_no_column_that_it_did_not_make(empty_database: str) -> None:
    """Not one that the application added to our table, nor one of ours that it made anew, nor the table then."""
    migrate(empty_database)
    rows(empty_database, "alter table meeting_recordings add column note text, drop column duration")
    rows(empty_database, "alter table meeting_recordings add column duration interval")
    rows(empty_database, "insert into meeting_recordings (asset_id, note, duration) values ('a', 'kept', '1 s')")
    migrate(empty_database, "--back", "--yes")
    assert set(columns(empty_database)) == {"id", "note", "duration"}
    assert rows(empty_database, "select note from meeting_recordings") == [("kept",)]


def test_way_back_on_our_own_table_leaves_nothing(empty_database: str) -> None:
    """From an empty database to an empty database."""
    before = schema(empty_database)
    migrate(empty_database)
    migrate(empty_database, "--back", "--yes")
    assert schema(empty_database) == before


def test_way_back_keeps_tombstones(empty_database: str) -> None:
    """Without them the way forth and a sync would write erased recordings again; it says so, and takes the rest."""
    migrate(empty_database)
    rows(empty_database, "insert into recordings_internal.tombstones (kind, id) values ('asset', 'a')")
    back = migrate(empty_database, "--back", "--yes")
    assert back.exit_code == 0
    assert "keep 1 tombstones" in back.stderr
    assert columns(empty_database) == {}
    assert changes(empty_database, "--back", "--yes") == ["nothing was made here: nothing to take away"]
    migrate(empty_database)
    rows(empty_database, "insert into meeting_recordings (asset_id) values ('a'), ('b')")
    assert rows(empty_database, "select asset_id from meeting_recordings") == [("b",)]
    rows(empty_database, "delete from recordings_internal.tombstones")
    migrate(empty_database, "--back", "--yes")
    assert schema(empty_database)[4] == []


def test_trigger_of_the_application_is_not_taken_for_ours(empty_database: str) -> None:
    """A trigger of our name that is not ours: refused whole, and the way back leaves it."""
    migrate(empty_database)
    own = "create function own() returns trigger language plpgsql as 'begin return new; end'; "
    own += "drop trigger recordings_erased on meeting_recordings; create trigger recordings_erased before insert on "
    rows(empty_database, own + "meeting_recordings for each row execute function own()")
    refused = migrate(empty_database)
    assert (refused.exit_code, "a trigger recordings_erased that is not ours" in refused.stderr) == (3, True)


def test_way_back_asks_first(empty_database: str) -> None:
    """It loses what the columns hold, so it wants --yes; a dry run needs none."""
    migrate(empty_database)
    refused = migrate(empty_database, "--back")
    assert (refused.exit_code, "--yes" in refused.stderr) == (2, True)
    assert "drop table public.meeting_recordings, with its rows" in changes(empty_database, "--back", "--dry-run")
    assert columns(empty_database)


@pytest.mark.parametrize(
    ("existing", "said"),
    [
        (
            "create table meeting_recordings (size integer)",
            "column size of public.meeting_recordings is of type integer; it must",
        ),
        (
            "create table meeting_recordings (file_path varchar(10))",
            "column file_path .* character varying\\(10\\); it must be",
        ),
        ("create table meeting_recordings (recorded_at timestamp)", "timestamp without time zone; it must be"),
        (
            "create table meeting_recordings (a text, type text generated always as (a) stored)",
            "type .* is computed by the",
        ),
        ("create view meeting_recordings as select 1 as x", "is not an ordinary table \\(kind 'v'\\)"),
        ("create table meeting_recordings (x int) partition by list (x)", "is not an ordinary table \\(kind 'p'\\)"),
        (
            "create table meeting_recordings (storage_provider text); "
            "insert into meeting_recordings values ('ftp'), ('s3')",
            "storage_provider that is none, in 1 of its rows: 'ftp'. Legal are 100ms, s3 and gcs",
        ),
        (
            "create table meeting_recordings (asset_id text); "
            "insert into meeting_recordings values ('a'), ('a'), ('b')",
            "same asset_id, such as 'a'. Leave one",
        ),
        ("create table public.recordings_by_time (x int)", "public.recordings_by_time exists and is no index"),
    ],
)
def test_what_does_not_fit_is_refused_whole(empty_database: str, existing: str, said: str) -> None:
    """The message names the thing and what it must be; nothing was changed, not even what comes before."""
    rows(empty_database, existing)
    before = schema(empty_database)
    refused = migrate(empty_database)
    assert (refused.exit_code, refused.stdout) == (3, "")
    assert re.search(said, refused.stderr.replace("\n", " ")), refused.stderr
    assert schema(empty_database) == before


def test_column_that_keeps_rows_out_is_told(empty_database: str) -> None:
    """A column of the application's that refuses null and has no default would stop `recordings sync`."""
    rows(empty_database, "create table meeting_recordings (meeting uuid not null)")
    said = migrate(empty_database).stderr.replace("\n", " ")
    assert "no row can be added while these columns refuse null and have no default: meeting" in said


def test_two_at_a_time_come_one_after_the_other(empty_database: str) -> None:
    """Deployments that start together all succeed."""
    wanted = migrations()
    with ThreadPoolExecutor(4) as together:
        for migration in wanted:
            said = list(together.map(lambda _, m=migration: rows(empty_database, m.statement), range(4)))
            assert said == [[]] * 4
    assert changes(empty_database) == []


def test_table_in_use_is_given_up_with_a_message(empty_database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An application that holds the table is not blocked for long; exit code 3 and what to do."""
    migrate(empty_database)
    hasty = [replace(migration, statement=migration.statement.replace("'10s'", "'50ms'")) for migration in migrations()]
    monkeypatch.setattr("recordings.migrate.migrations", lambda back=False: hasty)
    with psycopg.connect(empty_database) as connection:
        connection.execute(b"select * from meeting_recordings")
        refused = migrate(empty_database)
    assert refused.exit_code == 3
    assert "in use by others" in refused.stderr


def test_other_users_are_told_who_the_owner_is(empty_database: str) -> None:
    """Exit code 3, nothing changed."""
    name = empty_database.rpartition("/")[2]
    rows(empty_database, f"create table meeting_recordings (x int); create role {name}_app login password 'app'")
    rows(empty_database, f"grant create on database {name} to {name}_app")
    before = schema(empty_database)
    try:
        parts = urlsplit(empty_database)
        refused = migrate(urlunsplit(parts._replace(netloc=f"{name}_app:app@127.0.0.1:{parts.port}")))
    finally:
        rows(empty_database, f"revoke create on database {name} from {name}_app; drop role {name}_app")
    assert refused.exit_code == 3
    assert f"owned by postgres, not by {name}_app" in refused.stderr
    assert schema(empty_database) == before


def test_installed_wheel_migrates(empty_database: str, tmp_path: Path) -> None:
    """A back end has the library alone: it brings the files of the project's root, and runs them."""
    build = "from hatchling.build import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
    program = [sys.executable, "-c", build, str(tmp_path)]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True)
    with ZipFile(tmp_path / done.stdout.split()[-1]) as wheel:
        wheel.extractall(tmp_path / "site")
    for folder in ("migrations", "migrations_back"):
        found = {file.name: file.read_text() for file in (tmp_path / "site" / "recordings" / folder).iterdir()}
        assert found == {file.name: file.read_text() for file in (ROOT / folder).glob("*.sql")}
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "DATABASE_URL": empty_database}
    program = [sys.executable, "-m", "recordings", "migrate"]
    subprocess.run(program, cwd=tmp_path, env=env, check=True, capture_output=True)
    assert set(OURS) <= set(columns(empty_database))
