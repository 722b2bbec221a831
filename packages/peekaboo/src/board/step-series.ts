import { Buckets, type StepFigures } from "./buckets.js";

/** More than a screen is wide, and few enough to keep for hundreds of runs. */
const MOST_BUCKETS = 4096;
const FIRST_BUCKETS = 64;

/** A run's steps in bounded memory: as it grows its buckets become wider, each time twofold. Each knows where in the file its lines begin. */
export class StepSeries {
  #buckets = new Buckets(FIRST_BUCKETS);
  #places = places(FIRST_BUCKETS);
  #width = 1;
  #lastStep = 0;

  /** Steps in a bucket: a power of two. */
  get width(): number {
    return this.#width;
  }

  get lastStep(): number {
    return this.#lastStep;
  }

  /** @param place the byte at which the step's line begins */
  add(step: number, figures: StepFigures, place: number): void {
    while (step >= this.#width * this.#buckets.length) this.#makeRoom();
    const bucket = Math.floor(step / this.#width);
    this.#buckets.add(bucket, figures);
    this.#places[bucket] = Math.min(this.#places[bucket] ?? place, place);
    this.#lastStep = Math.max(this.#lastStep, step);
  }

  /** The steps from `from` on in buckets of `size`, a multiple of the width as `from` is of `size`. */
  view(from: number, size: number, length: number): Buckets {
    const view = new Buckets(length);
    const [first, each] = [from / this.#width, size / this.#width];
    const end = Math.min(this.#buckets.length, first + each * length);
    for (let bucket = first; bucket < end; bucket++) {
      view.absorb(Math.floor((bucket - first) / each), this.#buckets, bucket);
    }
    return view;
  }

  /** Where in the file the lines of some steps, the last one excluded, begin and end; `fileEnd` where nothing follows. */
  placeOf(from: number, to: number, fileEnd: number): [begin: number, end: number] {
    const following = (step: number) =>
      Math.min(fileEnd, this.#places.subarray(step).find((place) => place < fileEnd) ?? fileEnd);
    return [following(Math.floor(from / this.#width)), following(Math.ceil(to / this.#width))];
  }

  #makeRoom(): void {
    if (this.#buckets.length < MOST_BUCKETS) this.#lengthen();
    else this.#widen();
  }

  #lengthen(): void {
    const { length } = this.#buckets;
    const [buckets, begun] = [new Buckets(2 * length), places(2 * length)];
    for (let bucket = 0; bucket < length; bucket++) buckets.absorb(bucket, this.#buckets, bucket);
    begun.set(this.#places);
    this.#buckets = buckets;
    this.#places = begun;
  }

  #widen(): void {
    this.#buckets.halve();
    const half = this.#places.length / 2;
    this.#places = this.#places.map((_, i, all) =>
      i < half ? Math.min(all[2 * i] ?? 0, all[2 * i + 1] ?? 0) : Number.POSITIVE_INFINITY,
    );
    this.#width *= 2;
  }
}

function places(length: number): Float64Array {
  return new Float64Array(length).fill(Number.POSITIVE_INFINITY);
}
