import { printable } from "@peekaboo/files/errors";
import { decodeImage, type Transform } from "./decode.js";

/** Memory of one batch, shared between threads. */
export interface Slot {
  /** Room for uint8 [B, size, size, 3]. */
  readonly pixels: SharedArrayBuffer;
  /** One int32: the next image of the batch that nobody has taken yet. */
  readonly next: SharedArrayBuffer;
}

/** A batch to decode. */
export interface Work {
  files: readonly string[];
  /** Each image's index in its split. */
  indices: Int32Array;
  transform: Transform;
  /** Pixels a side. */
  size: number;
  slot: Slot;
}

/** {@link Work} under way. */
export interface Job extends Work {
  id: number;
}

/** An image that can't be decoded. */
export interface Failure {
  /** Its place in the batch. */
  position: number;
  reason: string;
}

/** What a lane says when no image of a job is left for it. */
export interface Report {
  job: number;
  failures: Failure[];
}

/** Images that a thread has in hand at a time: libvips works on some while others are read, and never waits for the next. */
export const LANES_PER_THREAD = 3;

/** Takes images of the job as long as there are any, and puts their pixels into its slot. */
async function workOn(job: Job): Promise<Report> {
  const { files, indices, transform, size, slot } = job;
  const pixels = new Uint8Array(slot.pixels);
  const next = new Int32Array(slot.next);
  const failures: Failure[] = [];
  for (;;) {
    const position = Atomics.add(next, 0, 1);
    const { [position]: file } = files;
    if (file === undefined) return { job: job.id, failures };
    try {
      const image = await decodeImage(file, indices[position] ?? 0, transform, size);
      pixels.set(image, position * image.length);
    } catch (error) {
      failures.push({ position, reason: reasonOf(error) });
    }
  }
}

/** Leaves the rest of a job's images alone. */
export function abandon({ files, slot }: Pick<Work, "files" | "slot">): void {
  Atomics.store(new Int32Array(slot.next), 0, files.length);
}

/** A lane's inbox: jobs are worked on one after the other, and `report` gets what came of each. */
export function lane(report: (report: Report) => void): (job: Job) => void {
  let last: Promise<void> = Promise.resolve();
  return (job) => {
    last = last.then(async () => report(await workOn(job)));
  };
}

/** The first line of what libvips, or the system, has to say. */
function reasonOf(error: unknown): string {
  const [line = ""] = String(error instanceof Error ? error.message : error).split("\n");
  return printable(line);
}
