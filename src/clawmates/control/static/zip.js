// Adds files to a zip that the server made, uncompressed (PKWARE's APPNOTE 6.3.10, sections 4.3.7, 4.3.12, 4.3.16).

const LOCAL = 0x04034b50, CENTRAL = 0x02014b50, END = 0x06054b50;
const UTF8_NAME = 0x0800;
const FIRST_DAY = 0x21; // 1 January 1980: no time of the browser's goes into the file
const PRIVATE = (0o600 << 16) >>> 0;

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  for (let bit = 0; bit < 8; bit += 1) byte = byte & 1 ? (byte >>> 1) ^ 0xedb88320 : byte >>> 1;
  return byte;
});

/** CRC-32 as zip and gzip have it (RFC 1952, section 8). */
export const crc32 = (bytes) => {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 0xff] ^ (crc >>> 8);
  return (crc ^ 0xffffffff) >>> 0;
};

// Numbers of 2 or 4 bytes, little-endian.
const packed = (...pairs) => {
  const made = new DataView(new ArrayBuffer(pairs.reduce((sum, [size]) => sum + size, 0)));
  let at = 0;
  for (const [size, value] of pairs) {
    if (size === 2) made.setUint16(at, value, true); else made.setUint32(at, value, true);
    at += size;
  }
  return new Uint8Array(made.buffer);
};

/** The zip with `files` ({name: Uint8Array}) in it too; throws for what is no zip as our server makes it. */
export const extended = (zip, files) => {
  const view = new DataView(zip.buffer, zip.byteOffset, zip.byteLength);
  const end = zip.byteLength - 22;
  if (end < 0 || view.getUint32(end, true) !== END) throw new Error("not a zip");
  const count = view.getUint16(end + 10, true);
  const size = view.getUint32(end + 12, true), start = view.getUint32(end + 16, true);
  const head = [zip.subarray(0, start)], tail = [zip.subarray(start, start + size)];
  let at = start, more = 0, added = 0;
  for (const [name, data] of Object.entries(files)) {
    const called = new TextEncoder().encode(name);
    const about = [
      [2, 20], [2, UTF8_NAME], [2, 0], [2, 0], [2, FIRST_DAY],
      [4, crc32(data)], [4, data.length], [4, data.length], [2, called.length], [2, 0],
    ];
    const local = packed([4, LOCAL], ...about);
    const central = packed([4, CENTRAL], [2, 0x0314], ...about, [2, 0], [2, 0], [2, 0], [4, PRIVATE], [4, at]);
    head.push(local, called, data);
    tail.push(central, called);
    at += local.length + called.length + data.length;
    more += central.length + called.length;
    added += 1;
  }
  const total = count + added;
  tail.push(packed([4, END], [2, 0], [2, 0], [2, total], [2, total], [4, size + more], [4, at], [2, 0]));
  return new Blob([...head, ...tail], { type: "application/zip" });
};
