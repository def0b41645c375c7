// From pixels to the model's input, as ortrain itself does it: Pillow's resize
// in 8 bits (antialiased, 22-bit fixed point, rounded after each pass), the
// middle cut out, normalised.

const PRECISION = 22;

const filters = {
  bilinear: { support: 1, at: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: {
    support: 2,
    at: (x) => {
      x = Math.abs(x);
      if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
      return x < 2 ? ((-0.5 * x + 2.5) * x - 4) * x + 2 : 0;
    },
  },
};

// axis returns for each output pixel its first input pixel and its weights.
function axis(from, to, filter) {
  const scale = from / to, stretch = Math.max(1, scale), reach = filter.support * stretch;
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5)), end = Math.min(from, Math.trunc(centre + reach + 0.5));
    const weights = Array.from({ length: end - first }, (_, k) => filter.at((k + first - centre + 0.5) / stretch));
    const sum = weights.reduce((a, b) => a + b, 0) || 1;
    return { first, weights: weights.map((w) => Math.trunc((w / sum) * (1 << PRECISION) + (w < 0 ? -0.5 : 0.5))) };
  });
}

const round = (sum) => Math.min(255, Math.max(0, sum >> PRECISION));

// resize scales the window x, y, w, h of an image { width, height, channels,
// data } to a size.
function resize(image, x, y, w, h, width, height, filter) {
  const c = image.channels;
  let rows = { data: image.data, stride: image.width * c, from: (y * image.width + x) * c };
  if (w !== width) {
    const across = axis(w, width, filter), out = new Uint8Array(width * h * c);
    for (let j = 0; j < h; j++) {
      for (let i = 0; i < width; i++) {
        const { first, weights } = across[i];
        for (let k = 0; k < c; k++) {
          let sum = 1 << (PRECISION - 1), at = rows.from + j * rows.stride + first * c + k;
          for (let n = 0; n < weights.length; n++, at += c) sum += rows.data[at] * weights[n];
          out[(j * width + i) * c + k] = round(sum);
        }
      }
    }
    rows = { data: out, stride: width * c, from: 0 };
  }
  const out = new Uint8Array(width * height * c), n = width * c;
  const down = h === height ? null : axis(h, height, filter);
  for (let j = 0; j < height; j++) {
    for (let i = 0; i < n; i++) {
      if (!down) {
        out[j * n + i] = rows.data[rows.from + j * rows.stride + i];
        continue;
      }
      const { first, weights } = down[j];
      let sum = 1 << (PRECISION - 1), at = rows.from + first * rows.stride + i;
      for (let k = 0; k < weights.length; k++, at += rows.stride) sum += rows.data[at] * weights[k];
      out[j * n + i] = round(sum);
    }
  }
  return { width, height, channels: c, data: out };
}

// half rounds a margin's half to even, as torchvision's CenterCrop does.
const half = (margin) => (margin % 4 === 3 ? (margin + 1) / 2 : Math.floor(margin / 2));

// fit scales and cuts an image to the model's size.
function fit(image, m) {
  const filter = filters[m.filter];
  if (!filter) throw new Error(`the model's metadata names an unknown interpolation “${m.filter}”`);
  const { width: w, height: h } = image;
  if (!m.resize) {
    let cw = w, ch = h;
    if (w * m.height > h * m.width) cw = Math.max(1, Math.floor((h * m.width) / m.height));
    else ch = Math.max(1, Math.floor((w * m.height) / m.width));
    return resize(image, Math.floor((w - cw) / 2), Math.floor((h - ch) / 2), cw, ch, m.width, m.height, filter);
  }
  const short = Math.min(w, h), nw = Math.floor((w * m.resize) / short), nh = Math.floor((h * m.resize) / short);
  const scaled = resize(image, 0, 0, w, h, nw, nh, filter);
  return resize(scaled, half(nw - m.width), half(nh - m.height), m.width, m.height, m.width, m.height, filter);
}

// channelled drops transparency, and colours where the model sees grey.
export function channelled({ width, height, data }, channels) {
  const out = new Uint8Array(width * height * channels);
  for (let i = 0; i < width * height; i++) {
    const [r, g, b] = [data[4 * i], data[4 * i + 1], data[4 * i + 2]];
    if (channels === 1) out[i] = (19595 * r + 38470 * g + 7471 * b + (1 << 15)) >> 16;
    else out.set([r, g, b], 3 * i);
  }
  return { width, height, channels, data: out };
}

// planes makes normalised C×H×W planes of an image.
export function planes(image, m) {
  const { data } = fit(image, m), c = m.channels, n = m.width * m.height, out = new Float32Array(c * n);
  for (let k = 0; k < c; k++) {
    for (let i = 0; i < n; i++) out[k * n + i] = (data[i * c + k] / 255 - m.mean[k]) / m.std[k];
  }
  return out;
}

// halves converts to float16, rounding to nearest even.
export function halves(floats) {
  const bits = new Uint32Array(new Float32Array(floats).buffer), out = new Uint16Array(bits.length);
  for (let i = 0; i < bits.length; i++) {
    const b = bits[i], sign = (b >>> 16) & 0x8000, e = ((b >>> 23) & 0xff) - 112;
    if (e >= 31) { out[i] = sign | 0x7c00; continue; }
    if (e <= -11) { out[i] = sign; continue; }
    const full = e <= 0 ? (b & 0x7fffff) | 0x800000 : ((b & 0x7fffff) | (e << 23)) >>> 0, drop = e <= 0 ? 14 - e : 13;
    const rest = full % 2 ** drop, cut = Math.floor(full / 2 ** drop), middle = 2 ** (drop - 1);
    out[i] = sign | (cut + (rest > middle || (rest === middle && cut & 1) ? 1 : 0));
  }
  return out;
}
