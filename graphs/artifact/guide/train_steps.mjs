// Trains a few steps with the files beside this one, on the stock ONNX Runtime.
//
//     npm install onnxruntime-node
//     node train_steps.mjs [STEPS]
//
// The images are made up: each class has a pattern of its own, under noise. To
// train on your own, feed normalised images and targets whose rows sum to one.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import ort from 'onnxruntime-node';

const here = dirname(fileURLToPath(import.meta.url));
const manifest = JSON.parse(readFileSync(join(here, 'manifest.json'), 'utf8'));
const { batch } = manifest;
const { classes, input: size } = manifest.model;
const pixels = size.reduce((a, b) => a * b);

// A small generator of random numbers (mulberry32), so that runs repeat.
let seed = 1;
function random() {
  seed = (seed + 0x6d2b79f5) | 0;
  let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
  t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
  return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const normal = () => Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
const uniform = (bound) => (2 * random() - 1) * bound;

function drawer({ kind = 'zeros', fan, fan_in: fanIn, fan_out: fanOut, bound }) {
  if (kind === 'zeros' || kind === '') return () => 0;
  if (kind === 'ones') return () => 1;
  if (kind === 'uniform') return () => uniform(bound);
  const n = kind.startsWith('he_') ? fan : fanIn + fanOut;
  return kind.endsWith('_normal') ? () => normal() * Math.sqrt(2 / n) : () => uniform(Math.sqrt(6 / n));
}

function vector(tensors) {
  const last = tensors.at(-1);
  const v = new Float32Array(last.offset + last.size);
  for (const t of tensors) {
    const draw = drawer(t.init);
    for (let i = 0; i < t.size; i++) v[t.offset + i] = draw();
  }
  return new ort.Tensor('float32', v, [v.length]);
}

// The state: flat vectors that every step reads and returns.
let state = { params: vector(manifest.parameters) };
const count = state.params.data.length;
for (const slot of manifest.slots ?? []) {
  state[slot.name] = new ort.Tensor('float32', new Float32Array(count).fill(slot.init), [count]);
}
if (manifest.statistics?.length) state.stats = vector(manifest.statistics);
if (manifest.precision) state.loss_scale = new ort.Tensor('float32', [manifest.precision.loss_scale, 0, 0], [3]);
const hyper = Object.fromEntries(manifest.hyperparameters.map((h) => [h.name, h.default]));

const patterns = Float32Array.from({ length: classes * pixels }, normal);
const draw = (n) => Array.from({ length: n }, () => Math.floor(random() * classes));
function imagesOf(labels) {
  const x = new Float32Array(labels.length * pixels);
  for (let i = 0; i < x.length; i++) x[i] = patterns[labels[Math.floor(i / pixels)] * pixels + (i % pixels)] + normal();
  return new ort.Tensor('float32', x, [labels.length, ...size]);
}
// What the step takes: normalised images, or 8-bit ones that it normalises.
function fed(images) {
  if (!manifest.pixels) return images;
  const { scale, shift } = manifest.pixels;
  const plane = size[1] * size[2];
  const bytes = Uint8Array.from(images.data, (v, i) => {
    const c = Math.floor(i / plane) % size[0];
    return Math.min(255, Math.max(0, Math.round((v - shift[c]) / scale[c])));
  });
  return new ort.Tensor('uint8', bytes, images.dims);
}
function targetsOf(labels) {
  const t = new Float32Array(labels.length * classes);
  labels.forEach((k, i) => { t[i * classes + k] = 1; });
  return new ort.Tensor('float32', t, [labels.length, classes]);
}
function noise() {
  const last = manifest.random.at(-1);
  const v = new Float32Array(last.offset + last.size);
  for (const r of manifest.random) {
    for (let i = 0; i < r.size; i++) {
      const u = random();
      v[r.offset + i] = r.keep ? (u < r.keep ? 1 / r.keep : 0) : u;
    }
  }
  return new ort.Tensor('float32', v, [v.length]);
}
function accuracy(logits, labels) {
  const best = (i) => {
    const row = logits.data.subarray(i * classes, (i + 1) * classes);
    return row.indexOf(Math.max(...row));
  };
  return labels.filter((k, i) => best(i) === k).length / labels.length;
}

const step = await ort.InferenceSession.create(join(here, 'step.onnx'), { executionProviders: ['cpu'] });
const steps = Number(process.argv[2] ?? 20);
for (let n = 0; n < steps; n++) {
  const labels = draw(batch);
  const feed = { images: fed(imagesOf(labels)), targets: targetsOf(labels), ...state };
  // The learning rate warms up over ten steps; rules that count get the number.
  const scalars = { ...hyper, lr: hyper.lr * Math.min(1, (n + 1) / 10), step: n + 1 };
  for (const port of step.inputMetadata) {
    if (port.name in feed) continue;
    if (port.name in hyper) feed[port.name] = new ort.Tensor('float32', [scalars[port.name]], []);
    else if (port.name === 'noise') feed.noise = noise();
    else { // what only some steps have: a teacher's logits, a sum of gradients
      const n = port.shape.reduce((a, b) => a * b, 1);
      feed[port.name] = new ort.Tensor('float32', new Float32Array(n), port.shape);
    }
  }
  const out = await step.run(feed);
  state = Object.fromEntries(Object.keys(state).map((name) => [name, out[`${name}_out`]]));
  console.log(`step ${n + 1} loss ${out.loss.data[0].toFixed(4)} accuracy ${accuracy(out.logits, labels).toFixed(3)}`);
}

// eval.onnx takes the state as it is, and any number of images.
const labels = draw(64);
const evaluate = await ort.InferenceSession.create(join(here, 'eval.onnx'), { executionProviders: ['cpu'] });
const feed = { images: imagesOf(labels) };
for (const name of evaluate.inputNames) if (name in state) feed[name] = state[name];
const { logits } = await evaluate.run(feed);
console.log(`evaluation accuracy ${accuracy(logits, labels).toFixed(3)}`);
