// What is compiled of a package's native folder: every file of it, a quarter at a time, since the headers of libtorch that each
// would read take longer than all the rest. Run in the package's folder; prints the units' names.
// Usage: node units.mjs
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";

const UNITS = 4;
const files = readdirSync("native")
  .filter((name) => name.endsWith(".cc"))
  .sort();
mkdirSync("build", { recursive: true });
for (let unit = 0; unit < UNITS; unit++) {
  const path = `build/native-${unit}.cc`;
  const own = files.filter((_, i) => i % UNITS === unit);
  const text = own.map((name) => `#include "../native/${name}"\n`).join("");
  // make goes by the time of a file.
  if (!existsSync(path) || readFileSync(path, "utf8") !== text) writeFileSync(path, text);
  console.log(path);
}
