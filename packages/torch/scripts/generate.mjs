// Writes src/generated/ops.ts from the schemas of the libtorch that is installed.
import { writeFileSync } from "node:fs";
import { generateTorchOps } from "../dist/generate/index.js";

writeFileSync(new URL("../src/generated/ops.ts", import.meta.url), generateTorchOps());
