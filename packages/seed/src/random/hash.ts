/**
 * The 64-bit FNV-1a hash of some bytes, as [low, high] 32-bit words.
 * Each byte is XORed into the state, which is then multiplied by the FNV prime 2^40 + 0x1b3 modulo 2^64.
 * Source: Fowler, Noll and Vo, "The FNV Non-Cryptographic Hash Algorithm" (RFC 9923).
 */
export function fnv1a64(bytes: Uint8Array): [low: number, high: number] {
  let low = 0x84222325;
  let high = 0xcbf29ce4;
  for (let i = 0; i < bytes.length; i++) {
    low = (low ^ (bytes[i] ?? 0)) >>> 0;
    // low · 0x1b3 < 2^41 and the sum for the high word < 2^42: both are exact in a double.
    const product = low * 0x1b3;
    high = (high * 0x1b3 + Math.floor(product / 0x1_0000_0000) + ((low << 8) >>> 0)) >>> 0;
    low = product >>> 0;
  }
  return [low, high];
}
