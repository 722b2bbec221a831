import { createHash, timingSafeEqual } from "node:crypto";
import { isIP } from "node:net";

/** Whether a request's path begins with the token; the time it takes tells nothing of it. */
export function hasToken(path: string, token: string): boolean {
  const [, given = ""] = path.split("/", 2);
  return timingSafeEqual(digest(given), digest(token));
}

function digest(text: string): Buffer {
  return createHash("sha256").update(text).digest();
}

/**
 * Whether a Host header names this server as its user does: by address, as localhost, or by the name it listens on. Any other
 * name may be a stranger's that leads here, by which a page of theirs would read ours.
 */
export function isOwnHost(header: string | undefined, host: string): boolean {
  const name = (header ?? "").replace(/:\d+$/, "").toLowerCase();
  return name === "localhost" || name === host.toLowerCase() || isIP(name.replace(/^\[(.*)\]$/, "$1")) !== 0;
}
