import { distance } from "fastest-levenshtein";

/** No name has so many letters; to compare what has millions would take minutes. */
const LONGEST = 200;

/**
 * The candidate that `name` most probably means: one that contains it, else the one with the smallest edit distance,
 * upper and lower case being the same; undefined when even that one differs in more than half of its letters
 * (two of them in a short name).
 */
export function nearest(name: string, candidates: readonly string[]): string | undefined {
  const wanted = letters(name);
  if (wanted.length === 0 || wanted.length > LONGEST) return undefined;
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const letterwise = letters(candidate);
    const away = distance(wanted, letterwise);
    const longer = Math.max(wanted.length, letterwise.length);
    const close = away < longer && away <= Math.max(2, longer / 2);
    const contains = wanted.length > 3 && letterwise.includes(wanted);
    if ((close || contains) && away < bestDistance) {
      best = candidate;
      bestDistance = away;
    }
  }
  return best;
}

function letters(name: string): string {
  return name.toLowerCase().replace(/^-+/, "");
}
