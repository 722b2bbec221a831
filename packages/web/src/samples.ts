import type { FileFacts, Sheet } from "./protocol.js";
import { decodeImage } from "./view/pixels.js";

/** What scripts/samples.mjs writes. */
interface SampleIndex {
  readonly sets: readonly IndexedSet[];
}

interface IndexedSet extends Omit<Sheet, "image"> {
  /** The data set's name, and its title. */
  readonly name: string;
  readonly title: string;
  readonly classes: readonly string[];
  /** The file of the sheet. */
  readonly sheet: string;
}

/** Test images of a data set, with their true classes. */
export interface SampleSet extends Sheet {
  readonly title: string;
  readonly classes: readonly string[];
}

const folder = new URL("samples/", document.baseURI);
const index = fetchIndex();
const sets = new Map<string, Promise<SampleSet>>();

/** The images of what a network was trained on; null where the page was built without them. */
export async function samplesFor(facts: FileFacts): Promise<SampleSet | null> {
  const all = (await index).sets;
  const set =
    all.find(({ name }) => name === facts.dataset) ?? all.find(({ classes }) => alike(classes, facts.classes));
  if (set === undefined || set.labels.some((label) => label >= facts.classes.length)) return null;
  const loading = sets.get(set.name) ?? fetchSet(set);
  sets.set(set.name, loading);
  try {
    return await loading;
  } catch {
    sets.delete(set.name);
    return null;
  }
}

function alike(a: readonly string[], b: readonly string[]): boolean {
  return a.length === b.length && a.every((name, i) => name === b[i]);
}

/** A host that lacks the folder has no samples. */
async function fetchIndex(): Promise<SampleIndex> {
  try {
    const response = await fetch(new URL("index.json", folder));
    return response.ok ? ((await response.json()) as SampleIndex) : { sets: [] };
  } catch {
    return { sets: [] };
  }
}

async function fetchSet({ name: _, sheet, ...set }: IndexedSet): Promise<SampleSet> {
  const response = await fetch(new URL(sheet, folder));
  if (!response.ok) throw new Error(`${sheet}: status ${response.status}`);
  return { ...set, image: await decodeImage(await response.blob()) };
}
