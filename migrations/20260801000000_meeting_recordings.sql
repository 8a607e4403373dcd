-- public.meeting_recordings: one row for each recording asset of 100ms, and where it is stored.
--
-- One statement, so one transaction, whoever runs it: `recordings migrate`, the Supabase CLI or psql. Run it again at
-- any time. What is there is kept: a column of ours that exists already must have a type that fits, or nothing is
-- changed. What it makes is written down in recordings_internal.made, so that the way back (migrations_back/) takes
-- away that and nothing else. Nothing in it outlives its transaction: it goes through a transaction-mode pooler.
do $migration$
declare
  path_before text := current_setting('search_path');
  wait_before text := current_setting('lock_timeout');
  wanted record;
  there record;
  fresh boolean := false;
  names text;
  amount bigint;
begin
  perform set_config('search_path', 'pg_catalog, pg_temp', true);
  perform set_config('lock_timeout', '10s', true);  -- an application that is busy must not queue behind us for long
  perform pg_advisory_xact_lock(5010071001);  -- two runs at a time: one after the other

  -- the internal schema, and what was made by us
  if to_regnamespace('recordings_internal') is null then
    create schema recordings_internal;
    revoke all on schema recordings_internal from public;
    raise notice 'recordings: create schema recordings_internal';
  end if;
  if to_regclass('recordings_internal.made') is null then
    create table recordings_internal.made (
      kind text not null, name text not null, detail text not null default '', primary key (kind, name, detail)
    );
    comment on table recordings_internal.made is 'What the migration of meeting_recordings made or changed';
  end if;

  -- the table
  select c.oid, c.relkind, pg_get_userbyid(c.relowner) as owner, pg_has_role(c.relowner, 'usage') as ours into there
    from pg_class c where c.oid = to_regclass('public.meeting_recordings');
  if not found then
    create table public.meeting_recordings (id uuid primary key default gen_random_uuid());
    comment on table public.meeting_recordings is 'recordings: one row for each recording asset of 100ms';
    delete from recordings_internal.made;
    insert into recordings_internal.made values ('table', 'meeting_recordings');
    fresh := true;
    raise notice 'recordings: create table public.meeting_recordings';
  elsif there.relkind <> 'r' then
    raise exception 'public.meeting_recordings is not an ordinary table (kind %)', quote_literal(there.relkind::text)
      using hint = 'Rename what has this name; nothing was changed';
  elsif not there.ours then
    raise exception 'public.meeting_recordings is owned by %, not by %', there.owner, current_user
      using hint = 'Let its owner run the migration; nothing was changed';
  end if;
  lock table public.meeting_recordings in access exclusive mode;

  -- its columns
  for wanted in
    select * from (values
      ('asset_id', 'text', array['text', 'character varying'], 'id of the recording asset at 100ms, unique'),
      ('job_id', 'text', array['text', 'character varying'], 'id of the recording that it belongs to, at 100ms'),
      ('room_id', 'text', array['text', 'character varying'], 'id of the room, at 100ms'),
      ('session_id', 'text', array['text', 'character varying'], 'id of the session, at 100ms'),
      ('type', 'text', array['text', 'character varying'], 'as 100ms says it: room-composite, track, chat, …'),
      ('status', 'text', array['text', 'character varying'], 'as 100ms says it: completed or failed'),
      ('file_path', 'text', array['text', 'character varying'], 'as 100ms reports it: s3://bucket/key'),
      ('storage_provider', 'text', array['text', 'character varying'], 's3 or gcs: in our bucket; 100ms: elsewhere'),
      ('size', 'bigint', array['bigint', 'numeric'], 'bytes'),
      ('duration', 'double precision', array['double precision', 'numeric'], 'seconds'),
      ('recorded_at', 'timestamp with time zone', array['timestamp with time zone'], 'when 100ms made the asset'),
      ('synced_at', 'timestamp with time zone', array['timestamp with time zone'], 'when 100ms said what the row says')
    ) as columns (name, kind, fitting, meaning)
  loop
    select format_type(a.atttypid, a.atttypmod) as kind, a.attgenerated <> '' or a.attidentity <> '' as computed
      into there from pg_attribute a
      where a.attrelid = 'public.meeting_recordings'::regclass and a.attname = wanted.name and not a.attisdropped;
    if not found then
      execute format('alter table public.meeting_recordings add column %I %s', wanted.name, wanted.kind);
      execute format('comment on column public.meeting_recordings.%I is %L',
        wanted.name, 'recordings: ' || wanted.meaning);
      delete from recordings_internal.made where kind like 'column%' and name = wanted.name;
      insert into recordings_internal.made values ('column', wanted.name);
      raise notice 'recordings: add column % %', wanted.name, wanted.kind;
    elsif there.computed then
      raise exception 'column % of public.meeting_recordings is computed by the database', wanted.name
        using hint = 'Rename it; nothing was changed';
    elsif not there.kind = any (wanted.fitting) then
      raise exception 'column % of public.meeting_recordings is of type %; it must be %',
        wanted.name, there.kind, array_to_string(wanted.fitting, ' or ')
        using hint = 'Rename the column or change its type; nothing was changed';
    end if;
  end loop;

  -- storage_provider text not null default '100ms'
  select a.attnotnull as never_null, a.atthasdef as has_default into strict there from pg_attribute a
    where a.attrelid = 'public.meeting_recordings'::regclass and a.attname = 'storage_provider';
  select string_agg(distinct quote_literal(left(storage_provider, 40)), ', '), count(*) into names, amount
    from public.meeting_recordings where storage_provider not in ('100ms', 's3', 'gcs');
  if amount > 0 then
    raise exception 'public.meeting_recordings has a storage_provider that is none, in % of its rows: %',
      amount, left(names, 200) using hint = 'Legal are 100ms, s3 and gcs. Change those rows; nothing was changed';
  end if;
  if not there.has_default then
    alter table public.meeting_recordings alter column storage_provider set default '100ms';
    insert into recordings_internal.made values ('column default', 'storage_provider') on conflict do nothing;
    raise notice 'recordings: set the default of storage_provider to 100ms';
  end if;
  if not there.never_null then
    update public.meeting_recordings set storage_provider = '100ms' where storage_provider is null;
    alter table public.meeting_recordings alter column storage_provider set not null;
    insert into recordings_internal.made values ('column not null', 'storage_provider') on conflict do nothing;
    raise notice 'recordings: refuse null in storage_provider; rows that had none say 100ms';
  end if;
  if not exists (select from pg_constraint where conrelid = 'public.meeting_recordings'::regclass
                 and conname = 'recordings_storage_provider_known') then
    alter table public.meeting_recordings add constraint recordings_storage_provider_known
      check (storage_provider in ('100ms', 's3', 'gcs'));
    insert into recordings_internal.made values ('constraint', 'recordings_storage_provider_known')
      on conflict do nothing;
    raise notice 'recordings: check that storage_provider is 100ms, s3 or gcs';
  end if;

  -- indexes
  select string_agg(quote_literal(left(asset_id, 60)), ', ') into names from (
    select asset_id from public.meeting_recordings where asset_id is not null
    group by asset_id having count(*) > 1 order by asset_id limit 3) as twice;
  if names is not null then
    raise exception 'several rows of public.meeting_recordings have the same asset_id, such as %', names
      using hint = 'Leave one row for each; nothing was changed';
  end if;
  for wanted in
    select * from (values
      ('recordings_by_asset', 'unique', '(asset_id)'),
      ('recordings_by_time', '', '(coalesce(recorded_at, ''-infinity'') desc, asset_id desc)'),
      ('recordings_by_room', '', '(room_id, coalesce(recorded_at, ''-infinity'') desc, asset_id desc)'),
      ('recordings_by_session', '', '(session_id)')
    ) as indexes (name, kind, what)
  loop
    select i.indrelid = 'public.meeting_recordings'::regclass as ours into there
      from pg_class c left join pg_index i on i.indexrelid = c.oid
      where c.relnamespace = 'public'::regnamespace and c.relname = wanted.name;
    if not found then
      execute format('create %s index %I on public.meeting_recordings %s', wanted.kind, wanted.name, wanted.what);
      insert into recordings_internal.made values ('index', wanted.name) on conflict do nothing;
      raise notice 'recordings: create index % %', wanted.name, wanted.what;
    elsif there.ours is not true then
      raise exception 'public.% exists and is no index of public.meeting_recordings', wanted.name
        using hint = 'Rename it; nothing was changed';
    end if;
  end loop;

  -- who may do what: nothing for anon, nor for everybody
  if not (select relrowsecurity from pg_class where oid = 'public.meeting_recordings'::regclass) then
    alter table public.meeting_recordings enable row level security;
    insert into recordings_internal.made values ('row security', 'meeting_recordings') on conflict do nothing;
    raise notice 'recordings: switch row level security on';
    if not fresh then
      raise warning 'recordings: row level security is on now: authenticated and others see the rows that a policy of '
        'yours lets them see, and no more';
    end if;
  end if;
  for wanted in
    select coalesce(r.rolname, 'public') as role, acl.privilege_type as right_, acl.attname as attribute
      from (
        select null as attname, e.* from pg_class c, aclexplode(c.relacl) e
          where c.oid = 'public.meeting_recordings'::regclass
        union all
        select a.attname, e.* from pg_attribute a, aclexplode(a.attacl) e
          where a.attrelid = 'public.meeting_recordings'::regclass and not a.attisdropped
      ) as acl left join pg_roles r on r.oid = acl.grantee
      where acl.grantee = 0 or r.rolname = 'anon'
        or (fresh and r.rolname = 'authenticated' and acl.privilege_type <> 'SELECT')
        or (fresh and r.rolname = 'service_role' and acl.privilege_type not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))
      order by 1, 2, 3
  loop
    execute format('revoke %s%s on public.meeting_recordings from %s', wanted.right_,
      coalesce(' (' || quote_ident(wanted.attribute) || ')', ''),
      case wanted.role when 'public' then 'public' else quote_ident(wanted.role) end);
    if not fresh then
      insert into recordings_internal.made
        values ('revoked ' || wanted.role, wanted.right_, coalesce(wanted.attribute, '')) on conflict do nothing;
    end if;
    raise notice 'recordings: revoke % from %', wanted.right_, wanted.role;
  end loop;
  for wanted in
    select * from (values ('service_role', 'SELECT'), ('service_role', 'INSERT'), ('service_role', 'UPDATE'),
      ('service_role', 'DELETE'), ('authenticated', 'SELECT')) as grants (role, right_)
      where exists (select from pg_roles where rolname = role) and (fresh or role <> 'authenticated')
  loop
    if not has_table_privilege(wanted.role, 'public.meeting_recordings', wanted.right_) then
      execute format('grant %s on public.meeting_recordings to %I', wanted.right_, wanted.role);
      insert into recordings_internal.made values ('granted ' || wanted.role, wanted.right_) on conflict do nothing;
      raise notice 'recordings: grant % to %', wanted.right_, wanted.role;
    end if;
  end loop;

  -- what would keep `recordings sync` from adding rows
  select string_agg(quote_ident(a.attname), ', ' order by a.attnum) into names from pg_attribute a
    where a.attrelid = 'public.meeting_recordings'::regclass and a.attnum > 0 and not a.attisdropped
      and a.attnotnull and not a.atthasdef and a.attidentity = '' and a.attgenerated = '';
  if names is not null then
    raise warning 'recordings: no row can be added while these columns refuse null and have no default: %', names;
  end if;

  perform set_config('search_path', path_before, true);
  perform set_config('lock_timeout', wait_before, true);
end
$migration$;
