import { asTypedArray, type TensorEntry } from "@peekaboo/files/safetensors";

/**
 * A floating-point tensor's elements as float32, row-major: rounded to nearest from F64, exact from F16 and BF16, shared
 * from F32 where aligned. Null for any other dtype.
 */
export function toFloat32(entry: TensorEntry): Float32Array | null {
  switch (entry.dtype) {
    case "F16":
      return decode16(entry.data, halfToFloat);
    case "BF16":
      return decode16(entry.data, brainToFloat);
    case "F32":
    case "F64": {
      const values = asTypedArray(entry);
      return values instanceof Float32Array ? values : Float32Array.from(values as Float64Array);
    }
    default:
      return null;
  }
}

function decode16(data: Uint8Array, value: (bits: number) => number): Float32Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Float32Array.from({ length: data.byteLength / 2 }, (_, i) => value(view.getUint16(2 * i, true)));
}

/** IEEE 754 binary16: a sign, five bits of exponent, ten of fraction. */
function halfToFloat(bits: number): number {
  const sign = (bits & 0x8000) === 0 ? 1 : -1;
  const [exponent, fraction] = [(bits >> 10) & 0x1f, bits & 0x3ff];
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

const word = new DataView(new ArrayBuffer(4));

/** bfloat16 is float32's upper half. */
function brainToFloat(bits: number): number {
  word.setUint32(0, bits * 0x10000);
  return word.getFloat32(0);
}
