// A network in a page of your own: bundle this with Vite (or anything else), and put network.pab beside the page.
import { load } from "@peekaboo/runtime";

const answer = document.querySelector("#answer");
const file = await fetch("network.pab");
const network = await load(new Uint8Array(await file.arrayBuffer()));
answer.textContent = `One of ${network.description.classes.join(", ")}?`;

document.querySelector("#picture").addEventListener("change", async ({ target }) => {
  const bitmap = await createImageBitmap(target.files[0]);
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const { label, probability } = await network.predict(context.getImageData(0, 0, bitmap.width, bitmap.height));
  answer.textContent = `${label}, ${(100 * probability).toFixed(1)} %`;
});
