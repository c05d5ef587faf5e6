#include "nn/dense.hpp"

#include "linalg/reductions.hpp"

namespace pyae {
namespace {

// y = f(z + b) on one tile, keeping z + b where asked for.
template <class T, class A>
void forward_tile(const void* context, Index i, Index j, Index m, Index n, T* tile, Index stride) {
  const auto& state = *static_cast<const LayerState<T>*>(context);
  const A& activation = *std::get_if<A>(state.activation);
  for (Index c = 0; c < n; c += kLanes<T>) {
    const Index count = std::min(kLanes<T>, n - c);
    const Vec<T> bias = state.bias == nullptr ? Vec<T>{} : load_up_to(state.bias + j + c, count);
    for (Index r = 0; r < m; ++r) {
      T* p = tile + r * stride + c;
      const Vec<T> z = load_up_to(p, count) + bias;
      if (state.z != nullptr) store_up_to(state.z + (i + r) * stride + j + c, z, count);
      if constexpr (detail::kRowwise<A>) {
        store_up_to(p, z, count);
      } else {
        store_up_to(p, activation.value(z), count);
      }
    }
  }
}

// dz = (dy + dpenalty/dy) * f'(z) on one tile; for a row activation the first half only.
template <class T, class A>
void delta_tile(const void* context, Index i, Index j, Index m, Index n, T* tile, Index stride) {
  const auto& state = *static_cast<const LayerState<T>*>(context);
  const A& activation = *std::get_if<A>(state.activation);
  const auto rows = [&](Index c, Index count) {
    for (Index r = 0; r < m; ++r) {
      const Index at = (i + r) * stride + j + c;
      T* p = tile + r * stride + c;
      Vec<T> delta = load_up_to(p, count);
      const Vec<T> y = load_up_to(state.y + at, count);
      if (state.penalty.active) delta += state.penalty(y, j + c, count);
      if constexpr (detail::kRowwise<A>) {
      } else if constexpr (detail::kFromOutput<A>) {
        delta *= activation.derivative_of_output(y);
      } else {
        delta *= activation.derivative(load_up_to(state.z + at, count));
      }
      store_up_to(p, delta, count);
    }
  };
  const Index whole = n / kLanes<T> * kLanes<T>;
  for (Index c = 0; c < whole; c += kLanes<T>) rows(c, kLanes<T>);  // known to the compiler
  if (whole < n) rows(whole, n - whole);
}

}  // namespace

template <class T>
void Dense<T>::pack_kernel(const Pass<T>& pass, PackedOperand<T>& packed) const {
  pack_operand(pass.team, kernel(pass.parameters), pass.scratch.precision, packed);
}

template <class T>
void Dense<T>::forward(const Pass<T>& pass, const T* x, LayerState<T>& state) const {
  state.bias = use_bias_ ? pass.parameters + bias_ : nullptr;
  const Epilogue<T> epilogue = std::visit(
      [&](const auto& a) {
        return Epilogue<T>{&state, forward_tile<T, std::decay_t<decltype(a)>>};
      },
      *state.activation);
  const Operand<T> rows = plain(x, pass.batch, inputs_);
  if (state.kernel != nullptr) {
    matmul(pass.team, pass.scratch, rows, *state.kernel, state.y, epilogue);
  } else {
    matmul(pass.team, pass.scratch, rows, kernel(pass.parameters), state.y, epilogue);
  }
  if (is_rowwise(*state.activation)) {
    activate(pass.team, *state.activation, state.y, state.y, pass.batch, units_);
  }
}

template <class T>
void Dense<T>::forward_tangent(const Pass<T>& pass, const T* v, const T* x, const T* rx,
                               const LayerState<T>& state, T* ry) const {
  if (use_bias_) {
    pass.team.for_ranges(pass.batch, rows_of_pass(units_), 0.1 * static_cast<double>(units_),
                         [&](Index begin, Index end) {
                           for (Index i = begin; i < end; ++i) {
                             std::copy_n(v + bias_, units_, ry + i * units_);
                           }
                         });
  }
  if (rx != nullptr) {
    matmul(pass.team, pass.scratch, plain(rx, pass.batch, inputs_), kernel(pass.parameters), ry, {},
           use_bias_);
  }
  matmul(pass.team, pass.scratch, plain(x, pass.batch, inputs_), kernel(v), ry,
         delta_epilogue(state), use_bias_ || rx != nullptr);
  if (is_rowwise(*state.activation)) {
    activate_rows_jvp<T>(pass.team, *state.activation, state.y, ry, ry, pass.batch, units_);
  }
}

template <class T>
void Dense<T>::backward_parameters(const Pass<T>& pass, const T* x, const T* dz, T* gradients,
                                   bool* touched) const {
  if (use_bias_) {
    column_sums(pass.team, dz, pass.batch, units_, gradients + bias_);
  }
  T* dW = gradients + kernel_;
  if (!tied_) {  // dW (inputs, units) = x^T dz
    matmul(pass.team, pass.scratch, transposed(x, pass.batch, inputs_),
           plain(dz, pass.batch, units_), dW, {}, touched[owner_]);
  } else {  // the owner's kernel is (units, inputs): dz^T x
    matmul(pass.team, pass.scratch, transposed(dz, pass.batch, units_),
           plain(x, pass.batch, inputs_), dW, {}, touched[owner_]);
  }
  touched[owner_] = true;
}

template <class T>
void Dense<T>::backward_input(const Pass<T>& pass, const T* dz, T* dx, Epilogue<T> epilogue) const {
  Operand<T> w = kernel(pass.parameters);
  std::swap(w.rows, w.columns);
  std::swap(w.row_stride, w.column_stride);
  matmul(pass.team, pass.scratch, plain(dz, pass.batch, units_), w, dx, epilogue);
}

template <class T>
Epilogue<T> Dense<T>::delta_epilogue(const LayerState<T>& state) const {
  return std::visit(
      [&](const auto& a) -> Epilogue<T> {
        using A = std::decay_t<decltype(a)>;
        const bool nothing = std::is_same_v<A, Linear> || detail::kRowwise<A>;
        if (nothing && !state.penalty.active) return {};
        return {&state, delta_tile<T, A>, detail::kFromOutput<A> ? state.y : state.z};
      },
      *state.activation);
}

template <class T>
void Dense<T>::finish_delta(const Pass<T>& pass, const LayerState<T>& state, T* delta) const {
  if (!is_rowwise(*state.activation)) return;
  activate_vjp<T>(pass.team, *state.activation, nullptr, state.y, delta, delta, pass.batch, units_);
}

template <class T>
Operand<T> Dense<T>::kernel(const T* parameters) const {
  return tied_ ? transposed(parameters + kernel_, units_, inputs_)
               : plain(parameters + kernel_, inputs_, units_);
}

template class Dense<float>;
template class Dense<double>;

}  // namespace pyae
