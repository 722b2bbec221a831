// Every family of architectures, one line each: an array of `Architecture`.
export { cifarResNets } from "./cifar-resnet.js";
export { convNs } from "./conv-n.js";
export { imageNetResNets } from "./imagenet-resnet.js";
export { vggs } from "./vgg.js";
export { wideResNets } from "./wide-resnet.js";
