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

const floats = (v, dims) => new ort.Tensor('float32', v, dims ?? [v.length]);
function vector(tensors) {
  const last = tensors.at(-1);
  const v = new Float32Array(last.offset + last.size);
  for (const t of tensors) {
    const draw = drawer(t.init);
    for (let i = 0; i < t.size; i++) v[t.offset + i] = draw();
  }
  return floats(v);
}

// The state: flat vectors that every step reads and returns.
let state = { params: vector(manifest.parameters) };
const count = state.params.data.length;
for (const slot of manifest.slots ?? []) {
  state[slot.name] = floats(new Float32Array(count).fill(slot.init));
}
if (manifest.statistics?.length) state.stats = vector(manifest.statistics);
if (manifest.precision) state.loss_scale = floats([manifest.precision.loss_scale, 0, 0]);
if (manifest.average) { // it begins where the state does
  state.average_params = state.params;
  const moving = (manifest.statistics ?? []).reduce((n, t) => n + (t.frozen ? 0 : t.size), 0);
  if (moving > 0) state.average_stats = floats(state.stats.data.slice(0, moving));
}
const hyper = Object.fromEntries(manifest.hyperparameters.map((h) => [h.name, h.default]));

const patterns = Float32Array.from({ length: classes * pixels }, normal);
const draw = (n) => Array.from({ length: n }, () => Math.floor(random() * classes));
function imagesOf(labels) {
  const x = new Float32Array(labels.length * pixels);
  for (let i = 0; i < x.length; i++) x[i] = patterns[labels[Math.floor(i / pixels)] * pixels + (i % pixels)] + normal();
  return floats(x, [labels.length, ...size]);
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
  return floats(t, [labels.length, classes]);
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
  return floats(v);
}
function accuracy(logits, labels) {
  const best = (i) => {
    const row = logits.data.subarray(i * classes, (i + 1) * classes);
    return row.indexOf(Math.max(...row));
  };
  return labels.filter((k, i) => best(i) === k).length / labels.length;
}

const step = await ort.InferenceSession.create(join(here, 'step.onnx'), { executionProviders: ['cpu'] });

// The classes of a batch for step n, and what that step takes beside the state.
function drawn(n) {
  const labels = draw(batch);
  const feed = { images: fed(imagesOf(labels)), targets: targetsOf(labels) };
  // The learning rate warms up over ten steps; rules that count get the number.
  const scalars = { ...hyper, lr: hyper.lr * Math.min(1, (n + 1) / 10), step: n + 1, average_share: Math.max(0.1, 1 / (n + 1)) };
  for (const name of step.inputNames) {
    if (name in hyper) feed[name] = floats([scalars[name]], []);
    else if (name === 'noise') feed.noise = noise();
    // The logits of a teacher go here: this one finds all classes equal.
    else if (name === 'teacher') feed.teacher = floats(new Float32Array(batch * classes), [batch, classes]);
  }
  return { labels, feed };
}

// Runs the model and keeps the state that it returns.
async function run(feed) {
  const out = await step.run({ ...feed, ...state });
  state = Object.fromEntries(Object.keys(state).map((name) => [name, out[`${name}_out`]]));
  return out;
}

// Takes step n, by the sum of the gradients of several batches if the files are
// made for that.
async function one(n) {
  if (!manifest.accumulate) {
    const { labels, feed } = drawn(n);
    return [{ labels, out: await run(feed) }];
  }
  const before = state;
  let gradients = floats(new Float32Array(count));
  for (let left = Math.round(1 / hyper.gradient_weight) - 1; ; left--) {
    const { labels, feed } = drawn(n);
    const out = await run({ ...feed, gradients });
    gradients = out.gradients_out;
    if (left === 0) return [{ labels, out }];
    // Only the last part's update counts; the statistics move with each.
    state = 'stats' in state ? { ...before, stats: state.stats } : before;
  }
}

// One tensor behind the other, with a first dimension that counts them.
function stacked(tensors) {
  const [{ data, dims, type }] = tensors;
  const all = new data.constructor(data.length * tensors.length);
  tensors.forEach((t, i) => all.set(t.data, i * data.length));
  return new ort.Tensor(type, all, [tensors.length, ...dims]);
}

// Takes steps n, n + 1, … in one run: what each takes, stacked, and what each
// gives.
async function several(n, number) {
  const batches = Array.from({ length: number }, (_, i) => drawn(n + i));
  const feed = { steps: new ort.Tensor('int64', [BigInt(number)], [1]) };
  for (const name in batches[0].feed) feed[name] = stacked(batches.map((b) => b.feed[name]));
  const out = await run(feed);
  return batches.map(({ labels }, i) => ({
    labels,
    out: {
      loss: floats(out.loss.data.slice(i, i + 1)),
      logits: floats(out.logits.data.slice(i * batch * classes, (i + 1) * batch * classes)),
    },
  }));
}

const steps = Number(process.argv[2] ?? 20);
for (let taken = 0; taken < steps;) {
  // A run of a model with a loop takes as many steps as it is told to.
  for (const { labels, out } of await (manifest.loop ? several(taken, Math.min(4, steps - taken)) : one(taken))) {
    taken++;
    console.log(`step ${taken} loss ${out.loss.data[0].toFixed(4)} accuracy ${accuracy(out.logits, labels).toFixed(3)}`);
  }
}

// eval.onnx takes the state as it is, and any number of images.
const labels = draw(64);
const images = imagesOf(labels);
const evaluate = await ort.InferenceSession.create(join(here, 'eval.onnx'), { executionProviders: ['cpu'] });
async function evaluated(state) {
  const feed = { images };
  for (const name of evaluate.inputNames) if (name in state) feed[name] = state[name];
  return accuracy((await evaluate.run(feed)).logits, labels).toFixed(3);
}
console.log(`evaluation accuracy ${await evaluated(state)}`);
if (manifest.average) {
  const average = { params: state.average_params };
  if (state.stats) { // frozen ones, which have no average, come last
    const all = state.stats.data.slice();
    if (state.average_stats) all.set(state.average_stats.data);
    average.stats = floats(all);
  }
  console.log(`evaluation of the average accuracy ${await evaluated(average)}`);
}
