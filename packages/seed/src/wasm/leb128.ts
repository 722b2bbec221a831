/** An unsigned integer below 2^32 in LEB128, as all of WebAssembly's sizes, indices and offsets are written. */
export function unsigned(value: number): number[] {
  const bytes = [];
  let rest = value;
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 0x80);
  return [...bytes, rest];
}

/** A signed 32-bit integer in LEB128. */
export function signed(value: number): number[] {
  const bytes = [];
  let rest = value;
  // The last byte's bit 6 is the sign.
  for (; rest < -64 || rest > 63; rest >>= 7) bytes.push((rest & 0x7f) | 0x80);
  return [...bytes, rest & 0x7f];
}

/** A number's four bytes as a float, little endian. */
export function f32Bytes(value: number): number[] {
  const view = new DataView(new ArrayBuffer(4));
  view.setFloat32(0, value, true);
  return [0, 1, 2, 3].map((index) => view.getUint8(index));
}
