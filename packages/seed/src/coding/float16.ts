const view = new DataView(new ArrayBuffer(4));

/** The bits of the float16 nearest to a number, ties to even; what is too large is infinite. Source: IEEE 754-2008, binary16. */
export function toFloat16Bits(value: number): number {
  view.setFloat32(0, value);
  const bits = view.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x47800000) return sign | 0x7c00;
  // Below 2^-14 lie multiples of 2^-24: adding ½ in float32 rounds to them.
  if (magnitude < 0x38800000) {
    view.setUint32(0, magnitude);
    view.setFloat32(0, view.getFloat32(0) + 0.5);
    return sign | (view.getUint32(0) - 0x3f000000);
  }
  const odd = (magnitude >>> 13) & 1;
  return sign | ((magnitude - 0x38000000 + 0xfff + odd) >>> 13);
}

/** The number that a float16's bits stand for. */
export function fromFloat16Bits(bits: number): number {
  const exponent = (bits >>> 10) & 31;
  const fraction = bits & 1023;
  const sign = bits >>> 15 === 1 ? -1 : 1;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : Number.NaN;
  if (exponent === 0) return (sign * fraction) / 0x100_0000;
  view.setUint32(0, ((exponent + 112) << 23) | (fraction << 13));
  return sign * view.getFloat32(0);
}
