// Batch normalisation (Ioffe & Szegedy 2015) with what surrounds it in a
// residual network: the rectifier and the residual sum forward, their gradients
// backward.
//
// Sums over rows take two steps of a fixed order, a partial result for each
// block and then those of all blocks, so that they repeat bit for bit.
#pragma once

#include "channels.cuh"

// Moments are a count of numbers, their mean and the sum of squared distances
// from it.
struct Moments {
  float n, mean, m2;
};

// joined are the moments of two sets together (Chan, Golub & LeVeque 1979).
__device__ inline Moments joined(Moments a, Moments b) {
  if (b.n == 0) return a;
  if (a.n == 0) return b;
  float n = a.n + b.n, d = b.mean - a.mean, share = b.n / n;
  return {n, a.mean + d * share, a.m2 + b.m2 + d * d * a.n * share};
}

// moments: x → mean and m2 of every block's rows, parts × channels. Each thread
// measures from its first number, which costs no digits however far from zero
// the mean is.
template <class T, int V>
__device__ inline void moments(const T *x, long long rows, int channels, long long per, float *mean, float *m2) {
  __shared__ float means[kThreads * V], squares[kThreads * V];
  __shared__ int counts[kThreads];
  const Share s = share<V>(rows, channels, per);
  const int tx = threadIdx.x, ty = threadIdx.y, width = blockDim.x;
  float from[V], sum[V], square[V];
  int n = 0;
#pragma unroll
  for (int i = 0; i < V; i++) from[i] = sum[i] = square[i] = 0;
  if (s.inside) {
    if (s.first + ty < s.end) load<V>(x + (s.first + ty) * channels + s.column, from);
    for (long long r = s.first + ty; r < s.end; r += blockDim.y) {
      float v[V];
      load<V>(x + r * channels + s.column, v);
      n++;
#pragma unroll
      for (int i = 0; i < V; i++) {
        float d = v[i] - from[i];
        sum[i] += d;
        square[i] += d * d;
      }
    }
  }
  const int at = ty * width + tx;
  const float each = n > 0 ? 1.0f / n : 0.0f;
  counts[at] = n;
#pragma unroll
  for (int i = 0; i < V; i++) {
    means[at * V + i] = from[i] + sum[i] * each;
    squares[at * V + i] = square[i] - sum[i] * sum[i] * each;
  }
  for (int half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (ty < half) {
      const int other = at + half * width;
      const float na = counts[at], nb = counts[other];
#pragma unroll
      for (int i = 0; i < V; i++) {
        Moments m = joined({na, means[at * V + i], squares[at * V + i]}, {nb, means[other * V + i], squares[other * V + i]});
        means[at * V + i] = m.mean;
        squares[at * V + i] = m.m2;
      }
      counts[at] = int(na + nb);
    }
  }
  if (ty == 0 && s.inside) {
#pragma unroll
    for (int i = 0; i < V; i++) {
      const long long to = (long long)blockIdx.y * channels + s.column + i;
      mean[to] = means[at * V + i];
      m2[to] = squares[at * V + i];
    }
  }
}
#define MOMENTS(T) (const T *x, long long rows, int channels, long long per, float *mean, float *m2)
KERNELS(moments, MOMENTS, (x, rows, channels, per, mean, m2))

// join_moments: the blocks' moments → mean and biased variance of every channel.
// 32 channels a block, 8 threads each.
extern "C" __global__ void __launch_bounds__(256)
    join_moments(const float *means, const float *m2s, int parts, long long rows, int channels, long long per, float *mean, float *variance) {
  __shared__ Moments all[256];
  const int c = blockIdx.x * 32 + threadIdx.x, ty = threadIdx.y, at = ty * 32 + threadIdx.x;
  Moments m = {0, 0, 0};
  if (c < channels)
    for (int p = ty; p < parts; p += 8) {
      const long long left = rows - p * per;
      m = joined(m, {float(left < per ? left : per), means[(long long)p * channels + c], m2s[(long long)p * channels + c]});
    }
  all[at] = m;
  for (int half = 4; half > 0; half /= 2) {
    __syncthreads();
    if (ty < half) all[at] = joined(all[at], all[at + half * 32]);
  }
  if (ty == 0 && c < channels) {
    mean[c] = all[at].mean;
    variance[c] = all[at].m2 / float(rows);
  }
}

// norm: x → act(γ·(x − mean)/√(variance + eps) + β + r); r may be null.
template <class T, int V>
__device__ inline void norm(const T *x, const float *mean, const float *variance, const float *gamma, const float *beta, const T *r, T *y,
                            long long rows, int channels, long long per, float eps, int relu) {
  const Share s = share<V>(rows, channels, per);
  if (!s.inside) return;
  float a[V], m[V], b[V];
#pragma unroll
  for (int i = 0; i < V; i++) {
    const int c = s.column + i;
    a[i] = gamma[c] / sqrtf(variance[c] + eps);
    m[i] = mean[c];
    b[i] = beta[c];
  }
  for (long long row = s.first + threadIdx.y; row < s.end; row += blockDim.y) {
    const long long at = row * channels + s.column;
    float v[V], z[V];
    load<V>(x + at, v);
    if (r != nullptr) load<V>(r + at, z);
#pragma unroll
    for (int i = 0; i < V; i++) {
      v[i] = a[i] * (v[i] - m[i]) + b[i];
      if (r != nullptr) v[i] += z[i];
      if (relu) v[i] = rectified(v[i]);
    }
    store<V>(y + at, v);
  }
}
#define NORM(T)                                                                                                                                 \
  (const T *x, const float *mean, const float *variance, const float *gamma, const float *beta, const T *r, T *y, long long rows, int channels, \
   long long per, float eps, int relu)
KERNELS(norm, NORM, (x, mean, variance, gamma, beta, r, y, rows, channels, per, eps, relu))

// arriving reads the gradient that reaches a norm, [y > 0]·(dy + a): a is a
// gradient that has come by another way, y the output of a rectifier behind the
// norm; either may be null.
template <int V, class T>
__device__ inline void arriving(const T *dy, const T *a, const T *y, long long at, float *g) {
  float v[V];
  load<V>(dy + at, g);
  if (a != nullptr) {
    load<V>(a + at, v);
#pragma unroll
    for (int i = 0; i < V; i++) g[i] = stored<T>(g[i] + v[i]);
  }
  if (y != nullptr) {
    load<V>(y + at, v);
#pragma unroll
    for (int i = 0; i < V; i++) g[i] = v[i] > 0 ? g[i] : 0.0f;
  }
}

// norm_sums: the blocks' Σg and Σg·(x − mean), parts × channels; g itself where
// it is not null.
template <class T, int V>
__device__ inline void norm_sums(const T *dy, const T *a, const T *y, const T *x, const float *mean, T *g, long long rows, int channels,
                                 long long per, float *sum, float *dot) {
  __shared__ float sums[kThreads * V], dots[kThreads * V];
  const Share s = share<V>(rows, channels, per);
  const int ty = threadIdx.y, width = blockDim.x, at = ty * width + threadIdx.x;
  float m[V], total[V], product[V];
#pragma unroll
  for (int i = 0; i < V; i++) {
    total[i] = product[i] = 0;
    m[i] = s.inside ? mean[s.column + i] : 0;
  }
  if (s.inside)
    for (long long row = s.first + ty; row < s.end; row += blockDim.y) {
      const long long o = row * channels + s.column;
      float v[V], d[V];
      load<V>(x + o, v);
      arriving<V>(dy, a, y, o, d);
      if (g != nullptr) store<V>(g + o, d);
#pragma unroll
      for (int i = 0; i < V; i++) {
        total[i] += d[i];
        product[i] += d[i] * (v[i] - m[i]);
      }
    }
#pragma unroll
  for (int i = 0; i < V; i++) {
    sums[at * V + i] = total[i];
    dots[at * V + i] = product[i];
  }
  for (int half = blockDim.y / 2; half > 0; half /= 2) {
    __syncthreads();
    if (ty < half) {
      const int other = at + half * width;
#pragma unroll
      for (int i = 0; i < V; i++) {
        sums[at * V + i] += sums[other * V + i];
        dots[at * V + i] += dots[other * V + i];
      }
    }
  }
  if (ty == 0 && s.inside) {
#pragma unroll
    for (int i = 0; i < V; i++) {
      const long long to = (long long)blockIdx.y * channels + s.column + i;
      sum[to] = sums[at * V + i];
      dot[to] = dots[at * V + i];
    }
  }
}
#define NORM_SUMS(T)                                                                                                                      \
  (const T *dy, const T *a, const T *y, const T *x, const float *mean, T *g, long long rows, int channels, long long per, float *sum, \
   float *dot)
KERNELS(norm_sums, NORM_SUMS, (dy, a, y, x, mean, g, rows, channels, per, sum, dot))

// join_sums: the blocks' sums → dγ = Σg·(x − mean)/√(variance + eps), dβ = Σg.
extern "C" __global__ void __launch_bounds__(256)
    join_sums(const float *sum, const float *dot, int parts, int channels, const float *variance, float eps, float *dgamma, float *dbeta) {
  __shared__ float sums[256], dots[256];
  const int c = blockIdx.x * 32 + threadIdx.x, ty = threadIdx.y, at = ty * 32 + threadIdx.x;
  float s = 0, d = 0;
  if (c < channels)
    for (int p = ty; p < parts; p += 8) {
      s += sum[(long long)p * channels + c];
      d += dot[(long long)p * channels + c];
    }
  sums[at] = s;
  dots[at] = d;
  for (int half = 4; half > 0; half /= 2) {
    __syncthreads();
    if (ty < half) {
      sums[at] += sums[at + half * 32];
      dots[at] += dots[at + half * 32];
    }
  }
  if (ty == 0 && c < channels) {
    dbeta[c] = sums[at];
    dgamma[c] = dots[at] / sqrtf(variance[c] + eps);
  }
}

// norm_grad: dx = γ·s·(g − dβ/rows − (x − mean)·s·dγ/rows) with
// s = 1/√(variance + eps), for g as in arriving.
template <class T, int V>
__device__ inline void norm_grad(const T *dy, const T *a, const T *y, const T *x, const float *gamma, const float *mean, const float *variance,
                                 const float *dgamma, const float *dbeta, T *dx, long long rows, int channels, long long per, float eps) {
  const Share s = share<V>(rows, channels, per);
  if (!s.inside) return;
  float scale[V], shift[V], slope[V], m[V];
#pragma unroll
  for (int i = 0; i < V; i++) {
    const int c = s.column + i;
    const float inverse = 1.0f / sqrtf(variance[c] + eps);
    scale[i] = gamma[c] * inverse;
    shift[i] = dbeta[c] / float(rows);
    slope[i] = dgamma[c] * inverse / float(rows);
    m[i] = mean[c];
  }
  for (long long row = s.first + threadIdx.y; row < s.end; row += blockDim.y) {
    const long long at = row * channels + s.column;
    float v[V], g[V];
    load<V>(x + at, v);
    arriving<V>(dy, a, y, at, g);
#pragma unroll
    for (int i = 0; i < V; i++) v[i] = scale[i] * (g[i] - shift[i] - (v[i] - m[i]) * slope[i]);
    store<V>(dx + at, v);
  }
}
#define NORM_GRAD(T)                                                                                                             \
  (const T *dy, const T *a, const T *y, const T *x, const float *gamma, const float *mean, const float *variance, const float *dgamma, \
   const float *dbeta, T *dx, long long rows, int channels, long long per, float eps)
KERNELS(norm_grad, NORM_GRAD, (dy, a, y, x, gamma, mean, variance, dgamma, dbeta, dx, rows, channels, per, eps))
