// Holds what the manifests build against the vendors' own types and parsers: Slack's blocks must compile as
// `@slack/types`, Teams' cards must parse without a single event. Usage: node check.mjs PAYLOADS (JSON lines).
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { createRequire } from "node:module";

// Written for a page: it asks for `self` and nothing else of it.
globalThis.self ??= globalThis;
const AC = createRequire(import.meta.url)("adaptivecards/dist/adaptivecards.js");

const here = dirname(fileURLToPath(import.meta.url));
const sent = readFileSync(process.argv[2], "utf8").trim().split("\n").map((line) => JSON.parse(line));
let wrong = 0;
const must = (holds, what) => {
  if (!holds) { wrong += 1; console.log(`WRONG  ${what}`); }
};

// Compiles blocks as Slack's types; says what the compiler says.
function compiled(blocks) {
  const folder = mkdtempSync(join(here, ".types-"));
  try {
    const file = join(folder, "blocks.ts");
    const head = 'import type { KnownBlock } from "@slack/types";\n';
    writeFileSync(file, `${head}export const blocks: KnownBlock[] = ${JSON.stringify(blocks)};\n`);
    const options = ["--noEmit", "--strict", "--module", "nodenext", "--ignoreConfig", file];
    execFileSync(process.execPath, [join(here, "node_modules/typescript/bin/tsc"), ...options], { encoding: "utf8" });
    return "";
  } catch (error) {
    return `${error.stdout ?? ""}${error.stderr ?? ""}` || String(error);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

// Parses a card as its own library does; gives every event.
function parsed(card) {
  AC.GlobalSettings.allowPreProcessingPropertyValues = false;
  const read = new AC.AdaptiveCard();
  const context = new AC.SerializationContext(AC.Versions.v1_4);
  read.parse(card, context);
  const events = [];
  for (let n = 0; n < context.eventCount; n += 1) events.push(context.getEventAt(n).message);
  for (const event of read.validateProperties().validationEvents) events.push(event.message);
  return { events, read };
}

let [slack, teams] = [0, 0];
for (const { action, body } of sent) {
  if (action.startsWith("slack/") && body.blocks) {
    slack += 1;
    const said = compiled(body.blocks);
    must(said === "", `${action}: ${said}`);
    must(body.blocks.length <= 50, `${action}: ${body.blocks.length} blocks`);
    must(!/<[^h]/.test(body.text), `${action}: markup in the fallback: ${body.text}`);
  }
  if (action === "teams/post-card") {
    teams += 1;
    const [attachment] = body.attachments;
    must(attachment.contentType === "application/vnd.microsoft.card.adaptive", `${action}: content type`);
    const { events, read } = parsed(attachment.content);
    must(events.length === 0, `${action}: ${events.join("; ")}`);
    must(Buffer.byteLength(JSON.stringify(body)) < 28 * 1024, `${action}: longer than Teams takes`);
    must(read.getItemCount() === attachment.content.body.length, `${action}: a part was dropped`);
  }
}
// The checks bite: what is wrong is found.
must(compiled([{ type: "section", text: { type: "bold", text: "x" } }]) !== "", "a wrong block compiles");
must(parsed({ type: "AdaptiveCard", version: "1.4", body: [{ type: "Nonsense" }] }).events.length > 0, "a wrong card parses");
must(slack >= 3 && teams >= 2, `only ${slack} messages and ${teams} cards`);
console.log(`slack: ${slack} messages compile as @slack/types; teams: ${teams} cards parse; ${wrong} wrong`);
process.exit(wrong === 0 ? 0 : 1);
