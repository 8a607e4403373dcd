-- recordings_internal.tombstones: what `recordings erase` erased, so that nothing writes it again. A trigger on
-- public.meeting_recordings holds whoever writes to it: sync, webhook, reconcile, backfill and the application itself.
--
-- One statement, idempotent, as the one before. Tombstones hold ids of 100ms and times, and nothing else: no path, no
-- name, no reason.
do $migration$
declare
  path_before text := current_setting('search_path');
  wait_before text := current_setting('lock_timeout');
  named text;
begin
  perform set_config('search_path', 'pg_catalog, pg_temp', true);
  perform set_config('lock_timeout', '10s', true);
  perform pg_advisory_xact_lock(5010071001);

  if to_regclass('recordings_internal.erasures') is null then
    create table recordings_internal.erasures (
      id uuid primary key default gen_random_uuid(),
      kind text not null check (kind in ('room', 'session', 'recording')),
      target text not null,
      begun_at timestamptz not null default now(),
      ended_at timestamptz,
      receipt jsonb
    );
    create unique index erasures_open on recordings_internal.erasures (kind, target) where ended_at is null;
    comment on table recordings_internal.erasures is 'Each run of `recordings erase`, and its receipt once it ended';
    raise notice 'recordings: create table recordings_internal.erasures';
  end if;
  if to_regclass('recordings_internal.erased') is null then
    create table recordings_internal.erased (
      erasure uuid not null references recordings_internal.erasures on delete cascade,
      object text not null, version text not null, kind text not null, bytes bigint not null,
      primary key (erasure, object, version)
    );
    comment on table recordings_internal.erased is
      'What an erasure that has not ended will have removed: digests, for its receipt';
    raise notice 'recordings: create table recordings_internal.erased';
  end if;
  if to_regclass('recordings_internal.tombstones') is null then
    create table recordings_internal.tombstones (
      kind text not null check (kind in ('room', 'session', 'recording', 'asset')),
      id text not null,
      until timestamptz check ((until is not null) = (kind = 'room')),
      made_at timestamptz not null default now(),
      primary key (kind, id)
    );
    comment on table recordings_internal.tombstones is 'What was erased and is never written again';
    comment on column recordings_internal.tombstones.until is
      'Of a room: what was recorded until then; of all others everything, whenever it comes';
    raise notice 'recordings: create table recordings_internal.tombstones';
  end if;

  -- the rule, in one place
  if to_regprocedure('recordings_internal.is_erased(text, text, text, text, timestamptz)') is null then
    raise notice 'recordings: create function recordings_internal.is_erased';
  end if;
  create or replace function recordings_internal.is_erased(
    asset text, recording text, session text, room text, recorded timestamptz
  ) returns boolean language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $rule$
  begin
    return exists (
      select from recordings_internal.tombstones t
        where (t.kind, t.id) in (('asset', asset), ('recording', recording), ('session', session), ('room', room))
          and (t.kind <> 'room' or recorded is null or recorded <= t.until)
    );
  end
  $rule$;
  revoke all on function recordings_internal.is_erased(text, text, text, text, timestamptz) from public;

  -- a row without an asset id is the application's own, and no recording asset of 100ms
  create or replace function recordings_internal.refuse_erased()
    returns trigger language plpgsql security definer set search_path = pg_catalog, pg_temp as $refuse$
  begin
    if new.asset_id is not null and recordings_internal.is_erased(
      new.asset_id, new.job_id, new.session_id, new.room_id, new.recorded_at
    ) then
      return null;
    end if;
    return new;
  end
  $refuse$;
  revoke all on function recordings_internal.refuse_erased() from public;

  select tgfoid::regproc::text into named from pg_trigger
    where tgrelid = 'public.meeting_recordings'::regclass and tgname = 'recordings_erased';
  if named is null then
    create trigger recordings_erased before insert or update of asset_id on public.meeting_recordings
      for each row execute function recordings_internal.refuse_erased();
    raise notice 'recordings: create trigger recordings_erased: erased recordings get no row';
  elsif named <> 'recordings_internal.refuse_erased' then
    raise exception 'public.meeting_recordings has a trigger recordings_erased that is not ours'
      using hint = 'Rename it; nothing was changed';
  end if;

  perform set_config('search_path', path_before, true);
  perform set_config('lock_timeout', wait_before, true);
end
$migration$;
