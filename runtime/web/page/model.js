// What a model file says of itself, and how its answers are read.

// readMetadata returns the metadata properties of an encoded ONNX model. Only
// the outermost fields are walked over; the graph is skipped.
export function readMetadata(bytes) {
  const found = {};
  walk(bytes, (field, value) => {
    if (field !== 14 || !(value instanceof Uint8Array)) return; // metadata_props
    const entry = {};
    walk(value, (f, v) => { entry[f] = new TextDecoder().decode(v); });
    found[entry[1]] = entry[2] ?? '';
  });
  return found;
}

// walk calls visit(number, value) for the fields of a protobuf message; a value
// is a number or a view of bytes.
function walk(bytes, visit) {
  let at = 0;
  const varint = () => {
    let value = 0, scale = 1;
    for (;;) {
      if (at >= bytes.length) throw new Error('not an ONNX model');
      const b = bytes[at++];
      value += (b & 0x7f) * scale;
      if (b < 0x80) return value;
      scale *= 128;
    }
  };
  while (at < bytes.length) {
    const key = varint(), field = Math.floor(key / 8);
    switch (key % 8) {
      case 0: visit(field, varint()); break;
      case 1: at += 8; break;
      case 2: {
        const n = varint();
        if (at + n > bytes.length) throw new Error('the model file is cut off');
        visit(field, bytes.subarray(at, at + n));
        at += n;
        break;
      }
      case 5: at += 4; break;
      default: throw new Error('not an ONNX model');
    }
  }
}

// describe derives from ports and metadata how to use a session. An error says
// what is missing.
export function describe(session, metadata) {
  const list = (key) => {
    if (metadata[key] === undefined) return undefined;
    try { return JSON.parse(metadata[key]); } catch { throw new Error(`the model's metadata “${key}” is not a list`); }
  };
  const input = session.inputMetadata[0], names = list('class_names');
  if (session.inputNames.length !== 1 || !input.isTensor || input.shape.length !== 4) {
    throw new Error('this model is not an image classifier: it does not take one image');
  }
  const fixed = (i) => (typeof input.shape[i] === 'number' && input.shape[i] > 0 ? input.shape[i] : undefined);
  const m = { input: session.inputNames[0], type: input.type, names, probabilities: metadata.output === 'probabilities', metadata };
  const size = list('input_size') ?? [];
  if (input.type === 'uint8') {
    m.pixels = true;
    m.channels = fixed(3) ?? 3;
    m.height = size[1];
    m.width = size[2];
    return m;
  }
  if (input.type !== 'float32' && input.type !== 'float16') throw new Error(`the model takes ${input.type}, not an image`);
  [m.channels, m.height, m.width] = [1, 2, 3].map((i) => fixed(i) ?? size[i - 1]);
  if (!m.channels || !m.height || !m.width) throw new Error('the model does not say the size of its input (metadata input_size)');
  if (m.channels !== 1 && m.channels !== 3) throw new Error(`the model takes ${m.channels} channels; images have 1 or 3`);
  [m.mean, m.std] = [list('mean'), list('std')];
  if (!m.mean || !m.std || m.mean.length !== m.channels || m.std.length !== m.channels) {
    throw new Error('the model does not say how its input is normalised (metadata mean and std)');
  }
  m.resize = Number(metadata.resize ?? 0);
  m.filter = metadata.interpolation ?? 'bilinear';
  return m;
}

// rank returns the k most likely classes of a session's results.
export function rank(session, m, results, k) {
  const values = Array.from(results[session.outputNames[0]].data, Number);
  if (values.some((v) => !Number.isFinite(v))) throw new Error('the model answered something that is no number');
  const classes = session.outputNames.length > 1 ? Array.from(results[session.outputNames[1]].data, Number) : values.map((_, i) => i);
  let shares = values;
  if (!m.probabilities) {
    const top = Math.max(...values), e = values.map((v) => Math.exp(v - top)), sum = e.reduce((a, b) => a + b, 0);
    shares = e.map((v) => v / sum);
  }
  return shares.map((share, i) => ({ index: classes[i], share, name: m.names?.[classes[i]] ?? `class ${classes[i]}` }))
    .sort((a, b) => b.share - a.share).slice(0, k);
}
