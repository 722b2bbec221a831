// Feeds one parser, in a process of its own: fuzz-child.js NAME SEED FROM TO STATUS INPUT KEPT CHECKPOINT…
// The index of each input is on the disk before it is parsed, so that the parent knows what a crash or a hang was.
import { closeSync, openSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { UserError } from "@peekaboo/files/errors";
import { requestedBytes } from "./allocations.js";
import { randomOf } from "./random.js";
import { FREE_BYTES, type Target } from "./target.js";
import { targets } from "./targets.js";

const [name = "", seed = "", from = "", to = "", status = "", inputPath = "", kept = "", ...checkpoints] =
  process.argv.slice(2);

const target = targets(checkpoints).find((known) => known.name === name);
if (target === undefined) throw new Error(`no target ${name}`);

let rejection: unknown;
process.on("unhandledRejection", (reason) => {
  rejection = reason ?? new Error("an unhandled rejection without a reason");
});
process.on("uncaughtException", (error) => {
  rejection = error;
});

/** What is wrong with how an input was taken, or undefined. */
async function fault(
  { parse, memory, seconds = Number.POSITIVE_INFINITY, plainErrors = false }: Target,
  input: Buffer,
): Promise<string | undefined> {
  rejection = undefined;
  const before = requestedBytes();
  const begun = process.cpuUsage();
  let failure: unknown;
  try {
    await parse(input, inputPath);
  } catch (error) {
    failure = error;
  }
  const requested = requestedBytes() - before;
  const { user, system } = process.cpuUsage(begun);
  if (input.length % 8 === 0) await new Promise((resolve) => setImmediate(resolve));
  const wrong = rejection ?? failure;
  const plain = plainErrors && wrong instanceof Error && wrong.constructor === Error && rejection === undefined;
  if (wrong !== undefined && !(wrong instanceof UserError && rejection === undefined) && !plain) {
    return wrong instanceof Error ? (wrong.stack ?? wrong.message).split("\n").slice(0, 4).join(" | ") : String(wrong);
  }
  if (user + system > 1e6 * seconds) return `${(user + system) / 1e6} s of processor time`;
  const allowed = memory === undefined ? 2 * input.length + FREE_BYTES : memory(input.length);
  return requested > allowed ? `${requested} bytes requested for a file of ${input.length}` : undefined;
}

const descriptor = openSync(status, "w");
let refused = 0;
for (let index = Number(from); index < Number(to); index++) {
  writeSync(descriptor, `${index}`.padEnd(16), 0);
  const input = target.make(randomOf(Number(seed), `${name}/${index}`));
  writeFileSync(inputPath, input);
  const wrong = await fault(target, input);
  if (wrong === undefined) continue;
  refused++;
  const path = join(kept, `${name.replaceAll(" ", "-")}-${seed}-${index}`);
  writeFileSync(path, input);
  process.stdout.write(`${JSON.stringify({ index, wrong, path })}\n`);
  if (refused >= 20) break;
}
closeSync(descriptor);
