/** The networks that come with the page: whatever lies in models/. */
const urls = import.meta.glob<string>("../../../models/*.pab", { query: "?url", import: "default", eager: true });

/** Of a name that the page's address gives. */
const MOST_LETTERS = 200;

/** A network that the page's host has. */
export interface HostedNetwork {
  /** The file's name. */
  readonly name: string;
  readonly url: string;
}

export const bundledNetworks: readonly HostedNetwork[] = Object.entries(urls).map(([path, url]) => ({
  name: path.slice(path.lastIndexOf("/") + 1),
  url,
}));

/** The network that `?network=` in the page's address leads to, seen from the page; `&name=` is what it is called. */
export function askedNetwork(): HostedNetwork | null {
  const query = new URLSearchParams(location.search);
  const url = query.get("network");
  const name = query.get("name") || url?.slice(url.lastIndexOf("/") + 1) || "the network";
  return url === null ? null : { name: name.slice(0, MOST_LETTERS), url };
}

/** @throws {Error} when the page's host doesn't give it */
export async function fetchNetwork({ name, url }: HostedNetwork): Promise<Uint8Array> {
  const place = new URL(url, document.baseURI);
  if (place.origin !== location.origin) throw new Error("it lies on another host, and this page asks only its own");
  const response = await fetch(place);
  if (!response.ok) throw new Error(`${name} is missing from this page's host (status ${response.status})`);
  return new Uint8Array(await response.arrayBuffer());
}
