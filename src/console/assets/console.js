// Passkeys, count-downs and live regions. Everything else is the server's page.
"use strict";

const bytes = (text) =>
  Uint8Array.from(atob(text.replace(/-/g, "+").replace(/_/g, "/")), (c) => c.charCodeAt(0));
const text = (buffer) =>
  btoa(String.fromCharCode(...new Uint8Array(buffer)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");

async function send(url, body) {
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  const said = await response.json().catch(() => ({}));
  if (!response.ok) throw new Error(said.title || `The server answered ${response.status}`);
  return said;
}

async function sign(options) {
  const key = options.publicKey;
  key.challenge = bytes(key.challenge);
  key.allowCredentials = (key.allowCredentials || []).map((c) => ({ ...c, id: bytes(c.id) }));
  const got = await navigator.credentials.get({ publicKey: key });
  return {
    id: got.id,
    rawId: text(got.rawId),
    type: got.type,
    extensions: {},
    response: {
      authenticatorData: text(got.response.authenticatorData),
      clientDataJSON: text(got.response.clientDataJSON),
      signature: text(got.response.signature),
      userHandle: got.response.userHandle ? text(got.response.userHandle) : null,
    },
  };
}

async function make(options) {
  const key = options.publicKey;
  key.challenge = bytes(key.challenge);
  key.user.id = bytes(key.user.id);
  key.excludeCredentials = (key.excludeCredentials || []).map((c) => ({ ...c, id: bytes(c.id) }));
  const made = await navigator.credentials.create({ publicKey: key });
  return {
    id: made.id,
    rawId: text(made.rawId),
    type: made.type,
    extensions: {},
    response: {
      attestationObject: text(made.response.attestationObject),
      clientDataJSON: text(made.response.clientDataJSON),
    },
  };
}

// Runs a ceremony for a form that was submitted and says what became of it.
async function perform(event, form, run) {
  event.preventDefault();
  const said = form.querySelector("[data-said]");
  const buttons = form.querySelectorAll("button");
  buttons.forEach((b) => { b.disabled = true; });
  said.textContent = "";
  try {
    await run(event.submitter);
  } catch (error) {
    said.textContent = error.name === "NotAllowedError"
      ? "No passkey answered. Nothing was sent."
      : error.message;
    buttons.forEach((b) => { b.disabled = false; });
  }
}

function ceremony(form, run) {
  form.addEventListener("submit", (event) => perform(event, form, run));
}

// Acts that a passkey signs. Their forms may be in regions that are swapped, so the document listens.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-deed]")) return;
  perform(event, form, async () => {
    const deed = { deed: form.dataset.deed, ...Object.fromEntries(new FormData(form)) };
    form.querySelectorAll("[data-list]").forEach((list) => {
      deed[list.dataset.list] = [...list.querySelectorAll("input:checked")].map((box) => box.value);
    });
    form.querySelectorAll("[data-number]").forEach((input) => { deed[input.name] = Number(input.value); });
    // What is typed on this device's clock is signed as an instant.
    form.querySelectorAll("input[type=datetime-local]").forEach((input) => {
      deed[input.name] = new Date(input.value).toISOString();
    });
    const begun = await send("/v1/deeds/begin", deed);
    const answer = await sign(begun.options);
    const done = await send("/v1/deeds/finish", { ceremony: begun.ceremony, answer });
    const [shown, secret] = [document.querySelector("[data-once]"), done.link || done.token];
    if (!secret || !shown) { location.reload(); return; }
    shown.querySelector("[data-name]").textContent = done.name;
    shown.querySelector("[data-secret]").textContent = secret;
    shown.querySelector("[data-copied]").textContent = "";
    shown.hidden = false;
    shown.querySelector("h2").focus();
    form.reset();
    form.querySelectorAll("button").forEach((b) => { b.disabled = false; });
  });
});

// Where the clipboard is closed, all of it is selected, as a click on it does.
document.querySelectorAll("[data-copy]").forEach((button) => button.addEventListener("click", async () => {
  const shown = button.closest("[data-once]");
  const said = shown.querySelector("[data-copied]");
  const secret = shown.querySelector("[data-secret]");
  try {
    await navigator.clipboard.writeText(secret.textContent);
    said.textContent = "Copied.";
  } catch {
    getSelection().selectAllChildren(secret);
    said.textContent = "Selected: copy it with the keys of your system.";
  }
}));

document.querySelectorAll("form[data-sign-in]").forEach((form) => ceremony(form, async () => {
  const begun = await send("/sign-in/begin", { name: form.elements.name.value });
  const answer = await sign(begun.options);
  await send("/sign-in/finish", { ceremony: begun.ceremony, answer });
  location.assign(form.dataset.signIn);
}));

document.querySelectorAll("form[data-enrol]").forEach((form) => ceremony(form, async () => {
  const here = location.pathname;
  const begun = await send(`${here}/begin`, {});
  const answer = await make(begun.options);
  await send(`${here}/finish`, { ceremony: begun.ceremony, answer });
  location.assign("/sign-in");
}));

// Approve and deny wake two seconds after the page is there, and after any change of the ticks.
let asleep;
function sleep(form) {
  const buttons = form.querySelectorAll("button[name=decision]");
  buttons.forEach((b) => { b.disabled = true; });
  clearTimeout(asleep);
  asleep = setTimeout(() => buttons.forEach((b) => { b.disabled = false; }), 2000);
}

document.querySelectorAll("form[data-decide]").forEach((form) => {
  if (!form.querySelector("button[name=decision]")) {
    form.addEventListener("submit", (event) => event.preventDefault());
    return;
  }
  sleep(form);
  // Enter on a tick would press the first button.
  form.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.target.name === "item") event.preventDefault();
  });
  form.addEventListener("change", (event) => { if (event.target.name === "item") sleep(form); });
  form.querySelectorAll("button[data-tick]").forEach((button) => button.addEventListener("click", () => {
    form.querySelectorAll("input[name=item]").forEach((box) => { box.checked = button.dataset.tick === "all"; });
    sleep(form);
  }));
  ceremony(form, async (button) => {
    const ticked = form.querySelectorAll("input[name=item]:checked, input[name=item][type=hidden]");
    const url = form.dataset.decide;
    const asked = { decision: button.value, justification: form.elements.justification.value };
    if ("together" in form.dataset) {
      const of = Map.groupBy(ticked, (box) => box.dataset.approval);
      asked.parts = [...of].map(([approval, boxes]) => ({ approval, items: boxes.map((b) => b.value) }));
    } else {
      asked.items = [...ticked].map((box) => box.value);
      asked.confirm = form.elements.confirm ? form.elements.confirm.value : "";
    }
    const begun = await send(`${url}/begin`, asked);
    const answer = await sign(begun.options);
    await send(`${url}/finish`, { ceremony: begun.ceremony, answer });
    location.reload();
  });
});

// Times in the reader's zone; the exact instant stays in the title.
const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const timeOnly = new Intl.DateTimeFormat(undefined, clock);
const day = { ...clock, month: "short", day: "numeric", timeZoneName: "short" };
const thisYear = new Intl.DateTimeFormat(undefined, day);
const anyYear = new Intl.DateTimeFormat(undefined, { ...day, year: "numeric" });
const full = (t) => (t.getFullYear() === new Date().getFullYear() ? thisYear : anyYear).format(t);
function localise(root) {
  root.querySelectorAll("time[datetime]").forEach((time) => {
    time.title = time.getAttribute("datetime");
    const instant = new Date(time.title);
    if ("clock" in time.dataset) time.textContent = timeOnly.format(instant);
    else if (!("until" in time.dataset)) time.textContent = full(instant);
  });
  root.querySelectorAll("text[data-at]").forEach((t) => { t.textContent = timeOnly.format(new Date(t.dataset.at)); });
  countDown(root);
}

const live = document.getElementById("live");
const warned = new Set();
function countDown(root) {
  root.querySelectorAll("time[data-until]").forEach((time) => {
    const end = new Date(time.getAttribute("datetime"));
    const left = Math.round((end - Date.now()) / 1000);
    const still = `in ${left >= 60 ? `${Math.floor(left / 60)} min ` : ""}${left % 60} s`;
    time.textContent = `${timeOnly.format(end)} (${left <= 0 ? "over now" : still})`;
    if (left > 0 && left <= 60 && !warned.has(time.title)) {
      warned.add(time.title);
      live.textContent = "A question expires in one minute.";
    }
  });
}

// Swaps regions that changed, never the one that is being used: that one follows when it is left.
let missed = false;
let seen = Number(document.body.dataset.seq);
async function refresh(seq) {
  if (seq <= seen && !missed) return;
  seen = Math.max(seen, seq);
  missed = false;
  const response = await fetch(location.href, { headers: { "quell-refresh": "1" } });
  if (response.status === 401) { location.reload(); return; }
  if (!response.ok) return;
  const form = document.querySelector("form[data-decide]");
  const page = new DOMParser().parseFromString(await response.text(), "text/html");
  document.querySelectorAll("[data-region]").forEach((old) => {
    const fresh = page.querySelector(`[data-region="${CSS.escape(old.dataset.region)}"]`);
    if (!fresh) return;
    localise(fresh);
    const folds = fresh.querySelectorAll("details");
    old.querySelectorAll("details").forEach((d, n) => {
      const same = d.id ? fresh.querySelector(`#${CSS.escape(d.id)}`) : folds[n];
      if (same) same.open = d.open;
    });
    if (old.innerHTML === fresh.innerHTML) return;
    if (old.contains(document.activeElement)) { missed = true; return; }
    old.replaceWith(fresh);
    if (form && old.dataset.region === "evidence") sleep(form);
  });
  if (form && !page.querySelector("button[name=decision]") && form.querySelector("button[name=decision]")) {
    form.querySelectorAll("button").forEach((b) => b.remove());
    form.querySelectorAll("input").forEach((box) => { box.disabled = true; });
    form.querySelector("[data-said]").textContent = "This question is no longer open. Load the page again.";
  }
}

localise(document);
setInterval(() => countDown(document), 1000);
if ("live" in document.body.dataset) {
  const stream = new EventSource("/stream");
  stream.addEventListener("moved", (event) => refresh(Number(event.data)).catch(() => {}));
  document.addEventListener("focusout", () => missed && setTimeout(() => refresh(seen).catch(() => {})));
  stream.addEventListener("error", () => {
    if (stream.readyState === EventSource.CLOSED) {
      live.textContent = "This page no longer follows what happens. Load it again.";
    }
  });
}

// Single keys, unless they are switched off. None of them decides anything.
const typing = (target) =>
  target.isContentEditable || ["INPUT", "TEXTAREA", "SELECT"].includes(target.tagName);
const goes = { a: "/approvals", i: "/incidents", n: "/" };
let waitsForPlace = 0;
const search = () => document.querySelector("main input[type=search]");
function card(by) {
  const cards = [...document.querySelectorAll("main .card, main .lines li")]
    .filter((c) => c.querySelector("a[href]"));
  const here = cards.findIndex((c) => c.contains(document.activeElement));
  const next = cards[here < 0 && by < 0 ? cards.length - 1 : here + by];
  if (next) next.querySelector("a[href]").focus();
}
function press(key) {
  if (Date.now() - waitsForPlace < 1500) {
    waitsForPlace = 0;
    if (goes[key]) location.assign(goes[key]);
    return Boolean(goes[key]);
  }
  const on = document.activeElement.closest("main .card, main .lines li");
  switch (key) {
    case "?": document.getElementById("keys").showModal(); return true;
    case "g": waitsForPlace = Date.now(); return true;
    case "j": card(1); return true;
    case "k": card(-1); return true;
    case "o": if (on) on.querySelector("a[href]").click(); return Boolean(on);
    case "/": if (search()) search().focus(); else location.assign("/incidents#find"); return true;
    default: return false;
  }
}
if (document.body.dataset.keys === "on") {
  document.addEventListener("keydown", (event) => {
    const plain = !event.ctrlKey && !event.altKey && !event.metaKey && !event.isComposing;
    if (!plain || typing(event.target) || document.querySelector("dialog[open]")) return;
    if (press(event.key)) event.preventDefault();
  });
}
if (location.hash === "#find" && search()) search().focus();
