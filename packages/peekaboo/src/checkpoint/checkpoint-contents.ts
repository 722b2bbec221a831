import { createHash } from "node:crypto";
import type { BackgroundFile, FileContents } from "@peekaboo/files";
import { layOutSafetensors, type SafetensorsLayout } from "@peekaboo/files/safetensors";
import { descriptionOf, piecesOf, type Tensor } from "@peekaboo/torch";
import { type SummedTensor, sealed } from "./checksums.js";

/** Enough for few calls, and little enough to stay in a processor's cache from the copy to the checksum. */
const CHUNK_BYTES = 2 ** 20;
/** So many may wait to be written: on a busy machine the threads that write have their turn late. */
const CHUNKS = 8;
/** Stands for a SHA-256 until there is one. */
const NO_SUM = "0".repeat(64);

/**
 * Tensors and metadata as a safetensors file with checksums, written in one pass and without a second copy in memory.
 * The tensors must stay as they are until then.
 *
 * The checksums stand at the file's beginning and are known at its end: the header, whose length doesn't depend on
 * them, is written last.
 */
export class CheckpointContents implements FileContents {
  readonly byteLength: number;
  readonly #tensors: ReadonlyMap<string, Tensor>;
  readonly #metadata: Readonly<Record<string, string>>;
  readonly #summed: Map<string, SummedTensor>;
  readonly #layout: SafetensorsLayout;

  constructor(tensors: Iterable<readonly [string, Tensor]>, metadata: Readonly<Record<string, string>>) {
    const named = [...tensors];
    const summed = named.map(([name, tensor]) => [name, { ...descriptionOf(tensor), sum: NO_SUM }] as const);
    this.#tensors = new Map(named);
    this.#metadata = metadata;
    this.#summed = new Map(summed);
    this.#layout = layOutSafetensors(summed, sealed(this.#summed, metadata));
    this.byteLength = this.#layout.byteLength;
  }

  async writeTo(file: BackgroundFile): Promise<void> {
    const { header, places } = this.#layout;
    const chunks = new Chunks(file, header.byteLength);
    for (const name of places.keys()) {
      const tensor = this.#tensors.get(name);
      const described = this.#summed.get(name);
      if (tensor === undefined || described === undefined) throw new Error(`no tensor ${name} to write`);
      const hash = createHash("sha256");
      for await (const piece of piecesOf(tensor, (unit) => chunks.memory(unit))) {
        hash.update(piece);
        chunks.add(piece.byteLength);
      }
      this.#summed.set(name, { ...described, sum: hash.digest("hex") });
    }
    await chunks.finish();
    const complete = layOutSafetensors(this.#summed, sealed(this.#summed, this.#metadata));
    await file.write(complete.header, 0);
  }
}

interface Chunk {
  buffer: Uint8Array<ArrayBuffer>;
  /** Resolves when it may be filled again. */
  written: Promise<void>;
}

/** Buffers of earlier files: memory that a run asks for anew at every save lies about until it is collected. */
const idleBuffers: Uint8Array<ArrayBuffer>[] = [];

/** Buffers that are filled in turn: some are on their way to the file while one is filled. */
class Chunks {
  readonly #file: BackgroundFile;
  /** In the file, of the chunk's beginning. */
  #position: number;
  readonly #ring = Array.from({ length: CHUNKS }, (): Chunk => newChunk(CHUNK_BYTES));
  #chunk = newChunk(CHUNK_BYTES);
  #used = 0;

  constructor(file: BackgroundFile, position: number) {
    this.#file = file;
    this.#position = position;
  }

  /** What is free of the chunk at hand, or of the next one where that is less than `unit` bytes. */
  async memory(unit: number): Promise<Uint8Array> {
    if (this.#used + unit > this.#chunk.buffer.byteLength) {
      this.#end();
      await this.#chunk.written;
      if (unit > this.#chunk.buffer.byteLength) this.#chunk = newChunk(unit);
    }
    return this.#chunk.buffer.subarray(this.#used);
  }

  /** Takes note that so many bytes of it have been filled. */
  add(bytes: number): void {
    this.#used += bytes;
  }

  /** Writes what is left, and waits for all. */
  async finish(): Promise<void> {
    this.#end();
    for (const { buffer, written } of [...this.#ring, this.#chunk]) {
      await written;
      if (buffer.byteLength === CHUNK_BYTES && idleBuffers.length <= CHUNKS) idleBuffers.push(buffer);
    }
  }

  /** Writes what has been filled. */
  #end(): void {
    const chunk = this.#chunk;
    chunk.written = this.#file.write(chunk.buffer.subarray(0, this.#used), this.#position);
    this.#position += this.#used;
    this.#used = 0;
    this.#ring.push(chunk);
    this.#chunk = this.#ring.shift() ?? newChunk(CHUNK_BYTES);
  }
}

function newChunk(byteLength: number): Chunk {
  const idle = byteLength === CHUNK_BYTES ? idleBuffers.pop() : undefined;
  return { buffer: idle ?? new Uint8Array(byteLength), written: Promise.resolve() };
}
