import { randomBytes } from "node:crypto";
import { linkSync, readFileSync, readlinkSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { basename, dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { UserError } from "@peekaboo/torch/errors";
import { z } from "zod";

/** How often a live lock is touched; one of another machine that stays untouched for six beats, and two more, is dead. */
export const BEAT_MS = 10_000;
const STALE_BEATS = 6;

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

  /** Takes the lock at `path`. Throws UserError naming the process that holds it. */
  static async acquire(path: string, { folder, onWait, signal, beatMs = BEAT_MS }: LockOptions): Promise<RunLock> {
    const text = JSON.stringify(thisProcess());
    while (!create(path, text)) {
      const found = readIfThere(path);
      if (found === null) continue;
      if (await isHeld(path, found, { folder, onWait, signal, beatMs })) throw refusal(path, found, folder);
      takeAway(path, found);
    }
    return new RunLock(path, text, beatMs);
  }

  /** Gives the lock back, unless another process has taken it meanwhile. */
  release(): void {
    void this.#beat.terminate();
    if (readIfThere(this.#path) === this.#text) rmSync(this.#path, { force: true });
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
    linkSync(own, path);
    return true;
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    if (code === "EEXIST") return false;
    if (code === "EPERM" || code === "ENOTSUP" || code === "ENOSYS" || code === "EOPNOTSUPP") {
      return createWithoutLinks(path, text);
    }
    throw new UserError({
      operation: "train",
      argument: "the run folder (--savedir and --exp-name)",
      expected: "a folder that can be written to",
      received: `${dirname(path)} (${code ?? error})`,
      remedy: "choose another --savedir, change the permissions, or free some space",
      cause: error,
    });
  } finally {
    rmSync(own, { force: true });
  }
}

function createWithoutLinks(path: string, text: string): boolean {
  try {
    writeFileSync(path, text, { flag: "wx" });
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
    throw error;
  }
}

function besides(path: string): string {
  return join(dirname(path), `${basename(path)}-${process.pid}-${randomBytes(6).toString("hex")}.tmp`);
}

/** Removes a dead process's lock; should another process have been faster, its own comes back. */
function takeAway(path: string, text: string): void {
  const away = besides(path);
  try {
    renameSync(path, away);
    if (readIfThere(away) !== text) linkSync(away, path);
  } catch {
    // Somebody else removed it, or holds it: the next attempt tells.
  }
  rmSync(away, { force: true });
}

async function isHeld(path: string, text: string, { onWait, signal, beatMs = BEAT_MS }: LockOptions): Promise<boolean> {
  const holder = parsed(text);
  const own = thisProcess();
  if (holder !== null && holder.place === own.place) return startOf(holder.pid) === holder.began;
  const touched = touchedAt(path);
  if (touched === null) return false;
  if (Date.now() - touched < STALE_BEATS * beatMs) return true;
  // The machines' clocks may differ: what counts is whether it is touched now.
  onWait?.(`${path} is ${holder === null ? "unreadable" : `of ${holder.host}`}: watching whether it is in use.`);
  await sleep(2.5 * beatMs, undefined, signal === undefined ? {} : { signal }).catch(() => signal?.throwIfAborted());
  return touchedAt(path) !== touched;
}

function refusal(path: string, text: string, folder: string): UserError {
  const holder = parsed(text);
  const who = holder === null ? "another process" : `process ${holder.pid} on ${holder.host} since ${holder.since}`;
  return new UserError({
    operation: "train",
    argument: folder,
    expected: "a run folder that no other run is using",
    received: `one in use by ${who}`,
    remedy: `wait for its end, choose another --exp-name, or, if it is surely gone, remove ${path}`,
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
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

function parsed(text: string): Holder | null {
  try {
    return holderSchema.safeParse(JSON.parse(text)).data ?? null;
  } catch {
    return null;
  }
}

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
