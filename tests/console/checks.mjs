// What the browser tests share: counting what holds, a port that nobody uses, a browser, and people with passkeys.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createServer } from "node:net";
import { chromium } from "playwright-core";

const PATIENCE = 20_000;

export const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let passed = 0;
let failed = 0;
export function check(what, holds, more = "") {
  if (holds) passed += 1;
  else failed += 1;
  console.log(`${holds ? "ok  " : "FAIL"} ${what}${holds || !more ? "" : `: ${more}`}`);
}

export async function freePort() {
  const server = createServer();
  await new Promise((done) => { server.listen(0, "127.0.0.1", done); });
  const { port } = server.address();
  await new Promise((done) => { server.close(done); });
  return port;
}

// A browser that keeps to itself.
export function launch(executablePath) {
  return chromium.launch({
    executablePath,
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
}

// What browsers had to complain about.
export const complaints = [];

// A person: their own browser profile and passkey, enrolled and signed in.
export async function person(browser, base, link) {
  const context = await browser.newContext({ viewport: { width: 1100, height: 900 } });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on("console", (said) => {
    if (["error", "warning"].includes(said.type())) complaints.push(`${page.url()}: ${said.text()}`);
  });
  page.on("pageerror", (error) => complaints.push(`${page.url()}: ${error}`));
  const devtools = await context.newCDPSession(page);
  await devtools.send("WebAuthn.enable");
  const made = await devtools.send("WebAuthn.addVirtualAuthenticator", {
    options: {
      protocol: "ctap2", transport: "internal", hasResidentKey: true,
      hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true,
    },
  });
  // Whether the authenticator verifies its user from here on.
  page.verifiesUser = (isUserVerified) => devtools.send("WebAuthn.setUserVerified",
    { authenticatorId: made.authenticatorId, isUserVerified });
  await page.goto(link);
  await page.click("text=Make a passkey");
  await page.waitForURL("**/sign-in");
  await page.click("text=Sign in with a passkey");
  await page.waitForURL(`${base}/`);
  return page;
}

// What axe finds serious or critical on a page as it stands, in both themes.
export async function broken(page) {
  const found = [];
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    // Injected by the debugger: the page's own policy lets no other script in.
    await page.evaluate(AXE);
    const result = await page.evaluate(() => globalThis.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    }));
    for (const rule of result.violations) {
      if (["serious", "critical"].includes(rule.impact)) {
        const where = rule.nodes.map((node) => node.target.join(" ")).slice(0, 3);
        found.push(`${new URL(page.url()).pathname} (${theme}) ${rule.id}: ${where.join(" | ")}`);
      }
    }
  }
  await page.emulateMedia({ colorScheme: null });
  return found;
}

// Says how it went; ends with 1 when anything failed.
export function end() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
