import type { PixelImage } from "@peekaboo/runtime";
import type { FileFacts } from "./protocol.js";
import type { SampleSet } from "./samples.js";
import type { Thread } from "./thread.js";

/** A network that is open. */
export interface Session {
  readonly thread: Thread;
  readonly facts: FileFacts;
  /** Images of what it was trained on, if the page has them. */
  readonly samples: SampleSet | null;
}

/** An image that the network is asked about. */
export interface Subject {
  readonly image: PixelImage;
  readonly caption: string;
  /** Its true class, where that is known. */
  readonly truth: number | null;
}
