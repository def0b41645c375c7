// Runs a model in ONNX Runtime's Node package on the inputs that the Go side
// was fed, and compares the outputs.
//
//   node check.mjs REFERENCE.json [TOLERANCE]
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as ort from 'onnxruntime-node';
import { halves } from '../../runtime/web/page/pixels.js';

const reference = JSON.parse(readFileSync(process.argv[2]));
const tolerance = Number(process.argv[3] ?? 1e-4);
const { version } = createRequire(import.meta.url)('onnxruntime-node/package.json');

const session = await ort.InferenceSession.create(reference.model);
const [name] = session.inputNames;
if (name !== reference.input) throw new Error(`the input is ${name}, not ${reference.input}`);

let worst = 0;
for (const c of reference.cases) {
  const bytes = Buffer.from(c.input, 'base64');
  let x;
  if (c.type === 'uint8') {
    x = new ort.Tensor('uint8', new Uint8Array(bytes), c.shape);
  } else {
    const floats = new Float32Array(new Uint8Array(bytes).buffer);
    x = session.inputMetadata[0].type === 'float16' ? new ort.Tensor('float16', halves(floats), c.shape) : new ort.Tensor('float32', floats, c.shape);
  }
  const results = await session.run({ [name]: x });
  const first = results[session.outputNames[0]];
  const values = Array.from(first.data, first.type === 'float16' && !(globalThis.Float16Array && first.data instanceof Float16Array) ? single : Number);
  if (values.length !== c.values.length) throw new Error(`${values.length} outputs, not ${c.values.length}`);
  values.forEach((v, i) => { worst = Math.max(worst, Math.abs(v - c.values[i])); });
  const classes = session.outputNames.length > 1 ? Array.from(results[session.outputNames[1]].data, Number) : values.map((_, i) => i);
  if (c.classes && String(classes) !== String(c.classes)) throw new Error(`${c.image}: classes ${classes}, not ${c.classes}`);
  if (classes[values.indexOf(Math.max(...values))] !== c.top) throw new Error(`${c.image}: another best class`);
}

// single converts the bits of a float16.
function single(bits) {
  const sign = bits & 0x8000 ? -1 : 1, e = (bits >> 10) & 31, f = bits & 1023;
  if (e === 0) return sign * f * 2 ** -24;
  return e === 31 ? (f ? NaN : sign * Infinity) : sign * (1 + f / 1024) * 2 ** (e - 15);
}

const good = worst <= tolerance;
console.log(`${good ? 'ok  ' : 'FAIL'} Node ${process.versions.node}, onnxruntime-node ${version}: ${reference.cases.length} images, outputs within ${worst.toExponential(1)} of Go's`);
process.exit(good ? 0 : 1);
