import { imageInput, load, type PixelImage, type Predictor, softmax } from "@peekaboo/runtime";
import type { Answer, CallName, Calls, Sheet, Stage, StageFacts, TestOutcome, Timing } from "../protocol.js";
import { factsOf } from "./facts.js";
import { median, paced, pause } from "./pace.js";
import { tileOf } from "./sheet.js";
import { Growth } from "./stages.js";

type Progress = (fraction: number) => void;
type Handlers = { [K in CallName]: (args: Calls[K]["args"], onProgress: Progress) => Promise<Calls[K]["result"]> };

const TIMED_RUNS = 30;
const BEST = 5;

/** One network, and all that is asked of it. */
export class Room {
  #predictor: Predictor | undefined;
  #growth: Growth | undefined;

  readonly handlers: Handlers = {
    load: async ({ bytes }, onProgress) => {
      const start = performance.now();
      const predictor = await load(bytes, { onProgress });
      this.#predictor = predictor;
      this.#growth = new Growth(predictor.network);
      // The first run is slower than any after it: nobody shall wait for that one.
      await predictor.predict({ data: new Uint8Array(1), width: 1, height: 1 });
      return factsOf(predictor, performance.now() - start);
    },
    predict: async ({ image }) => this.#predict(image),
    time: async ({ image }) => this.#time(image),
    test: async ({ sheet }, onProgress) => this.#test(sheet, onProgress),
    stage: async ({ stage, image }) => this.#stage(stage, image),
    stages: async ({ stages, sheet }, onProgress) => this.#stages(stages, sheet, onProgress),
  };

  get #loaded(): Predictor {
    if (this.#predictor === undefined) throw new Error("no network has been loaded");
    return this.#predictor;
  }

  get #growing(): Growth {
    if (this.#growth === undefined) throw new Error("no network has been loaded");
    return this.#growth;
  }

  /** What the network sees of an image: its normalised input. */
  #input(image: PixelImage): Float32Array {
    const { description } = this.#loaded;
    return imageInput(image, { ...description, input: description.graph.input });
  }

  async #predict(image: PixelImage): Promise<Answer> {
    const { best } = await this.#loaded.predict(image, { best: BEST });
    return { best, seen: this.#seen(image) };
  }

  #seen(image: PixelImage): PixelImage {
    const { mean, std, graph } = this.#loaded.description;
    const [channels, height, width] = graph.input;
    const size = width * height;
    const input = this.#input(image);
    const data = new Uint8ClampedArray(size * 4).fill(255);
    for (let i = 0; i < size; i++) {
      for (let c = 0; c < 3; c++) {
        const from = channels === 3 ? c : 0;
        data[i * 4 + c] = ((input[from * size + i] ?? 0) * (std[from] ?? 1) + (mean[from] ?? 0)) * 255;
      }
    }
    return { data, width, height };
  }

  async #time(image: PixelImage): Promise<Timing> {
    const { engine } = this.#loaded;
    const input = this.#input(image);
    const logits = new Float32Array(engine.classes);
    const times: number[] = [];
    for (let run = 0; run < TIMED_RUNS; run++) {
      const start = performance.now();
      engine.run(input, logits);
      times.push(performance.now() - start);
      await pause();
    }
    return { runs: TIMED_RUNS, least: Math.min(...times), median: median(times), most: Math.max(...times) };
  }

  async #test(sheet: Sheet, onProgress: Progress): Promise<TestOutcome> {
    const { engine } = this.#loaded;
    const [said, times]: [number[], number[]] = [[], []];
    const judge = (i: number) => {
      const input = this.#input(tileOf(sheet, i));
      const start = performance.now();
      said.push(likeliest(engine.run(input)));
      times.push(performance.now() - start);
    };
    await paced(sheet.labels.length, judge, onProgress);
    return { said, time: median(times) };
  }

  async #stage(stage: Stage, image: PixelImage | null): Promise<StageFacts> {
    const growth = this.#growing;
    const network = growth.at(stage);
    const { cut, turned, total } = network;
    const filters = growth.firstLayer(network.tensors);
    if (image === null) return { cut, turned, total, filters, best: [] };
    const engine = await growth.engine(network);
    const probabilities = softmax(engine.run(this.#input(image)));
    const best = [...probabilities.keys()]
      .sort((a, b) => (probabilities[b] ?? 0) - (probabilities[a] ?? 0) || a - b)
      .slice(0, BEST)
      .map((index) => ({
        index,
        label: this.#loaded.description.classes[index] ?? `class ${index}`,
        probability: probabilities[index] ?? 0,
      }));
    return { cut, turned, total, filters, best };
  }

  async #stages(stages: readonly Stage[], sheet: Sheet, onProgress: Progress): Promise<number[]> {
    const inputs = sheet.labels.map((_, i) => this.#input(tileOf(sheet, i)));
    const fractions: number[] = [];
    for (const [n, stage] of stages.entries()) {
      const engine = await this.#growing.engine(this.#growing.at(stage));
      let right = 0;
      const judge = (i: number) => {
        if (likeliest(engine.run(inputs[i] ?? new Float32Array())) === sheet.labels[i]) right++;
      };
      await paced(inputs.length, judge, (own) => onProgress((n + own) / stages.length));
      fractions.push(right / Math.max(1, inputs.length));
    }
    return fractions;
  }
}

/** The class of the largest logit, the first of equal ones. */
function likeliest(logits: Float32Array): number {
  return logits.reduce((best, logit, i) => (logit > (logits[best] ?? Number.NEGATIVE_INFINITY) ? i : best), 0);
}
