// Writes src/generated/ops.ts from the schemas of Peek-a-Boo's own operators.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { loadLibrary } from "@peekaboo/torch";
import { generateWrappers, liveSchemas } from "@peekaboo/torch/generate";
import { PAB_HEADER, PAB_OPERATORS } from "../dist/native/operators.js";

loadLibrary(fileURLToPath(new URL("../build/Release/peekaboo.node", import.meta.url)));
const text = generateWrappers(liveSchemas(PAB_OPERATORS), { header: PAB_HEADER });
writeFileSync(new URL("../src/generated/ops.ts", import.meta.url), text);
