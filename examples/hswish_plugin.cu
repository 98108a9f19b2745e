// HSwish as a TensorRT plugin in CUDA C++: y = x · clip(x / 6 + 0.5, 0, 1).
//
//     nvcc -std=c++17 -O2 --shared -Xcompiler -fPIC -isystem TENSORRT/include -o libhswish.so examples/hswish_plugin.cu
//     python examples/custom_operator.py network.int8.onnx
//     quantlab build network.int8.onnx --plugins ./libhswish.so
//
// TENSORRT/include is the folder of NvInferRuntime.h: of TensorRT's or TensorRT-RTX's own archive, or of
// https://github.com/NVIDIA/TensorRT. An ONNX node `HSwish` of any domain becomes this plugin, since TensorRT looks custom
// operators up by name alone. The library needs no TensorRT to link with: the runtime that opens it asks for its creators.
//
// Compiled against the headers of 10.12 and 11.1 with nvcc 13.0, and built into engines by TensorRT-RTX 1.7, which runs
// plugins as layers of their own. No GPU has run the kernel yet.

#include <NvInferRuntime.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <new>

// Not an anonymous namespace: nvcc confuses it with the one in TensorRT's headers.
namespace hswish_plugin {

using namespace nvinfer1;

constexpr char const* kName = "HSwish";
constexpr char const* kVersion = "1";
constexpr char const* kNamespace = "";

template <typename T>
__global__ void hswish(T const* x, T* y, int64_t count) {
    int64_t const step = int64_t{blockDim.x} * gridDim.x;
    for (int64_t i = int64_t{blockDim.x} * blockIdx.x + threadIdx.x; i < count; i += step) {
        float const value = static_cast<float>(x[i]);
        y[i] = static_cast<T>(value * __saturatef(value / 6.0F + 0.5F));
    }
}

// Elementwise, one input, one output of the same type and shape: float32 or float16. INT8 tensors never reach it:
// quantlab leaves the operator float, and TensorRT quantizes behind it.
class HSwish final : public IPluginV3, public IPluginV3OneCore, public IPluginV3OneBuild, public IPluginV3OneRuntime {
public:
    IPluginCapability* getCapabilityInterface(PluginCapabilityType type) noexcept override {
        switch (type) {
        case PluginCapabilityType::kCORE: return static_cast<IPluginV3OneCore*>(this);
        case PluginCapabilityType::kBUILD: return static_cast<IPluginV3OneBuild*>(this);
        case PluginCapabilityType::kRUNTIME: return static_cast<IPluginV3OneRuntime*>(this);
        }
        return nullptr;
    }
    IPluginV3* clone() noexcept override { return new (std::nothrow) HSwish(*this); }

    // What it is.
    char const* getPluginName() const noexcept override { return kName; }
    char const* getPluginVersion() const noexcept override { return kVersion; }
    char const* getPluginNamespace() const noexcept override { return kNamespace; }

    // How it is built into an engine.
    int32_t getNbOutputs() const noexcept override { return 1; }
    int32_t getOutputDataTypes(DataType* outputs, int32_t, DataType const* inputs, int32_t) const noexcept override {
        outputs[0] = inputs[0];
        return 0;
    }
    int32_t getOutputShapes(DimsExprs const* inputs, int32_t, DimsExprs const*, int32_t, DimsExprs* outputs, int32_t,
        IExprBuilder&) noexcept override {
        outputs[0] = inputs[0];
        return 0;
    }
    bool supportsFormatCombination(
        int32_t position, DynamicPluginTensorDesc const* all, int32_t, int32_t) noexcept override {
        PluginTensorDesc const& own = all[position].desc;
        bool const isFloat = own.type == DataType::kFLOAT || own.type == DataType::kHALF;
        return isFloat && own.type == all[0].desc.type && own.format == TensorFormat::kLINEAR;
    }
    int32_t configurePlugin(
        DynamicPluginTensorDesc const*, int32_t, DynamicPluginTensorDesc const*, int32_t) noexcept override {
        return 0;
    }

    // How it runs.
    int32_t onShapeChange(PluginTensorDesc const*, int32_t, PluginTensorDesc const*, int32_t) noexcept override {
        return 0;
    }
    IPluginV3* attachToContext(IPluginResourceContext*) noexcept override { return clone(); }
    PluginFieldCollection const* getFieldsToSerialize() noexcept override { return &mFields; }
    int32_t enqueue(PluginTensorDesc const* input, PluginTensorDesc const*, void const* const* inputs,
        void* const* outputs, void*, cudaStream_t stream) noexcept override {
        int64_t count = 1;
        for (int32_t axis = 0; axis < input[0].dims.nbDims; ++axis) { count *= input[0].dims.d[axis]; }
        return input[0].type == DataType::kHALF ? launch<__half>(inputs[0], outputs[0], count, stream)
                                                : launch<float>(inputs[0], outputs[0], count, stream);
    }

private:
    template <typename T>
    static int32_t launch(void const* x, void* y, int64_t count, cudaStream_t stream) noexcept {
        if (count == 0) { return 0; } // CUDA refuses a grid of no blocks
        constexpr int64_t kThreads = 256;
        constexpr int64_t kMostBlocks = 65535;
        int64_t const blocks = (count + kThreads - 1) / kThreads;
        hswish<T><<<static_cast<unsigned>(blocks < kMostBlocks ? blocks : kMostBlocks), kThreads, 0, stream>>>(
            static_cast<T const*>(x), static_cast<T*>(y), count);
        return cudaPeekAtLastError() == cudaSuccess ? 0 : -1;
    }

    PluginFieldCollection mFields{}; // it has no attributes
};

// Makes the plugin where the parser meets the operator, and where an engine is loaded.
class HSwishCreator final : public IPluginCreatorV3One {
public:
    char const* getPluginName() const noexcept override { return kName; }
    char const* getPluginVersion() const noexcept override { return kVersion; }
    char const* getPluginNamespace() const noexcept override { return kNamespace; }
    PluginFieldCollection const* getFieldNames() noexcept override { return &mFields; }
    IPluginV3* createPlugin(char const*, PluginFieldCollection const*, TensorRTPhase) noexcept override {
        return new (std::nothrow) HSwish;
    }

private:
    PluginFieldCollection mFields{};
};

} // namespace hswish_plugin

// What the runtime asks a library of plugins for.
extern "C" void setLoggerFinder(nvinfer1::ILoggerFinder*) {}

extern "C" nvinfer1::IPluginCreatorInterface* const* getCreators(int32_t& count) {
    static hswish_plugin::HSwishCreator creator;
    static nvinfer1::IPluginCreatorInterface* const creators[]{&creator};
    count = 1;
    return creators;
}
