// The backend API: descriptors, and the way from an operation graph through
// heuristics, engine and engine configuration to an execution plan. An engine
// computes every graph that checkGraph accepts. There is one; where TF32 is
// emulated, one that uses tensor cores comes first, which callers may avoid by
// its numerical note.
#include "cudnn_backend.h"

using namespace virtualgpu;

namespace {

struct Descriptor { std::shared_ptr<Set> set; };

int64_t engines() { return emulatesTF32() ? 2 : 1; }
bool usesTensorCores(const Set &e) { return engines() == 2 && e.one<int64_t>(engineIndex, 0) == 0; }

size_t elementSize(int kind) {
  switch (kind) {
  case ofBoolean: case 24: return 1;
  case ofHandle: case ofInt64: case ofDouble: case ofPointer: return 8;
  case 26: return 16;
  default: return kind >= 0 && kind < 30 ? 4 : 0;
  }
}

// derived gives what a descriptor answers without having been told.
bool derived(const Set &s, int attribute, Value &v) {
  auto number = [&](int kind, auto n) {
    v.kind = kind, v.count = 1;
    v.bytes.resize(sizeof n);
    memcpy(v.bytes.data(), &n, sizeof n);
    return true;
  };
  auto size = [](const Set *config) {
    const Set *e = config ? config->set(configEngine) : nullptr, *g = e ? e->set(engineGraph) : nullptr;
    size_t n = 0;
    if (!g || checkGraph(*g, n) != success) return int64_t(-1);
    return int64_t(n);
  };
  switch (attribute) {
  case graphEngines: return s.kind == operationGraph && number(ofInt64, engines());
  case configWorkspace: return s.kind == engineConfig && number(ofInt64, size(&s));
  case configSharedMemory: return s.kind == engineConfig && number(ofInt32, int32_t(0));
  case planWorkspace: return s.kind == executionPlan && number(ofInt64, size(s.set(planConfig)));
  case configKnobs: v.kind = ofDescriptor; return s.kind == engineConfig;
  case engineKnobs: v.kind = ofDescriptor; return s.kind == engine;
  case engineNumericalNotes:
    if (usesTensorCores(s)) number(0, int(0)); // CUDNN_NUMERICAL_NOTE_TENSOR_CORE
    v.kind = 11;
    return s.kind == engine;
  case engineBehaviourNotes: v.kind = 19; return s.kind == engine;
  default: return false;
  }
}

bool mayMake(int kind) {
  switch (kind) {
  case pointwiseDescriptor: case convolutionDescriptor: case engine: case engineConfig: case engineHeuristics:
  case executionPlan: case knobChoice: case convolutionForward: case convolutionBackwardFilter:
  case convolutionBackwardData: case pointwiseOperation: case operationGraph: case variantPack: case tensorDescriptor:
    return true;
  default:
    return false;
  }
}

// complete checks what must be known when a descriptor is finalized.
Status complete(Set &s) {
  auto needs = [&](std::initializer_list<int> attributes) {
    for (int a : attributes)
      if (!s.find(a)) return fail(badParam, "cudnnBackendFinalize: descriptor of type %d lacks attribute %d", s.kind, a);
    return success;
  };
  size_t unused;
  switch (s.kind) {
  case tensorDescriptor: {
    Status status = needs({tensorType, tensorSizes, tensorStrides, tensorUid});
    if (status != success) return status;
    if (typeOf(s.one<int>(tensorType, -1)) == Type::unknown)
      return fail(notSupported, "cudnnBackendFinalize: tensors of data type %d", s.one<int>(tensorType, -1));
    if (s.list<int64_t>(tensorSizes).size() != s.list<int64_t>(tensorStrides).size())
      return fail(badParam, "cudnnBackendFinalize: a tensor with unequal numbers of sizes and strides");
    if (s.one<int64_t>(tensorVectorCount, 1) != 1) return fail(notSupported, "cudnnBackendFinalize: tensors of vectors");
    return success;
  }
  case convolutionDescriptor:
    return needs({convolutionCompute, convolutionMode, convolutionDilations, convolutionStrides, convolutionAfter, convolutionBefore});
  case pointwiseDescriptor: return needs({pointwiseMode, pointwisePrecision});
  case convolutionForward: return needs({forwardConvolution, forwardW, forwardX, forwardY});
  case convolutionBackwardData: return needs({dataConvolution, dataW, dataX, dataY});
  case convolutionBackwardFilter: return needs({filterConvolution, filterW, filterX, filterY});
  case pointwiseOperation: return needs({pointwiseDescription, pointwiseX, pointwiseY});
  case operationGraph: {
    Status status = needs({graphOperations});
    return status == success ? checkGraph(s, unused) : status;
  }
  case engine:
    if (s.one<int64_t>(engineIndex, -1) < 0 || s.one<int64_t>(engineIndex, -1) >= engines())
      return fail(badParam, "cudnnBackendFinalize: there are %lld engines", (long long)engines());
    return needs({engineGraph});
  case engineConfig: return needs({configEngine});
  case executionPlan: return needs({planConfig});
  case variantPack: return needs({packUids, packPointers});
  case engineHeuristics: {
    Status status = needs({heuristicsGraph, heuristicsMode});
    if (status != success) return status;
    Value &results = s.attributes[heuristicsResults] = {ofDescriptor, 0, {}, {}};
    for (int64_t i = 0; i < engines(); i++) {
      auto e = std::make_shared<Set>();
      e->kind = engine, e->finalized = true;
      e->attributes[engineGraph] = s.attributes[heuristicsGraph];
      e->attributes[engineIndex] = {ofInt64, 1, std::vector<char>((char *)&i, (char *)(&i + 1)), {}};
      auto config = std::make_shared<Set>();
      config->kind = engineConfig, config->finalized = true;
      config->attributes[configEngine] = {ofDescriptor, 1, {}, {e}};
      results.sets.push_back(config), results.count++;
    }
    return success;
  }
  default: return success;
  }
}

} // namespace

CUDNN_API int cudnnBackendCreateDescriptor(int kind, Descriptor **d) {
  if (!mayMake(kind)) return fail(notSupported, "cudnnBackendCreateDescriptor: descriptor of type %d", kind);
  *d = new Descriptor{std::make_shared<Set>()};
  (*d)->set->kind = kind;
  return success;
}

CUDNN_API int cudnnBackendDestroyDescriptor(Descriptor *d) {
  delete d;
  return success;
}

CUDNN_API int cudnnBackendSetAttribute(Descriptor *d, int attribute, int kind, int64_t count, const void *elements) {
  if (!d || (count && !elements)) return fail(badParam, "cudnnBackendSetAttribute: null pointer for attribute %d", attribute);
  if (d->set->finalized) return fail(badParam, "cudnnBackendSetAttribute: attribute %d of a finalized descriptor", attribute);
  Value v;
  v.kind = kind, v.count = count;
  if (kind == ofDescriptor) {
    for (int64_t i = 0; i < count; i++) {
      auto *other = ((Descriptor *const *)elements)[i];
      if (!other || !other->set->finalized)
        return fail(badParam, "cudnnBackendSetAttribute: attribute %d is to be a descriptor that is not finalized", attribute);
      v.sets.push_back(other->set);
    }
  } else {
    size_t size = elementSize(kind);
    if (!size) return fail(badParam, "cudnnBackendSetAttribute: attribute %d of unknown type %d", attribute, kind);
    v.bytes.assign((const char *)elements, (const char *)elements + size * size_t(count));
  }
  d->set->attributes[attribute] = std::move(v);
  return success;
}

CUDNN_API int cudnnBackendGetAttribute(const Descriptor *d, int attribute, int kind, int64_t asked, int64_t *count, void *elements) {
  if (!d || !d->set->finalized) return fail(badParam, "cudnnBackendGetAttribute: attribute %d of a descriptor that is not finalized", attribute);
  Value computed;
  const Value *v = d->set->find(attribute);
  if (!v && derived(*d->set, attribute, computed)) v = &computed;
  if (!v) return fail(notSupported, "cudnnBackendGetAttribute: attribute %d of a descriptor of type %d", attribute, d->set->kind);
  if (v->kind != kind) return fail(badParam, "cudnnBackendGetAttribute: attribute %d has type %d, not %d", attribute, v->kind, kind);
  if (count) *count = v->count;
  if (!elements) return success;
  int64_t some = std::min(asked, v->count);
  if (kind != ofDescriptor) {
    memcpy(elements, v->bytes.data(), elementSize(kind) * size_t(some));
    return success;
  }
  for (int64_t i = 0; i < some; i++) {
    auto *to = ((Descriptor *const *)elements)[i];
    if (!to || to->set->kind != v->sets[size_t(i)]->kind)
      return fail(badParam, "cudnnBackendGetAttribute: attribute %d into a descriptor of another type", attribute);
    to->set = std::make_shared<Set>(*v->sets[size_t(i)]);
  }
  return success;
}

CUDNN_API int cudnnBackendFinalize(Descriptor *d) {
  if (!d) return fail(badParam, "cudnnBackendFinalize: null pointer");
  Status s = complete(*d->set);
  d->set->finalized = s == success;
  return s;
}

CUDNN_API int cudnnBackendExecute(Handle *, const Descriptor *plan, const Descriptor *pack) {
  if (!plan || !pack || plan->set->kind != executionPlan || pack->set->kind != variantPack || !plan->set->finalized || !pack->set->finalized)
    return fail(badParam, "cudnnBackendExecute: needs a finalized plan and variant pack");
  const Set *config = plan->set->set(planConfig), *e = config->set(configEngine), *graph = e->set(engineGraph);
  return runGraph(*graph, *pack->set, usesTensorCores(*e));
}
