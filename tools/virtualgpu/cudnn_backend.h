// The backend API's numbers (cudnn_graph.h of cuDNN 9) that are used here, and
// its descriptors, which are sets of attributes.
#pragma once
#include "cudnn_types.h"
#include <map>
#include <memory>

namespace virtualgpu __attribute__((visibility("hidden"))) {

enum DescriptorKind {
  pointwiseDescriptor = 0, convolutionDescriptor = 1, engine = 2, engineConfig = 3, engineHeuristics = 4, executionPlan = 5,
  knobChoice = 7, convolutionForward = 10, convolutionBackwardFilter = 11, convolutionBackwardData = 12,
  pointwiseOperation = 13, operationGraph = 15, variantPack = 16, tensorDescriptor = 17
};

enum AttributeKind {
  ofHandle = 0, ofDataType = 1, ofBoolean = 2, ofInt64 = 3, ofFloat = 4, ofDouble = 5, ofPointer = 6, ofDescriptor = 15,
  ofInt32 = 23
};

enum Attribute {
  pointwiseMode = 0, pointwisePrecision = 1, pointwiseNan = 2, reluLower = 3, reluUpper = 4, reluSlope = 5, eluAlpha = 6,
  softplusBeta = 7, swishBeta = 8,
  convolutionCompute = 100, convolutionMode = 101, convolutionDilations = 102, convolutionStrides = 103,
  convolutionAfter = 104, convolutionBefore = 105, convolutionAxes = 106,
  heuristicsMode = 200, heuristicsGraph = 201, heuristicsResults = 202,
  configEngine = 300, configKnobs = 302, configWorkspace = 303, configSharedMemory = 304,
  planHandle = 400, planConfig = 401, planWorkspace = 402,
  forwardAlpha = 700, forwardBeta = 701, forwardConvolution = 702, forwardW = 703, forwardX = 704, forwardY = 705,
  dataAlpha = 706, dataBeta = 707, dataConvolution = 708, dataW = 709, dataX = 710, dataY = 711,
  filterAlpha = 712, filterBeta = 713, filterConvolution = 714, filterW = 715, filterX = 716, filterY = 717,
  pointwiseDescription = 750, pointwiseX = 751, pointwiseB = 752, pointwiseY = 753, pointwiseAlpha1 = 754, pointwiseAlpha2 = 755,
  graphHandle = 800, graphOperations = 801, graphEngines = 802, graphDynamic = 803,
  tensorAlignment = 900, tensorType = 901, tensorSizes = 902, tensorStrides = 903, tensorVectorCount = 904,
  tensorUid = 906, tensorVirtual = 907, tensorByValue = 908,
  packUids = 1000, packPointers = 1001, packWorkspace = 1003,
  engineGraph = 1300, engineIndex = 1301, engineKnobs = 1302, engineNumericalNotes = 1303, engineBehaviourNotes = 1305
};

struct Set;
using SetPointer = std::shared_ptr<const Set>;

// Value is an attribute's elements: bytes, or other descriptors.
struct Value {
  int kind = 0;
  int64_t count = 0;
  std::vector<char> bytes;
  std::vector<SetPointer> sets;
};

// Set is what a descriptor holds. Descriptors that refer to it keep it alive:
// callers destroy theirs as soon as they have handed it on.
struct Set {
  int kind = 0;
  bool finalized = false;
  std::map<int, Value> attributes;

  const Value *find(int attribute) const {
    auto i = attributes.find(attribute);
    return i == attributes.end() ? nullptr : &i->second;
  }
  const Set *set(int attribute) const {
    const Value *v = find(attribute);
    return v && v->sets.size() == 1 ? v->sets[0].get() : nullptr;
  }
  template <class T> std::vector<T> list(int attribute) const {
    const Value *v = find(attribute);
    std::vector<T> l(v ? v->bytes.size() / sizeof(T) : 0);
    if (!l.empty()) memcpy(l.data(), v->bytes.data(), l.size() * sizeof(T));
    return l;
  }
  template <class T> T one(int attribute, T otherwise) const {
    const Value *v = find(attribute);
    if (v && v->bytes.size() >= sizeof(T)) memcpy(&otherwise, v->bytes.data(), sizeof(T));
    return otherwise;
  }
  // real reads an attribute that may be float or double.
  double real(int attribute, double otherwise) const {
    const Value *v = find(attribute);
    return v && v->kind == ofDouble ? one<double>(attribute, otherwise) : double(one<float>(attribute, float(otherwise)));
  }
};

// checkGraph says whether the stand-in can compute a graph, and with how much
// workspace.
Status checkGraph(const Set &graph, size_t &workspace);

// runGraph computes a checked graph on the memory of a variant pack.
Status runGraph(const Set &graph, const Set &pack, bool tf32);

} // namespace virtualgpu
