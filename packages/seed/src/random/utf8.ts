// By the language alone: TextEncoder and TextDecoder are the browser's and Node's, and other engines lack them.

/** The UTF-8 bytes of a text; a surrogate that stands alone becomes U+FFFD, as by TextEncoder. */
export function utf8Bytes(text: string): Uint8Array {
  const units = encodeURIComponent(text.replace(/\p{Cs}/gu, "\ufffd")).match(/%..|./g) ?? [];
  return Uint8Array.from(units, (unit) =>
    unit.length === 1 ? unit.charCodeAt(0) : Number.parseInt(unit.slice(1), 16),
  );
}

/** The text of UTF-8 bytes; null where they are none. */
export function utf8Text(bytes: Uint8Array): string | null {
  let escaped = "";
  for (const byte of bytes) {
    const plain = byte < 0x80 && byte !== 0x25;
    escaped += plain ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, "0")}`;
  }
  try {
    return decodeURIComponent(escaped);
  } catch {
    return null;
  }
}
