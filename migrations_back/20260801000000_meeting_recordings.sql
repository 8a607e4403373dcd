-- The way back of migrations/20260801000000_meeting_recordings.sql: takes away what recordings_internal.made says that
-- it made, and gives back what it took. A column that it did not make is never dropped, nor is a table that has one.
do $migration$
declare
  path_before text := current_setting('search_path');
  wait_before text := current_setting('lock_timeout');
  thing record;
  others text;
begin
  if to_regclass('recordings_internal.made') is null then
    raise notice 'recordings: nothing was made here: nothing to take away';
    return;
  end if;
  perform set_config('search_path', 'pg_catalog, pg_temp', true);
  perform set_config('lock_timeout', '10s', true);
  perform pg_advisory_xact_lock(5010071001);

  if to_regclass('public.meeting_recordings') is not null then
    lock table public.meeting_recordings in access exclusive mode;
    -- a column is ours if we made it and it still has our comment: one that was dropped and made anew has none
    select string_agg(quote_ident(a.attname), ', ' order by a.attnum) into others from pg_attribute a
      where a.attrelid = 'public.meeting_recordings'::regclass and a.attnum > 0 and not a.attisdropped
        and a.attname <> 'id' and not (
          a.attname in (select name from recordings_internal.made where kind = 'column')
          and coalesce(col_description(a.attrelid, a.attnum), '') like 'recordings: %');
    if others is null and exists (select from recordings_internal.made where kind = 'table')
       and coalesce(obj_description('public.meeting_recordings'::regclass, 'pg_class'), '') like 'recordings: %' then
      drop table public.meeting_recordings;
      raise notice 'recordings: drop table public.meeting_recordings, with its rows';
    else
      for thing in select m.* from recordings_internal.made m
        where m.kind not like 'column %' or m.name in (select attname from pg_attribute
          where attrelid = 'public.meeting_recordings'::regclass and not attisdropped)
        order by m.kind, m.name, m.detail
      loop
        case
          when thing.kind = 'index' and to_regclass('public.' || quote_ident(thing.name)) is not null then
            execute format('drop index public.%I', thing.name);
            raise notice 'recordings: drop index %', thing.name;
          when thing.kind = 'constraint' then
            execute format('alter table public.meeting_recordings drop constraint if exists %I', thing.name);
            raise notice 'recordings: drop constraint %', thing.name;
          when thing.kind = 'column default' then
            execute format('alter table public.meeting_recordings alter column %I drop default', thing.name);
          when thing.kind = 'column not null' then
            execute format('alter table public.meeting_recordings alter column %I drop not null', thing.name);
          when thing.kind = 'row security'
               and not exists (select from recordings_internal.made where kind = 'table') then
            alter table public.meeting_recordings disable row level security;
            raise notice 'recordings: switch row level security off, as it was';
          when thing.kind in ('revoked anon', 'revoked public') then
            execute format('grant %s%s on public.meeting_recordings to %s', thing.name,
              case thing.detail when '' then '' else ' (' || quote_ident(thing.detail) || ')' end,
              split_part(thing.kind, ' ', 2));
            raise notice 'recordings: grant % to % again', thing.name, split_part(thing.kind, ' ', 2);
          when thing.kind like 'granted %'
               and exists (select from pg_roles where rolname = split_part(thing.kind, ' ', 2)) then
            execute format('revoke %s on public.meeting_recordings from %I',
              thing.name, split_part(thing.kind, ' ', 2));
          else
            null;
        end case;
      end loop;
      for thing in
        select a.attname as name
          from pg_attribute a join recordings_internal.made m on m.kind = 'column' and m.name = a.attname
          where a.attrelid = 'public.meeting_recordings'::regclass and a.attnum > 0 and not a.attisdropped
            and coalesce(col_description(a.attrelid, a.attnum), '') like 'recordings: %'
      loop
        execute format('alter table public.meeting_recordings drop column %I', thing.name);
        raise notice 'recordings: drop column %', thing.name;
      end loop;
      raise notice 'recordings: keep table public.meeting_recordings with %', coalesce(others, 'its rows');
    end if;
  end if;

  drop table recordings_internal.made;
  if not exists (select from pg_class where relnamespace = 'recordings_internal'::regnamespace) then
    drop schema recordings_internal;
    raise notice 'recordings: drop schema recordings_internal';
  end if;

  perform set_config('search_path', path_before, true);
  perform set_config('lock_timeout', wait_before, true);
end
$migration$;
