import * as ort from './ort/ort.wasm.bundle.min.mjs';
import { describe, rank, readMetadata } from './model.js';
import { channelled, halves, planes } from './pixels.js';

const MODEL = 'model.onnx', TOP = 5, MAX_PIXELS = 64 << 20;
const $ = (id) => document.getElementById(id);

ort.env.wasm.wasmPaths = { wasm: new URL('./ort/ort-wasm-simd-threaded.wasm', import.meta.url).href };
ort.env.wasm.numThreads = 1; // more need HTTP headers that static hosts do not send

let session, model, turn = 0;

function say(text) { $('status').textContent = text; }

function fail(text) {
  $('classes').replaceChildren();
  say('');
  $('error').textContent = text;
  $('error').hidden = false;
}

async function start() {
  try {
    const reply = await fetch(MODEL);
    if (!reply.ok) throw new Error(`${MODEL} is not there (${reply.status} ${reply.statusText})`);
    const bytes = new Uint8Array(await reply.arrayBuffer());
    const metadata = readMetadata(bytes);
    session = await ort.InferenceSession.create(bytes, { executionProviders: ['wasm'] });
    model = describe(session, metadata);
  } catch (e) {
    $('about').textContent = 'The model cannot be used.';
    fail(`The model cannot be used: ${e.message}`);
    return;
  }
  const about = [model.metadata.model, model.metadata.dataset, model.names && `${model.names.length} classes`,
    model.width && `${model.width} × ${model.height} pixels`];
  $('about').textContent = about.filter(Boolean).join(' · ');
  if (model.metadata.model) document.title = `${model.metadata.model} – image classifier`;
  $('file').disabled = false;
  say('Ready. Choose an image.');
  document.documentElement.dataset.ready = 'yes';
}

// decode returns the pixels of an image file, upright.
async function decode(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, { imageOrientation: 'from-image', colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  } catch {
    throw new Error(`“${file.name || 'This'}” is not an image that the browser can read.`);
  }
  const { width, height } = bitmap;
  if (width * height > MAX_PIXELS) throw new Error(`The image has ${width} × ${height} pixels, which is too many.`);
  const canvas = $('shown');
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext('2d', { willReadFrequently: true });
  if (!context) throw new Error(`The image of ${width} × ${height} pixels is too large for this browser.`);
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  return context.getImageData(0, 0, width, height);
}

async function classify(file) {
  const mine = ++turn;
  $('error').hidden = true;
  $('classes').replaceChildren();
  document.documentElement.dataset.answered = '';
  say('Working…');
  try {
    if (!session || !model) throw new Error('The model is not loaded.');
    if (!file) throw new Error('That is not an image file. Drop a file, such as a JPEG or PNG.');
    if (file.size === 0) throw new Error(`“${file.name}” is empty.`);
    const rgba = await decode(file);
    show(file, rgba);
    const image = channelled(rgba, model.channels);
    const begun = performance.now();
    const results = await session.run({ [model.input]: tensor(image) });
    if (mine !== turn) return; // another image came meanwhile
    list(rank(session, model, results, TOP));
    say(`Classified in ${Math.max(1, Math.round(performance.now() - begun))} ms.`);
  } catch (e) {
    if (mine === turn) fail(e.message);
  }
  document.documentElement.dataset.answered = String(mine);
}

function tensor(image) {
  if (model.pixels) return new ort.Tensor('uint8', image.data, [1, image.height, image.width, model.channels]);
  const shape = [1, model.channels, model.height, model.width], values = planes(image, model);
  if (model.type === 'float16') {
    const bits = halves(values);
    return new ort.Tensor('float16', globalThis.Float16Array ? new Float16Array(bits.buffer) : bits, shape);
  }
  return new ort.Tensor('float32', values, shape);
}

function show(file, { width, height }) {
  const canvas = $('shown');
  canvas.classList.toggle('small', Math.max(width, height) < 160);
  canvas.setAttribute('aria-label', `The image ${file.name || ''}`.trim());
  canvas.hidden = false;
  $('invite').hidden = true;
  $('caption').textContent = `${file.name || 'Pasted image'}, ${width} × ${height} pixels. It stays on this device.`;
}

function list(classes) {
  $('classes').replaceChildren(...classes.map(({ name, share, index }) => {
    const item = document.createElement('li');
    item.dataset.index = index;
    const part = (kind, text) => {
      const e = document.createElement('span');
      e.className = kind;
      e.textContent = text;
      item.append(e);
      return e;
    };
    part('name', name);
    part('share', `${(100 * share).toFixed(1)} %`);
    const bar = part('bar', '');
    bar.style.setProperty('--share', share);
    bar.setAttribute('aria-hidden', 'true');
    return item;
  }));
}

const drop = $('drop');
for (const kind of ['dragenter', 'dragover']) {
  document.addEventListener(kind, (e) => { e.preventDefault(); drop.classList.add('over'); });
}
document.addEventListener('dragleave', (e) => { if (!e.relatedTarget) drop.classList.remove('over'); });
document.addEventListener('drop', (e) => {
  e.preventDefault();
  drop.classList.remove('over');
  classify(e.dataTransfer.files[0]);
});
document.addEventListener('paste', (e) => { if (e.clipboardData.files.length) classify(e.clipboardData.files[0]); });
$('file').addEventListener('change', (e) => {
  if (e.target.files.length) classify(e.target.files[0]);
  e.target.value = '';
});

start();
