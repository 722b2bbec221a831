// Writes the schemas of the operators in use, as the libtorch that is installed prints them, to
// src/generate/schemas/VERSION.txt: the test there holds the wrappers against every version written down.
import { mkdirSync, writeFileSync } from "node:fs";
import { liveSchemas } from "../dist/generate/index.js";
import { OPERATORS } from "../dist/generate/list.js";
import { torchVersion } from "../dist/index.js";

const folder = new URL("../src/generate/schemas/", import.meta.url);
const version = torchVersion().split(".").slice(0, 2).join(".");
mkdirSync(folder, { recursive: true });
writeFileSync(new URL(`${version}.txt`, folder), `${[...liveSchemas(OPERATORS).values()].join("\n")}\n`);
