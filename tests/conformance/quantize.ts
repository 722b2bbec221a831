import { scope } from "@peekaboo/torch";
import { z } from "zod";
import { pabOps } from "#peekaboo/native/library";
import { compareTensor } from "./compare.js";
import { defineKind } from "./kind.js";

const schema = z.object({
  role: z.enum(["activation", "weight", "gradient"]),
  bits: z.int().positive(),
  signed: z.boolean(),
});

/** Quantisation of one tensor by its role (docs/algorithm.md §4). */
export const quantize = defineKind(schema, ({ role, bits, signed }, { file, tolerance }) => {
  const golden = file();
  return scope(() => {
    const quantized = pabOps().quantize(golden.tensor("input"), role, { bits, signed });
    return [compareTensor("quantized values", quantized, golden.entry("expected"), tolerance)];
  });
});
