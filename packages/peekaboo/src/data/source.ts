import type { Checksum } from "./checksum.js";

/** Files read into memory, by base name. */
export type Files = ReadonlyMap<string, Uint8Array>;

/** A split's pixels, uint8 [N, H, W, C], and its labels, uint8 [N]. */
export interface SplitArrays {
  images: Uint8Array;
  labels: Uint8Array;
}

/** The splits that every data set has. */
export const SPLITS = ["train", "test"] as const;

/** "train" or "test". */
export type SplitName = (typeof SPLITS)[number];

/** The arrays of both splits. */
export type DatasetArrays = Record<SplitName, SplitArrays>;

/** What a split must hold; checked before a data set is first used. */
interface SplitFacts {
  count: number;
  /** Images of each class, in class order. */
  histogram: readonly number[];
  firstLabels: readonly number[];
  /** Mean of each channel, pixels scaled to [0, 1]; compared to ±1e-4. */
  channelMeans?: readonly number[];
  /** SHA-256 (hex) of the two arrays of {@link SplitArrays}; with it every copy is proven to hold the same bytes. */
  sha256?: { images: string; labels: string };
}

/** What fetching tells whoever waits for it. Bytes are those of the archive being downloaded. */
export type DataProgress =
  | { stage: "download"; location: string; bytes: number; total: number }
  | { stage: "unreachable"; location: string; reason: string }
  | { stage: "wait" | "unpack" | "verify" | "store" };

/** What a candidate works with while it loads. */
export interface FetchContext {
  /** A folder for partial downloads, which survive an interruption and are removed after success. */
  folder: string;
  onProgress(progress: DataProgress): void;
  signal?: AbortSignal;
  /** Milliseconds until a connection must stand. */
  connectTimeout: number;
  /** Milliseconds that may pass without a byte. */
  stallTimeout: number;
}

/** One place that a data set can come from, or one format in which the user may have it. */
export interface Candidate {
  /** Where it is, as the user is told: a URL, a package, a folder. */
  location: string;
  /** The files that `decode` needs: base name → the most bytes it may have. */
  files: Readonly<Record<string, number>>;
  /**
   * Checksums of these files, unzipped: what proves an archive or a folder of the user's where the arrays' own checksums
   * ({@link SplitFacts}) aren't known.
   */
  checksums?: Readonly<Record<string, Checksum>>;
  /**
   * Gets these files, proven against the candidate's own checksum; throws {@link SourceUnavailable} when it can't.
   * A candidate without it is never fetched, only imported.
   */
  load?(context: FetchContext): Promise<Files>;
  /** How the user can make it available; completes "or …". */
  remedy?: string;
  /** Turns them into arrays. @throws {UserError} when they are not in its format. */
  decode(files: Files): Promise<DatasetArrays>;
}

/** What may become of a training image: a random crop from it with `padding` zero pixels around, and a mirror image. */
export interface AugmentationRule {
  padding: number;
  flip: boolean;
}

/** A data set: what it is, what it must hold, and where it comes from. */
export interface DatasetSource {
  /** The name in commands, files and configurations: lower case, no punctuation. */
  name: string;
  title: string;
  image: { height: number; width: number; channels: number };
  classes: readonly string[];
  /** What the reference implementation subtracts and divides by, per channel, pixels scaled to [0, 1]. */
  normalisation: { mean: readonly number[]; std: readonly number[] };
  augmentation: AugmentationRule;
  splits: Record<SplitName, SplitFacts>;
  /** Tried in this order. */
  candidates: readonly Candidate[];
}

/** A place that can't deliver, so that the next may be tried; the message says why. */
export class SourceUnavailable extends Error {
  override readonly name: string = "SourceUnavailable";
}

/** A connection that stood and then broke: the next may hold. */
export class ConnectionBroke extends SourceUnavailable {
  override readonly name = "ConnectionBroke";
}
