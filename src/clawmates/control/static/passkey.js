// Passkeys: the server's question goes to the authenticator, its answer back. Without support the button stays hidden.

class Refused extends Error {}

async function call(path, body) {
  const answer = await fetch(path, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });
  const said = await answer.json();
  if (!answer.ok) throw new Refused(said.error.code);
  return said;
}

async function run(kind) {
  const question = await call(`/call/passkeys/${kind}/begin`, {});
  const credential = kind === "add"
    ? await navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(question) })
    : await navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(question) });
  const { next } = await call(`/call/passkeys/${kind}/finish`, credential.toJSON());
  location.assign(next);
}

const able = globalThis.PublicKeyCredential?.parseCreationOptionsFromJSON && PublicKeyCredential.parseRequestOptionsFromJSON;
for (const box of able ? document.querySelectorAll("[data-passkey]") : []) {
  const [button, error] = [box.querySelector("button"), box.querySelector("[role=alert]")];
  box.hidden = false;
  button.addEventListener("click", async () => {
    button.disabled = true;
    error.hidden = true;
    try {
      await run(box.dataset.passkey);
    } catch (problem) {
      const known = { "too-often": box.dataset.tooOften, "too-many": box.dataset.tooMany };
      const refused = known[problem.message] ?? box.dataset.refused;
      // Whatever is not the server's word is the browser's: nobody touched the key, or there is none.
      error.textContent = problem instanceof Refused ? refused : box.dataset.cancelled;
      error.hidden = false;
      if (problem.message === "proof-wanted") location.assign("/prove");
    } finally {
      button.disabled = false;
    }
  });
}
