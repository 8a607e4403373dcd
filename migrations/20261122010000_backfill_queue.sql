-- recordings_queue: a schema of its own for the jobs of `recordings backfill --enqueue` and `recordings worker`. What
-- lies in it is made, renewed and known by Procrastinate alone, when the first job is enqueued.
--
-- One statement, idempotent, as the ones before.
do $migration$
begin
  perform pg_advisory_xact_lock(5010071001);
  if to_regnamespace('recordings_queue') is null then
    create schema recordings_queue;
    revoke all on schema recordings_queue from public;
    comment on schema recordings_queue is 'Jobs of recordings backfill';
    raise notice 'recordings: create schema recordings_queue';
  end if;
end
$migration$;
