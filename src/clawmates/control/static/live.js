// A bot's page changes by itself: what the server says is written as text into what the page already holds.

const page = document.querySelector("[data-live]");
const part = (name) => page.querySelector(`[data-live-${name}]`);
const write = (name, text) => {
  const found = part(name);
  if (found && found.textContent !== String(text)) found.textContent = text;
};

const show = (told) => {
  const status = part("status")?.querySelector(".status");
  if (status) {
    status.className = `status ${told.kind}`;
    if (status.textContent !== told.word) status.replaceChildren(document.createElement("i"), told.word);
  }
  write("why", told.why);
  part("why")?.toggleAttribute("hidden", !told.why);
  part("remedy")?.toggleAttribute("hidden", !told.remedy);
  if (told.remedy) part("remedy")?.querySelector("a").setAttribute("href", `${location.pathname}/${told.remedy}`);
  part("under-way")?.toggleAttribute("hidden", !told.underWay);
  write("name", told.username);
  const link = part("link");
  link?.toggleAttribute("hidden", !told.username);
  if (told.username) link?.querySelector("a").setAttribute("href", `https://t.me/${told.username}`);
  write("today", told.today);
  write("total", told.total);
  // Forms of this page carry the version that it was made from; only what another window changed makes it old.
};

// Nothing is gained by showing an error in place of what was known: whoever is away is asked again.
const again = async () => {
  const answer = await fetch(location.href).catch(() => null);
  if (answer && answer.status < 500 && answer.status !== 429) location.reload();
  else setTimeout(again, 3000);
};

if (page) {
  const source = new EventSource(page.dataset.live);
  source.addEventListener("message", (event) => show(JSON.parse(event.data)));
  source.addEventListener("gone", () => { source.close(); location.reload(); });
  // A connection that broke is made again by itself; one that was refused is not: the bot is gone, or the session is.
  source.addEventListener("error", () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(again, 1000);
  });
  addEventListener("pagehide", () => source.close());
}
