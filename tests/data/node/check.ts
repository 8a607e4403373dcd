// Calls what docs/your-code.md shows, as Next.js would, and prints what came of it. Standard input: what to ask for.
import { readFileSync } from "node:fs";
import { GET } from "./app/recordings/[id]/download/route.ts";
import { POST } from "./app/webhooks/100ms/route.ts";
import { ownKey } from "./lib/recordings/place.ts";
import { pool } from "./lib/recordings/rows.ts";
import { sign } from "./lib/recordings/sign.ts";

const given = JSON.parse(readFileSync(0, "utf8"));

function post(body: string, secret?: string): Promise<Response> {
  const headers: Record<string, string> = secret === undefined ? {} : { "x-webhook-secret": secret };
  return POST(new Request("https://app.example/webhooks/100ms", { method: "POST", body, headers }));
}

async function download(id: string, user = "ann"): Promise<{ status: number; location: string | null }> {
  const request = new Request(`https://app.example/recordings/${id}/download`, { headers: { "x-user": user } });
  const answer = await GET(request, { params: Promise.resolve({ id }) });
  return { status: answer.status, location: answer.headers.get("location") };
}

const event = JSON.stringify({ type: "beam.recording.success", data: { session_id: given.session, recording_path: "s3://evil/x" } });
const webhooks = {
  unsigned: (await post(event)).status,
  wrong: (await post(event, "wrong")).status,
  malformed: (await post("{", given.secret)).status,
  foreign: (await post(JSON.stringify({ type: "session.open.success", data: {} }), given.secret)).status,
  good: (await post(event, given.secret)).status,
  again: (await post(event, given.secret)).status,
};
const downloads: Record<string, unknown> = { stranger: await download(given.ids[0], "nobody") };
for (const id of [...given.ids, "unknown"]) downloads[id] = await download(id);
const keys = given.paths.map((path: string) => ownKey(path));
const url = await sign(given.key, "Monday é.mp4");
await pool.end();
console.log(JSON.stringify({ webhooks, downloads, keys, url }));
