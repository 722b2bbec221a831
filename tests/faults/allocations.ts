/** Sums up what JavaScript asks for in buffers and arrays from the import of this module on. */
let requested = 0;

/** Bytes asked for so far. */
export function requestedBytes(): number {
  return requested;
}

type ArrayType = (new (...args: never[]) => object) & { readonly BYTES_PER_ELEMENT?: number };

const KINDS = [
  ...(["ArrayBuffer", "Uint8Array", "Int8Array", "Uint16Array", "Int16Array", "Uint32Array", "Int32Array"] as const),
  ...(["Float32Array", "Float64Array", "BigInt64Array", "BigUint64Array"] as const),
];

for (const kind of KINDS) {
  const original: ArrayType = globalThis[kind];
  const counted: ArrayType = new Proxy(original, {
    construct(type, args: unknown[], newTarget): object {
      const [first] = args;
      if (typeof first === "number" && Number.isFinite(first)) requested += first * (type.BYTES_PER_ELEMENT ?? 1);
      return Reflect.construct(type, args, newTarget === counted ? type : newTarget);
    },
  });
  Object.defineProperty(globalThis, kind, { value: counted, writable: true, configurable: true });
}

for (const method of ["alloc", "allocUnsafe", "allocUnsafeSlow"] as const) {
  const original = Buffer[method];
  Object.defineProperty(Buffer, method, {
    value: (size: number, ...rest: []) => {
      if (Number.isFinite(size)) requested += size;
      return original(size, ...rest);
    },
  });
}
