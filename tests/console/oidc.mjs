// Signing in through a real OpenID provider, in a real Chromium: what it opens, and what it never opens.
//
//   node oidc.mjs <quell binary> [chromium binary]
//
// Prints `N passed, N failed`; ends with 1 when anything failed.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Provider } from "oidc-provider";
import { check, end, freePort, launch } from "./checks.mjs";

const [quell, browserPath = "/usr/bin/chromium"] = process.argv.slice(2);
// A provider whose people are in the group that their name begins with.
function provider(port, back) {
  const made = new Provider(`http://localhost:${port}`, {
    clients: [{
      client_id: "quell", client_secret: "a-secret-of-the-test-provider", redirect_uris: [back],
      grant_types: ["authorization_code"], response_types: ["code"],
    }],
    pkce: { required: () => true },
    conformIdTokenClaims: false,
    scopes: ["openid", "profile", "groups"],
    claims: { openid: ["sub"], profile: ["preferred_username"], groups: ["groups"] },
    findAccount: (_, id) => ({
      accountId: id,
      claims: () => ({ sub: id, preferred_username: `${id}@corp.example`, groups: [id.split("-")[0]] }),
    }),
  });
  return new Promise((done) => { const server = made.listen(port, "localhost", () => done(server)); });
}

function settings(folder, port, issuer) {
  const file = join(folder, "quell.toml");
  writeFileSync(file, `
[server]
lab = true
listen = "127.0.0.1:${port}"
public_url = "http://localhost:${port}"
[store]
path = "${join(folder, "data")}"
[oidc]
issuer = "${issuer}"
client_id = "quell"
client_secret = "text:a-secret-of-the-test-provider"
scopes = ["profile", "groups"]
roles = { soc = ["analyst"], leads = ["admin"] }
allow_networks = ["127.0.0.0/8", "::1/128"]
`);
  return file;
}

async function serve(file, port) {
  const child = spawn(quell, ["serve", "--config", file], { stdio: ["ignore", "ignore", "inherit"] });
  for (let tries = 0; tries < 200; tries += 1) {
    const ready = await fetch(`http://127.0.0.1:${port}/readyz`).catch(() => null);
    if (ready?.ok) return child;
    await new Promise((done) => { setTimeout(done, 100); });
  }
  throw new Error("quell does not get ready");
}

async function signIn(browser, base, who) {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  let back;
  page.on("request", (request) => {
    if (request.url().includes("/sign-in/oidc/back")) back = request.url();
  });
  await page.goto(`${base}/sign-in`);
  await page.click("text=Sign in through your organisation");
  await page.fill("input[name=login]", who);
  await page.fill("input[name=password]", "x");
  await page.click("button[type=submit]");
  await page.click("button:has-text('Continue')");
  await page.waitForURL((url) => url.origin === new URL(base).origin);
  await page.waitForLoadState();
  return { page, back, context };
}

async function story(browser, base) {
  const { page, back, context } = await signIn(browser, base, "soc-mia");
  await page.waitForURL(`${base}/`);
  check("a person of the provider is signed in", (await page.textContent("nav")).includes("soc-mia@corp.example"));
  check("and may do what the group may", await page.isVisible("text=Pause everything"));
  const cookies = await context.cookies();
  const session = cookies.find((cookie) => cookie.name === "s");
  check("the session's cookie is for this site's own requests", session?.sameSite === "Strict" && session.httpOnly);
  check("the cookie of the sign-in is gone", !cookies.some((cookie) => cookie.name === "l"));

  const post = (path, body) => page.evaluate(async ([to, what]) => {
    const answer = await fetch(to, {
      method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(what),
    });
    return { status: answer.status, said: await answer.text() };
  }, [path, body]);
  const invite = await post("/v1/deeds/begin", { deed: "invite", name: "eve", role: "admin" });
  check("without a passkey nothing that loosens is even begun", invite.status === 404, `${invite.status} ${invite.said}`);
  const none = "0192f000-0000-7000-8000-000000000000";
  const decide = await post(`/v1/approvals/${none}/begin`, { decision: "approve", items: [] });
  check("nor a decision", decide.status === 404, `${decide.status}`);

  await page.goto(back);
  check("the provider's answer counts once", (await page.textContent("main")).includes("begin again"));
  const other = await signIn(browser, base, "leads-olga");
  const thief = await browser.newContext();
  const stolen = await thief.newPage();
  await stolen.goto(other.back);
  check("and in the browser that began only", (await stolen.textContent("main")).includes("begin again"));
  const boss = other.page;
  await boss.waitForURL(`${base}/`);
  const asBoss = await boss.evaluate(async () => (await fetch("/v1/deeds/begin", {
    method: "POST", headers: { "content-type": "application/json" },
    body: JSON.stringify({ deed: "invite", name: "eve", role: "admin" }),
  })).status);
  check("the provider's administrators invite nobody either", asBoss === 404, `${asBoss}`);

  const stranger = await signIn(browser, base, "sales-noa");
  check("whoever is in none of the groups stays out",
    (await stranger.page.textContent("main")).includes("none of your groups"));
  const refused = await (await browser.newContext()).newPage();
  await refused.goto(`${base}/sign-in/oidc/back?error=access_denied&error_description=%3Cb%3Eno`);
  const said = await refused.textContent("main");
  check("a provider's no is told, as text", said.includes("access_denied <b>no"), said);
  await refused.goto(`${base}/sign-in/oidc/back?code=x&state=y`);
  check("an answer that nobody asked for is refused", (await refused.textContent("main")).includes("begin again"));
  await refused.goto(`${base}/sign-in`);
  check("a passkey signs in without the provider", await refused.isVisible("text=Sign in with a passkey"));
}

const [port, at] = [await freePort(), await freePort()];
const folder = mkdtempSync(join(tmpdir(), "quell-oidc-"));
const base = `http://localhost:${port}`;
// Its warnings about being a development provider are meant for people who deploy it.
console.warn = () => {};
const server = await provider(at, `${base}/sign-in/oidc/back`);
const child = await serve(settings(folder, port, `http://localhost:${at}`), port);
const browser = await launch(browserPath);
try {
  await story(browser, base);
} catch (error) {
  check("the story goes to its end", false, error.message);
}
await browser.close();
child.kill("SIGINT");
await new Promise((done) => { child.on("exit", done); });
server.close();
rmSync(folder, { recursive: true, force: true });
end();
