/** With the ellipsis of a text that is cut, the 200 characters that a message gives to one text from outside. */
const LIMIT = 199;
/** Where a text is cut in its middle: the end of a path tells as much as its beginning, that of a word does not. */
const SHORT = 100;
/** Control and formatting characters, and line ends of any kind: what could steer a terminal, hide text or turn it around. */
const UNPRINTABLE = /[\p{C}\p{Zl}\p{Zp}]/u;

/** The text in double quotes, cut to `limit` characters, safe to print whatever it holds. */
export function quoted(text: string, limit = LIMIT): string {
  return `"${fitted(text, limit, escapedInQuotes)}"`;
}

/** The text without quotes, cut to `limit` characters, safe to print whatever it holds; ordinary text is as it was. */
export function printable(text: string, limit = LIMIT): string {
  return fitted(text, limit, escaped);
}

function escaped(character: string): string {
  if (!UNPRINTABLE.test(character)) return character;
  const inJson = JSON.stringify(character).slice(1, -1);
  return inJson === character ? `\\u{${character.codePointAt(0)?.toString(16)}}` : inJson;
}

function escapedInQuotes(character: string): string {
  return character === '"' || character === "\\" ? `\\${character}` : escaped(character);
}

/** The escaped text, or its beginning and, if there is room, its end. No more of a huge text is looked at than is shown. */
function fitted(text: string, limit: number, escapeOne: (character: string) => string): string {
  if (text.length <= limit) {
    const whole = Array.from(text, escapeOne).join("");
    if (whole.length <= limit) return whole;
  }
  const tail = limit < SHORT ? 0 : Math.floor(limit / 3);
  const ends = firstOf(Array.from(text.slice(text.length - tail), escapeOne).reverse(), tail).reverse();
  const starts = firstOf(Array.from(text.slice(0, limit), escapeOne), limit - ends.join("").length);
  return `${starts.join("")}…${ends.join("")}`;
}

/** As many of the pieces, from the first on, as `room` characters take. */
function firstOf(pieces: readonly string[], room: number): string[] {
  let left = room;
  const end = pieces.findIndex((piece) => {
    left -= piece.length;
    return left < 0;
  });
  return end < 0 ? [...pieces] : pieces.slice(0, end);
}
