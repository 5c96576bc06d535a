// The console in a real Chromium with virtual passkeys: enrol, decide, contain, restore, pause, leave.
//
//   node run.mjs <quell binary> [chromium binary] [folder for pictures]
//
// Prints `N passed, N failed`; ends with 1 when anything failed.
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { AXE, broken, check, complaints, end, freePort, launch, person } from "./checks.mjs";

const [quell, browserPath = "/usr/bin/chromium", pictures] = process.argv.slice(2);
if (!quell) {
  console.error("usage: node run.mjs <quell binary> [chromium binary] [folder for pictures]");
  process.exit(2);
}
if (pictures) mkdirSync(pictures, { recursive: true });

const WHY = "Dana called back on a known number: it was not her.";
// Starts the demonstration; gives its process and the enrolment links that it prints.
async function demo(port) {
  const child = spawn(quell, ["demo", "--listen", `127.0.0.1:${port}`]);
  let told = "";
  child.stderr.on("data", (data) => process.stderr.write(data));
  const links = await new Promise((done, fail) => {
    const late = setTimeout(() => fail(new Error(`the demo is not ready:\n${told}`)), 60_000);
    child.on("exit", (code) => fail(new Error(`the demo ended with ${code}:\n${told}`)));
    child.stdout.on("data", (data) => {
      told += data;
      if (!told.includes("Ctrl-C")) return;
      clearTimeout(late);
      done(told.match(/http:\/\/localhost:\d+\/enrol\/\S+/g));
    });
  });
  return { child, links };
}

async function open(page, base) {
  await page.goto(`${base}/approvals`);
  return page.$$eval(".card", (cards) => cards
    .filter((card) => card.textContent.includes("waiting"))
    .map((card) => card.querySelector("a").href));
}

const rests = (page) =>
  page.$$eval("button[name=decision]", (all) => all.every((button) => button.disabled));

// The page of the run that a question belongs to.
async function runOf(page, question) {
  await page.goto(question);
  await page.click("summary:has-text('Where it comes from')");
  return page.locator("text=The run and its plan").first().evaluate((link) => link.href);
}

async function approve(page, url, why) {
  await page.goto(url);
  await page.fill("textarea[name=justification]", why);
  await page.click("button[value=approve]:enabled");
  await page.waitForSelector("#h-answer");
  return page.textContent("section[aria-labelledby=h-answer]");
}

async function fits(page) {
  const over = [];
  const { width, height } = page.viewportSize();
  await page.setViewportSize({ width: 390, height: 844 });
  for (const path of ["/", "/approvals", "/incidents", "/oncall", "/me", "/connections", "/audit", "/playbooks", "/sources", new URL(page.url()).pathname]) {
    await page.goto(new URL(path, page.url()).href);
    // What is folded has to fit as well.
    await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = true; }));
    const beyond = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
    if (beyond > 0) over.push(`${path} by ${beyond} px`);
  }
  await page.setViewportSize({ width, height });
  return over;
}

// In both themes, and as a phone shows it.
async function picture(page, name) {
  if (!pictures) return;
  const size = page.viewportSize();
  for (const theme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme: theme });
    for (const [where, width] of [["", 1080], ["-phone", 390]]) {
      await page.setViewportSize({ width, height: 1400 });
      await page.screenshot({ path: join(pictures, `${name}-${theme}${where}.png`) });
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize(size);
}

async function serious(page, path) {
  await page.goto(path);
  return broken(page);
}

// From the page that a notice links to until it is decided, by touch, at a phone's width.
async function taps(page, url) {
  const size = page.viewportSize();
  await page.setViewportSize({ width: 390, height: 844 });
  let count = 0;
  const tap = async (selector) => {
    count += 1;
    const target = page.locator(selector).first();
    await target.scrollIntoViewIfNeeded();
    await target.click();
  };
  await page.goto(url);
  await page.waitForSelector("button[value=approve]:enabled");
  await tap("button[value=approve]");
  await page.waitForSelector("#h-answer");
  await page.setViewportSize(size);
  return count;
}

async function contain(page, base, who) {
  await page.goto(base);
  await page.click("summary:has-text('Contain somebody')");
  await page.fill("input[name=who]", who);
  await page.locator("form[action='/contain'] input[name=text]").fill("They called: prompts all night");
  await page.click("text=Contain now");
  await page.waitForURL("**/incidents/*");
}

// Lists narrowed down, the drawings beside them, and what single keys do.
async function keyboard(page, base) {
  await page.goto(`${base}/incidents`);
  check("how long containment took is drawn", await page.isVisible("svg.speed circle"));
  await picture(page, "incidents");
  await page.locator(".speed a").first().focus();
  await page.keyboard.press("Enter");
  await page.waitForURL("**/incidents/*");
  check("a point leads to its incident", true);
  await page.keyboard.press("?");
  check("a key lists the keys", await page.isVisible("dialog[open]"));
  const keys = await page.evaluate(AXE).then(() => page.evaluate(() => globalThis.axe.run("dialog")));
  const wrong = keys.violations.filter((v) => ["serious", "critical"].includes(v.impact));
  check("axe finds nothing serious in the list of keys", wrong.length === 0, wrong.map((v) => v.id).join());
  await page.keyboard.press("Escape");
  await page.keyboard.press("g");
  await page.keyboard.press("i");
  await page.waitForURL(`${base}/incidents`);
  await page.keyboard.press("j");
  await page.keyboard.press("j");
  await page.keyboard.press("k");
  check("j and k go from card to card", await page.evaluate(() =>
    document.activeElement === document.querySelector(".card a")));
  await page.keyboard.press("o");
  await page.waitForURL("**/incidents/*");
  await page.keyboard.press("/");
  await page.waitForURL("**/incidents#find");
  await page.keyboard.type("nobody at all g a");
  await page.keyboard.press("Enter");
  await page.waitForURL("**/incidents?*");
  check("keys typed into a field are text", (await page.textContent("main")).includes("No incident is like this"));
  await page.goto(`${base}/me`);
  await page.selectOption("select[name=theme]", "dark");
  await page.selectOption("select[name=keys]", "off");
  await page.click("button:has-text('Keep')");
  await page.waitForSelector("[data-theme=dark]");
  check("a theme is kept", await page.evaluate(() =>
    getComputedStyle(document.body).backgroundColor === "rgb(20, 23, 28)"));
  await page.keyboard.press("?");
  check("keys are off when they are switched off", !(await page.isVisible("dialog[open]")));
  await page.selectOption("select[name=theme]", "system");
  await page.selectOption("select[name=keys]", "on");
  await page.click("button:has-text('Keep')");
  await page.waitForSelector("[data-theme=system]");
  await page.goto(`${base}/audit?kind=approval`);
  check("the journal is searched", (await page.textContent("main")).includes("signed by passkey"));
  await picture(page, "audit");
  await page.goto(`${base}/connections`);
  check("what connections can do is shown", (await page.textContent("main")).includes("answering"));
  await page.locator("form[action$='/test'] button").first().click();
  await page.waitForSelector("text=works");
  const tried = await page.textContent("main");
  check("a connection is tried from its page", tried.includes("ordinary accounts, with") && tried.includes("Tried"), tried);
  await page.locator("summary").first().click();
  await picture(page, "connections");
  const bad = await serious(page, `${base}/connections`);
  check("axe finds nothing serious in what came of it", bad.length === 0, bad.join("; "));
  await page.goto(`${base}/playbooks`);
  check("how playbooks did is shown", (await page.textContent("main")).includes("Last run"));
  await page.click("summary:has-text('Its plan')");
  await picture(page, "playbooks");
  await page.goto(`${base}/me`);
  await picture(page, "me");
}

// One page, one signature; the second of them is left out.
async function together(page, base, people) {
  await page.goto(base);
  await page.waitForFunction(() => document.body.textContent.includes("5 questions are open"));
  await page.click("text=Decide them together");
  await page.waitForURL("**/approvals/together");
  const left = page.locator("fieldset", { hasText: people[1] }).locator("input[name=item]");
  for (const box of await left.all()) await box.uncheck();
  await page.waitForSelector("button[value=approve]:enabled");
  await picture(page, "together");
  const bad = await serious(page, page.url());
  check("axe finds nothing serious on the page of several", bad.length === 0, bad.join("; "));
  for (const box of await left.all()) await box.uncheck();
  await page.fill("textarea[name=justification]", "One campaign; all of them called.");
  await page.click("button[value=approve]:enabled");
  await page.waitForFunction(() => document.querySelectorAll("fieldset").length === 1);
  const open = await page.textContent("main");
  return open.includes(people[1]) && !open.includes(people[0]);
}

async function story(browser, base, links) {
  const you = await person(browser, base, links[0]);
  check("a passkey is enrolled and signs in", await you.isVisible("text=Waiting for me"));

  const questions = await open(you, base);
  check("the demo left questions open", questions.length > 0);
  await you.goto(questions.at(-1));
  check("approve and deny rest at first", await rests(you));
  check("nothing is focused", await you.evaluate(() => document.activeElement === document.body));
  const sizes = await you.$$eval("button[name=decision]", (all) =>
    all.map((button) => `${button.offsetWidth}×${button.offsetHeight}`));
  check("approve and deny weigh the same", sizes.length === 2 && sizes[0] === sizes[1], `${sizes}`);
  await you.waitForSelector("button[value=approve]:enabled");
  await you.locator("input[name=item]").first().uncheck();
  check("they rest again after a change", await rests(you));
  await you.locator("input[name=item]").first().check();
  await you.waitForSelector("button[value=approve]:enabled");
  await you.evaluate(() => document.activeElement.blur());
  await picture(you, "approval");
  await you.verifiesUser(false);
  await you.click("button[value=approve]:enabled");
  await you.waitForFunction(() => document.querySelector("[data-said]").textContent !== "");
  const unverified = await you.textContent("[data-said]");
  check("a passkey that does not verify its user decides nothing",
    !(await you.isVisible("#h-answer")), unverified);
  await you.verifiesUser(true);
  const [quick, ...others] = questions;
  const run = await runOf(you, quick);
  const watcher = await you.context().newPage();
  await watcher.goto(run);
  await watcher.evaluate(() => { globalThis.notLoadedAgain = true; });
  const asks = await watcher.textContent("[data-region=graph]");
  check("the plan is drawn, and a step waits for people", asks.includes("asked"), asks);
  await picture(watcher, "run-asked");
  const count = await taps(you, quick);
  check(`from the page to the decision in ${count} taps at a phone's width`, count <= 3);
  const decided = await you.textContent("section[aria-labelledby=h-answer]");
  await watcher.waitForFunction((before) => {
    const drawn = document.querySelector("[data-region=graph]").textContent;
    return globalThis.notLoadedAgain && drawn !== before;
  }, asks);
  check("the drawing follows what is decided, without loading the page again", true);
  check("the decision's signature holds", decided.includes("signature holds"), decided);
  for (const question of others) {
    const answer = await approve(you, question, WHY);
    check("a question is approved and its signature holds", answer.includes("signature holds"), answer);
  }

  await watcher.waitForFunction(() => {
    const drawn = document.querySelector("[data-region=graph]").textContent;
    return globalThis.notLoadedAgain && !drawn.includes("asked") && drawn.includes("succeeded");
  });
  check("the list says the same", !(await watcher.textContent("[data-region=steps]")).includes("asked"));
  await watcher.locator(".plan a").first().focus();
  await watcher.keyboard.press("Enter");
  check("a box leads to its step", watcher.url().endsWith("#step-1"), watcher.url());
  await watcher.goto(run);
  await picture(watcher, "run");
  await watcher.close();

  await you.goto(`${base}/incidents`);
  const incident = await you.$eval("[data-region=incidents] .card a", (link) => link.href);
  await you.goto(incident);
  // The page follows by itself; it is not loaded again.
  await you.waitForFunction(() => {
    const head = document.querySelector("[data-region=head]");
    return head.textContent.includes("contained") && !head.textContent.includes("! open");
  });
  check("the incident is contained", true);
  await picture(you, "incident");
  await you.goto(`${base}/in-force`);
  const held = await you.textContent("main");
  check("who is kept out is shown with on whose word", held.includes("approved by"), held);
  await picture(you, "in-force");
  await you.goto(`${base}/sources`);
  const sources = await you.textContent("main");
  check("sources are shown", sources.includes("pingid") && sources.includes("Records taken"), sources);
  const pages = ["/", "/approvals", "/incidents", "/in-force", "/oncall", "/sources", "/playbooks", "/guardrails", "/people", "/me",
    "/connections", "/audit", "/audit?kind=approval", "/approvals?show=decided", "/incidents?status=open&who=dana"];
  const bad = [];
  for (const path of [...pages.map((path) => base + path), incident, quick, run]) {
    bad.push(...await serious(you, path));
  }
  check(`axe finds nothing serious on ${pages.length + 3} pages in both themes`, bad.length === 0, bad.join("; "));
  await keyboard(you, base);
  await you.goto(incident);

  await you.click("text=Request restore");
  await you.waitForURL(incident);
  await you.waitForFunction(() =>
    [...document.querySelectorAll("[data-region=questions] .card")]
      .some((card) => card.textContent.includes("Restore") && card.textContent.includes("waiting")));
  const [restore] = await open(you, base);
  await you.goto(restore);
  const own = (await you.$("button[value=approve]")) === null;
  check("who requested a restore may not approve it", own);
  const second = await person(browser, base, links[1]);
  const answer = await approve(second, restore, "Password and factors are new, Dana is back.");
  check("a second person approves it", answer.includes("signature holds"), answer);
  await second.goto(incident);
  await second.waitForFunction(() =>
    [...document.querySelectorAll("[data-region=containment] tr")]
      .filter((row) => row.textContent.includes("Block sign-in"))
      .every((row) => row.textContent.includes("undone")));
  check("the blocks are undone", true);

  await you.goto(`${base}/me`);
  const local = (hours) => new Date(Date.now() + hours * 3_600_000).toISOString().slice(0, 16);
  await you.fill("input[name=begins]", local(-1));
  await you.fill("input[name=ends]", local(5));
  await you.click("text=Let them stand in");
  await you.waitForSelector("form[data-deed=recall]");
  check("somebody stands in, by passkey", (await you.textContent("main")).includes("now"));
  await you.goto(`${base}/oncall`);
  check("the rota's page shows it", (await you.textContent("[aria-labelledby=h-stand]")).includes(" for "));
  await you.goto(`${base}/me`);
  await you.click("form[data-deed=recall] button");
  await you.waitForSelector("text=Nobody stands in for you");
  check("and it is ended, by passkey", true);

  const people = [1, 2, 3, 4, 5].map((n) => `person-000${n}`);
  for (const who of people) await contain(you, base, `${who}@lab.example`);
  check("somebody is contained by hand", (await you.textContent("main")).includes("person-0005"));
  check("five people's questions are decided by one signature", await together(second, base, people));
  await you.goto(base);
  await you.click("summary:has-text('Pause')");
  await you.locator("form[action='/pause'] input[name=text]").fill("The provider tells of a false alarm");
  await you.click("button[value=true]");
  check("everything is paused", await you.isVisible("text=Paused: nothing is being changed"));
  await second.goto(base);
  await second.fill("form[data-deed=release] input[name=reason]", "It was one");
  await second.click("text=Let changes go on");
  await second.waitForFunction(() => !document.body.textContent.includes("Paused: nothing is being changed"));
  check("a passkey ends the pause", true);
  await second.goto(incident);
  const over = await fits(second);
  check("nothing is wider than a phone", over.length === 0, over.join(", "));
  await you.goto(`${base}/me`);
  await you.click("text=Sign out");
  await you.waitForURL("**/sign-in");
  await you.goto(incident);
  check("nothing is shown after signing out", you.url().includes("/sign-in"), you.url());
}

const port = await freePort();
const { child, links } = await demo(port);
const browser = await launch(browserPath);
try {
  await story(browser, `http://localhost:${port}`, links);
} catch (error) {
  check("the story goes to its end", false, error.message);
}
check("the browser has nothing to complain about", complaints.length === 0, complaints.join("; "));
await browser.close();
child.removeAllListeners("exit");
child.kill("SIGINT");
end();
