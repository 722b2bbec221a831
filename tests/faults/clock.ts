import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Whole } from "./kills.js";
import { oneOf, randomOf } from "./random.js";
import { type Faults, Tally } from "./tally.js";
import { difference, lastWords, type StartOptions, tensorsOf, train } from "./training.js";

const JUMPS = ["+0", "-2h", "-400d", "+30d", "-1d", "+5000d"];

/** Replaces the wall clock of a process: Date jumps by up to years, forwards and backwards, at every hundredth reading. */
const PRELOAD = `
const Real = Date; let readings = 0;
const jump = () => ((readings++ / 100 | 0) * 7919 % 13 - 6) * 1e10;
globalThis.Date = class extends Real {
  constructor(...args) { super(...(args.length === 0 ? [Real.now() + jump()] : args)); }
  static now() { return Real.now() + jump(); }
};`;

/** faketime's library, if it is installed. */
function faketime(): string | undefined {
  const folders = existsSync("/usr/lib") ? readdirSync("/usr/lib").map((name) => `/usr/lib/${name}/faketime`) : [];
  return folders.map((folder) => `${folder}/libfaketimeMT.so.1`).find((path) => existsSync(path));
}

/** A training during which the wall clock jumps must give the same tensors. */
export async function clockJumps({ folder, seed, quick, say }: Faults, whole: Whole): Promise<Tally[]> {
  const tally = new Tally("clock jumps");
  const library = faketime();
  const random = randomOf(seed, "clock");
  const stamp = join(folder, "faketime");
  const preload = `data:text/javascript,${encodeURIComponent(PRELOAD)}`;
  const all =
    library === undefined
      ? []
      : [
          {
            LD_PRELOAD: library,
            FAKETIME_TIMESTAMP_FILE: stamp,
            FAKETIME_NO_CACHE: "1",
            FAKETIME_DONT_FAKE_MONOTONIC: "1",
          },
        ];
  const ways: StartOptions[] = [{ node: ["--import", preload] }, ...all.map((env) => ({ env }))];
  for (const [i, way] of ways.slice(0, quick ? 1 : 2).entries()) {
    const name = `clock-${i}`;
    writeFileSync(stamp, "+0");
    const running = train(folder, name, way);
    let over = false;
    void running.ended.then(() => {
      over = true;
    });
    while (!over) {
      await sleep(150);
      writeFileSync(stamp, oneOf(random, JUMPS));
    }
    const { code, stderr } = await running.ended;
    const failure =
      code === 0 ? difference(whole.tensors, tensorsOf(folder, name)) : `ended with ${code}: ${lastWords(stderr)}`;
    tally.count(failure);
  }
  tally.note = `Date in Node${library === undefined || quick ? "" : ", and the system's clock by faketime"}`;
  say(`${tally}`);
  return [tally];
}
