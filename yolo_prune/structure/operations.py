"""Operations of torch (names of aten), by what they do to the channels of a tensor. `structure.tracing` reads them."""

# They read a tensor's shape and none of its values.
SHAPES = {"new_full", "new_zeros", "new_ones", "new_empty", "zeros_like", "ones_like", "full_like", "empty_like"}

# They treat every channel alone, and a channel of zeros stays zero.
UNARY = {
    "silu", "silu_", "relu", "relu_", "gelu", "hardtanh", "hardtanh_", "hardswish", "hardswish_",
    "leaky_relu", "leaky_relu_", "elu", "elu_", "mish", "mish_", "tanh", "clone", "detach", "alias",
    "_to_copy", "native_dropout", "max_pool2d_with_indices", "avg_pool2d", "_adaptive_avg_pool2d",
    "adaptive_max_pool2d", "upsample_nearest2d", "upsample_bilinear2d", "neg", "abs", "pow", "sqrt",
}  # fmt: skip

# They treat every channel alone, but a channel of zeros does not stay zero.
LIFTING = {"sigmoid", "sigmoid_", "hardsigmoid", "hardsigmoid_", "softplus", "exp"}

PRODUCTS = {"mul", "mul_", "div", "div_"}
BINARY = {"add", "add_", "sub", "sub_", "maximum", "minimum", *PRODUCTS}
NORMS = {
    "native_batch_norm", "cudnn_batch_norm", "_native_batch_norm_legit", "_native_batch_norm_legit_no_training",
    "_native_batch_norm_legit_functional", "_batch_norm_with_update", "_batch_norm_no_update",
}  # fmt: skip
