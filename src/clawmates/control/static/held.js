// What is held on a person: opens what only their browser can, on the page and for the export that they take with them.

import { able, fromBase64, open, pair, reading, toBase64 } from "./hpke.js";
import { extended } from "./zip.js";

const FILES = { prompt: "system-prompt.json", people: "people.json" };
const utf8 = new TextEncoder();
const form = document.querySelector("form[data-export]");
const problem = document.querySelector("[data-problem]");

class Told extends Error {}

const post = async (address, body, kind) => {
  let answer;
  try {
    answer = await fetch(address, {
      method: "POST", body, headers: { "Content-Type": kind }, redirect: "error", credentials: "same-origin",
    });
  } catch { throw new Told("offline"); }
  if (answer.ok) return answer;
  const found = await answer.json().catch(() => ({}));
  throw new Told(found.error?.code ?? (answer.status === 503 ? "unavailable" : answer.status === 429 ? "too-often" : "internal"));
};

// The text of a document and its version, opened with a key that is used once.
const opened = async (about, { bot, name }) => {
  const mine = await pair();
  const answer = await post(`/call/bots/${bot}/read`, JSON.stringify({ name, public: toBase64(mine.public) }), "application/json");
  const { version, sealed } = await answer.json();
  if (!sealed) return { bot, version, text: "" };
  const info = reading({ ...about, bot, name, version });
  try {
    return { bot, version, text: new TextDecoder("utf-8", { fatal: true }).decode(await open(mine, info, fromBase64(sealed))) };
  } catch { throw new Told("opening"); }
};

const taken = async (about) => {
  const answer = await post(form.action, "", "application/x-www-form-urlencoded");
  const zip = new Uint8Array(await answer.arrayBuffer());
  const found = Object.fromEntries(Object.values(FILES).map((file) => [file, []]));
  for (const one of about.documents) {
    const document = await opened(about, one);
    if (document.version) found[FILES[one.name]].push(document);
  }
  const files = {};
  for (const [file, documents] of Object.entries(found)) files[file] = utf8.encode(`${JSON.stringify({ documents }, null, 1)}\n`);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(extended(zip, files));
  link.download = "clawmates-export.zip";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  document.querySelector("[data-taken]").hidden = false;
};

if (form) {
  const about = JSON.parse(form.dataset.about);
  const words = JSON.parse(form.dataset.words);
  const tell = (code) => {
    problem.querySelector("[data-problem-text]").textContent = words[code] ?? words.internal;
    problem.hidden = false;
    problem.scrollIntoView({ block: "nearest" });
  };
  const guarded = (button, work) => async (event) => {
    event.preventDefault();
    if (button.getAttribute("aria-disabled") === "true") return;
    button.setAttribute("aria-disabled", "true");
    problem.hidden = true;
    try { await work(); } catch (error) { tell(error instanceof Told ? error.message : "internal"); }
    button.setAttribute("aria-disabled", "false");
  };
  // A browser that can open nothing gets the rest from the plain form.
  able().then((yes) => {
    if (!yes) { tell("unable"); return; }
    form.addEventListener("submit", guarded(form.querySelector("button"), () => taken(about)));
    for (const button of document.querySelectorAll("button[data-open]")) {
      button.hidden = false;
      const place = button.closest("li").querySelector("[data-opened-text]");
      button.addEventListener("click", guarded(button, async () => {
        place.textContent = (await opened(about, { bot: button.dataset.bot, name: button.dataset.open })).text;
        place.hidden = false;
      }));
      // What the browser keeps of a page that one leaves must not hold a secret.
      addEventListener("pagehide", () => { place.textContent = ""; place.hidden = true; });
    }
  });
}
