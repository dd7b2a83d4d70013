// Forms whose fields are sealed here, to the vault's key, before anything leaves; and documents that are opened here.
// Fields with data-secret have no name, so no form can send them as they are.

import { able, binding, fromBase64, open, pair, reading, seal, toBase64 } from "./hpke.js";

const MOST = 64 * 1024;
const TOKEN = /^\d{6,16}:[A-Za-z0-9_-]{30,64}$/;
const KEY = /^[\x21-\x7e]{8,}$/;
const PERSON = /^[1-9][0-9]{0,19}$/;
const LONE = /[\ud800-\udfff]/u; // with `u` a pair is one character: this is half of one
const NOBODY = { format: 1, owner: "", language: "", people: [], spent: [], told: {} };
const utf8 = new TextEncoder();

class Told extends Error {}

const ask = async (address, body) => {
  let answer;
  try {
    answer = await fetch(address, {
      method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" },
      redirect: "error", credentials: "same-origin",
    });
  } catch { throw new Told("offline"); }
  const found = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Told(found.error?.code ?? "internal");
  return found;
};

const listed = (text, before) => {
  const people = [...new Set(text.split(/[\s,;]+/).filter(Boolean))];
  if (!people.every((one) => PERSON.test(one))) throw new Told("people");
  const stays = people.includes(before.owner);
  const owner = stays ? before.owner : people[0] ?? "";
  return JSON.stringify({ ...before, people, owner, ...(stays ? {} : { language: "", told: {} }) });
};

// What is sealed for a field; nothing for one that was left empty and may be.
const written = (name, text, before) => {
  switch (name) {
    case "channel-token": {
      const token = text.trim();
      if (token && !TOKEN.test(token)) throw new Told("token");
      return token;
    }
    case "provider-key":
    case "fallback-key": {
      const key = text.trim();
      if (key && !KEY.test(key)) throw new Told("key");
      return key;
    }
    case "people": return listed(text, before ?? NOBODY);
    default:
      if (!text.trim()) return "";
      if (LONE.test(text)) throw new Told("surrogate");
      return text;
  }
};

const begin = (form) => {
  const about = JSON.parse(form.dataset.seal);
  const words = JSON.parse(form.dataset.words);
  const secret = (name) => form.querySelector(`[data-secret="${name}"]`);
  const buttons = form.querySelectorAll("button");
  const problem = document.querySelector("[data-problem]");
  let before = null; // the document as it was opened
  let version = 0; // of that document
  let own = ""; // what stood in a field before a template did

  const clear = () => { own = ""; for (const field of form.querySelectorAll("[data-secret]")) field.value = ""; };
  const busy = (yes) => { for (const button of buttons) button.setAttribute("aria-disabled", String(yes)); };
  const tell = (code) => {
    problem.querySelector("[data-problem-text]").textContent = words[code] ?? words.internal;
    const proof = problem.querySelector("[data-problem-proof]");
    proof.hidden = code !== "proof-wanted" && code !== "sign-in-wanted";
    proof.querySelector("a").setAttribute("href", location.pathname);
    problem.hidden = false;
    problem.scrollIntoView({ block: "nearest" });
  };
  const guarded = (work) => async (event) => {
    event.preventDefault();
    if (form.hasAttribute("data-working")) return;
    form.toggleAttribute("data-working", true);
    busy(true);
    problem.hidden = true;
    try { await work(); } catch (error) { tell(error instanceof Told ? error.message : "internal"); }
    form.toggleAttribute("data-working", false);
    busy(false);
  };

  const sealed = async (name) => {
    const item = about.items[name];
    const text = written(name, secret(name)?.value ?? "", before);
    if (!text) {
      if (form.dataset.document) throw new Told("prompt");
      return null;
    }
    const raw = utf8.encode(text);
    if (raw.length > MOST) throw new Told("too-large");
    const next = Math.max(item.version, version + 1);
    const info = binding({ ...about, name, version: next, hosts: item.hosts });
    const blob = await seal(fromBase64(about.public), info, raw);
    raw.fill(0);
    return { name, version: next, key_id: about.key_id, hosts: item.hosts, sealed: toBase64(blob) };
  };

  form.addEventListener("submit", guarded(async () => {
    const items = [];
    for (const name of Object.keys(about.items).reverse()) { // as they stand on the page: the first mistake is told
      const item = await sealed(name);
      if (item) items.push(item);
    }
    if (!items.length && !about.choice) throw new Told("nothing");
    const choice = about.choice ? { choice: { ...about.choice, model: form.elements.model.value } } : {};
    const answer = await ask(form.dataset.call, { version: about.version, items, ...choice });
    clear();
    location.assign(answer.next);
  }));

  form.querySelector("[data-open]")?.addEventListener("click", guarded(async () => {
    const name = form.dataset.document;
    const mine = await pair();
    const found = await ask(form.dataset.read, { name, public: toBase64(mine.public) });
    version = found.version;
    let text = "";
    if (found.sealed) {
      const info = reading({ ...about, name, version });
      try { text = new TextDecoder("utf-8", { fatal: true }).decode(await open(mine, info, fromBase64(found.sealed))); }
      catch { throw new Told("opening"); }
    }
    if (name === "people") {
      before = { ...NOBODY, ...(text ? JSON.parse(text) : {}) };
      text = before.people.join("\n");
    }
    secret(name).value = text;
    form.querySelector("[data-opened]").hidden = false;
    secret(name).focus();
  }));

  const chooser = form.querySelector("[data-fill]");
  const texts = chooser ? JSON.parse(form.dataset.templates) : {};
  chooser?.addEventListener("change", () => {
    const field = secret(chooser.dataset.fill);
    if (!Object.values(texts).includes(field.value)) own = field.value;
    field.value = chooser.value ? texts[chooser.value] : own;
  });

  // What the browser keeps of a page that one leaves must not hold a secret.
  addEventListener("pagehide", clear);
  able().then((yes) => {
    if (yes) return;
    tell("unable");
    for (const button of buttons) button.disabled = true;
  });
};

for (const form of document.querySelectorAll("form[data-seal]")) begin(form);
