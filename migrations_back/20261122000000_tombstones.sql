-- The way back of migrations/20261122000000_tombstones.sql. Tombstones that are there stay, with the record of the
-- erasures that left them: without them the next `recordings migrate` and `sync` would write erased recordings again.
do $migration$
declare
  path_before text := current_setting('search_path');
  wait_before text := current_setting('lock_timeout');
  amount bigint;
begin
  if to_regclass('recordings_internal.tombstones') is null then
    return;
  end if;
  perform set_config('search_path', 'pg_catalog, pg_temp', true);
  perform set_config('lock_timeout', '10s', true);
  perform pg_advisory_xact_lock(5010071001);

  if exists (select from pg_trigger where tgrelid = to_regclass('public.meeting_recordings')
             and tgname = 'recordings_erased' and tgfoid = to_regprocedure('recordings_internal.refuse_erased()')) then
    drop trigger recordings_erased on public.meeting_recordings;
    raise notice 'recordings: drop trigger recordings_erased';
  end if;
  if to_regprocedure('recordings_internal.refuse_erased()') is not null then
    drop function recordings_internal.refuse_erased();
    drop function if exists recordings_internal.is_erased(text, text, text, text, timestamptz);
    raise notice 'recordings: drop function recordings_internal.is_erased';
  end if;
  select count(*) into amount from recordings_internal.tombstones;
  if amount > 0 then
    raise warning 'recordings: keep % tombstones of erased recordings, in recordings_internal: whoever drops them lets '
      '`recordings sync` write those recordings again', amount;
  else
    drop table if exists recordings_internal.tombstones, recordings_internal.erased, recordings_internal.erasures;
    raise notice 'recordings: drop table recordings_internal.tombstones, which was empty';
  end if;

  perform set_config('search_path', path_before, true);
  perform set_config('lock_timeout', wait_before, true);
end
$migration$;
