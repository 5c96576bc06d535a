// A deployment of one's own, from `quell init` on, in a real Chromium: the first passkey, a second person, publishing,
// and guardrails that a changed file does not change.
//
//   node own.mjs <quell binary> [chromium binary] [folder for pictures]
//
// Prints `N passed, N failed`; ends with 1 when anything failed.
import { spawn, spawnSync } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { broken, check, complaints, end, freePort, launch, person } from "./checks.mjs";

const [quell, browserPath = "/usr/bin/chromium", pictures] = process.argv.slice(2);
if (pictures) mkdirSync(pictures, { recursive: true });

const folder = mkdtempSync(join(tmpdir(), "quell-own-"));
const [file, port] = [join(folder, "quell.toml"), await freePort()];
const base = `http://localhost:${port}`;

function init() {
  const made = spawnSync(quell, ["init", "--config", file, "--data", join(folder, "data")], { encoding: "utf8" });
  const text = readFileSync(file, "utf8");
  keep("siem", "whsec_" + randomBytes(24).toString("base64"));
  const source = `\n[sources.siem]\nkind = "alerts"\nauth = "standard_webhooks"\nsecrets = ["file:${join(folder, "siem")}"]\n`;
  change(() => text.replaceAll("7040", `${port}`) + source);
  return [made.stdout.match(/http:\/\/localhost:7040(\/enrol\/\S+)/)[1], made.stdout.match(/qll_\S+/)[0]];
}

const change = (how) => writeFileSync(file, how(readFileSync(file, "utf8")));

const keep = (name, secret) => writeFileSync(join(folder, name), secret, { mode: 0o600 });

// An alert as its source signs it; gives the answer's status.
async function deliver(secret, id) {
  const at = Math.floor(Date.now() / 1000);
  const body = JSON.stringify({
    id, kind: "mfa_fatigue", account: "dana@example.com", time: new Date().toISOString(),
    stage: "suspected", reason: "6 prompts denied in 4 minutes",
  });
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const signature = createHmac("sha256", key).update(`${id}.${at}.${body}`).digest("base64");
  const headers = { "webhook-id": id, "webhook-timestamp": `${at}`, "webhook-signature": `v1,${signature}` };
  return (await fetch(`${base}/v1/hooks/siem`, { method: "POST", headers, body })).status;
}

async function serve() {
  const child = spawn(quell, ["serve", "--config", file, "--data", join(folder, "data")],
    { stdio: "ignore", env: { ...process.env, QUELL_SERVER__LOG: "error" } });
  for (let tries = 0; tries < 300; tries += 1) {
    const ready = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null);
    if (ready?.ok) return child;
    await new Promise((done) => { setTimeout(done, 100); });
  }
  throw new Error("quell does not get ready");
}

async function stop(child) {
  const gone = new Promise((done) => { child.on("exit", done); });
  child.kill("SIGINT");
  await gone;
}

async function picture(page, name) {
  if (!pictures) return;
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    for (const [where, width] of [["", 1080], ["-phone", 390]]) {
      await page.setViewportSize({ width, height: 1400 });
      await page.screenshot({ path: join(pictures, `${name}-${theme}${where}.png`) });
    }
  }
  await page.setViewportSize({ width: 1100, height: 900 });
}

// Sessions are in memory: after a restart everybody signs in again.
async function signIn(page) {
  await page.goto(`${base}/sign-in`);
  await page.click("text=Sign in with a passkey");
  await page.waitForURL(`${base}/`);
}

async function sign(page) {
  await page.goto(`${base}/guardrails`);
  const there = page.waitForEvent("load");
  await page.click("text=Sign this change");
  await there;
  return page.textContent("main");
}

// The running Quell reads its settings again.
const reload = (token) => spawnSync(quell, ["config", "reload"],
  { encoding: "utf8", env: { ...process.env, QUELL_URL: base, QUELL_TOKEN: token } });

const asked = (token, path, method = "GET") =>
  fetch(`${base}${path}`, { method, headers: { authorization: `Bearer ${token}`, "content-type": "application/json" }, body: method === "GET" ? undefined : "{}" })
    .then((answer) => answer.status);

// A token made by passkey: shown once, good for what it says and nothing else.
async function makeToken(page) {
  await page.goto(`${base}/me`);
  await page.click("summary:has-text('Make a token')");
  const form = page.locator("form[data-deed=token]");
  await form.locator("input[name=name]").fill("dashboard");
  await form.locator("button").click();
  await page.waitForFunction(() => document.querySelector("form[data-deed=token] [data-said]").textContent !== "");
  const refused = await form.locator("[data-said]").textContent();
  check("a token that may do nothing is none", refused.includes("at least one scope"), refused);
  await form.locator("input[value=read]").check();
  await form.locator("select[name=lasts]").selectOption("7d");
  await page.locator("#h-tokens").scrollIntoViewIfNeeded();
  await picture(page, "token-form");
  await page.verifiesUser(false);
  await form.locator("button").click();
  await page.waitForFunction(() => document.querySelector("form[data-deed=token] [data-said]").textContent !== "");
  check("without the person's own verification no token is made", !(await page.isVisible("[data-once]")));
  await page.verifiesUser(true);
  await form.locator("button").click();
  await page.waitForSelector("[data-once]:not([hidden])");
  const token = await page.textContent("[data-secret]");
  check("a token is shown, and has the focus", token.startsWith("qll_")
    && await page.evaluate(() => document.activeElement.id === "h-once"), token.slice(0, 4));
  await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
  await page.click("[data-copy]");
  await page.waitForSelector("text=Copied.");
  check("a button copies it", await page.evaluate(() => navigator.clipboard.readText()) === token);
  await page.click("[data-secret]");
  check("a click selects it whole", await page.evaluate(() => getSelection().toString()) === token);
  await page.waitForSelector("[data-region=tokens] :text('dashboard')");
  check("the list follows", true);
  const bad = await broken(page);
  check("axe finds nothing serious where a token is made", bad.length === 0, bad.join("; "));
  await page.setViewportSize({ width: 390, height: 844 });
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  check("it fits a phone", beyond <= 0, `${beyond} px`);
  await page.locator("#h-tokens").scrollIntoViewIfNeeded();
  await picture(page, "token-shown");
  check("it reads", await asked(token, "/v1/incidents") === 200);
  check("and does nothing else", await asked(token, "/v1/pause", "POST") === 403 && await asked(token, "/v1/tokens") === 403);
  await page.reload();
  check("it is shown once", !(await page.content()).includes(token));
  const kept = spawnSync("grep", ["-rlF", token.slice(-72, -8), folder], { encoding: "utf8" });
  check("and kept nowhere", kept.status === 1, kept.stdout);
}

async function story(browser, ticket, token) {
  let child = await serve();
  const first = await person(browser, base, `${base}${ticket}`);
  check("the first administrator enrols and signs in", (await first.textContent("nav")).includes("first administrator"));
  await first.goto(`${base}/playbooks`);
  const waiting = await first.locator("form[data-deed=publish]").count();
  check("shipped playbooks wait for a person", waiting > 0, `${waiting}`);
  const published = first.waitForEvent("load");
  await first.locator("form[data-deed=publish] button").first().click();
  await published;
  check("a passkey publishes one", await first.locator("form[data-deed=publish]").count() === waiting - 1);
  await first.goto(`${base}/people`);
  await first.locator("form[data-deed=invite] input[name=name]").fill("bo.berg");
  await first.locator("form[data-deed=invite] select, form[data-deed=invite] input[name=role]").first().selectOption("approver");
  await first.locator("form[data-deed=invite] button").click();
  await first.waitForSelector("[data-once]:not([hidden])");
  const link = await first.textContent("[data-secret]");
  const second = await person(browser, base, link);
  check("a second person enrols by the link", (await second.textContent("nav")).includes("bo.berg"));

  const theirs = "whsec_" + randomBytes(24).toString("base64");
  check("a delivery signed with another secret is refused", await deliver(theirs, "m-1") === 401);
  await first.goto(`${base}/sources`);
  await picture(first, "sources");
  const again = "button:has-text('Judge it again')";
  await first.click(again);
  check("asking proves nothing", (await first.textContent("main")).includes("It is refused again"));

  await first.goto(`${base}/guardrails`);
  const before = await first.textContent("main");
  check("what holds was taken from the settings", before.includes("Taken from the settings") && before.includes("policy.mode"));
  keep("siem", theirs);
  change((text) => `${text}\n[nonsense]\n`);
  const wrong = reload(token);
  check("a mistake in the settings is shown at its line", wrong.status !== 0 && /quell\.toml:\d+:\d+/.test(wrong.stderr), wrong.stderr);
  change((text) => text.replace("\n[nonsense]\n", ""));
  const taken = reload(token);
  check("mended settings are taken without a restart", taken.status === 0, taken.stdout + taken.stderr);
  await first.goto(`${base}/sources`);
  await first.click(again);
  await first.waitForURL(`${base}/sources`);
  check("with the secret mended it is taken, once", await first.locator(again).count() === 0);
  check("and its sender is told so", await deliver(theirs, "m-2") === 202);
  await makeToken(first);
  await stop(child);
  change((text) => text.replace("automatic_blocks = 5", "automatic_blocks = 500").replace('mode = "approve"', 'mode = "auto"'));
  child = await serve();
  for (const page of [first, second]) await signIn(page);
  check("the first page says that a change waits", (await first.textContent("main")).includes("would change the guardrails"));
  check("what held before holds", (await first.textContent("[data-region=limits]")).includes("Automatic blocks: 0 of 5"));
  await first.goto(`${base}/incidents`);
  check("what it says has become an incident", (await first.textContent("main")).includes("dana@example.com"));
  await first.goto(`${base}/me#h-tokens`);
  await picture(first, "me");
  for (let left = 1; left >= 0; left -= 1) {
    const there = first.waitForEvent("load");
    await first.locator("form[action$='/revoke'] button").first().click();
    await there;
    check("a token is revoked where it is shown", await first.locator("form[action$='/revoke']").count() === left);
  }
  await first.goto(`${base}/guardrails`);
  await picture(first, "guardrails");
  const one = await sign(first);
  check("one signature is not enough", one.includes("Signed by first administrator; it takes 2") && one.includes("-"), one);
  check("who has signed is not asked again", !(await first.isVisible("text=Sign this change")));
  const two = await sign(second);
  check("two are", two.includes("Signed by first administrator and bo.berg.") && !two.includes("would change this"), two);
  await second.goto(base);
  check("and the change holds", (await second.textContent("[data-region=limits]")).includes("of 500"));
  await stop(child);
  child = await serve();
  await signIn(second);
  check("after a restart as well", (await second.textContent("[data-region=limits]")).includes("of 500"));
  await stop(child);
  const proved = spawnSync(quell, ["audit", "verify", join(folder, "data")], { encoding: "utf8" });
  check("audit verify finds all of it signed", proved.status === 0, proved.stdout + proved.stderr);
}

const [ticket, token] = init();
const browser = await launch(browserPath);
try {
  await story(browser, ticket, token);
} catch (error) {
  check("the story goes to its end", false, error.message);
}
const odd = complaints.filter((said) => !["net::ERR", "401", "422"].some((known) => said.includes(known)));
check("the browser has nothing to complain about", odd.length === 0, odd.join("; "));
await browser.close();
rmSync(folder, { recursive: true, force: true });
end();
