-- The way back of migrations/20261122010000_backfill_queue.sql: the schema, with the jobs that are in it.
do $migration$
begin
  perform pg_advisory_xact_lock(5010071001);
  if to_regnamespace('recordings_queue') is not null then
    drop schema recordings_queue cascade;
    raise notice 'recordings: drop schema recordings_queue, with its jobs';
  end if;
end
$migration$;
