import { Operator } from "../native.js";
import { torchVersion } from "../runtime.js";
import { OPERATORS } from "./list.js";
import { generateWrappers } from "./wrappers.js";

export { schemaDifference, schemasIn } from "./compare.js";
export { parseSchema } from "./schema.js";
export { generateWrappers } from "./wrappers.js";

/** The live schemas of the operators in a list. */
export function liveSchemas(operators: Readonly<Record<string, string>>): Map<string, string> {
  return new Map(Object.entries(operators).map(([name, operator]) => [name, new Operator(operator).schema]));
}

const HEADER = `import type { Dtype } from "../dtype.js";
import type { MemoryFormat } from "../memory-format.js";
import { type Handle, Operator } from "../native.js";
import { handleOf, Tensor, tensorOrNull } from "../tensor.js";
`;

/** The text of generated/ops.ts for the libtorch that is loaded. */
export function generateTorchOps(): string {
  return generateWrappers(liveSchemas(OPERATORS), { header: `// libtorch ${torchVersion()}\n${HEADER}` });
}
