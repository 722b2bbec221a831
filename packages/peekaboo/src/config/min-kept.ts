import type { MinKept } from "../pruning/min-kept.js";
import type { Kind } from "./kinds.js";

const NUMBER = /^\+?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/**
 * A fraction as `0.01`, `1e-2` or `1%`, a number of weights as `1` or `25`: what has a decimal point or a percent sign, or is
 * below 1, is a fraction.
 */
export function minKept(): Kind<MinKept> {
  return {
    expected: "a fraction above 0 and at most 1 (0.01 or 1%), or a whole number of weights (25)",
    structured: true,
    fromText(text) {
      const trimmed = text.trim();
      const written = trimmed.replace(/\s*%$/, "");
      if (!NUMBER.test(written)) return undefined;
      const value = Number(written);
      if (written !== trimmed) return accepted("fraction", value / 100);
      return accepted(value < 1 || written.includes(".") ? "fraction" : "weights", value);
    },
    fromJson(value) {
      if (typeof value !== "object" || value === null) return undefined;
      const [[unit, count] = [], ...more] = Object.entries(value);
      if (more.length > 0 || (unit !== "fraction" && unit !== "weights")) return undefined;
      return accepted(unit, count);
    },
  };
}

function accepted(unit: "fraction" | "weights", value: unknown): MinKept | undefined {
  if (typeof value !== "number") return undefined;
  if (unit === "fraction") return value > 0 && value <= 1 ? { fraction: value } : undefined;
  return Number.isSafeInteger(value) && value >= 1 ? { weights: value } : undefined;
}
