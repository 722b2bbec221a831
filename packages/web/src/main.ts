import { isPab } from "@peekaboo/seed";
import { askedNetwork, bundledNetworks, fetchNetwork, type HostedNetwork } from "./hosted.js";
import { samplesFor } from "./samples.js";
import type { Session } from "./session.js";
import { Thread } from "./thread.js";
import { byId, el } from "./view/dom.js";
import { takeFiles } from "./view/entrance.js";
import { showFile } from "./view/file.js";
import { bytes as inBytes, milliseconds, percent } from "./view/format.js";
import { GrowView } from "./view/grow.js";
import { decodeImage } from "./view/pixels.js";
import { clearProblem, messageOf, tell } from "./view/problem.js";
import { TestView } from "./view/test.js";
import { TryView } from "./view/try.js";

const MOST_BYTES = 64e6;
const OWN = "own";

const select = byId("networks", HTMLSelectElement);
const status = byId("status", HTMLParagraphElement);
const main = byId("main", HTMLElement);
const title = byId("title", HTMLHeadingElement);

const growView = new GrowView();
const testView = new TestView();
const tryView = new TryView((subject) => growView.setSubject(subject));

let session: Session | undefined;
/** What is being opened; whatever is asked for later takes its place. */
let opening: Thread | undefined;
let openName = "";

/** Opens a network, and puts the one before it away; that one stays when the file is none. */
async function openNetwork(name: string, read: () => Promise<Uint8Array>): Promise<void> {
  opening?.close();
  const thread = new Thread();
  opening = thread;
  clearProblem();
  status.textContent = `Opening ${name}…`;
  try {
    const bytes = await read();
    const facts = await thread.call("load", { bytes }, (fraction) => {
      if (opening === thread) status.textContent = `Opening ${name}: ${percent(Math.floor(10 * fraction) / 10, 0)}`;
    });
    const samples = await samplesFor(facts);
    if (opening !== thread) return;
    session?.thread.close();
    session = { thread, facts, samples };
    opening = undefined;
    openName = name;
    show(session);
  } catch (error) {
    if (opening !== thread) return;
    opening = undefined;
    thread.close();
    tell(`“${name}” can't be opened: ${messageOf(error)}`);
    status.textContent = session === undefined ? "" : `Still here: ${openName}.`;
    choose(openName);
  }
}

function show(opened: Session): void {
  const { facts } = opened;
  title.textContent = `An image classifier in ${inBytes(facts.bytes)}`;
  const trained = facts.dataset === null ? "" : `, trained on ${opened.samples?.title ?? facts.dataset}`;
  document.title = `${openName} – peekaboo`;
  status.textContent = `${openName}: ${facts.network}${trained}; opened in ${milliseconds(facts.loadTime)}.`;
  choose(openName);
  main.hidden = false;
  // The stages first: the image that comes next is told to them.
  growView.show(opened);
  showFile(facts);
  testView.show(opened);
  tryView.show(opened);
}

/** Has the list name what is open. */
function choose(name: string): void {
  select.querySelector(`option[value=${OWN}]`)?.remove();
  const bundled = bundledNetworks.findIndex((network) => network.name === name);
  if (bundled < 0 && name !== "") select.append(el("option", { value: OWN }, name));
  select.value = bundled < 0 ? OWN : String(bundled);
}

function openHosted(network: HostedNetwork): Promise<void> {
  return openNetwork(network.name, () => fetchNetwork(network));
}

/** A network or an image, whichever it is. */
async function openFile(file: File, expected: "network" | "image" | "either"): Promise<void> {
  const name = file.name === "" ? "the image" : file.name;
  if (file.size > MOST_BYTES) {
    tell(
      `“${name}” can't be opened: it has ${inBytes(file.size)}, and this page takes at most ${inBytes(MOST_BYTES)}.`,
    );
    return;
  }
  const beginning = new Uint8Array(await file.slice(0, 8).arrayBuffer());
  if (expected === "network" || isPab(beginning) || /\.pab$/i.test(name)) {
    await openNetwork(name, async () => new Uint8Array(await file.arrayBuffer()));
    return;
  }
  clearProblem();
  try {
    tryView.showImage({ image: await decodeImage(file), caption: name, truth: null });
  } catch {
    tell(`“${name}” can't be opened: it is neither an image that this browser reads nor a .pab file.`);
  }
}

select.append(...bundledNetworks.map(({ name }, i) => el("option", { value: i }, name)));
select.addEventListener("change", () => {
  const network = bundledNetworks[Number(select.value)];
  if (network !== undefined) void openHosted(network);
});
takeFiles((file, expected) => {
  openFile(file, expected).catch((error: unknown) => tell(`“${file.name}” can't be opened: ${messageOf(error)}`));
});
const first = askedNetwork() ?? bundledNetworks[0];
if (first === undefined) status.textContent = "This page has no network of its own: open a .pab file.";
else void openHosted(first);
