import { isIP } from "node:net";
import type { Kind } from "./kinds.js";

/** Where rank 0 serves the store. */
export interface Address {
  readonly host: string;
  readonly port: number;
}

const TCP = /^tcp:\/\/(?:\[([0-9a-f:.%\w]+)\]|([\w.-]+)):([1-9]\d{0,4})\/?$/i;

/** `env://`, or `tcp://HOST:PORT` with an IPv6 address in brackets. */
export function distUrl(): Kind<string> {
  const accept = (value: string) => (value === "env://" || addressOf(value) !== null ? value : undefined);
  return {
    expected: "tcp://HOST:PORT or env://",
    fromText: (text) => accept(text.trim()),
    fromJson: (value) => (typeof value === "string" ? accept(value) : undefined),
  };
}

/** The address that a `tcp://` URL names; null for anything else. */
export function addressOf(url: string): Address | null {
  const [, bracketed, plain, digits] = TCP.exec(url) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  const exists = host !== undefined && (bracketed === undefined || isIP(bracketed) === 6);
  return exists && port <= 65535 ? { host, port } : null;
}
