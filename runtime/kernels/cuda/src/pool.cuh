// Pooling of maps with channels last, and its gradients. A thread computes a
// pack of channels of one pixel of the result; the gradients gather from the
// windows that hold the pixel, so that nothing is added up in a changing order.
#pragma once

#include "channels.cuh"

// Windows describes a pooling from maps of h × w pixels to oh × ow.
struct Windows {
  int channels, h, w, oh, ow, kh, kw, sh, sw, ph, pw;
  int whole;  // the divisor of an average: 1 the window with its padding, 0 its pixels
};

// Place is where a thread works: an image, which blockIdx.y numbers, a pixel of
// a map of given height and width, and channels.
struct Place {
  long long image;
  int row, column, channel;
};

template <int V>
__device__ inline bool place(const Windows &g, int height, int width, Place &p) {
  const unsigned packs = g.channels / V;
  unsigned i = blockIdx.x * kThreads + threadIdx.x;
  if (i >= height * width * packs) return false;
  p.channel = int(i % packs) * V;
  i /= packs;
  p.column = int(i % width);
  p.row = int(i / width);
  p.image = blockIdx.y;
  return true;
}

__device__ inline long long element(const Windows &g, const Place &p, int height, int width, int row, int column) {
  return ((p.image * height + row) * width + column) * g.channels + p.channel;
}

// Span is a window's range of rows or columns inside the map.
struct Span {
  int first, end;
};
__device__ inline Span window(int i, int kernel, int stride, int pad, int size) {
  const int from = i * stride - pad;
  return {from > 0 ? from : 0, from + kernel < size ? from + kernel : size};
}

// holding are the windows that hold pixel i of an axis.
__device__ inline Span holding(int i, int kernel, int stride, int pad, int windows) {
  const int last = (i + pad) / stride, before = i + pad - kernel;
  const int first = before < 0 ? 0 : before / stride + 1;
  return {first, last + 1 < windows ? last + 1 : windows};
}

template <class T, int V>
__device__ inline void max_pool(const T *x, T *y, Windows g) {
  Place p;
  if (!place<V>(g, g.oh, g.ow, p)) return;
  const Span rows = window(p.row, g.kh, g.sh, g.ph, g.h), columns = window(p.column, g.kw, g.sw, g.pw, g.w);
  float best[V];
  load<V>(x + element(g, p, g.h, g.w, rows.first, columns.first), best);
  for (int r = rows.first; r < rows.end; r++)
    for (int c = columns.first; c < columns.end; c++) {
      float v[V];
      load<V>(x + element(g, p, g.h, g.w, r, c), v);
#pragma unroll
      for (int i = 0; i < V; i++) best[i] = v[i] > best[i] || v[i] != v[i] ? v[i] : best[i];
    }
  store<V>(y + element(g, p, g.oh, g.ow, p.row, p.column), best);
}
#define MAX_POOL(T) (const T *x, T *y, Windows g)
KERNELS(max_pool, MAX_POOL, (x, y, g))

// max_pool_grad: a pixel gets the gradients of the windows of which it is the
// first largest in row-major order.
template <class T, int V>
__device__ inline void max_pool_grad(const T *dy, const T *x, const T *y, T *dx, Windows g) {
  Place p;
  if (!place<V>(g, g.h, g.w, p)) return;
  const Span rows = holding(p.row, g.kh, g.sh, g.ph, g.oh), columns = holding(p.column, g.kw, g.sw, g.pw, g.ow);
  float own[V], sum[V];
  load<V>(x + element(g, p, g.h, g.w, p.row, p.column), own);
#pragma unroll
  for (int i = 0; i < V; i++) sum[i] = 0;
  for (int i = rows.first; i < rows.end; i++)
    for (int j = columns.first; j < columns.end; j++) {
      const long long o = element(g, p, g.oh, g.ow, i, j);
      float top[V];
      load<V>(y + o, top);
      unsigned wins = 0;
#pragma unroll
      for (int k = 0; k < V; k++) wins |= own[k] == top[k] ? 1u << k : 0;
      if (wins == 0) continue;
      // An equal one before it takes the gradient.
      const Span r = window(i, g.kh, g.sh, g.ph, g.h), c = window(j, g.kw, g.sw, g.pw, g.w);
      for (int row = r.first; row <= p.row; row++)
        for (int column = c.first; column < (row < p.row ? c.end : p.column); column++) {
          float v[V];
          load<V>(x + element(g, p, g.h, g.w, row, column), v);
#pragma unroll
          for (int k = 0; k < V; k++)
            if (v[k] == top[k]) wins &= ~(1u << k);
        }
      float d[V];
      load<V>(dy + o, d);
#pragma unroll
      for (int k = 0; k < V; k++)
        if (wins >> k & 1) sum[k] += d[k];
    }
  store<V>(dx + element(g, p, g.h, g.w, p.row, p.column), sum);
}
#define MAX_POOL_GRAD(T) (const T *dy, const T *x, const T *y, T *dx, Windows g)
KERNELS(max_pool_grad, MAX_POOL_GRAD, (dy, x, y, dx, g))

// divisor of the average over window (i, j).
__device__ inline float divisor(const Windows &g, int i, int j) {
  if (g.whole) return float(g.kh * g.kw);
  const Span r = window(i, g.kh, g.sh, g.ph, g.h), c = window(j, g.kw, g.sw, g.pw, g.w);
  return float((r.end - r.first) * (c.end - c.first));
}

template <class T, int V>
__device__ inline void avg_pool(const T *x, T *y, Windows g) {
  Place p;
  if (!place<V>(g, g.oh, g.ow, p)) return;
  const Span rows = window(p.row, g.kh, g.sh, g.ph, g.h), columns = window(p.column, g.kw, g.sw, g.pw, g.w);
  float sum[V];
#pragma unroll
  for (int i = 0; i < V; i++) sum[i] = 0;
  for (int r = rows.first; r < rows.end; r++)
    for (int c = columns.first; c < columns.end; c++) {
      float v[V];
      load<V>(x + element(g, p, g.h, g.w, r, c), v);
#pragma unroll
      for (int i = 0; i < V; i++) sum[i] += v[i];
    }
  const float n = divisor(g, p.row, p.column);
#pragma unroll
  for (int i = 0; i < V; i++) sum[i] /= n;
  store<V>(y + element(g, p, g.oh, g.ow, p.row, p.column), sum);
}
#define AVG_POOL(T) (const T *x, T *y, Windows g)
KERNELS(avg_pool, AVG_POOL, (x, y, g))

template <class T, int V>
__device__ inline void avg_pool_grad(const T *dy, T *dx, Windows g) {
  Place p;
  if (!place<V>(g, g.h, g.w, p)) return;
  const Span rows = holding(p.row, g.kh, g.sh, g.ph, g.oh), columns = holding(p.column, g.kw, g.sw, g.pw, g.ow);
  float sum[V];
#pragma unroll
  for (int i = 0; i < V; i++) sum[i] = 0;
  for (int i = rows.first; i < rows.end; i++)
    for (int j = columns.first; j < columns.end; j++) {
      const float n = divisor(g, i, j);
      float d[V];
      load<V>(dy + element(g, p, g.oh, g.ow, i, j), d);
#pragma unroll
      for (int k = 0; k < V; k++) sum[k] += d[k] / n;
    }
  store<V>(dx + element(g, p, g.h, g.w, p.row, p.column), sum);
}
#define AVG_POOL_GRAD(T) (const T *dy, T *dx, Windows g)
KERNELS(avg_pool_grad, AVG_POOL_GRAD, (dy, dx, g))
