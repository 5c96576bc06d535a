// What the browser tests share: counting what holds, and a port that nobody uses.
import { createServer } from "node:net";

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

// Says how it went; ends with 1 when anything failed.
export function end() {
  console.log(`${passed} passed, ${failed} failed`);
  process.exit(failed === 0 ? 0 : 1);
}
