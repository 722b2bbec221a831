import type { Stage, StageFacts } from "../protocol.js";
import type { Session, Subject } from "../session.js";
import { curve, moveCursor } from "./curve.js";
import { byId } from "./dom.js";
import { drawFilters } from "./filters.js";
import { percent, whole } from "./format.js";
import { showGuesses } from "./guesses.js";
import { clearProblem, guarded } from "./problem.js";

/** The slider's end; at its half, the mask is whole. */
const END = 100;
const MEASURED_STAGES = 21;
const MEASURED_IMAGES = 100;

/** Where a position of the slider, from 0 to 1, is: first the mask comes, then the signs. */
function stageAt(position: number): Stage {
  return { masked: Math.min(1, 2 * position), signed: Math.max(0, 2 * position - 1) };
}

/** Grows the network from its seed. */
export class GrowView {
  readonly #seedText = byId("seed-text", HTMLParagraphElement);
  readonly #growing = byId("growing", HTMLDivElement);
  readonly #slider = byId("stage", HTMLInputElement);
  readonly #text = byId("stage-text", HTMLParagraphElement);
  readonly #figure = byId("filters-box", HTMLElement);
  readonly #filters = byId("filters", HTMLCanvasElement);
  readonly #filtersNote = byId("filters-note", HTMLElement);
  readonly #guesses = byId("stage-guesses", HTMLOListElement);
  readonly #curveBox = byId("curve-box", HTMLDivElement);
  readonly #measure = byId("measure", HTMLButtonElement);
  readonly #progress = byId("curve-progress", HTMLProgressElement);
  readonly #curveNote = byId("curve-note", HTMLParagraphElement);
  readonly #curve = byId("curve", HTMLDivElement);
  #session: Session | undefined;
  #subject: Subject | null = null;
  #busy: Session | undefined;
  #wanted = false;

  constructor() {
    this.#slider.addEventListener("input", () => this.#move());
    for (const mark of document.querySelectorAll<HTMLButtonElement>("[data-stage]")) {
      mark.addEventListener("click", () => {
        this.#slider.value = mark.dataset.stage ?? "0";
        this.#move();
      });
    }
    this.#measure.addEventListener("click", () => guarded("Measuring stopped", () => this.#measureAll()));
  }

  show(session: Session): void {
    const { facts, samples } = session;
    this.#session = session;
    this.#growing.hidden = !facts.grows;
    this.#seedText.textContent = facts.grows
      ? `Everything grows from one number, seed ${facts.seed} (${facts.init.replace("_", " ")}). Move the slider: the seed gives ` +
        "random weights, the mask cuts most of them, and the signs of those that are left turn. Scales, shifts and the output layer " +
        "are the trained ones all along."
      : "This file stores its weights as numbers: none of them grow from a seed.";
    this.#curveBox.hidden = samples === null;
    this.#curve.replaceChildren();
    this.#curveNote.textContent = "";
    this.#progress.hidden = true;
    this.#measure.disabled = false;
    this.#slider.value = String(END);
    if (facts.grows) this.#move();
  }

  /** The image of which each stage tells its class. */
  setSubject(subject: Subject | null): void {
    this.#subject = subject;
    if (this.#session?.facts.grows === true) this.#move();
  }

  get #position(): number {
    return Number(this.#slider.value) / END;
  }

  #move(): void {
    const position = this.#position;
    this.#slider.setAttribute("aria-valuetext", spoken(position));
    moveCursor(this.#curve, position);
    this.#wanted = true;
    if (this.#busy !== this.#session) guarded("The stage could not be computed", () => this.#follow());
  }

  /** Computes the stage that is wanted, and then whichever is wanted by then: one at a time. */
  async #follow(): Promise<void> {
    const session = this.#session;
    if (session === undefined) return;
    this.#busy = session;
    try {
      while (this.#wanted && this.#session === session) {
        this.#wanted = false;
        const [position, subject] = [this.#position, this.#subject];
        const stage = stageAt(position);
        const facts = await session.thread.call("stage", { stage, image: subject?.image ?? null });
        if (this.#session === session) this.#tell(facts, position, subject);
      }
    } finally {
      if (this.#busy === session) this.#busy = undefined;
    }
  }

  #tell(facts: StageFacts, position: number, subject: Subject | null): void {
    const { best, filters } = facts;
    this.#text.textContent = describe(facts, position, this.#session?.facts.seed ?? 0);
    showGuesses(this.#guesses, best, subject?.truth ?? null);
    const shown = filters === null ? 0 : drawFilters(this.#filters, filters);
    this.#figure.hidden = shown === 0;
    if (filters === null || shown === 0) return;
    const [outputs = 0, inputs = 0, height = 0, width = 0] = filters.shape;
    const which = shown < outputs ? `The first ${shown} of the ${outputs} filters` : `The ${outputs} filters`;
    const colours = inputs === 3 ? ": red, green and blue below each other" : "";
    this.#filtersNote.textContent = `${which} of the first layer, ${height}×${width} weights for each channel${colours}. The stronger a colour, the larger the weight.`;
    const cut = filters.data.reduce((sum, value) => sum + Number(value === 0), 0);
    this.#filters.setAttribute(
      "aria-label",
      `First layer: ${outputs} filters, ${whole(filters.data.length)} weights, of which ${whole(cut)} are cut`,
    );
  }

  async #measureAll(): Promise<void> {
    const session = this.#session;
    if (session === undefined || session.samples === null) return;
    clearProblem();
    const labels = session.samples.labels.slice(0, MEASURED_IMAGES);
    const stages = Array.from({ length: MEASURED_STAGES }, (_, i) => stageAt(i / (MEASURED_STAGES - 1)));
    this.#measure.disabled = true;
    this.#progress.hidden = false;
    this.#progress.value = 0;
    try {
      const sheet = { ...session.samples, labels };
      const fractions = await session.thread.call("stages", { stages, sheet }, (fraction) => {
        this.#progress.value = fraction;
      });
      this.#curve.replaceChildren(curve(fractions, session.facts.classes.length));
      moveCursor(this.#curve, this.#position);
      this.#curveNote.textContent = `Accuracy on ${labels.length} test images at ${stages.length} stages; the dashed line is chance.`;
    } finally {
      if (this.#session === session) {
        this.#measure.disabled = false;
        this.#progress.hidden = true;
      }
    }
  }
}

function spoken(position: number): string {
  if (position === 0) return "random weights";
  if (position === 0.5) return "masked";
  if (position === 1) return "signs, finished";
  const { masked, signed } = stageAt(position);
  return signed === 0 ? `${percent(masked, 0)} of the mask` : `masked, ${percent(signed, 0)} of the signs`;
}

function describe({ cut, turned, total }: StageFacts, position: number, seed: number): string {
  const cuts = `${whole(cut)} of ${whole(total)} weights are cut (${percent(cut / total)})`;
  const turns = `${whole(turned)} of the ${whole(total - cut)} weights left have turned their sign`;
  if (position === 0)
    return `Random weights, as seed ${seed} gives them: ${whole(total)} of them. Nothing has been learned.`;
  if (position < 0.5) return `The mask is coming: ${cuts}.`;
  if (position === 0.5) return `Masked: ${cuts}. Those left are still as the seed gave them.`;
  if (position < 1) return `The signs are coming: ${turns}.`;
  return `Finished: ${cuts}, and ${turns}. None has changed its size.`;
}
