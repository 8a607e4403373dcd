// Drives the page as a person would, and prints what was seen. Standard input: {page, forbidden, bucket, browser, far}.
import { readFileSync } from "node:fs";
import axe from "axe-core";
import { chromium } from "playwright-core";

const given = JSON.parse(readFileSync(0, "utf8"));
const options = { executablePath: given.browser, args: ["--no-sandbox", "--disable-gpu", "--no-proxy-server"] };
let browser;
try {
  browser = await chromium.launch(options);
} catch (error) {
  console.log(JSON.stringify({ notRun: String(error).split("\n")[0] }));
  process.exit(0);
}

// the sandbox has a certificate authority of its own, which Chromium can't be told of by a variable
const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: { width: 1100, height: 860 } });

async function open(address) {
  const page = await context.newPage();
  const seen = { answers: [], complaints: [], dialogs: 0 };
  page.on("response", async (answer) => {
    if (!answer.url().startsWith(given.bucket)) return;
    const { "access-control-allow-origin": allowed = null, "content-range": range = null } = answer.headers();
    const asked = await answer.request().headerValue("range").catch(() => null);
    seen.answers.push({ status: answer.status(), asked, range, allowed });
  });
  page.on("console", (message) => message.type() === "error" && seen.complaints.push(message.text()));
  page.on("dialog", (dialog) => { seen.dialogs += 1; return dialog.dismiss(); });
  await page.goto(address);
  return { page, seen };
}

const settled = () =>
  new Promise((resolve) => {
    const video = document.querySelector("video");
    const tell = () =>
      resolve({ ready: video.readyState, error: video.error?.code ?? null, duration: video.duration || null,
                width: video.videoWidth, height: video.videoHeight });
    if (video.readyState >= 1 || video.error) return tell();
    for (const name of ["loadedmetadata", "error"]) video.addEventListener(name, tell, { once: true });
    setTimeout(tell, 20000);
  });

// what the player tells and what the network tells reach this script in no fixed order
async function until(wanted) {
  for (const end = Date.now() + 20000; Date.now() < end; await new Promise((next) => setTimeout(next, 20))) {
    const found = wanted();
    if (found) return found;
  }
  return null;
}

const list = await open(given.page);
const rows = await list.page.locator("tbody tr").allInnerTexts();
await list.page.getByRole("link", { name: /^Play the recording of room played/ }).click();
const { page, seen } = list;
// a click does not wait for the page that it leads to
await page.waitForURL(/[?&]play=/);
await page.locator("video").waitFor({ state: "attached" });
const loaded = await page.evaluate(settled);
const far = (answer) => Number(/^bytes=(\d+)-/.exec(answer.asked)?.[1]) > given.far;
const early = await until(() => seen.answers[0]);
const sought = await page.evaluate(
  (share) => new Promise((resolve) => {
    const video = document.querySelector("video");
    video.addEventListener("seeked", () => resolve(video.currentTime), { once: true });
    setTimeout(() => resolve(null), 20000);
    video.currentTime = video.duration * share;
  }), 0.8);
const afterSeek = await until(() => seen.answers.find(far));
await page.evaluate(axe.source);
const faults = await page.evaluate(async () => (await axe.run()).violations.map((fault) => `${fault.id}: ${fault.help}`));
await page.setViewportSize({ width: 360, height: 700 });
const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

const other = await open(given.forbidden);
const refused = await other.page.evaluate(settled);
await until(() => other.seen.complaints.length);
await browser.close();
console.log(JSON.stringify({ rows, loaded, sought, early, afterSeek, answers: seen.answers, origin: new URL(given.page).origin,
  complaints: seen.complaints, dialogs: seen.dialogs, faults, overflow, refused, refusedComplaints: other.seen.complaints }));
