/** The most elements that {@link formatValues} is meant for. */
export const PRINTED_ELEMENTS = 100;

/** A number in at most four significant digits: short, for people. */
function formatNumber(value: number | bigint): string {
  if (typeof value === "bigint" || Number.isInteger(value)) return Object.is(value, -0) ? "-0" : String(value);
  return String(Number(value.toPrecision(4)));
}

/** A tensor's elements, row-major, as nested brackets: `[[1, 2], [3, 0.3333]]`. */
export function formatValues(values: ArrayLike<number | bigint>, shape: readonly number[], isBoolean = false): string {
  let next = 0;
  const format = (depth: number): string => {
    const extent = shape[depth];
    if (extent !== undefined) return `[${Array.from({ length: extent }, () => format(depth + 1)).join(", ")}]`;
    const value = values[next++] ?? 0;
    return isBoolean ? String(value !== 0) : formatNumber(value);
  };
  return format(0);
}
