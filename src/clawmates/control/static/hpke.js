// HPKE in base mode (RFC 9180): DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, one message a key. All of its
// primitives are the browser's own (Web Cryptography API; X25519 as in "Secure Curves").
// What an item is bound to is clawmates.wire.vault.Binding.encode and clawmates.wire.documents.reading_info, byte by byte.

const subtle = globalThis.crypto?.subtle;
const utf8 = new TextEncoder();
const KEM = Uint8Array.of(0x4b, 0x45, 0x4d, 0x00, 0x20); // "KEM", 0x0020: section 4.1
const SUITE = Uint8Array.of(0x48, 0x50, 0x4b, 0x45, 0x00, 0x20, 0x00, 0x01, 0x00, 0x02); // "HPKE" and three ids: 5.1
const NOTHING = new Uint8Array(0);
const KEY = 32, NONCE = 12;
const DAMAGED = "sealed for somebody else, or damaged";

const join = (...parts) => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
};

// An empty HMAC key is not accepted everywhere; zeros up to the block's length are the same key (RFC 2104, section 2).
const hmac = async (key, data) => {
  const bytes = key.length ? key : new Uint8Array(KEY);
  const made = await subtle.importKey("raw", bytes, { name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
  return new Uint8Array(await subtle.sign("HMAC", made, data));
};

const extract = (suite, salt, label, input) => hmac(salt, join(utf8.encode("HPKE-v1"), suite, utf8.encode(label), input));

// At most one block of output is ever wanted: HKDF-Expand's first round (RFC 5869, section 2.3).
const expand = async (suite, secret, label, info, length) => {
  const labelled = join(Uint8Array.of(0, length), utf8.encode("HPKE-v1"), suite, utf8.encode(label), info);
  return (await hmac(secret, join(labelled, Uint8Array.of(1)))).slice(0, length);
};

const agree = async (mine, theirs, enc, receiver) => {
  const shared = new Uint8Array(await subtle.deriveBits({ name: "X25519", public: theirs }, mine, 256));
  const prk = await extract(KEM, NOTHING, "eae_prk", shared);
  return expand(KEM, prk, "shared_secret", join(enc, receiver), KEY);
};

const schedule = async (shared, info, use) => {
  const context = join(
    Uint8Array.of(0), // base mode
    await extract(SUITE, NOTHING, "psk_id_hash", NOTHING),
    await extract(SUITE, NOTHING, "info_hash", info),
  );
  const secret = await extract(SUITE, shared, "secret", NOTHING);
  const key = await expand(SUITE, secret, "key", context, KEY);
  const nonce = await expand(SUITE, secret, "base_nonce", context, NONCE);
  return { key: await subtle.importKey("raw", key, "AES-GCM", false, [use]), nonce };
};

const publicKey = (raw) => subtle.importKey("raw", raw, "X25519", true, []);

/** A pair for one use; throws where the browser has no X25519. The private half cannot be taken out of the browser. */
export const pair = async () => {
  const made = await subtle.generateKey("X25519", false, ["deriveBits"]);
  return { private: made.privateKey, public: new Uint8Array(await subtle.exportKey("raw", made.publicKey)) };
};

/** Whether this browser can do it at all. */
export const able = async () => {
  try { await pair(); return true; } catch { return false; }
};

/** enc ‖ ciphertext of `text` (bytes), for whoever holds the private half of `receiver` (32 bytes). */
export const seal = async (receiver, info, text, aad = NOTHING) => {
  const mine = await pair();
  const shared = await agree(mine.private, await publicKey(receiver), mine.public, receiver);
  const { key, nonce } = await schedule(shared, info, "encrypt");
  const sealed = await subtle.encrypt({ name: "AES-GCM", iv: nonce, additionalData: aad }, key, text);
  return join(mine.public, new Uint8Array(sealed));
};

/** The bytes that were sealed; throws when they were sealed for anything else. */
export const open = async (mine, info, sealed, aad = NOTHING) => {
  if (sealed.length < KEY + 16) throw new Error(DAMAGED);
  const enc = sealed.slice(0, KEY);
  const shared = await agree(mine.private, await publicKey(enc), enc, mine.public);
  const { key, nonce } = await schedule(shared, info, "decrypt");
  try {
    const text = await subtle.decrypt({ name: "AES-GCM", iv: nonce, additionalData: aad }, key, sealed.slice(KEY));
    return new Uint8Array(text);
  } catch {
    throw new Error(DAMAGED);
  }
};

/** Every field as four bytes of big-endian length and UTF-8. */
export const fields = (...texts) => join(...texts.flatMap((text) => {
  const raw = utf8.encode(text);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, raw.length);
  return [length, raw];
}));

/** What an item is bound to on its way to the vault. */
export const binding = ({ key_id, region, tenant, bot, name, version, hosts }) => fields(
  "clawmates-seal-v1", key_id, region, tenant, bot, name, String(version), String(hosts.length), ...hosts,
);

/** What a document is bound to on its way back. */
export const reading = ({ region, tenant, bot, name, version }) => fields(
  "clawmates-read-v1", region, tenant, bot, name, String(version),
);

export const toBase64 = (bytes) => {
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return btoa(text);
};
export const fromBase64 = (text) => Uint8Array.from(atob(text), (one) => one.charCodeAt(0));
