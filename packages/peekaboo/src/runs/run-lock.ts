import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, readlinkSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { errorCode, lockText, readLockFile } from "@peekaboo/files";
import { parseJson, printable, quoted, UserError } from "@peekaboo/files/errors";
import { z } from "zod";
import { setting } from "../setting.js";

/** How often a live lock is touched; one of another machine that stays untouched for six beats, and two more, is dead. */
export const BEAT_MS = 10_000;
const STALE_BEATS = 6;
/** Locks of dead processes that one process takes away, or sees gone when it looks: more can't be by chance. */
const MAX_ATTEMPTS = 20;

/** Who holds a lock; `place` is the machine since its start, as seen by the process, and `began` the process's start in it. */
const holderSchema = z.object({
  pid: z.int().positive(),
  host: z.string().max(300),
  place: z.string().max(300),
  began: z.string().max(40),
  since: z.iso.datetime(),
});

type Holder = z.output<typeof holderSchema>;

export interface LockOptions {
  /** What is locked, for the message. */
  folder: string;
  /** Told once when it takes time to find out whether another machine's process lives. */
  onWait?: ((text: string) => void) | undefined;
  signal?: AbortSignal | undefined;
  beatMs?: number;
}

/**
 * A lock file that one live process holds. A process of this machine that is gone doesn't hold it any more; one of another
 * machine, until the file hasn't been touched for a minute.
 */
export class RunLock {
  readonly #path: string;
  readonly #text: string;
  readonly #beat: Worker;

  private constructor(path: string, text: string, beatMs: number) {
    this.#path = path;
    this.#text = text;
    // In a thread of its own: this one computes for minutes without a pause.
    this.#beat = new Worker(new URL("./run-lock-beat.js", import.meta.url), {
      workerData: { path, text, beatMs },
      execArgv: [],
    });
    this.#beat.unref();
    this.#beat.on("error", () => {});
  }

  /** Takes the lock at `path`. Throws UserError naming the process that holds it, or what else is in its place. */
  static async acquire(path: string, { folder, onWait, signal, beatMs = BEAT_MS }: LockOptions): Promise<RunLock> {
    const text = JSON.stringify(thisProcess());
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      if (create(path, text)) return new RunLock(path, text, beatMs);
      const found = readLockFile("train", path);
      if (found === null) continue;
      if (await isHeld(path, found, { folder, onWait, signal, beatMs })) throw refusal(path, found, folder);
      takeAway(path, found);
    }
    throw notTaken(path, `others that came and went, ${MAX_ATTEMPTS} times`);
  }

  /** Gives the lock back, unless another process has taken it meanwhile. */
  release(): void {
    void this.#beat.terminate();
    if (lockText(this.#path) === this.#text) rmSync(this.#path, { force: true });
  }

  [Symbol.dispose](): void {
    this.release();
  }
}

/** Makes the file with all its text at once; false when there is one. */
function create(path: string, text: string): boolean {
  const own = besides(path);
  try {
    writeFileSync(own, text, { flag: "wx" });
    linkOrWrite(own, path, text);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw new UserError({
      operation: "train",
      argument: `the run folder (${setting("savedir")} and ${setting("expName")})`,
      expected: "a folder that can be written to",
      received: `${quoted(dirname(path))} (${errorCode(error) ?? error})`,
      remedy: `choose another ${setting("savedir")}, change the permissions, or free some space`,
      cause: error,
    });
  } finally {
    remove(own);
  }
}

const WITHOUT_LINKS: ReadonlySet<string | undefined> = new Set(["EPERM", "ENOTSUP", "ENOSYS", "EOPNOTSUPP"]);

/** Throws with the code EEXIST when there is something at `path`. */
function linkOrWrite(own: string, path: string, text: string): void {
  try {
    linkSync(own, path);
  } catch (error) {
    if (!WITHOUT_LINKS.has(errorCode(error))) throw error;
    writeFileSync(path, text, { flag: "wx" });
  }
}

function besides(path: string): string {
  return join(dirname(path), `${basename(path)}-${process.pid}-${randomBytes(6).toString("hex")}.tmp`);
}

/**
 * Removes a dead process's lock; should another process have been faster, its own comes back.
 *
 * Throws UserError when it can't be removed.
 */
function takeAway(path: string, text: string): void {
  const away = besides(path);
  try {
    renameSync(path, away);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return;
    throw notTaken(path, `a dead process's that can't be removed (${errorCode(error) ?? error})`, error);
  }
  try {
    if (lockText(away) !== text) linkSync(away, path);
  } catch {
    // Another process holds it: the next attempt tells.
  }
  remove(away);
}

function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // What couldn't be made can't be removed either.
  }
}

function notTaken(path: string, received: string, cause?: unknown): UserError {
  return new UserError({
    operation: "train",
    argument: quoted(path),
    expected: "a lock that can be taken",
    received,
    remedy: `if no other process uses the folder, remove what is there, or choose another ${setting("expName")}`,
    cause,
  });
}

async function isHeld(path: string, text: string, { onWait, signal, beatMs = BEAT_MS }: LockOptions): Promise<boolean> {
  const holder = parsed(text);
  const own = thisProcess();
  if (holder !== null && holder.place === own.place) return startOf(holder.pid) === holder.began;
  const touched = touchedAt(path);
  if (touched === null) return false;
  if (Date.now() - touched < STALE_BEATS * beatMs) return true;
  // The machines' clocks may differ: what counts is whether it is touched now.
  const whose = holder === null ? "unreadable" : `of ${printable(holder.host)}`;
  onWait?.(`${printable(path)} is ${whose}: watching whether it is in use.`);
  await sleep(2.5 * beatMs, undefined, signal === undefined ? {} : { signal }).catch(() => signal?.throwIfAborted());
  return touchedAt(path) !== touched;
}

function refusal(path: string, text: string, folder: string): UserError {
  const holder = parsed(text);
  const who =
    holder === null ? "another process" : `process ${holder.pid} on ${printable(holder.host)} since ${holder.since}`;
  return new UserError({
    operation: "train",
    argument: quoted(folder),
    expected: "a run folder that no other run is using",
    received: `one in use by ${who}`,
    remedy: `wait for its end, choose another folder, or, if it is surely gone, remove ${quoted(path)}`,
  });
}

let self: Holder | undefined;

function thisProcess(): Holder {
  self ??= {
    pid: process.pid,
    host: hostname(),
    place: place(),
    began: startOf(process.pid) ?? "",
    since: new Date(Date.now() - process.uptime() * 1000).toISOString(),
  };
  return self;
}

/** What process numbers refer to: the machine, its start and, in a container, the namespace. */
function place(): string {
  const boot = readIfThere("/proc/sys/kernel/random/boot_id")?.trim() ?? "";
  return [hostname(), boot, namespaceOfNumbers()].join("/");
}

function namespaceOfNumbers(): string {
  try {
    return readlinkSync("/proc/self/ns/pid");
  } catch {
    return "";
  }
}

/** When a process began, in ticks since the machine's start; empty where /proc doesn't tell, and null when there is none. */
function startOf(pid: number): string | null {
  const status = readIfThere(`/proc/${pid}/stat`);
  if (status === null) return isThere(pid) ? "" : null;
  // The name, in brackets, may hold anything.
  const fields = status.slice(status.lastIndexOf(")") + 2).split(" ");
  return fields[0] === "Z" || fields[0] === "X" ? null : (fields[19] ?? "");
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errorCode(error) === "EPERM";
  }
}

function parsed(text: string): Holder | null {
  try {
    return holderSchema.safeParse(parseJson(text, (received) => new Error(received))).data ?? null;
  } catch {
    return null;
  }
}

/** A file of the system's own, which has no size. */
function readIfThere(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

function touchedAt(path: string): number | null {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? null;
}
