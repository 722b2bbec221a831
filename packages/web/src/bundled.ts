/** The networks that come with the page: whatever lies in models/. */
const urls = import.meta.glob<string>("../../../models/*.pab", { query: "?url", import: "default", eager: true });

export interface BundledNetwork {
  /** The file's name. */
  readonly name: string;
  readonly url: string;
}

export const bundledNetworks: readonly BundledNetwork[] = Object.entries(urls).map(([path, url]) => ({
  name: path.slice(path.lastIndexOf("/") + 1),
  url,
}));

/** @throws {Error} when the page's host doesn't give it */
export async function fetchBundled({ name, url }: BundledNetwork): Promise<Uint8Array> {
  const response = await fetch(new URL(url, document.baseURI));
  if (!response.ok) throw new Error(`${name} is missing from this page's host (status ${response.status})`);
  return new Uint8Array(await response.arrayBuffer());
}
