// Exits 0 when node_modules holds what package-lock.json pins, by npm's own record of what it installed.
import { readFileSync } from "node:fs";

function packagesOf(path) {
  try {
    return JSON.parse(readFileSync(new URL(`../${path}`, import.meta.url), "utf8")).packages;
  } catch {
    return {};
  }
}

const installed = packagesOf("node_modules/.package-lock.json");
const pinned = Object.entries(packagesOf("package-lock.json")).filter(([path]) => path.startsWith("node_modules/"));
const same = pinned.every(([path, { version, integrity, optional }]) => {
  const found = installed[path];
  return found === undefined ? optional === true : found.version === version && found.integrity === integrity;
});
process.exitCode = same && pinned.length > 0 ? 0 : 1;
