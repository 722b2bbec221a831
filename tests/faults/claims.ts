import { spawnSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Faults, Tally } from "./tally.js";

const child = fileURLToPath(new URL("claims-child.js", import.meta.url));

/** Small files that claim to be huge, and archives whose names lead out of their folder. */
export async function claims({ folder, say }: Faults): Promise<Tally[]> {
  const tally = new Tally("huge claims and escapes");
  const place = join(folder, "claims");
  mkdirSync(place, { recursive: true });
  const args = ["--max-old-space-size=128", child, place];
  const { stdout, stderr, status } = spawnSync(process.execPath, args, { encoding: "utf8", timeout: 120_000 });
  for (const line of stdout.split("\n").filter((text) => text !== "")) {
    const { name, wrong }: { name: string; wrong?: string } = JSON.parse(line);
    tally.count(wrong && `${name}: ${wrong}`);
  }
  if (status !== 0) tally.count(`the process ended with ${status}: ${stderr.slice(-300)}`);
  say(`${tally}`);
  return [tally];
}
