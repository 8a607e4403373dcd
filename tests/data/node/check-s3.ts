// Signs as docs/your-code.md shows for S3, and prints the URL. Standard input: {key}.
import { readFileSync } from "node:fs";
import { sign } from "./lib/recordings/sign.ts";

const given = JSON.parse(readFileSync(0, "utf8"));
console.log(JSON.stringify({ url: await sign(given.key) }));
